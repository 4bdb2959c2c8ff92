/* SPDX-License-Identifier: Apache-2.0 */
/* engine/cpu/probe/avx_vnni.c - four 8-bit products and their sum in one instruction of 32 bytes. */
#include <immintrin.h>

#include "engine/cpu/probe/loops.h"

enum { N_SUMS = 12, LANES = 32 }; /* sums: latency times issue width, within 16 registers */

static inline void keep(__m256i *x)
{
    __asm__ volatile("" : "+x"(*x));
}

static uint64_t multiply_avx_vnni(size_t n_rounds)
{
    __m256i a = _mm256_set1_epi8(3), b = _mm256_set1_epi8(-5), sums[N_SUMS] = { 0 };

    for (int i = 0; i < N_SUMS; i++)
        keep(&sums[i]); /* else they would be known to be equal */
    for (size_t round = 0; round < n_rounds; round++)
        for (int i = 0; i < N_SUMS; i++)
            sums[i] = _mm256_dpbusd_avx_epi32(sums[i], a, b);
    for (int i = 0; i < N_SUMS; i++)
        b = _mm256_add_epi64(b, sums[i]);
    return (uint64_t)_mm256_extract_epi64(b, 0);
}

/* Reads stay those of AVX2, whose registers are as wide. */
const struct probe_loops probe_avx_vnni = { "avx-vnni", NULL, multiply_avx_vnni,
                                            2 * LANES *N_SUMS };
