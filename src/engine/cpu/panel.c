/* SPDX-License-Identifier: Apache-2.0 */
/* engine/cpu/panel.c - between rows as GGUF stores them and panels. */
#include "engine/cpu/panel.h"

#include <string.h>

#include "base/size.h"
#include "engine/cpu/f16.h"

enum {
    BLOCK = 32,
    LANE_BYTES = 4, /* of one row in one chunk */
    CHUNK_BYTES = PANEL_ROWS * LANE_BYTES,
};

/* n_chunks   of a block; 0 for formats without blocks
 * n_scales   f16 before the quants of a block in GGUF: d, or d and m */
struct format {
    enum dtype dtype;
    uint32_t n_chunks, n_scales, elem_bytes;
};

/* clang-format off */
static const struct format formats[] = {
    { DTYPE_F32,  0, 0, 4 },
    { DTYPE_F16,  0, 0, 2 },
    { DTYPE_Q4_0, 4, 1, 0 },
    { DTYPE_Q4_1, 4, 2, 0 },
    { DTYPE_Q8_0, 8, 1, 0 },
};

/* Column of a chunk's nibble or byte: [byte][half]. */
static const uint8_t column_of_nibble[LANE_BYTES][2] = { { 0, 2 }, { 4, 6 }, { 1, 3 }, { 5, 7 } };
static const uint8_t column_of_byte[LANE_BYTES] = { 0, 2, 1, 3 };
/* clang-format on */

static const struct format *format_of(enum dtype dtype)
{
    for (size_t i = 0; i < ARRAY_LEN(formats); i++)
        if (formats[i].dtype == dtype)
            return &formats[i];
    return NULL;
}

size_t panel_scales_at(enum dtype dtype, uint32_t n_cols)
{
    return (size_t)n_cols / BLOCK * format_of(dtype)->n_chunks * CHUNK_BYTES;
}

size_t panel_bytes(enum dtype dtype, uint32_t n_cols)
{
    const struct format *f = format_of(dtype);
    size_t bytes;

    if (!f || (f->n_chunks > 0 && n_cols % BLOCK != 0))
        return 0;
    if (f->n_chunks == 0)
        bytes = (size_t)n_cols * PANEL_ROWS * f->elem_bytes;
    else
        bytes = panel_scales_at(dtype, n_cols) +
                (size_t)n_cols / BLOCK * PANEL_ROWS * f->n_scales * sizeof(uint16_t);
    return size_round_up(bytes, PANEL_ALIGN);
}

/* ---- packing ---- */

/* Column i of a 4-bit block is the low nibble of byte i, column i + 16 the high one of byte i. */
static unsigned nibble(const unsigned char *quants, unsigned column)
{
    return column < BLOCK / 2 ? quants[column] & 15u : quants[column - BLOCK / 2] >> 4;
}

static void pack_chunk_of_nibbles(unsigned char *ret, const unsigned char *quants, unsigned first)
{
    for (unsigned i = 0; i < LANE_BYTES; i++) {
        const unsigned low = nibble(quants, first + column_of_nibble[i][0]);
        const unsigned high = nibble(quants, first + column_of_nibble[i][1]);

        ret[i] = (unsigned char)(low | high << 4);
    }
}

static void pack_chunk_of_bytes(unsigned char *ret, const unsigned char *quants, unsigned first)
{
    for (unsigned i = 0; i < LANE_BYTES; i++)
        ret[i] = quants[first + column_of_byte[i]];
}

/* One row into its lanes of a panel of blocks. */
static void pack_blocks(const struct format *f, const unsigned char *row, uint32_t n_cols,
                        unsigned lane, unsigned char *panel)
{
    const size_t n_blocks = n_cols / BLOCK, block_bytes = dtype_row_bytes(f->dtype, BLOCK);
    const size_t head = f->n_scales * sizeof(uint16_t), columns = BLOCK / f->n_chunks;
    unsigned char *scales = panel + panel_scales_at(f->dtype, n_cols) + lane * sizeof(uint16_t);
    unsigned char *to = panel + (size_t)lane * LANE_BYTES;

    for (size_t b = 0; b < n_blocks; b++, row += block_bytes) {
        for (size_t i = 0; i < f->n_scales; i++)
            memcpy(scales + (i * n_blocks + b) * PANEL_ROWS * sizeof(uint16_t),
                   row + i * sizeof(uint16_t), sizeof(uint16_t));
        for (unsigned c = 0; c < f->n_chunks; c++, to += CHUNK_BYTES) {
            if (f->n_chunks == 4)
                pack_chunk_of_nibbles(to, row + head, c * (unsigned)columns);
            else
                pack_chunk_of_bytes(to, row + head, c * (unsigned)columns);
        }
    }
}

static void pack_elements(const struct format *f, const unsigned char *row, uint32_t n_cols,
                          unsigned lane, unsigned char *panel)
{
    for (size_t i = 0; i < n_cols; i++)
        memcpy(panel + (i * PANEL_ROWS + lane) * f->elem_bytes, row + i * f->elem_bytes,
               f->elem_bytes);
}

void panel_pack(const struct matrix *w, uint32_t panel, void *ret_panel)
{
    const struct format *f = format_of(w->dtype);
    const size_t row_bytes = dtype_row_bytes(w->dtype, w->n_cols);
    const uint32_t first = panel * PANEL_ROWS;

    if (w->n_rows - first < PANEL_ROWS)
        memset(ret_panel, 0, panel_bytes(w->dtype, w->n_cols));
    for (unsigned lane = 0; lane < PANEL_ROWS && lane < w->n_rows - first; lane++) {
        const unsigned char *row = (const unsigned char *)w->data + (first + lane) * row_bytes;

        if (f->n_chunks > 0)
            pack_blocks(f, row, w->n_cols, lane, ret_panel);
        else
            pack_elements(f, row, w->n_cols, lane, ret_panel);
    }
}

/* ---- reading a row back ---- */

static float scale_of(const unsigned char *scales, size_t index, unsigned lane)
{
    return f16_to_f32(load_u16(scales + (index * PANEL_ROWS + lane) * sizeof(uint16_t)));
}

static void unpack_lane(const struct format *f, const unsigned char *lane, float d, float m,
                        float *ret)
{
    for (unsigned i = 0; i < LANE_BYTES; i++) {
        if (f->dtype == DTYPE_Q8_0) {
            ret[column_of_byte[i]] = d * (float)(int8_t)lane[i];
        } else {
            const int offset = f->dtype == DTYPE_Q4_0 ? 8 : 0;

            ret[column_of_nibble[i][0]] = d * (float)((lane[i] & 15) - offset) + m;
            ret[column_of_nibble[i][1]] = d * (float)((lane[i] >> 4) - offset) + m;
        }
    }
}

static void unpack_blocks(const struct format *f, const unsigned char *panel, uint32_t n_cols,
                          unsigned lane, float *ret)
{
    const size_t n_blocks = n_cols / BLOCK, columns = BLOCK / f->n_chunks;
    const unsigned char *scales = panel + panel_scales_at(f->dtype, n_cols);
    const unsigned char *from = panel + (size_t)lane * LANE_BYTES;

    for (size_t b = 0; b < n_blocks; b++) {
        const float d = scale_of(scales, b, lane);
        const float m = f->n_scales > 1 ? scale_of(scales, n_blocks + b, lane) : 0;

        for (unsigned c = 0; c < f->n_chunks; c++, from += CHUNK_BYTES, ret += columns)
            unpack_lane(f, from, d, m, ret);
    }
}

void panel_row(const struct panels *w, uint32_t row, float *ret)
{
    const struct format *f = format_of(w->dtype);
    const unsigned char *panel = w->data + row / PANEL_ROWS * panel_bytes(w->dtype, w->n_cols);
    const unsigned lane = row % PANEL_ROWS;

    if (f->n_chunks > 0) {
        unpack_blocks(f, panel, w->n_cols, lane, ret);
        return;
    }
    for (size_t i = 0; i < w->n_cols; i++) {
        const unsigned char *p = panel + (i * PANEL_ROWS + lane) * f->elem_bytes;

        if (f->dtype == DTYPE_F16)
            ret[i] = f16_to_f32(load_u16(p));
        else
            memcpy(&ret[i], p, sizeof(*ret));
    }
}
