/* SPDX-License-Identifier: Apache-2.0 */
/* engine/cpu/probe/avx2.c - reads of 32 bytes; 8-bit products by way of 16-bit sums. */
#include <immintrin.h>

#include "engine/cpu/probe/loops.h"

enum { N_SUMS = 8, LANES = 32 };

/* The compiler may neither know the value nor drop it. */
static inline void keep(__m256i *x)
{
    __asm__ volatile("" : "+x"(*x));
}

static uint64_t total(__m256i x)
{
    return (uint64_t)_mm256_extract_epi64(x, 0) + (uint64_t)_mm256_extract_epi64(x, 1) +
           (uint64_t)_mm256_extract_epi64(x, 2) + (uint64_t)_mm256_extract_epi64(x, 3);
}

static uint64_t read_avx2(const void *from, size_t n_bytes)
{
    const __m256i *x = from, *end = x + n_bytes / sizeof(*x);
    __m256i sums[N_SUMS] = { 0 };

    for (; x < end; x += N_SUMS)
        for (int i = 0; i < N_SUMS; i++)
            sums[i] = _mm256_add_epi64(sums[i], _mm256_load_si256(x + i));
    for (int i = 1; i < N_SUMS; i++)
        sums[0] = _mm256_add_epi64(sums[0], sums[i]);
    return total(sums[0]);
}

static uint64_t multiply_avx2(size_t n_rounds)
{
    const __m256i ones = _mm256_set1_epi16(1);
    __m256i a = _mm256_set1_epi8(3), b = _mm256_set1_epi8(-5), sums[N_SUMS] = { 0 };

    for (size_t round = 0; round < n_rounds; round++)
        for (int i = 0; i < N_SUMS; i++) {
            keep(&a);
            sums[i] =
                _mm256_add_epi32(sums[i], _mm256_madd_epi16(_mm256_maddubs_epi16(a, b), ones));
        }
    for (int i = 0; i < N_SUMS; i++) {
        keep(&sums[i]);
        b = _mm256_add_epi64(b, sums[i]);
    }
    return total(b);
}

const struct probe_loops probe_avx2 = { "avx2", read_avx2, multiply_avx2, 2 * LANES *N_SUMS };
