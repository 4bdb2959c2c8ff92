/* SPDX-License-Identifier: Apache-2.0 */
/* engine/cpu/ref/matrix8.c - quantised weights times activations of 8 bits: what every ISA gives.
 *
 * Other than in matrix.c the bits are defined, so these kernels may be mixed with any.  The blocks of a
 * weight row are unpacked once per call and meet every activation row, columns in order; an output
 * is its own accumulator.
 */
#include <math.h>

#include "base/size.h"
#include "engine/cpu/kernels.h"
#include "engine/cpu/ref/ref.h"

enum { BLOCK = 32 };

static size_t packed_bytes(size_t n)
{
    return size_round_up(n / BLOCK * sizeof(struct packed_block8), KERNEL_ALIGN);
}

static void pack_block(struct packed_block8 *ret_block, const float *x)
{
    float max = 0, factor;
    int32_t sum = 0;

    for (size_t i = 0; i < BLOCK; i++)
        max = fmaxf(max, fabsf(x[i]));
    if (!(max > PACKED_NOTHING))
        max = 0;
    factor = max > 0 ? PACKED8_MAX / max : 0;
    for (size_t i = 0; i < BLOCK; i++) {
        const int32_t q = (int32_t)rintf(x[i] * factor);

        ret_block->q[i] = (int8_t)q;
        sum += q;
    }
    ret_block->head.scale = max / PACKED8_MAX;
    ret_block->head.sum = ret_block->head.scale * (float)sum;
    ret_block->head.start = -8 * sum;
}

static void pack(void *ret_packed, const float *x, size_t n)
{
    struct packed_block8 *blocks = ret_packed;

    for (size_t b = 0; n % BLOCK == 0 && b < n / BLOCK; b++)
        pack_block(&blocks[b], x + b * BLOCK);
}

static float add_block(const struct panel_block *w, const struct packed_block8 *x, bool has_m,
                       float acc)
{
    int32_t isum = 0;

    for (size_t i = 0; i < BLOCK; i++)
        isum += w->q[i] * x->q[i];
    acc = fmaf((float)isum, w->d * x->head.scale, acc);
    return has_m ? fmaf(w->m, x->head.sum, acc) : acc;
}

static void matmul(const struct panels *w, uint32_t first_panel, uint32_t n_panels,
                   const struct activations *a, float *out, size_t out_stride, float *scratch)
{
    const uint32_t first = first_panel * PANEL_ROWS;
    const uint32_t n = (uint32_t)size_min((size_t)n_panels * PANEL_ROWS, w->n_rows - first);

    (void)scratch;
    for (uint32_t r = 0; r < a->n_rows; r++)
        for (uint32_t i = 0; i < n; i++)
            out[r * out_stride + i] = 0;
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t b = 0; b < w->n_cols / BLOCK; b++) {
            struct panel_block block;

            panel_block(w, first + i, b, &block);
            for (uint32_t r = 0; r < a->n_rows; r++) {
                const struct packed_block8 *x =
                    (const void *)(a->packed + (size_t)r * a->packed_bytes);
                float *acc = &out[r * out_stride + i];

                *acc = add_block(&block, &x[b], w->dtype == DTYPE_Q4_1, *acc);
            }
        }
}

void ref_fill_matrix8(struct product_ops *products)
{
    products->packed_bytes = packed_bytes;
    products->pack = pack;
    products->matmul[DTYPE_Q4_0] = products->matmul[DTYPE_Q4_1] = matmul;
    products->matmul[DTYPE_Q8_0] = matmul;
}
