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
    N_WEIGHTS = 16, /* registers of unpacked weights */
};

/* offset  what start or sum of an activation block stand for */
enum tile_offset { OFFSET_NONE, OFFSET_START, OFFSET_MIN };

/* n_quads  how many of a panel's QUADS are unpacked at a time
 * unpack   the weights of n_quads quads of one block, whose first chunk is at `quants`
 * multiply ret_sums [n_quads]: sums of products with a block of activations, exact */
struct tile_kernel {
    enum dtype dtype;
    unsigned n_chunks; /* of a block */
    enum tile_offset offset;
    unsigned n_quads;
    void (*unpack)(const unsigned char *quants, int8x16_t *ret_w);
    void (*multiply)(const int8x16_t *w, const struct neon_block *x, enum tile_offset offset,
                     int32x4_t *ret_sums);
};

INLINE float32x4_t tile_scales(const unsigned char *f16)
{
    return vcvt_f32_f16(vreinterpret_f16_u8(vld1_u8(f16)));
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
    for (unsigned r = 0; r < n_rows; r++) {
        const struct neon_block *block = (const void *)(x + r * x_stride);
        int32x4_t sums[QUADS];

        k->multiply(w, block, k->offset, sums);
        for (unsigned i = 0; i < k->n_quads; i++) {
            float *to = acc + (size_t)r * PANEL_ROWS + (size_t)i * 4;
            float32x4_t s = vld1q_f32(to);

            s = vfmaq_f32(s, vcvtq_f32_s32(sums[i]), vmulq_n_f32(ds[i], block->scale));
            if (k->offset == OFFSET_MIN)
                s = vfmaq_n_f32(s, ms[i], block->sum);
            vst1q_f32(to, s);
        }
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
                       m + b * scale_bytes + quad * quad_bytes, x + b * sizeof(struct neon_block),
                       x_stride, n_rows, acc + (size_t)quad * 4);
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

#endif
