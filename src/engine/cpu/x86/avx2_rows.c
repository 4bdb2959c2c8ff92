/* SPDX-License-Identifier: Apache-2.0 */
/* engine/cpu/x86/avx2_rows.c - norms, activation functions and attention with AVX2. */
#include <math.h>
#include <string.h>

#include "engine/cpu/x86/avx2.h"

static __m256 load_f16(const uint16_t *p)
{
    return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)p));
}

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

/* q . key for four keys; a tail repeats its key, so each result is formed alike. */
static __m128 four_scores(const float *q, const uint16_t *const *keys, size_t dim)
{
    __m256 s[4] = { _mm256_setzero_ps(), _mm256_setzero_ps(), _mm256_setzero_ps(),
                    _mm256_setzero_ps() };
    float tail[4] = { 0 };
    __m256 pairs;
    size_t j = 0;

    for (; j + 8 <= dim; j += 8) {
        const __m256 x = _mm256_loadu_ps(q + j);

        for (int i = 0; i < 4; i++)
            s[i] = _mm256_fmadd_ps(x, load_f16(keys[i] + j), s[i]);
    }
    for (; j < dim; j++)
        for (int i = 0; i < 4; i++)
            tail[i] += q[j] * _cvtsh_ss(keys[i][j]);
    pairs = _mm256_hadd_ps(_mm256_hadd_ps(s[0], s[1]), _mm256_hadd_ps(s[2], s[3]));
    return _mm_add_ps(_mm_add_ps(_mm256_castps256_ps128(pairs), _mm256_extractf128_ps(pairs, 1)),
                      _mm_loadu_ps(tail));
}

static void attention_scores(float *score, const float *q, const uint16_t *keys, size_t n,
                             size_t dim, float scale)
{
    const __m128 factor = _mm_set1_ps(scale);
    size_t i = 0;

    for (; i + 4 <= n; i += 4) {
        const uint16_t *const four[] = { keys + i * dim, keys + (i + 1) * dim, keys + (i + 2) * dim,
                                         keys + (i + 3) * dim };

        _mm_storeu_ps(score + i, _mm_mul_ps(four_scores(q, four, dim), factor));
    }
    for (; i < n; i++) {
        const uint16_t *const same[] = { keys + i * dim, keys + i * dim, keys + i * dim,
                                         keys + i * dim };

        score[i] = _mm_cvtss_f32(_mm_mul_ss(four_scores(q, same, dim), factor));
    }
}

static float exp_sum(float *score, size_t n, float max)
{
    const __m256 shift = _mm256_set1_ps(max);
    __m256 sum = _mm256_setzero_ps();
    float tail[8] = { 0 }, tail_sum = 0;
    size_t i = 0;

    for (; i + 8 <= n; i += 8) {
        const __m256 e = exp_ps(_mm256_sub_ps(_mm256_loadu_ps(score + i), shift));

        _mm256_storeu_ps(score + i, e);
        sum = _mm256_add_ps(sum, e);
    }
    memcpy(tail, score + i, (n - i) * sizeof(*tail));
    _mm256_storeu_ps(tail, exp_ps(_mm256_sub_ps(_mm256_loadu_ps(tail), shift)));
    memcpy(score + i, tail, (n - i) * sizeof(*tail));
    for (size_t j = 0; j < n - i; j++)
        tail_sum += tail[j];
    return avx2_sum(sum) + tail_sum;
}

/* Columns of 32, then of 8, then one by one: a column's sum stays in registers. */
static void attention_mix(float *sum, float keep, const float *weight, const uint16_t *values,
                          size_t n, size_t dim)
{
    const __m256 factor = _mm256_set1_ps(keep);
    size_t j = 0;

    for (; j + 32 <= dim; j += 32) {
        __m256 s[4];

        for (size_t c = 0; c < 4; c++)
            s[c] = _mm256_mul_ps(_mm256_loadu_ps(sum + j + 8 * c), factor);
        for (size_t i = 0; i < n; i++)
            for (size_t c = 0; c < 4; c++)
                s[c] = _mm256_fmadd_ps(_mm256_set1_ps(weight[i]),
                                       load_f16(values + i * dim + j + 8 * c), s[c]);
        for (size_t c = 0; c < 4; c++)
            _mm256_storeu_ps(sum + j + 8 * c, s[c]);
    }
    for (; j + 8 <= dim; j += 8) {
        __m256 s = _mm256_mul_ps(_mm256_loadu_ps(sum + j), factor);

        for (size_t i = 0; i < n; i++)
            s = _mm256_fmadd_ps(_mm256_set1_ps(weight[i]), load_f16(values + i * dim + j), s);
        _mm256_storeu_ps(sum + j, s);
    }
    for (; j < dim; j++) {
        sum[j] *= keep;
        for (size_t i = 0; i < n; i++)
            sum[j] += weight[i] * _cvtsh_ss(values[i * dim + j]);
    }
}

void avx2_fill_rows(struct kernel_ops *ops)
{
    ops->rmsnorm = rmsnorm;
    ops->swiglu = swiglu;
    ops->f16_store = f16_store;
    ops->attention_scores = attention_scores;
    ops->exp_sum = exp_sum;
    ops->attention_mix = attention_mix;
}

void kernel_fill_avx2(struct kernel_ops *ops)
{
    avx2_fill_matrix(ops);
    avx2_fill_rows(ops);
}
