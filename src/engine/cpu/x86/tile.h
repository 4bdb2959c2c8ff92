/* SPDX-License-Identifier: Apache-2.0 */
/* engine/cpu/x86/tile.h - panels times activation rows, for the vectors of vectors.h.
 *
 * A tile is TILE_VECTORS vectors of weight rows times up to TILE_ROWS_MAX activation rows.  Weights
 * are unpacked once for all its rows, two columns at a time; each 32-bit lane takes a pair of
 * 16-bit products, and one number of the activation row meets all lanes.  Sums of a block are
 * integers, so their order does not matter; blocks are added in ascending order.
 *
 * The first rows of a call ask for weights ahead of their use: panels lie one after another.  One
 * row alone takes one panel at a time, which memory serves faster than two.
 *
 * Included by one file for each ISA, which its flags make different code.
 */
#ifndef POMONA_ENGINE_CPU_X86_TILE_H
#define POMONA_ENGINE_CPU_X86_TILE_H

#include <stdbool.h>

#include "base/size.h"
#include "engine/cpu/kernels.h"
#include "engine/cpu/x86/vectors.h"

enum {
    BLOCK = 32,
    CHUNK_BYTES = 4 * PANEL_ROWS,
    PANEL_VECTORS = PANEL_ROWS / VECTOR_LANES,
    BLOCKS_AHEAD = 64, /* 9 KiB of a panel of Q4_0: what one core has under way from memory */
    TILE_PANELS = TILE_VECTORS / PANEL_VECTORS,
};

#define UNROLL _Pragma("GCC unroll 16")

/* A quantised format, known to the compiler wherever it is used.
 * n_chunks   of a block: 4 of nibbles, 8 of bytes
 * is_signed  nibbles stand for -8..7
 * has_m      an offset m follows the scales d */
struct block_format {
    enum dtype dtype;
    unsigned n_chunks;
    bool is_signed, has_m;
};

static const struct block_format block_q4_0 = { DTYPE_Q4_0, 4, true, false };
static const struct block_format block_q4_1 = { DTYPE_Q4_1, 4, false, true };
static const struct block_format block_q8_0 = { DTYPE_Q8_0, 8, false, false };

/* Where a tile lies.
 * n_outs  rows of the matrix it may write */
struct tile {
    const unsigned char *panel;
    size_t panel_bytes, scales_at;
    const struct activations *a;
    uint32_t first_row;
    float *out;
    size_t out_stride;
    uint32_t n_outs;
};

/* Columns 2i and 2i + 1 of a chunk, as pairs of 16-bit integers. */
INLINE ints pair_of(const struct block_format *f, ints chunk, unsigned i)
{
    if (f->n_chunks == 8)
        return v_right_signed(i == 0 ? v_left(chunk, 8) : chunk, 8);
    if (i == 3)
        return v_right(chunk, 12);
    return v_low_nibbles(i == 0 ? chunk : v_right(chunk, 4 * (int)i));
}

/* Vector v of a tile in an array of one panel's vectors that are vector_bytes long. */
INLINE const unsigned char *vector_at(const struct tile *t, const unsigned char *array, unsigned v,
                                      size_t vector_bytes)
{
    return array + v / PANEL_VECTORS * t->panel_bytes + v % PANEL_VECTORS * vector_bytes;
}

/* Ask for what the next blocks need, of this tile or of the one that follows in memory. */
INLINE void prefetch_block(const struct block_format *f, const struct tile *t, size_t block,
                           unsigned n_vectors)
{
    const size_t n_blocks = t->a->n_cols / BLOCK, block_bytes = f->n_chunks * CHUNK_BYTES;
    const size_t scale_bytes = PANEL_ROWS * sizeof(uint16_t);
    const unsigned char *panel = t->panel;
    size_t ahead = block + BLOCKS_AHEAD;

    for (; ahead >= n_blocks; ahead -= n_blocks)
        panel += n_vectors / PANEL_VECTORS * t->panel_bytes;
    UNROLL
    for (unsigned p = 0; p < n_vectors / PANEL_VECTORS; p++, panel += t->panel_bytes) {
        UNROLL
        for (unsigned line = 0; line < f->n_chunks; line++)
            _mm_prefetch((const char *)panel + ahead * block_bytes + line * CHUNK_BYTES,
                         _MM_HINT_T1);
        _mm_prefetch((const char *)panel + t->scales_at + ahead * scale_bytes, _MM_HINT_T1);
        if (f->has_m)
            _mm_prefetch((const char *)panel + t->scales_at + (n_blocks + ahead) * scale_bytes,
                         _MM_HINT_T1);
    }
}

INLINE void add_block(const struct block_format *f, const struct tile *t, size_t block,
                      const struct packed_block *const *x, unsigned n_vectors, unsigned n_rows,
                      ints (*sums)[TILE_ROWS_MAX])
{
    const unsigned char *chunks = t->panel + block * f->n_chunks * CHUNK_BYTES;
    const unsigned n_pairs = BLOCK / 2 / f->n_chunks; /* of a chunk */

    UNROLL
    for (unsigned r = 0; r < n_rows; r++) {
        UNROLL
        for (unsigned v = 0; v < n_vectors; v++)
            sums[v][r] = v_set(f->is_signed ? x[r]->start : 0);
    }
    UNROLL
    for (unsigned p = 0; p < BLOCK / 2; p++) {
        const unsigned char *chunk = chunks + p / n_pairs * CHUNK_BYTES;
        ints w[TILE_VECTORS];

        UNROLL
        for (unsigned v = 0; v < n_vectors; v++)
            w[v] = pair_of(f, v_load(vector_at(t, chunk, v, CHUNK_BYTES / PANEL_VECTORS)),
                           p % n_pairs);
        UNROLL
        for (unsigned r = 0; r < n_rows; r++) {
            const ints pair = v_set(load_pair(&x[r]->q[2 * p]));

            UNROLL
            for (unsigned v = 0; v < n_vectors; v++)
                sums[v][r] = v_dot(sums[v][r], w[v], pair);
        }
    }
}

INLINE void scale_block(const struct block_format *f, const struct tile *t, size_t block,
                        const struct packed_block *const *x, unsigned n_vectors, unsigned n_rows,
                        ints (*sums)[TILE_ROWS_MAX], floats (*acc)[TILE_ROWS_MAX])
{
    const size_t scale_bytes = PANEL_ROWS * sizeof(uint16_t), n_blocks = t->a->n_cols / BLOCK;
    const unsigned char *d_at = t->panel + t->scales_at + block * scale_bytes;

    UNROLL
    for (unsigned v = 0; v < n_vectors; v++) {
        const unsigned char *at = vector_at(t, d_at, v, scale_bytes / PANEL_VECTORS);
        const floats d = v_load_f16(at);

        UNROLL
        for (unsigned r = 0; r < n_rows; r++)
            acc[v][r] = v_fma(v_of_ints(sums[v][r]), v_mul(d, v_set_f32(x[r]->scale)), acc[v][r]);
        if (f->has_m) {
            const floats m = v_load_f16(at + n_blocks * scale_bytes);

            UNROLL
            for (unsigned r = 0; r < n_rows; r++)
                acc[v][r] = v_fma(m, v_set_f32(x[r]->sum), acc[v][r]);
        }
    }
}

INLINE void store_tile(const struct tile *t, unsigned n_vectors, unsigned n_rows,
                       floats (*acc)[TILE_ROWS_MAX])
{
    float row[TILE_VECTORS * VECTOR_LANES];

    UNROLL
    for (unsigned r = 0; r < n_rows; r++) {
        float *out = t->out + (t->first_row + r) * t->out_stride;

        UNROLL
        for (unsigned v = 0; v < n_vectors; v++)
            v_store(t->n_outs < n_vectors * VECTOR_LANES ? row + v * VECTOR_LANES
                                                         : out + v * VECTOR_LANES,
                    acc[v][r]);
        if (t->n_outs < n_vectors * VECTOR_LANES)
            memcpy(out, row, t->n_outs * sizeof(*out));
    }
}

INLINE void block_tile(const struct block_format *f, const struct tile *t, unsigned n_vectors,
                       unsigned n_rows)
{
    const size_t n_blocks = t->a->n_cols / BLOCK;
    const struct packed_block *x[TILE_ROWS_MAX];
    floats acc[TILE_VECTORS][TILE_ROWS_MAX];

    UNROLL
    for (unsigned r = 0; r < n_rows; r++) {
        x[r] = (const struct packed_block *)(const void *)(t->a->packed +
                                                           (t->first_row + r) * t->a->packed_bytes);
        UNROLL
        for (unsigned v = 0; v < n_vectors; v++)
            acc[v][r] = v_set_f32(0);
    }
    for (size_t b = 0; b < n_blocks; b++) {
        ints sums[TILE_VECTORS][TILE_ROWS_MAX];

        if (t->first_row == 0)
            prefetch_block(f, t, b, n_vectors);
        add_block(f, t, b, x, n_vectors, n_rows, sums);
        scale_block(f, t, b, x, n_vectors, n_rows, sums, acc);
        UNROLL
        for (unsigned r = 0; r < n_rows; r++)
            x[r]++;
    }
    store_tile(t, n_vectors, n_rows, acc);
}

/* ---- weights that are floating point already ---- */

INLINE void float_tile(bool is_f16, const struct tile *t, unsigned n_vectors, unsigned n_rows)
{
    const size_t n_cols = t->a->n_cols, elem_bytes = is_f16 ? sizeof(uint16_t) : sizeof(float);
    const float *x = t->a->x + t->first_row * n_cols;
    floats acc[TILE_VECTORS][TILE_ROWS_MAX];

    UNROLL
    for (unsigned r = 0; r < n_rows; r++) {
        UNROLL
        for (unsigned v = 0; v < n_vectors; v++)
            acc[v][r] = v_set_f32(0);
    }
    for (size_t c = 0; c < n_cols; c++) {
        const unsigned char *column = t->panel + c * PANEL_ROWS * elem_bytes;

        UNROLL
        for (unsigned v = 0; v < n_vectors; v++) {
            const unsigned char *at = vector_at(t, column, v, VECTOR_LANES * elem_bytes);
            const floats w = is_f16 ? v_load_f16(at) : v_load_f32(at);

            UNROLL
            for (unsigned r = 0; r < n_rows; r++)
                acc[v][r] = v_fma(w, v_set_f32(x[r * n_cols + c]), acc[v][r]);
        }
    }
    store_tile(t, n_vectors, n_rows, acc);
}

/* ---- matrices ---- */

INLINE void tile_of(const struct block_format *f, bool is_f16, const struct tile *t,
                    unsigned n_vectors, unsigned n_rows)
{
    if (f)
        block_tile(f, t, n_vectors, n_rows);
    else
        float_tile(is_f16, t, n_vectors, n_rows);
}

/* The rows of `t` that are left, as tiles of a size that the compiler knows. */
INLINE void tile_rows(const struct block_format *f, bool is_f16, struct tile *t, unsigned n_vectors)
{
    for (uint32_t n; t->first_row < t->a->n_rows; t->first_row += n) {
        n = (uint32_t)size_min(TILE_ROWS_MAX, t->a->n_rows - t->first_row);
        switch (n) {
        case 1: tile_of(f, is_f16, t, n_vectors, 1); break;
        case 2: tile_of(f, is_f16, t, n_vectors, 2); break;
        case 3: tile_of(f, is_f16, t, n_vectors, 3); break;
        case 4: tile_of(f, is_f16, t, n_vectors, 4); break;
#if TILE_ROWS_MAX > 4
        case 5: tile_of(f, is_f16, t, n_vectors, 5); break;
        case 6: tile_of(f, is_f16, t, n_vectors, 6); break;
#endif
        default: break;
        }
    }
}

INLINE void multiply(const struct block_format *f, bool is_f16, const struct panels *w,
                     uint32_t first_panel, uint32_t n_panels, const struct activations *a,
                     float *out, size_t out_stride)
{
    struct tile t = { .panel_bytes = panel_bytes(w->dtype, w->n_cols),
                      .scales_at = f ? panel_scales_at(w->dtype, w->n_cols) : 0,
                      .a = a,
                      .out_stride = out_stride };

    for (uint32_t p = 0, n; p < n_panels; p += n) {
        n = n_panels - p >= TILE_PANELS && a->n_rows > 1 ? TILE_PANELS : 1;
        t.panel = w->data + (first_panel + p) * t.panel_bytes;
        t.out = out + (size_t)p * PANEL_ROWS;
        t.n_outs = w->n_rows - (first_panel + p) * PANEL_ROWS;
        t.first_row = 0;
        if (n == TILE_PANELS)
            tile_rows(f, is_f16, &t, TILE_VECTORS);
        else
            tile_rows(f, is_f16, &t, PANEL_VECTORS);
    }
}

#define MATMUL(name, format, is_f16)                                                               \
    static void name(const struct panels *w, uint32_t first_panel, uint32_t n_panels,              \
                     const struct activations *a, float *out, size_t out_stride, float *scratch)   \
    {                                                                                              \
        (void)scratch;                                                                             \
        multiply(format, is_f16, w, first_panel, n_panels, a, out, out_stride);                    \
    }

MATMUL(matmul_q4_0, &block_q4_0, false)
MATMUL(matmul_q4_1, &block_q4_1, false)
MATMUL(matmul_q8_0, &block_q8_0, false)
MATMUL(matmul_f16, NULL, true)
MATMUL(matmul_f32, NULL, false)

static void fill_matmul(struct kernel_ops *ops)
{
    ops->matmul[DTYPE_F32] = matmul_f32;
    ops->matmul[DTYPE_F16] = matmul_f16;
    ops->matmul[DTYPE_Q4_0] = matmul_q4_0;
    ops->matmul[DTYPE_Q4_1] = matmul_q4_1;
    ops->matmul[DTYPE_Q8_0] = matmul_q8_0;
}

#endif
