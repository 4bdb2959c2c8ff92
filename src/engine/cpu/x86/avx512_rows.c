/* SPDX-License-Identifier: Apache-2.0 */
/* engine/cpu/x86/avx512_rows.c - norms, activation functions and conversion with AVX-512. */
#include <math.h>

#include "engine/cpu/x86/avx512.h"

/* e^x with a relative error below 2e-7, for -87 < x < 88; clamped outside.
 * As in avx2_rows.c: x = k ln 2 + r, and the series to r^7. */
static __m512 exp_ps(__m512 x)
{
    static const float inverse_factorials[] = { 1.0f / 720, 1.0f / 120, 1.0f / 24, 1.0f / 6,
                                                1.0f / 2,   1.0f,       1.0f };
    __m512 k, r, y;

    x = _mm512_min_ps(_mm512_max_ps(x, _mm512_set1_ps(-87.0f)), _mm512_set1_ps(88.0f));
    k = _mm512_roundscale_ps(_mm512_mul_ps(x, _mm512_set1_ps(0x1.715476p+0f)),
                             _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    r = _mm512_fnmadd_ps(k, _mm512_set1_ps(0x1.62e4p-1f), x);
    r = _mm512_fnmadd_ps(k, _mm512_set1_ps(0x1.7f7d1cp-20f), r);
    y = _mm512_set1_ps(1.0f / 5040);
    for (size_t i = 0; i < sizeof(inverse_factorials) / sizeof(inverse_factorials[0]); i++)
        y = _mm512_fmadd_ps(y, r, _mm512_set1_ps(inverse_factorials[i]));
    return _mm512_scalef_ps(y, k);
}

static void rmsnorm(float *ret, const float *x, const float *weight, size_t n, float eps)
{
    __m512 s0 = _mm512_setzero_ps(), s1 = s0, factor;
    size_t i = 0;

    for (; i + 32 <= n; i += 32) {
        const __m512 a = _mm512_loadu_ps(x + i), b = _mm512_loadu_ps(x + i + 16);

        s0 = _mm512_fmadd_ps(a, a, s0);
        s1 = _mm512_fmadd_ps(b, b, s1);
    }
    for (; i < n; i += 16) {
        const __m512 a = _mm512_maskz_loadu_ps(avx512_first(n - i), x + i);

        s0 = _mm512_fmadd_ps(a, a, s0);
    }
    factor = _mm512_set1_ps(1.0f / sqrtf(avx512_sum(_mm512_add_ps(s0, s1)) / (float)n + eps));
    for (i = 0; i < n; i += 16) {
        const __mmask16 lanes = avx512_first(n - i);
        const __m512 a = _mm512_mul_ps(_mm512_maskz_loadu_ps(lanes, x + i), factor);

        _mm512_mask_storeu_ps(ret + i, lanes,
                              _mm512_mul_ps(a, _mm512_maskz_loadu_ps(lanes, weight + i)));
    }
}

static void swiglu(float *gate, const float *up, size_t n)
{
    const __m512 one = _mm512_set1_ps(1);

    for (size_t i = 0; i < n; i += 16) {
        const __mmask16 lanes = avx512_first(n - i);
        const __m512 g = _mm512_maskz_loadu_ps(lanes, gate + i);
        const __m512 e = exp_ps(_mm512_sub_ps(_mm512_setzero_ps(), g));
        const __m512 silu = _mm512_div_ps(g, _mm512_add_ps(one, e));

        _mm512_mask_storeu_ps(gate + i, lanes,
                              _mm512_mul_ps(silu, _mm512_maskz_loadu_ps(lanes, up + i)));
    }
}

static void f16_store(uint16_t *ret, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i += 16) {
        const __mmask16 lanes = avx512_first(n - i);
        const __m512 a = _mm512_maskz_loadu_ps(lanes, x + i);

        _mm256_mask_storeu_epi16(ret + i, lanes, _mm512_cvtps_ph(a, _MM_FROUND_TO_NEAREST_INT));
    }
}

void kernel_fill_avx512(struct kernel_ops *ops)
{
    ops->rmsnorm = rmsnorm;
    ops->swiglu = swiglu;
    ops->f16_store = f16_store;
    avx512_fill_attention(ops);
}
