/* SPDX-License-Identifier: Apache-2.0 */
/* engine/cpu/kernels.h - arithmetic of the CPU engine on rows; no threads, no allocation.
 *
 * ref/ defines what every entry means; an ISA's file may be faster, and
 * differs by rounding only, with the bound it states.
 *
 * Pointers need the alignment of their element type only, packed rows that of
 * KERNEL_ALIGN.  Outputs overlap no input, except where a kernel works in
 * place.  Any length is allowed, odd tails and 0 included.
 *
 * Exactness  an output element is computed by the same operations in the same order whatever
 *            the other rows and outputs of the call are: one row or many, one output or many
 *
 * To add an ISA: its file with one fill function, one row of isas[] in
 * dispatch.c, its flags in cmake/isa.cmake.
 */
#ifndef POMONA_ENGINE_CPU_KERNELS_H
#define POMONA_ENGINE_CPU_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "contract/activation_format.h"
#include "contract/kv_format.h"
#include "engine/cpu/panel.h"
#include "engine/dtype.h"

enum {
    KERNEL_ALIGN = 64,
    KV_PANEL = 16,             /* positions of a panel of keys or values; kv_rows.h */
    N_DTYPES = DTYPE_Q8_0 + 1, /* tables by dtype have holes */
};

/* One block of an activation row as kernels for quantised weights read it: integers with one scale,
 * q = round to nearest even of x * (most / max), where max is the block's largest magnitude.
 * scale  max / most; 0 with all q where max is below PACKED_NOTHING
 * sum    scale * (float)(q[0] + q[1] + ..), what an offset of the weights multiplies
 * start  -8 * (q[0] + q[1] + ..), where the sum of products with Q4_0's nibbles begins */
struct packed_head {
    float scale, sum;
    int32_t start;
};

/* ACTIVATIONS_16: most is PACKED_MAX, 127 * 256, so that an integer is also two signed bytes. */
struct packed_block {
    struct packed_head head;
    int16_t q[32];
};

/* ACTIVATIONS_8: most is PACKED8_MAX.  On x86, eight columns stand as 0 4 1 5 2 6 3 7: the order of low
 * and of high nibbles in a chunk of a panel. */
struct packed_block8 {
    struct packed_head head;
    int8_t q[32];
};

enum { PACKED_MAX = 32512, PACKED8_MAX = 127 };
#define PACKED_NOTHING 0x1p-100f /* below it the factor would overflow */

/* Activation rows as matrix kernels read them: x as it is, and `packed`, the
 * form the ISA's kernels for quantised weights want (nothing where it has none). */
struct activations {
    const float *x;              /* [n_rows][n_cols] */
    const unsigned char *packed; /* [n_rows][packed_bytes] */
    size_t packed_bytes;         /* product_ops.packed_bytes(n_cols) */
    uint32_t n_cols;
    uint32_t n_rows;
};

/* out[r * out_stride + i] = W[first_panel * PANEL_ROWS + i] . x[r], for each row of n_panels panels
 * and each activation row r.  Rows that the last panel lacks are not written.
 * scratch  [n_cols] floats, of the calling thread
 *
 * Every ISA gives the bits of this, blocks and columns ascending, isum and the sum of q exact
 * integers; but ref takes activations of 16 bits, and weights F16 and F32, in f32 throughout:
 *     Q4_0, Q8_0  acc = fma((float)isum, d * scale, acc), isum = sum of (w - 8) q, or of w q
 *     Q4_1        the same with isum = sum of w q, then acc = fma(m, sum, acc)
 *     F16, F32    acc = fma(w, x, acc) */
typedef void (*matmul_fn)(const struct panels *w, uint32_t first_panel, uint32_t n_panels,
                          const struct activations *a, float *out, size_t out_stride,
                          float *scratch);

/* Keys or values of the first `n` positions that one head has in a page; kv_rows.h says how
 * they lie there.  dim is a multiple of 32 for formats with blocks. */
struct kv_rows {
    const unsigned char *data;
    size_t n, dim;
};

/* score[i * stride + p] = q[i] . keys[p] for i < n_queries, p < n, dimensions ascending from 0:
 *     f16   s = fma(q, k, s)
 *     q8_0  b = fma(q, (float)k, b) within a block, from 0; after each block s = fma(b, d, s)
 * Up to the next multiple of KV_PANEL, scores are written and mean nothing.  q  [n_queries][dim]
 * These are the bits of every ISA, of softmax and mix too. */
typedef void (*attention_scores_fn)(float *score, size_t stride, const float *q, size_t n_queries,
                                    const struct kv_rows *keys);

/* sum[i * dim + j] += weight[i * stride + p] * values[p][j] for i < n_queries, positions ascending:
 *     f16   sum = fma(w, v, sum)
 *     q8_0  sum = fma(w * d, (float)v, sum) */
typedef void (*attention_mix_fn)(float *sum, const float *weight, size_t stride, size_t n_queries,
                                 const struct kv_rows *values);

/* Matrices times rows, in one format of activations.
 * pack  a row as its kernels want it; one that is no whole blocks, which no quantised matrix takes,
 *       need not be written */
struct product_ops {
    size_t (*packed_bytes)(size_t n); /* multiple of KERNEL_ALIGN */
    void (*pack)(void *ret_packed, const float *x, size_t n);
    matmul_fn matmul[N_DTYPES];
};

struct kernel_ops {
    const char *isa; /* widest ISA in use */

    /* ret = the n elements of a row of weights as GGUF stores it (whole blocks) */
    void (*dequantise[N_DTYPES])(float *ret, const void *row, size_t n);

    struct product_ops products[N_ACTIVATION_FORMATS];

    /* ret = x / sqrt(mean(x^2) + eps) * weight */
    void (*rmsnorm)(float *ret, const float *x, const float *weight, size_t n, float eps);

    /* gate = silu(gate) * up, silu(z) = z / (1 + exp(-z)) */
    void (*swiglu)(float *gate, const float *up, size_t n);

    void (*f16_store)(uint16_t *ret, const float *x, size_t n);

    /* x[i] = 2^(x[i] - max) for i < n, n >= 1, where max is the largest of them.  ret_max = max;
     * returns the sum: sixteen partial sums, of the elements with equal i mod 16 in ascending
     * order, added as halves: 8 to 8, 4 to 4, 2 to 2, 1 to 1.  2^y is pow2.h's. */
    float (*softmax)(float *x, size_t n, float *ret_max);

    attention_scores_fn attention_scores[N_KV_FORMATS];
    attention_mix_fn attention_mix[N_KV_FORMATS];
};

/* Fill `ops` with the best kernels for a CPU that has exactly `features` (a
 * mask of enum cpu_feature) and, where `name` is not NULL, no wider than the
 * ISA of that name.  A pure function.  False, and `ops` untouched, where
 * there is no such ISA for these features. */
bool kernel_ops_select(struct kernel_ops *ops, uint32_t features, const char *name);

/* Names of the ISAs that a CPU with these features can use, narrow to wide:
 * "ref, avx2".  Always NUL-terminated. */
void kernel_isa_names(uint32_t features, char *ret_names, size_t capacity);

void kernel_fill_ref(struct kernel_ops *ops);
void kernel_fill_avx2(struct kernel_ops *ops);
void kernel_fill_avxvnni(struct kernel_ops *ops);
void kernel_fill_avx512vnni(struct kernel_ops *ops);
void kernel_fill_avx512(struct kernel_ops *ops); /* rows; matrices are those of narrower ISAs */
void kernel_fill_amx(struct kernel_ops *ops);
void kernel_fill_neon(struct kernel_ops *ops);
void kernel_fill_neon_dotprod(struct kernel_ops *ops);
void kernel_fill_neon_i8mm(struct kernel_ops *ops);

#endif
