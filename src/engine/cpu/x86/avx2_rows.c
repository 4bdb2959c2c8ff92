/* SPDX-License-Identifier: Apache-2.0 */
/* engine/cpu/x86/avx2_rows.c - norms, activation functions and conversion with AVX2. */
#include <math.h>
#include <string.h>

#include "engine/cpu/x86/avx2.h"

/* e^x with a relative error below 2e-7, for -87 < x < 88; clamped outside.
 * x = k ln 2 + r with |r| <= ln(2) / 2, where the series to r^7 leaves out
 * less than r^8 / 8! < 6e-9.  ln 2 is split so that k times its high part is exact
 * (Cody and Waite 1980, Software Manual for the Elementary Functions, chapter 6). */
static __m256 exp_ps(__m256 x)
{
    const __m256 log2_e = _mm256_set1_ps(0x1.715476p+0f);
    const __m256 ln2_high = _mm256_set1_ps(0x1.62e4p-1f);
    const __m256 ln2_low = _mm256_set1_ps(0x1.7f7d1cp-20f);
    static const float inverse_factorials[] = { 1.0f / 720, 1.0f / 120, 1.0f / 24, 1.0f / 6,
                                                1.0f / 2,   1.0f,       1.0f };
    __m256 k, r, y;
    __m256i power;

    x = _mm256_min_ps(_mm256_max_ps(x, _mm256_set1_ps(-87.0f)), _mm256_set1_ps(88.0f));
    k = _mm256_round_ps(_mm256_mul_ps(x, log2_e), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    r = _mm256_fnmadd_ps(k, ln2_low, _mm256_fnmadd_ps(k, ln2_high, x));
    y = _mm256_set1_ps(1.0f / 5040);
    for (size_t i = 0; i < sizeof(inverse_factorials) / sizeof(inverse_factorials[0]); i++)
        y = _mm256_fmadd_ps(y, r, _mm256_set1_ps(inverse_factorials[i]));
    power = _mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(k), _mm256_set1_epi32(127)), 23);
    return _mm256_mul_ps(y, _mm256_castsi256_ps(power));
}

static void rmsnorm(float *ret, const float *x, const float *weight, size_t n, float eps)
{
    __m256 s0 = _mm256_setzero_ps(), s1 = s0;
    float squares, factor;
    size_t i = 0;

    for (; i + 16 <= n; i += 16) {
        const __m256 a = _mm256_loadu_ps(x + i), b = _mm256_loadu_ps(x + i + 8);

        s0 = _mm256_fmadd_ps(a, a, s0);
        s1 = _mm256_fmadd_ps(b, b, s1);
    }
    squares = avx2_sum(_mm256_add_ps(s0, s1));
    for (; i < n; i++)
        squares += x[i] * x[i];
    factor = 1.0f / sqrtf(squares / (float)n + eps);
    for (i = 0; i + 8 <= n; i += 8)
        _mm256_storeu_ps(
            ret + i, _mm256_mul_ps(_mm256_mul_ps(_mm256_loadu_ps(x + i), _mm256_set1_ps(factor)),
                                   _mm256_loadu_ps(weight + i)));
    for (; i < n; i++)
        ret[i] = x[i] * factor * weight[i];
}

static __m256 swiglu_ps(__m256 gate, __m256 up)
{
    const __m256 one = _mm256_set1_ps(1);
    const __m256 minus = _mm256_sub_ps(_mm256_setzero_ps(), gate);

    return _mm256_mul_ps(_mm256_div_ps(gate, _mm256_add_ps(one, exp_ps(minus))), up);
}

static void swiglu(float *gate, const float *up, size_t n)
{
    float g[8] = { 0 }, u[8] = { 0 };
    size_t i = 0;

    for (; i + 8 <= n; i += 8)
        _mm256_storeu_ps(gate + i, swiglu_ps(_mm256_loadu_ps(gate + i), _mm256_loadu_ps(up + i)));
    if (i == n)
        return;
    memcpy(g, gate + i, (n - i) * sizeof(*g));
    memcpy(u, up + i, (n - i) * sizeof(*u));
    _mm256_storeu_ps(g, swiglu_ps(_mm256_loadu_ps(g), _mm256_loadu_ps(u)));
    memcpy(gate + i, g, (n - i) * sizeof(*g));
}

static void f16_store(uint16_t *ret, const float *x, size_t n)
{
    size_t i = 0;

    for (; i + 8 <= n; i += 8)
        _mm_storeu_si128((__m128i *)(void *)(ret + i),
                         _mm256_cvtps_ph(_mm256_loadu_ps(x + i), _MM_FROUND_TO_NEAREST_INT));
    for (; i < n; i++)
        ret[i] = _cvtss_sh(x[i], _MM_FROUND_TO_NEAREST_INT);
}

void avx2_fill_rows(struct kernel_ops *ops)
{
    ops->rmsnorm = rmsnorm;
    ops->swiglu = swiglu;
    ops->f16_store = f16_store;
}

void kernel_fill_avx2(struct kernel_ops *ops)
{
    avx2_fill_matrix(ops);
    avx2_fill_rows(ops);
    avx2_fill_attention(ops);
}
