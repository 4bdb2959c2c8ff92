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

#include "engine/dtype.h"
#include "engine/weights.h"

enum {
    KERNEL_ALIGN = 64,
    N_DTYPES = DTYPE_Q8_0 + 1, /* tables by dtype have holes */
};

/* Activation rows as matrix kernels read them: x as it is, and `packed`, the
 * form the ISA's kernels for quantised weights want (NULL where it has none). */
struct activations {
    const float *x;              /* [n_rows][n_cols] */
    const unsigned char *packed; /* [n_rows][packed_bytes] */
    size_t packed_bytes;         /* kernel_ops.packed_bytes(n_cols) */
    uint32_t n_cols;
    uint32_t n_rows;
};

/* out[r * out_stride + i] = W[first_out + i] . x[r]  for i < n_out and each activation row r.
 * scratch  [n_cols] floats, of the calling thread */
typedef void (*matmul_fn)(const struct matrix *w, uint32_t first_out, uint32_t n_out,
                          const struct activations *a, float *out, size_t out_stride,
                          float *scratch);

struct kernel_ops {
    const char *isa; /* widest ISA in use */

    /* ret = the n elements of a row of weights (whole blocks) */
    void (*dequantise[N_DTYPES])(float *ret, const void *row, size_t n);
    matmul_fn matmul[N_DTYPES];

    size_t (*packed_bytes)(size_t n); /* multiple of KERNEL_ALIGN */
    void (*pack)(void *ret_packed, const float *x, size_t n);

    /* ret = x / sqrt(mean(x^2) + eps) * weight */
    void (*rmsnorm)(float *ret, const float *x, const float *weight, size_t n, float eps);

    /* gate = silu(gate) * up, silu(z) = z / (1 + exp(-z)) */
    void (*swiglu)(float *gate, const float *up, size_t n);

    void (*f16_store)(uint16_t *ret, const float *x, size_t n);

    /* score[i] = scale * (q . keys[i]), i < n; keys are rows of dim elements, one after another */
    void (*attention_scores)(float *score, const float *q, const uint16_t *keys, size_t n,
                             size_t dim, float scale);

    /* score[i] = exp(score[i] - max); returns their sum */
    float (*exp_sum)(float *score, size_t n, float max);

    /* sum = sum * keep + weight[0] * values[0] + weight[1] * values[1] + ... */
    void (*attention_mix)(float *sum, float keep, const float *weight, const uint16_t *values,
                          size_t n, size_t dim);
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

#endif
