/* SPDX-License-Identifier: Apache-2.0 */
/* engine/cpu/probe/avx512_vnni.c - reads of 64 bytes; 64 8-bit products in one instruction. */
#include <immintrin.h>

#include "engine/cpu/probe/loops.h"

enum { N_READS = 8, N_SUMS = 16, LANES = 64 };

static inline void keep(__m512i *x)
{
    __asm__ volatile("" : "+v"(*x));
}

/* Sums of unsigned lanes may wrap; the intrinsic that adds lanes takes them as signed. */
static uint64_t total(__m512i x)
{
    uint64_t lanes[8], sum = 0;

    _mm512_storeu_si512(lanes, x);
    for (int i = 0; i < 8; i++)
        sum += lanes[i];
    return sum;
}

static uint64_t read_avx512(const void *from, size_t n_bytes)
{
    const __m512i *x = from, *end = x + n_bytes / sizeof(*x);
    __m512i sums[N_READS] = { 0 };

    for (; x < end; x += N_READS)
        for (int i = 0; i < N_READS; i++)
            sums[i] = _mm512_add_epi64(sums[i], _mm512_load_si512(x + i));
    for (int i = 1; i < N_READS; i++)
        sums[0] = _mm512_add_epi64(sums[0], sums[i]);
    return total(sums[0]);
}

static uint64_t multiply_avx512_vnni(size_t n_rounds)
{
    __m512i a = _mm512_set1_epi8(3), b = _mm512_set1_epi8(-5), sums[N_SUMS] = { 0 };

    for (int i = 0; i < N_SUMS; i++)
        keep(&sums[i]); /* else they would be known to be equal */
    for (size_t round = 0; round < n_rounds; round++)
        for (int i = 0; i < N_SUMS; i++)
            sums[i] = _mm512_dpbusd_epi32(sums[i], a, b);
    for (int i = 0; i < N_SUMS; i++)
        b = _mm512_add_epi64(b, sums[i]);
    return total(b);
}

const struct probe_loops probe_avx512_vnni = { "avx512-vnni", read_avx512, multiply_avx512_vnni,
                                               2 * LANES *N_SUMS };
