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
    STRIP_BLOCKS = 16, /* strips: see pack_blocks() */
    STRIP_ELEMS = 128,
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

/* Words are rearranged as wholes; which byte is which follows from their order in memory. */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "panels are made on little endian");

/* Columns 0..7, one in the low nibble of each byte, to a chunk: 0 2, 4 6, 1 3, 5 7. */
static uint32_t chunk_of_nibbles(uint64_t columns)
{
    const uint64_t pairs = columns | columns >> 12; /* bytes 0 1 4 5: columns 0 2, 1 3, 4 6, 5 7 */
    const uint32_t first = (uint32_t)pairs, second = (uint32_t)(pairs >> 32);

    return (first & 0xff) | (second & 0xff) << 8 | (first & 0xff00) << 8 | (second & 0xff00) << 16;
}

/* Column i of a 4-bit block is the low nibble of byte i, column i + 16 the high one of byte i. */
static void pack_nibbles(unsigned char *ret, const unsigned char *quants)
{
    const uint64_t low = 0x0f0f0f0f0f0f0f0f;
    uint64_t bytes[BLOCK / 16];
    uint32_t chunks[2 * ARRAY_LEN(bytes)];

    memcpy(bytes, quants, sizeof(bytes));
    for (unsigned i = 0; i < ARRAY_LEN(bytes); i++) {
        chunks[i] = chunk_of_nibbles(bytes[i] & low);
        chunks[i + ARRAY_LEN(bytes)] = chunk_of_nibbles(bytes[i] >> 4 & low);
    }
    for (unsigned c = 0; c < ARRAY_LEN(chunks); c++)
        memcpy(ret + (size_t)c * CHUNK_BYTES, &chunks[c], LANE_BYTES);
}

/* Columns 0 1 2 3 to 0 2 1 3. */
static void pack_bytes(unsigned char *ret, const unsigned char *quants)
{
    uint32_t columns[BLOCK / LANE_BYTES];

    memcpy(columns, quants, sizeof(columns));
    for (unsigned c = 0; c < ARRAY_LEN(columns); c++) {
        const uint32_t x = columns[c];
        const uint32_t chunk = (x & 0xff0000ff) | (x >> 8 & 0xff00) | (x & 0xff00) << 8;

        memcpy(ret + (size_t)c * CHUNK_BYTES, &chunk, LANE_BYTES);
    }
}

/* Blocks on their way from one row to its lane.
 * blocks  of the row, from block `first` on
 * panel   the whole panel, from this lane's first byte on */
struct strip {
    const struct format *f;
    const unsigned char *blocks;
    unsigned char *panel, *scales;
    size_t n_blocks; /* of the whole row */
};

static void pack_strip(const struct strip *s, size_t first, size_t n)
{
    const struct format *f = s->f;
    const size_t head = f->n_scales * sizeof(uint16_t);
    const size_t block_bytes = head + (f->n_chunks == 4 ? BLOCK / 2 : BLOCK);
    const unsigned char *block = s->blocks + first * block_bytes;
    unsigned char *to = s->panel + first * f->n_chunks * CHUNK_BYTES;

    for (size_t b = first; b < first + n; b++) {
        for (size_t i = 0; i < f->n_scales; i++)
            memcpy(s->scales + (i * s->n_blocks + b) * PANEL_ROWS * sizeof(uint16_t),
                   block + i * sizeof(uint16_t), sizeof(uint16_t));
        if (f->n_chunks == 4)
            pack_nibbles(to, block + head);
        else
            pack_bytes(to, block + head);
        block += block_bytes;
        to += (size_t)f->n_chunks * CHUNK_BYTES;
    }
}

/* A few blocks of every row at a time, so that lines half written stay in the nearest cache. */
static void pack_blocks(const struct format *f, const struct matrix *w, const unsigned char *rows,
                        unsigned n_lanes, unsigned char *panel)
{
    const uint32_t n_cols = w->n_cols;
    const size_t n_blocks = n_cols / BLOCK, stride = matrix_stride(w);

    for (size_t first = 0; first < n_blocks; first += STRIP_BLOCKS)
        for (unsigned lane = 0; lane < n_lanes; lane++) {
            const struct strip strip = {
                .f = f,
                .blocks = rows + lane * stride,
                .panel = panel + (size_t)lane * LANE_BYTES,
                .scales = panel + panel_scales_at(f->dtype, n_cols) + lane * sizeof(uint16_t),
                .n_blocks = n_blocks,
            };

            pack_strip(&strip, first, size_min(STRIP_BLOCKS, n_blocks - first));
        }
}

/* `n` elements of one row into its lane. */
static void pack_run(size_t elem_bytes, const unsigned char *from, unsigned char *to, size_t n)
{
    if (elem_bytes == sizeof(uint16_t))
        for (size_t i = 0; i < n; i++)
            memcpy(to + i * PANEL_ROWS * sizeof(uint16_t), from + i * sizeof(uint16_t),
                   sizeof(uint16_t));
    else
        for (size_t i = 0; i < n; i++)
            memcpy(to + i * PANEL_ROWS * sizeof(uint32_t), from + i * sizeof(uint32_t),
                   sizeof(uint32_t));
}

static void pack_elements(const struct format *f, const struct matrix *w, const unsigned char *rows,
                          unsigned n_lanes, unsigned char *panel)
{
    const size_t bytes = f->elem_bytes, stride = matrix_stride(w);

    for (size_t first = 0; first < w->n_cols; first += STRIP_ELEMS)
        for (unsigned lane = 0; lane < n_lanes; lane++)
            pack_run(bytes, rows + lane * stride + first * bytes,
                     panel + (first * PANEL_ROWS + lane) * bytes,
                     size_min(STRIP_ELEMS, w->n_cols - first));
}

void panel_pack(const struct matrix *w, uint32_t panel, void *ret_panel)
{
    const struct format *f = format_of(w->dtype);
    const uint32_t first = panel * PANEL_ROWS;
    const unsigned n_lanes = (unsigned)size_min(PANEL_ROWS, w->n_rows - first);
    const size_t n_bytes = panel_bytes(w->dtype, w->n_cols);
    const unsigned char *rows = (const unsigned char *)w->data + first * matrix_stride(w);

    if (n_lanes < PANEL_ROWS)
        memset(ret_panel, 0, n_bytes);
    else if (n_bytes >= PANEL_ALIGN) /* what rounding up adds */
        memset((unsigned char *)ret_panel + n_bytes - PANEL_ALIGN, 0, PANEL_ALIGN);
    if (f->n_chunks > 0)
        pack_blocks(f, w, rows, n_lanes, ret_panel);
    else
        pack_elements(f, w, rows, n_lanes, ret_panel);
}

/* ---- reading a row back ---- */

static float scale_of(const unsigned char *scales, size_t index, unsigned lane)
{
    return f16_to_f32(load_u16(scales + (index * PANEL_ROWS + lane) * sizeof(uint16_t)));
}

static void unpack_lane(const struct format *f, const unsigned char *lane, int8_t *ret)
{
    const int offset = f->dtype == DTYPE_Q4_0 ? 8 : 0;

    for (unsigned i = 0; i < LANE_BYTES; i++) {
        if (f->n_chunks == 8) {
            ret[column_of_byte[i]] = (int8_t)lane[i];
        } else {
            ret[column_of_nibble[i][0]] = (int8_t)((lane[i] & 15) - offset);
            ret[column_of_nibble[i][1]] = (int8_t)((lane[i] >> 4) - offset);
        }
    }
}

void panel_block(const struct panels *w, uint32_t row, uint32_t block,
                 struct panel_block *ret_block)
{
    const struct format *f = format_of(w->dtype);
    const unsigned char *panel = w->data + row / PANEL_ROWS * panel_bytes(w->dtype, w->n_cols);
    const unsigned char *scales = panel + panel_scales_at(w->dtype, w->n_cols);
    const unsigned lane = row % PANEL_ROWS;
    const unsigned char *from =
        panel + (size_t)block * f->n_chunks * CHUNK_BYTES + (size_t)lane * LANE_BYTES;

    ret_block->d = scale_of(scales, block, lane);
    ret_block->m = f->n_scales > 1 ? scale_of(scales, w->n_cols / BLOCK + block, lane) : 0;
    for (unsigned c = 0; c < f->n_chunks; c++, from += CHUNK_BYTES)
        unpack_lane(f, from, ret_block->q + c * (BLOCK / f->n_chunks));
}

void panel_row(const struct panels *w, uint32_t row, float *ret)
{
    const struct format *f = format_of(w->dtype);
    const unsigned char *panel = w->data + row / PANEL_ROWS * panel_bytes(w->dtype, w->n_cols);
    const unsigned lane = row % PANEL_ROWS;

    for (uint32_t b = 0; f->n_chunks > 0 && b < w->n_cols / BLOCK; b++) {
        struct panel_block block;

        panel_block(w, row, b, &block);
        for (size_t i = 0; i < BLOCK; i++)
            *ret++ = block.d * (float)block.q[i] + block.m;
    }
    if (f->n_chunks > 0)
        return;
    for (size_t i = 0; i < w->n_cols; i++) {
        const unsigned char *p = panel + (i * PANEL_ROWS + lane) * f->elem_bytes;

        if (f->dtype == DTYPE_F16)
            ret[i] = f16_to_f32(load_u16(p));
        else
            memcpy(&ret[i], p, sizeof(*ret));
    }
}
