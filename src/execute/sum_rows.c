/* SPDX-License-Identifier: Apache-2.0 */
/* execute/sum_rows.c - rows that are summed, as they are sent, in vectors that the compiler makes.
 *
 * Blocks of one size without branches: a decoded token has two of these in each layer, on the way
 * between two machines.
 */
#include "execute/sum_rows.h"

#include <stdint.h>
#include <string.h>

#include "base/size.h"
#include "engine/cpu/f16.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "numbers are sent as they lie in memory: a big-endian machine needs a conversion here"
#endif

#define LARGEST_HALF 0x477fe000u /* 65504 */
#define LEAST_NORMAL 0x38800000u /* 2^-14 */
#define NO_NUMBER    0x7f800000u
#define ROUND        0x1.8p23f /* adding it leaves the nearest integer in the low bits */

/* As f16_of_f32(), but for what is too large: without a branch. */
static inline uint16_t half_of(float x)
{
    const uint32_t bits = f32_bits(x), all = bits & 0x7fffffff;
    const uint32_t size = all < LARGEST_HALF ? all : LARGEST_HALF;
    const uint32_t normal = (size - 0x38000000 + 0xfff + (size >> 13 & 1)) >> 13;
    const uint32_t small = f32_bits(f32_of_bits(size) + 0.5f) - 0x3f000000;
    const uint32_t half = size < LEAST_NORMAL ? small : normal;

    return (uint16_t)((bits >> 16 & 0x8000) | (all > NO_NUMBER ? 0x7e00 : half));
}

static void pack_f16(const float *restrict x, uint16_t *restrict ret)
{
    for (int i = 0; i < SUM_BLOCK; i++)
        ret[i] = half_of(x[i]);
}

static void unpack_f16(const uint16_t *restrict halves, float *restrict ret)
{
    for (int i = 0; i < SUM_BLOCK; i++)
        ret[i] = f16_to_f32(halves[i]);
}

/* Comparing as numbers leaves out what is none. */
static float largest_of(const float *x)
{
    uint32_t largest = 0;

    for (int i = 0; i < SUM_BLOCK; i++) {
        const uint32_t size = f32_bits(x[i]) & 0x7fffffff;
        const uint32_t counts = size < NO_NUMBER ? size : 0;

        largest = counts > largest ? counts : largest;
    }
    return f32_of_bits(largest);
}

static void pack_q8(const float *restrict x, unsigned char *restrict ret)
{
    const float largest = largest_of(x), scale = largest / 127;
    const float inverse = scale > 0x1p-100f ? 1 / scale : 0;

    memcpy(ret, &scale, sizeof(scale));
    for (int i = 0; i < SUM_BLOCK; i++) {
        const float y = x[i] * inverse;
        const float low = y > -127 ? y : -127, in_range = low < 127 ? low : 127;

        ret[4 + i] = (unsigned char)f32_bits(in_range + ROUND);
    }
}

static void unpack_q8(const unsigned char *restrict block, float *restrict ret)
{
    float scale;

    memcpy(&scale, block, sizeof(scale));
    for (int i = 0; i < SUM_BLOCK; i++)
        ret[i] = scale * (float)(int8_t)block[4 + i];
}

static void pack_block(enum sum_format format, const float *x, unsigned char *ret)
{
    uint16_t halves[SUM_BLOCK];

    if (format == SUM_Q8) {
        pack_q8(x, ret);
        return;
    }
    pack_f16(x, halves);
    memcpy(ret, halves, sizeof(halves));
}

static void unpack_block(enum sum_format format, const unsigned char *bytes, float *ret)
{
    uint16_t halves[SUM_BLOCK];

    if (format == SUM_Q8) {
        unpack_q8(bytes, ret);
        return;
    }
    memcpy(halves, bytes, sizeof(halves));
    unpack_f16(halves, ret);
}

void sum_rows_pack(enum sum_format format, const float *rows, size_t n, void *ret_bytes)
{
    const size_t whole = n / SUM_BLOCK * SUM_BLOCK, step = sum_format_bytes(format, SUM_BLOCK);
    unsigned char *p = ret_bytes;

    if (format == SUM_F32) {
        memcpy(ret_bytes, rows, n * sizeof(*rows));
        return;
    }
    for (size_t i = 0; i < whole; i += SUM_BLOCK, p += step)
        pack_block(format, rows + i, p);
    if (whole < n) {
        float last[SUM_BLOCK] = { 0 };
        unsigned char packed[SUM_BLOCK * sizeof(float)];

        memcpy(last, rows + whole, (n - whole) * sizeof(*rows));
        pack_block(format, last, packed);
        memcpy(p, packed, sum_format_bytes(format, n - whole));
    }
}

/* Block by block: what the block holds becomes, or is added to, ret_rows. */
static void take(enum sum_format format, const void *bytes, size_t n, float *ret_rows, int adds)
{
    const size_t step = sum_format_bytes(format, SUM_BLOCK);
    const unsigned char *p = bytes;

    for (size_t at = 0; at < n; at += SUM_BLOCK, p += step) {
        const size_t n_here = size_min(SUM_BLOCK, n - at);
        unsigned char packed[SUM_BLOCK * sizeof(float)] = { 0 };
        float block[SUM_BLOCK];

        if (n_here < SUM_BLOCK)
            memcpy(packed, p, sum_format_bytes(format, n_here));
        unpack_block(format, n_here < SUM_BLOCK ? packed : p, block);
        for (size_t i = 0; i < n_here; i++)
            ret_rows[at + i] = adds ? ret_rows[at + i] + block[i] : block[i];
    }
}

void sum_rows_unpack(enum sum_format format, const void *bytes, size_t n, float *ret_rows)
{
    if (format == SUM_F32)
        memcpy(ret_rows, bytes, n * sizeof(*ret_rows));
    else
        take(format, bytes, n, ret_rows, 0);
}

void sum_rows_add(enum sum_format format, const void *bytes, size_t n, float *ret_rows)
{
    const float *restrict more = bytes;
    float *restrict sums = ret_rows;

    if (format != SUM_F32) {
        take(format, bytes, n, ret_rows, 1);
        return;
    }
    for (size_t i = 0; i < n; i++)
        sums[i] += more[i];
}
