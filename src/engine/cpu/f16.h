/* SPDX-License-Identifier: Apache-2.0 */
/* engine/cpu/f16.h - IEEE 754 half precision in plain C, for machines and code
 * without instructions for it.
 *
 * Source  IEEE 754-2008, binary16 and binary32; rounding is to nearest, ties to even
 */
#ifndef POMONA_ENGINE_CPU_F16_H
#define POMONA_ENGINE_CPU_F16_H

#include <stdint.h>
#include <string.h>

static inline float f32_of_bits(uint32_t bits)
{
    float x;

    memcpy(&x, &bits, sizeof(x));
    return x;
}

static inline uint32_t f32_bits(float x)
{
    uint32_t bits;

    memcpy(&bits, &x, sizeof(bits));
    return bits;
}

/* Exact.  The shifted pattern is the value times 2^-112 in binary32, subnormals included. */
static inline float f16_to_f32(uint16_t h)
{
    const uint32_t magnitude = (uint32_t)(h & 0x7fff) << 13;
    const uint32_t scaled = f32_bits(f32_of_bits(magnitude) * 0x1p112f);
    const uint32_t special = (h & 0x7c00) == 0x7c00 ? 0x7f800000u : 0;

    return f32_of_bits((uint32_t)(h & 0x8000) << 16 | scaled | special);
}

/* Overflow gives infinity, as the standard and the machines have it. */
static inline uint16_t f16_of_f32(float x)
{
    const uint32_t bits = f32_bits(x), magnitude = bits & 0x7fffffff;
    const uint32_t sign = bits >> 16 & 0x8000;
    uint32_t half;

    if (magnitude > 0x7f800000) /* not a number: quiet, payload kept */
        half = 0x7e00 | (magnitude >> 13 & 0x3ff);
    else if (magnitude >= 0x477ff000) /* 65520 and up round to infinity */
        half = 0x7c00;
    else if (magnitude < 0x38800000) /* subnormal: adding 0.5 aligns the unit */
        half = f32_bits(f32_of_bits(magnitude) + 0.5f) - 0x3f000000;
    else
        half = (magnitude - 0x38000000 + 0xfff + (magnitude >> 13 & 1)) >> 13;
    return (uint16_t)(sign | half);
}

static inline uint16_t load_u16(const void *p)
{
    uint16_t x;

    memcpy(&x, p, sizeof(x));
    return x;
}

#endif
