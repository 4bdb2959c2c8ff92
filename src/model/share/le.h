/* SPDX-License-Identifier: Apache-2.0 */
/* model/share/le.h - little endian numbers in bytes of no alignment. */
#ifndef POMONA_MODEL_SHARE_LE_H
#define POMONA_MODEL_SHARE_LE_H

#include <stdint.h>

#include "base/buf.h"

static inline uint64_t le_read(const uint8_t *bytes, unsigned n)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < n; i++)
        value |= (uint64_t)bytes[i] << 8 * i;
    return value;
}

static inline uint32_t le_u32(const uint8_t *bytes)
{
    return (uint32_t)le_read(bytes, 4);
}

static inline uint64_t le_u64(const uint8_t *bytes)
{
    return le_read(bytes, 8);
}

static inline void le_put(struct buf *to, uint64_t value, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        buf_putc(to, (char)(value >> 8 * i & 0xff));
}

static inline void le_put_u32(struct buf *to, uint32_t value)
{
    le_put(to, value, 4);
}

static inline void le_put_u64(struct buf *to, uint64_t value)
{
    le_put(to, value, 8);
}

#endif
