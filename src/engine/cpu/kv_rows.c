/* SPDX-License-Identifier: Apache-2.0 */
/* engine/cpu/kv_rows.c - put one position's key or value where the kernels read it. */
#include "engine/cpu/kv_rows.h"

#include <math.h>

#include "engine/cpu/f16.h"

static void store_halves(const struct kernel_ops *ops, enum kv_part part, uint16_t *panel,
                         uint32_t lane, const float *x, size_t dim)
{
    uint16_t halves[KV_BLOCK];

    if (part == KV_VALUE) {
        ops->f16_store(panel + lane * dim, x, dim);
        return;
    }
    for (size_t start = 0; start < dim; start += KV_BLOCK) {
        const size_t n = dim - start < KV_BLOCK ? dim - start : KV_BLOCK;

        ops->f16_store(halves, x + start, n);
        for (size_t i = 0; i < n; i++)
            panel[(start + i) * KV_PANEL + lane] = halves[i];
    }
}

/* ret = the integers of a block; returns their scale as stored. */
static uint16_t quantise(int8_t *ret, const float *x)
{
    float largest = 0, factor;
    uint16_t scale;

    for (size_t i = 0; i < KV_BLOCK; i++)
        largest = fmaxf(largest, fabsf(x[i]));
    scale = f16_of_f32(largest / 127);
    factor = f16_to_f32(scale);
    factor = factor > 0 ? 1 / factor : 0;
    for (size_t i = 0; i < KV_BLOCK; i++) {
        /* Adding 1.5 * 2^23 rounds to the nearest integer, ties to even. */
        const float q = (x[i] * factor + 0x1.8p23f) - 0x1.8p23f;

        ret[i] = (int8_t)fminf(fmaxf(q, -127), 127);
    }
    return scale;
}

static void store_blocks(enum kv_part part, unsigned char *panel, uint32_t lane, const float *x,
                         size_t dim)
{
    const size_t n_blocks = dim / KV_BLOCK;
    unsigned char *scales = panel + kv_panel_elems_bytes(KV_Q8_0, dim);
    const size_t step = part == KV_KEY ? KV_PANEL : 1;
    int8_t *elems = (int8_t *)panel + (part == KV_KEY ? lane : lane * dim);

    for (size_t b = 0; b < n_blocks; b++) {
        int8_t q[KV_BLOCK];
        const uint16_t scale = quantise(q, x + b * KV_BLOCK);
        const size_t at = part == KV_KEY ? b * KV_PANEL + lane : lane * n_blocks + b;

        memcpy(scales + at * sizeof(scale), &scale, sizeof(scale));
        for (size_t i = 0; i < KV_BLOCK; i++)
            elems[(b * KV_BLOCK + i) * step] = q[i];
    }
}

void kv_rows_store(const struct kernel_ops *ops, enum kv_format format, enum kv_part part,
                   unsigned char *rows, uint32_t at, const float *x, size_t dim)
{
    unsigned char *panel = rows + at / KV_PANEL * kv_panel_bytes(format, dim);

    if (format == KV_F16)
        store_halves(ops, part, (uint16_t *)(void *)panel, at % KV_PANEL, x, dim);
    else
        store_blocks(part, panel, at % KV_PANEL, x, dim);
}
