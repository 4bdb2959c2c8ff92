/* SPDX-License-Identifier: Apache-2.0 */
/* engine/cpu/panel.h - matrices as kernels read them: panels of 16 rows, interleaved.
 *
 * A register holds the same columns of several rows, so a lane is an output and no sum
 * crosses lanes.  Every ISA reads the same bytes: 512 bits hold 16 rows, 256 bits hold
 * 8, 128 bits hold 4.  A panel takes the bytes its 16 rows had, rounded up to PANEL_ALIGN;
 * rows that a last panel lacks are zeros, and so is what rounding adds.
 *
 * Shapes  one panel, blocks = n_cols / 32:
 *     Q4_0, Q4_1  quants [blocks][4 chunks][16 rows][4 bytes], 8 columns a chunk:
 *                     byte    0   1   2   3
 *                     low     0   4   1   5
 *                     high    2   6   3   7
 *     Q8_0        quants [blocks][8 chunks][16 rows][4 bytes], 4 columns a chunk: 0 2 1 3
 *                 then f16 d [blocks][16], and for Q4_1 f16 m [blocks][16]
 *     F16, F32    [n_cols][16]
 * The order of columns gives x86 its pairs of 16-bit integers in natural order by a
 * shift and a mask: nibble i of each 16-bit half is columns 2i and 2i + 1.
 *
 * Threads  any; a panel is packed by one thread
 */
#ifndef POMONA_ENGINE_CPU_PANEL_H
#define POMONA_ENGINE_CPU_PANEL_H

#include <stddef.h>
#include <stdint.h>

#include "engine/weights.h"

enum {
    PANEL_ROWS = 16,
    PANEL_ALIGN = 64,
    PANEL_LAYOUT = 1, /* version of the layout above: what is saved with another is made anew */
};

struct panels {
    enum dtype dtype;
    uint32_t n_rows, n_cols;
    const unsigned char *data; /* [panel_count(n_rows)][panel_bytes()], aligned to PANEL_ALIGN */
};

static inline uint32_t panel_count(uint32_t n_rows)
{
    return n_rows / PANEL_ROWS + (n_rows % PANEL_ROWS != 0);
}

/* Bytes of one panel; 0 where the columns are no whole blocks. */
size_t panel_bytes(enum dtype dtype, uint32_t n_cols);

/* Offset of the scales d in a panel of a quantised format; m follows d. */
size_t panel_scales_at(enum dtype dtype, uint32_t n_cols);

/* Rows 16 * panel.. of `w`, whose format and columns panel_bytes() knows.
 * ret_panel  [panel_bytes()] */
void panel_pack(const struct matrix *w, uint32_t panel, void *ret_panel);

/* A block of one row of a quantised format: its elements are d * q + m, columns in order. */
struct panel_block {
    int8_t q[32];
    float d, m; /* m 0 where the format has none */
};

void panel_block(const struct panels *w, uint32_t row, uint32_t block,
                 struct panel_block *ret_block);

/* ret [n_cols] = a row of the matrix, as numbers. */
void panel_row(const struct panels *w, uint32_t row, float *ret);

#endif
