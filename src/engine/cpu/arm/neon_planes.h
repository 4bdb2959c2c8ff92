/* SPDX-License-Identifier: Apache-2.0 */
/* engine/cpu/arm/neon_planes.h - weights as the ISAs that multiply bytes take them. */
#ifndef POMONA_ENGINE_CPU_ARM_NEON_PLANES_H
#define POMONA_ENGINE_CPU_ARM_NEON_PLANES_H

#include "engine/cpu/arm/neon_tile.h"

/* Four rows of two chunks of eight columns: columns 0 4 1 5, then 2 6 3 7, of each row. */
struct neon_eight {
    int8x16_t low, high;
};

INLINE struct neon_eight neon_nibbles(uint8x16_t bytes)
{
    return (struct neon_eight){ vreinterpretq_s8_u8(vandq_u8(bytes, vdupq_n_u8(15))),
                                vreinterpretq_s8_u8(vshrq_n_u8(bytes, 4)) };
}

/* Q8_0's chunks hold 0 2 1 3 and 4 6 5 7. */
INLINE struct neon_eight neon_bytes(const unsigned char *quants)
{
    const int8x16_t a = vreinterpretq_s8_u8(vld1q_u8(quants));
    const int8x16_t b = vreinterpretq_s8_u8(vld1q_u8(quants + CHUNK_BYTES));

    return (struct neon_eight){ vtrn1q_s8(a, b), vtrn2q_s8(a, b) };
}

void neon_planes_pack(void *ret_packed, const float *x, size_t n);
void neon_planes_pack8(void *ret_packed, const float *x, size_t n);
size_t neon_planes_packed8_bytes(size_t n);

#endif
