/* SPDX-License-Identifier: Apache-2.0 */
/* engine/cpu/x86/tile.h - panels times activation rows, for the vectors of vectors.h.
 *
 * A tile is TILE_VECTORS vectors of weight rows times up to TILE_ROWS_MAX activation rows.  Weights
 * are unpacked once for all its rows, and each 32-bit lane of them meets one 32-bit number of the
 * activation row: two columns as 16-bit integers, or four as bytes.  Sums of a block are integers,
 * so their order does not matter; blocks are added in ascending order.
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
    BLOCKS_AHEAD = 40, /* 6 KiB of a panel of Q4_0: what one core has under way from memory */
    TILE_PANELS = TILE_VECTORS / PANEL_VECTORS,
};

#define UNROLL _Pragma("GCC unroll 16")

/* A quantised format and what it meets, known to the compiler wherever it is used.
 * bits       of an activation
 * n_chunks   of a block: 4 of nibbles, 8 of bytes
 * is_signed  nibbles stand for -8..7
 * has_m      an offset m follows the scales d */
struct block_format {
    enum dtype dtype;
    unsigned bits, n_chunks;
    bool is_signed, has_m;
};

static const struct block_format block_q4_0 = { DTYPE_Q4_0, 16, 4, true, false };
static const struct block_format block_q4_1 = { DTYPE_Q4_1, 16, 4, false, true };
static const struct block_format block_q8_0 = { DTYPE_Q8_0, 16, 8, false, false };
static const struct block_format block8_q4_0 = { DTYPE_Q4_0, 8, 4, true, false };
static const struct block_format block8_q4_1 = { DTYPE_Q4_1, 8, 4, false, true };
static const struct block_format block8_q8_0 = { DTYPE_Q8_0, 8, 8, false, false };

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

/* The low or the high nibbles of a chunk: columns 0 4 1 5, or 2 6 3 7. */
INLINE ints nibbles_of(ints chunk, unsigned i)
{
    return v_and(i == 0 ? chunk : v_right(chunk, 4), v_set(0x0f0f0f0f));
}

/* The same columns of two chunks of bytes, which have 0 2 1 3 and 4 6 5 7. */
INLINE ints bytes_of(ints a, ints b, unsigned i)
{
    const ints low = v_set(0x00ff00ff);

    return i == 0 ? v_select(low, a, v_left(b, 8)) : v_select(low, v_right(a, 8), b);
}

/* A block of a packed row. */
INLINE size_t packed_block_bytes(const struct block_format *f)
{
    return f->bits == 8 ? sizeof(struct packed_block8) : sizeof(struct packed_block);
}

INLINE const struct packed_head *head_of(const unsigned char *x)
{
    return (const struct packed_head *)(const void *)x;
}

INLINE const unsigned char *integers_of(const struct block_format *f, const unsigned char *x)
{
    return x +
           (f->bits == 8 ? offsetof(struct packed_block8, q) : offsetof(struct packed_block, q));
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

/* Weights of one step through a block, which is four bytes of an activation row: columns 2i and
 * 2i + 1, or those that packed_block8 has there. */
INLINE ints weights_of(const struct block_format *f, const struct tile *t,
                       const unsigned char *chunks, unsigned v, unsigned step)
{
    const unsigned n_steps = BLOCK * f->bits / 32 / f->n_chunks; /* to a chunk, if any */
    const size_t bytes = CHUNK_BYTES / PANEL_VECTORS;

    if (f->bits == 16)
        return pair_of(f, v_load(vector_at(t, chunks + step / n_steps * CHUNK_BYTES, v, bytes)),
                       step % n_steps);
    if (f->n_chunks == 4)
        return nibbles_of(v_load(vector_at(t, chunks + step / 2 * CHUNK_BYTES, v, bytes)),
                          step % 2);
    chunks += step / 2 * 2 * CHUNK_BYTES;
    return bytes_of(v_load(vector_at(t, chunks, v, bytes)),
                    v_load(vector_at(t, chunks + CHUNK_BYTES, v, bytes)), step % 2);
}

/* Where the sums of a block begin, what is added to them, and what they come to. */
INLINE ints sum_begin(const struct block_format *f, const struct packed_head *x)
{
    if (f->bits == 16)
        return v_set(f->is_signed ? x->start : 0);
    if (f->n_chunks == 4)
        return v_begin_nibbles(f->is_signed ? x->start : 0);
    return v_begin_bytes(x->start);
}

INLINE ints sum_add(const struct block_format *f, ints sum, ints w, ints x)
{
    if (f->bits == 16)
        return v_dot(sum, w, x);
    return f->n_chunks == 4 ? v_dot_nibbles(sum, w, x) : v_dot_bytes(sum, w, x);
}

INLINE ints sum_end(const struct block_format *f, ints sum)
{
    return f->bits == 8 && f->n_chunks == 4 ? v_end_nibbles(sum) : sum;
}

INLINE void add_block(const struct block_format *f, const struct tile *t, size_t block,
                      const unsigned char *const *x, unsigned n_vectors, unsigned n_rows,
                      ints (*sums)[TILE_ROWS_MAX])
{
    const unsigned char *chunks = t->panel + block * f->n_chunks * CHUNK_BYTES;

    UNROLL
    for (unsigned r = 0; r < n_rows; r++) {
        UNROLL
        for (unsigned v = 0; v < n_vectors; v++)
            sums[v][r] = sum_begin(f, head_of(x[r]));
    }
    UNROLL
    for (unsigned step = 0; step < BLOCK * f->bits / 32; step++) {
        ints w[TILE_VECTORS];

        UNROLL
        for (unsigned v = 0; v < n_vectors; v++)
            w[v] = weights_of(f, t, chunks, v, step);
        UNROLL
        for (unsigned r = 0; r < n_rows; r++) {
            const ints part = v_set(load_int(integers_of(f, x[r]) + 4 * step));

            UNROLL
            for (unsigned v = 0; v < n_vectors; v++)
                sums[v][r] = sum_add(f, sums[v][r], w[v], part);
        }
    }
}

INLINE void scale_block(const struct block_format *f, const struct tile *t, size_t block,
                        const unsigned char *const *x, unsigned n_vectors, unsigned n_rows,
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
            acc[v][r] = v_fma(v_of_ints(sum_end(f, sums[v][r])),
                              v_mul(d, v_set_f32(head_of(x[r])->scale)), acc[v][r]);
        if (f->has_m) {
            const floats m = v_load_f16(at + n_blocks * scale_bytes);

            UNROLL
            for (unsigned r = 0; r < n_rows; r++)
                acc[v][r] = v_fma(m, v_set_f32(head_of(x[r])->sum), acc[v][r]);
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
    const unsigned char *x[TILE_ROWS_MAX];
    floats acc[TILE_VECTORS][TILE_ROWS_MAX];

    UNROLL
    for (unsigned r = 0; r < n_rows; r++) {
        x[r] = t->a->packed + (t->first_row + r) * t->a->packed_bytes;
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
            x[r] += packed_block_bytes(f);
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
MATMUL(matmul8_q4_0, &block8_q4_0, false)
MATMUL(matmul8_q4_1, &block8_q4_1, false)
MATMUL(matmul8_q8_0, &block8_q8_0, false)
MATMUL(matmul_f16, NULL, true)
MATMUL(matmul_f32, NULL, false)

static const matmul_fn matmul_of[N_ACTIVATION_FORMATS][N_DTYPES] = {
    [ACTIVATIONS_16] = { [DTYPE_F32] = matmul_f32,
                         [DTYPE_F16] = matmul_f16,
                         [DTYPE_Q4_0] = matmul_q4_0,
                         [DTYPE_Q4_1] = matmul_q4_1,
                         [DTYPE_Q8_0] = matmul_q8_0 },
    [ACTIVATIONS_8] = { [DTYPE_F32] = matmul_f32,
                        [DTYPE_F16] = matmul_f16,
                        [DTYPE_Q4_0] = matmul8_q4_0,
                        [DTYPE_Q4_1] = matmul8_q4_1,
                        [DTYPE_Q8_0] = matmul8_q8_0 },
};

static void fill_matmul(struct kernel_ops *ops)
{
    for (size_t a = 0; a < N_ACTIVATION_FORMATS; a++)
        memcpy(ops->products[a].matmul, matmul_of[a], sizeof(matmul_of[a]));
}

#endif
