/* SPDX-License-Identifier: Apache-2.0 */
/* engine/cpu/kv_rows.h - how the keys and the values of one head lie in a page.
 *
 * Positions come in panels of KV_PANEL, each complete in itself, so that what is read together
 * lies together.  A page holds whole panels.
 *
 *            elements                     then scales, f16, of formats with blocks
 *   keys     [dim][KV_PANEL]              [dim / 32][KV_PANEL]
 *   values   [KV_PANEL][dim]              [KV_PANEL][dim / 32]
 *
 * A vector holds one dimension of a panel's keys, so scores need no sum across a
 * vector; and one position's values, whose weight they share.  Every ISA uses this layout.
 *
 * Elements are f16, or for q8_0 int8 with x = d * q: d = largest magnitude / 127 rounded to f16,
 * q = round to nearest even of x / d, within -127..127.
 */
#ifndef POMONA_ENGINE_CPU_KV_ROWS_H
#define POMONA_ENGINE_CPU_KV_ROWS_H

#include <stddef.h>
#include <stdint.h>

#include "contract/kv_format.h"
#include "engine/cpu/kernels.h"

enum { KV_BLOCK = 32 };

enum kv_part { KV_KEY, KV_VALUE };

/* Bytes of a panel's elements, and of the panel. */
static inline size_t kv_panel_elems_bytes(enum kv_format format, size_t dim)
{
    return dim * KV_PANEL * (format == KV_F16 ? sizeof(uint16_t) : sizeof(int8_t));
}

static inline size_t kv_panel_bytes(enum kv_format format, size_t dim)
{
    return KV_PANEL * (size_t)kv_format_bytes(format, dim);
}

/* Store x, `dim` elements, as position `at` of the rows that begin at `rows`. */
void kv_rows_store(const struct kernel_ops *ops, enum kv_format format, enum kv_part part,
                   unsigned char *rows, uint32_t at, const float *x, size_t dim);

#endif
