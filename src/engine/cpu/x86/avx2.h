/* SPDX-License-Identifier: Apache-2.0 */
/* engine/cpu/x86/avx2.h - what the AVX2 files share; included by them alone. */
#ifndef POMONA_ENGINE_CPU_X86_AVX2_H
#define POMONA_ENGINE_CPU_X86_AVX2_H

#include <immintrin.h>

#include "engine/cpu/kernels.h"

void avx2_fill_matrix(struct kernel_ops *ops);
void avx2_fill_rows(struct kernel_ops *ops);
void avx2_fill_attention(struct kernel_ops *ops);

static inline float avx2_sum(__m256 v)
{
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));

    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}

#endif
