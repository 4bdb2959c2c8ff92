/* SPDX-License-Identifier: Apache-2.0 */
/* engine/cpu/x86/avx512.h - what the AVX-512 files of rows share; included by them alone. */
#ifndef POMONA_ENGINE_CPU_X86_AVX512_H
#define POMONA_ENGINE_CPU_X86_AVX512_H

#include <immintrin.h>

#include "engine/cpu/kernels.h"

void avx512_fill_attention(struct kernel_ops *ops);

/* The first n of sixteen lanes; all of them where n is 16 or more. */
static inline __mmask16 avx512_first(size_t n)
{
    return (__mmask16)(n < 16 ? (1u << n) - 1 : 0xffffu);
}

/* Halves to halves: 8, 4, 2, 1. */
static inline float avx512_sum(__m512 v)
{
    const __m256 half = _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));

    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}

#endif
