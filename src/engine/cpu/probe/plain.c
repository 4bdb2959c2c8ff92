/* SPDX-License-Identifier: Apache-2.0 */
/* engine/cpu/probe/plain.c - what the baseline of any architecture can do, in portable C. */
#include "engine/cpu/probe/loops.h"

enum { LANES = PROBE_READ_BYTES / sizeof(uint64_t), ROUND = 1024 };

static uint64_t read_plain(const void *from, size_t n_bytes)
{
    const uint64_t *x = from;
    uint64_t sums[LANES] = { 0 }, sum = 0;

    for (size_t i = 0; i < n_bytes / sizeof(*x); i += LANES)
        for (size_t lane = 0; lane < LANES; lane++)
            sums[lane] += x[i + lane];
    for (size_t lane = 0; lane < LANES; lane++)
        sum += sums[lane];
    return sum;
}

/* Rows small enough for the first-level cache: a baseline has few registers to speak of. */
static uint64_t multiply_plain(size_t n_rounds)
{
    static const int8_t a[ROUND] = { 1, -2, 3 }, b[ROUND] = { 4, 5, -6 };
    uint32_t sum = 0;

    for (size_t round = 0; round < n_rounds; round++) {
        int32_t dot = 0;

        for (size_t i = 0; i < ROUND; i++)
            dot += a[i] * b[i];
        __asm__ volatile("" : "+r"(dot) : : "memory"); /* every round is computed */
        sum += (uint32_t)dot;
    }
    return sum;
}

const struct probe_loops probe_plain = { "plain C", read_plain, multiply_plain, 2 * ROUND };
