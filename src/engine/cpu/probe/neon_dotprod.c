/* SPDX-License-Identifier: Apache-2.0 */
/* engine/cpu/probe/neon_dotprod.c - reads of 16 bytes; 16 8-bit products in one instruction. */
#include <arm_neon.h>

#include "engine/cpu/probe/loops.h"

enum { N_READS = 16, N_SUMS = 16, LANES = 16 };

static inline void keep(int32x4_t *x)
{
    __asm__ volatile("" : "+w"(*x));
}

static uint64_t read_neon(const void *from, size_t n_bytes)
{
    const uint64_t *x = from, *end = x + n_bytes / sizeof(*x);
    uint64x2_t sums[N_READS] = { 0 };

    for (; x < end; x += 2 * N_READS)
        for (int i = 0; i < N_READS; i++)
            sums[i] = vaddq_u64(sums[i], vld1q_u64(x + 2 * i));
    for (int i = 1; i < N_READS; i++)
        sums[0] = vaddq_u64(sums[0], sums[i]);
    return vaddvq_u64(sums[0]);
}

static uint64_t multiply_dotprod(size_t n_rounds)
{
    const int8x16_t a = vdupq_n_s8(3), b = vdupq_n_s8(-5);
    int32x4_t sums[N_SUMS] = { 0 };

    for (int i = 0; i < N_SUMS; i++)
        keep(&sums[i]); /* else they would be known to be equal */
    for (size_t round = 0; round < n_rounds; round++)
        for (int i = 0; i < N_SUMS; i++)
            sums[i] = vdotq_s32(sums[i], a, b);
    for (int i = 1; i < N_SUMS; i++)
        sums[0] = vaddq_s32(sums[0], sums[i]);
    return (uint64_t)(uint32_t)vaddvq_s32(sums[0]);
}

const struct probe_loops probe_neon_dotprod = { "neon-dotprod", read_neon, multiply_dotprod,
                                                2 * LANES *N_SUMS };
