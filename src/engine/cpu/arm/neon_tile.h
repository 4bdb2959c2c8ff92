/* SPDX-License-Identifier: Apache-2.0 */
/* engine/cpu/arm/neon_tile.h - a panel of quantised weights times some activation rows.
 *
 * The weights of one block stand in 16 registers, a quarter or a half of the panel's rows,
 * while the activation rows pass: weights are unpacked once for all rows, and a row needs
 * four registers for itself and two to four for its integer sums.  The floating point sums of
 * a tile, [rows][16], stay in the first-level cache.
 *
 * Each ISA's file includes this and gives the two functions that differ, which the compiler
 * then knows; how many instructions a block takes is stated there.
 */
#ifndef POMONA_ENGINE_CPU_ARM_NEON_TILE_H
#define POMONA_ENGINE_CPU_ARM_NEON_TILE_H

#include <string.h>

#include "engine/cpu/arm/neon.h"

enum {
    TILE_ROWS_MAX = 8,
    QUADS = PANEL_ROWS / 4, /* registers of one value for each row of a panel */
    CHUNK_BYTES = 64,
    N_WEIGHTS = 16,  /* registers of unpacked weights */
    AT_ONCE_MAX = 2, /* activation rows of one multiplication */
};

/* offset  what start or sum of an activation block stand for */
enum tile_offset { OFFSET_NONE, OFFSET_START, OFFSET_MIN };

/* block_bytes  of a block of activations
 * n_quads      how many of a panel's QUADS are unpacked at a time
 * n_at_once    activation rows that one multiplication takes, the last one alone where they are odd
 * unpack       the weights of n_quads quads of one block, whose first chunk is at `quants`
 * multiply     ret_sums [n_at_once][n_quads]: sums of products with a block of activations at x, and
 *              where two are taken with another at `next`, exact */
struct tile_kernel {
    enum dtype dtype;
    unsigned n_chunks; /* of a block */
    enum tile_offset offset;
    size_t block_bytes;
    unsigned n_quads, n_at_once;
    void (*unpack)(const unsigned char *quants, int8x16_t *ret_w);
    void (*multiply)(const int8x16_t *w, const unsigned char *x, const unsigned char *next,
                     enum tile_offset offset, int32x4_t *ret_sums);
};

INLINE float32x4_t tile_scales(const unsigned char *f16)
{
    return vcvt_f32_f16(vreinterpret_f16_u8(vld1_u8(f16)));
}

/* Add the sums of some quads and one row, scaled. */
INLINE void tile_scale(const struct tile_kernel *k, const float32x4_t *ds, const float32x4_t *ms,
                       const unsigned char *x, const int32x4_t *sums, float *acc)
{
    const struct neon_head *head = (const void *)x;

    for (unsigned i = 0; i < k->n_quads; i++, acc += 4) {
        float32x4_t s = vld1q_f32(acc);

        s = vfmaq_f32(s, vcvtq_f32_s32(sums[i]), vmulq_n_f32(ds[i], head->scale));
        if (k->offset == OFFSET_MIN)
            s = vfmaq_n_f32(s, ms[i], head->sum);
        vst1q_f32(acc, s);
    }
}

/* Some quads of one block, all rows of the tile. */
INLINE void tile_block(const struct tile_kernel *k, const unsigned char *quants,
                       const unsigned char *d, const unsigned char *m, const unsigned char *x,
                       size_t x_stride, unsigned n_rows, float *acc)
{
    float32x4_t ds[QUADS], ms[QUADS];
    int8x16_t w[N_WEIGHTS];

    k->unpack(quants, w);
    for (unsigned i = 0; i < k->n_quads; i++) {
        ds[i] = tile_scales(d + i * 4 * sizeof(uint16_t));
        if (k->offset == OFFSET_MIN)
            ms[i] = tile_scales(m + i * 4 * sizeof(uint16_t));
    }
    for (unsigned r = 0; r < n_rows; r += k->n_at_once) {
        const unsigned char *row = x + r * x_stride;
        const bool has_next = k->n_at_once > 1 && r + 1 < n_rows;
        const unsigned char *next = has_next ? row + x_stride : row;
        int32x4_t sums[AT_ONCE_MAX * QUADS];

        k->multiply(w, row, next, k->offset, sums);
        tile_scale(k, ds, ms, row, sums, acc + (size_t)r * PANEL_ROWS);
        if (has_next)
            tile_scale(k, ds, ms, next, sums + k->n_quads, acc + (size_t)(r + 1) * PANEL_ROWS);
    }
}

/* acc [n_rows][PANEL_ROWS] = panel . rows of packed activations. */
INLINE void tile_panel(const struct tile_kernel *k, const unsigned char *panel, size_t n_blocks,
                       const unsigned char *x, size_t x_stride, unsigned n_rows, float *acc)
{
    const size_t scale_bytes = PANEL_ROWS * sizeof(uint16_t), quad_bytes = 4 * sizeof(uint16_t);
    const size_t block_bytes = (size_t)k->n_chunks * CHUNK_BYTES;
    const unsigned char *d = panel + n_blocks * block_bytes, *m = d + n_blocks * scale_bytes;

    memset(acc, 0, n_rows * PANEL_ROWS * sizeof(*acc));
    for (size_t b = 0; b < n_blocks; b++)
        for (unsigned quad = 0; quad < QUADS; quad += k->n_quads)
            tile_block(k, panel + b * block_bytes + (size_t)quad * 16,
                       d + b * scale_bytes + quad * quad_bytes,
                       m + b * scale_bytes + quad * quad_bytes, x + b * k->block_bytes, x_stride,
                       n_rows, acc + (size_t)quad * 4);
}

INLINE void tile_matmul(const struct tile_kernel *k, const struct panels *w, uint32_t first_panel,
                        uint32_t n_panels, const struct activations *a, float *out,
                        size_t out_stride)
{
    const size_t bytes = panel_bytes(k->dtype, w->n_cols), n_blocks = w->n_cols / NEON_BLOCK;
    float acc[TILE_ROWS_MAX * PANEL_ROWS];

    for (uint32_t p = 0; p < n_panels; p++) {
        const unsigned char *panel = w->data + (first_panel + p) * bytes;
        const uint32_t height = w->n_rows - (first_panel + p) * PANEL_ROWS;
        const size_t n_outs = height < PANEL_ROWS ? height : PANEL_ROWS;

        for (uint32_t r = 0; r < a->n_rows; r += TILE_ROWS_MAX) {
            const unsigned char *x = a->packed + r * a->packed_bytes;
            const uint32_t left = a->n_rows - r;
            const unsigned n = left < TILE_ROWS_MAX ? left : TILE_ROWS_MAX;

            if (n == 1)
                tile_panel(k, panel, n_blocks, x, a->packed_bytes, 1, acc);
            else
                tile_panel(k, panel, n_blocks, x, a->packed_bytes, n, acc);
            for (unsigned i = 0; i < n; i++)
                memcpy(out + (r + i) * out_stride + (size_t)p * PANEL_ROWS,
                       acc + (size_t)i * PANEL_ROWS, n_outs * sizeof(float));
        }
    }
}

/* A matmul_fn; the arguments after its name are those of struct tile_kernel. */
#define TILE_MATMUL(name, dtype, offset, block_bytes, n_quads, n_at_once, unpack, multiply)        \
    static void name(const struct panels *w, uint32_t first_panel, uint32_t n_panels,              \
                     const struct activations *a, float *out, size_t out_stride, float *scratch)   \
    {                                                                                              \
        const struct tile_kernel k = { dtype,   (dtype) == DTYPE_Q8_0 ? 8 : 4,                     \
                                       offset,  block_bytes,                                       \
                                       n_quads, n_at_once,                                         \
                                       unpack,  multiply };                                        \
                                                                                                   \
        (void)scratch;                                                                             \
        tile_matmul(&k, w, first_panel, n_panels, a, out, out_stride);                             \
    }

#endif
