/* SPDX-License-Identifier: Apache-2.0 */
/* engine/cpu/x86/avx512_attention.c - attention with AVX-512: the bits of ref, a panel of positions
 * or sixteen dimensions a vector, for up to four queries that share what is read.
 */
#include "engine/cpu/f16.h"
#include "engine/cpu/kv_rows.h"
#include "engine/cpu/pow2.h"
#include "engine/cpu/x86/avx512.h"

enum {
    QUERIES = 4,
    F16_PANELS = 4, /* times QUERIES: sums that keep both multipliers of a core busy */
    Q8_0_PANELS = 2,
    F16_VECTORS = 4,
};

#define INLINE static inline __attribute__((always_inline))

INLINE __m512 load_f16(const unsigned char *p)
{
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)p));
}

INLINE __m512 load_i8(const unsigned char *p)
{
    return _mm512_cvtepi32_ps(
        _mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)(const void *)p)));
}

/* ---- softmax ---- */

/* pow2.h, sixteen at once. */
INLINE __m512 pow2_ps(__m512 y)
{
    const __m512 round = _mm512_set1_ps(POW2_ROUND), shifted = _mm512_add_ps(y, round);
    const __m512 f = _mm512_sub_ps(y, _mm512_sub_ps(shifted, round));
    const __m512i power = _mm512_slli_epi32(
        _mm512_add_epi32(_mm512_castps_si512(shifted), _mm512_set1_epi32(127)), 23);
    const __mmask16 is_zero = _mm512_cmp_ps_mask(y, _mm512_set1_ps(POW2_LEAST), _CMP_LT_OQ);
    __m512 p = _mm512_set1_ps(POW2_C6);

    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(POW2_C5));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(POW2_C4));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(POW2_C3));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(POW2_C2));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(POW2_C1));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(POW2_C0));
    return _mm512_maskz_mul_ps((__mmask16)~is_zero, p, _mm512_castsi512_ps(power));
}

static float softmax(float *x, size_t n, float *ret_max)
{
    __m512 max = _mm512_set1_ps(x[0]), sum = _mm512_setzero_ps(), shift;

    for (size_t i = 0; i < n; i += 16) {
        const __mmask16 lanes = avx512_first(n - i);

        max = _mm512_mask_max_ps(max, lanes, max, _mm512_maskz_loadu_ps(lanes, x + i));
    }
    *ret_max = _mm512_reduce_max_ps(max);
    shift = _mm512_set1_ps(*ret_max);
    for (size_t i = 0; i < n; i += 16) {
        const __mmask16 lanes = avx512_first(n - i);
        const __m512 y = _mm512_sub_ps(_mm512_maskz_loadu_ps(lanes, x + i), shift);
        const __m512 e = pow2_ps(y);

        _mm512_mask_storeu_ps(x + i, lanes, e);
        sum = _mm512_mask_add_ps(sum, lanes, sum, e);
    }
    return avx512_sum(sum);
}

/* ---- scores ---- */

/* n queries against m panels of keys; both are constants wherever this is expanded. */
INLINE void panels_f16(float *score, size_t stride, const float *q, const size_t n, const size_t m,
                       const unsigned char *keys, size_t dim)
{
    const size_t panel_bytes = dim * KV_PANEL * 2;
    __m512 s[QUERIES][F16_PANELS], k[F16_PANELS];

    for (size_t i = 0; i < n; i++)
        for (size_t p = 0; p < m; p++)
            s[i][p] = _mm512_setzero_ps();
    for (size_t j = 0; j < dim; j++) {
        for (size_t p = 0; p < m; p++)
            k[p] = load_f16(keys + p * panel_bytes + j * KV_PANEL * 2);
        for (size_t i = 0; i < n; i++) {
            const __m512 x = _mm512_set1_ps(q[i * dim + j]);

            for (size_t p = 0; p < m; p++)
                s[i][p] = _mm512_fmadd_ps(x, k[p], s[i][p]);
        }
    }
    for (size_t i = 0; i < n; i++)
        for (size_t p = 0; p < m; p++)
            _mm512_storeu_ps(score + i * stride + p * KV_PANEL, s[i][p]);
}

/* ret = sums over one block of dimensions, for n queries and m panels. */
INLINE void block_q8_0(__m512 ret[QUERIES][Q8_0_PANELS], const float *q, const size_t n,
                       const size_t m, const unsigned char *keys, size_t dim)
{
    const size_t panel_bytes = dim * KV_PANEL + dim;
    __m512 b[QUERIES][Q8_0_PANELS], k[Q8_0_PANELS];

    for (size_t i = 0; i < n; i++)
        for (size_t p = 0; p < m; p++)
            b[i][p] = _mm512_setzero_ps();
    for (size_t j = 0; j < KV_BLOCK; j++) {
        for (size_t p = 0; p < m; p++)
            k[p] = load_i8(keys + p * panel_bytes + j * KV_PANEL);
        for (size_t i = 0; i < n; i++) {
            const __m512 x = _mm512_set1_ps(q[i * dim + j]);

            for (size_t p = 0; p < m; p++)
                b[i][p] = _mm512_fmadd_ps(x, k[p], b[i][p]);
        }
    }
    for (size_t i = 0; i < n; i++)
        for (size_t p = 0; p < m; p++)
            ret[i][p] = b[i][p];
}

INLINE void panels_q8_0(float *score, size_t stride, const float *q, const size_t n, const size_t m,
                        const unsigned char *keys, size_t dim)
{
    const size_t panel_bytes = dim * KV_PANEL + dim;
    __m512 s[QUERIES][Q8_0_PANELS], b[QUERIES][Q8_0_PANELS];

    for (size_t i = 0; i < n; i++)
        for (size_t p = 0; p < m; p++)
            s[i][p] = _mm512_setzero_ps();
    for (size_t at = 0; at < dim / KV_BLOCK; at++) {
        block_q8_0(b, q + at * KV_BLOCK, n, m, keys + at * KV_BLOCK * KV_PANEL, dim);
        for (size_t p = 0; p < m; p++) {
            const __m512 d = load_f16(keys + p * panel_bytes + dim * KV_PANEL + at * KV_PANEL * 2);

            for (size_t i = 0; i < n; i++)
                s[i][p] = _mm512_fmadd_ps(b[i][p], d, s[i][p]);
        }
    }
    for (size_t i = 0; i < n; i++)
        for (size_t p = 0; p < m; p++)
            _mm512_storeu_ps(score + i * stride + p * KV_PANEL, s[i][p]);
}

/* As many panels at once as there are, one by one at the end. */
INLINE void scores_of(const enum kv_format format, float *score, size_t stride, const float *q,
                      const size_t n, const struct kv_rows *keys)
{
    const size_t dim = keys->dim, n_panels = (keys->n + KV_PANEL - 1) / KV_PANEL;
    const size_t m = format == KV_F16 ? F16_PANELS : Q8_0_PANELS;
    const size_t panel_bytes =
        dim * KV_PANEL * (format == KV_F16 ? 2 : 1) + (format == KV_F16 ? 0 : dim);
    size_t p = 0;

    for (; p + m <= n_panels; p += m) {
        const unsigned char *at = keys->data + p * panel_bytes;

        if (format == KV_F16)
            panels_f16(score + p * KV_PANEL, stride, q, n, F16_PANELS, at, dim);
        else
            panels_q8_0(score + p * KV_PANEL, stride, q, n, Q8_0_PANELS, at, dim);
    }
    for (; p < n_panels; p++) {
        const unsigned char *at = keys->data + p * panel_bytes;

        if (format == KV_F16)
            panels_f16(score + p * KV_PANEL, stride, q, n, 1, at, dim);
        else
            panels_q8_0(score + p * KV_PANEL, stride, q, n, 1, at, dim);
    }
}

INLINE void scores(const enum kv_format format, float *score, size_t stride, const float *q,
                   size_t n_queries, const struct kv_rows *keys)
{
    for (size_t i = 0; i < n_queries; i += QUERIES) {
        float *out = score + i * stride;
        const float *x = q + i * keys->dim;

        switch (n_queries - i) {
        case 1: scores_of(format, out, stride, x, 1, keys); break;
        case 2: scores_of(format, out, stride, x, 2, keys); break;
        case 3: scores_of(format, out, stride, x, 3, keys); break;
        default: scores_of(format, out, stride, x, 4, keys); break;
        }
    }
}

static void scores_f16(float *score, size_t stride, const float *q, size_t n_queries,
                       const struct kv_rows *keys)
{
    scores(KV_F16, score, stride, q, n_queries, keys);
}

static void scores_q8_0(float *score, size_t stride, const float *q, size_t n_queries,
                        const struct kv_rows *keys)
{
    scores(KV_Q8_0, score, stride, q, n_queries, keys);
}

/* ---- mixing values ---- */

/* Dimensions from `at`, m vectors of them, for n queries and all positions: the sums stay in
 * registers. */
INLINE void strip_f16(float *sum, const float *weight, size_t stride, const size_t n,
                      const size_t m, const struct kv_rows *values, size_t at)
{
    const unsigned char *data = values->data + at * 2;
    __m512 s[QUERIES][F16_VECTORS], v[F16_VECTORS];

    for (size_t i = 0; i < n; i++)
        for (size_t c = 0; c < m; c++)
            s[i][c] = _mm512_loadu_ps(sum + i * values->dim + at + c * 16);
    for (size_t p = 0; p < values->n; p++, data += values->dim * 2) {
        for (size_t c = 0; c < m; c++)
            v[c] = load_f16(data + c * 32);
        for (size_t i = 0; i < n; i++) {
            const __m512 w = _mm512_set1_ps(weight[i * stride + p]);

            for (size_t c = 0; c < m; c++)
                s[i][c] = _mm512_fmadd_ps(w, v[c], s[i][c]);
        }
    }
    for (size_t i = 0; i < n; i++)
        for (size_t c = 0; c < m; c++)
            _mm512_storeu_ps(sum + i * values->dim + at + c * 16, s[i][c]);
}

/* What sixteens leave of the dimensions. */
INLINE void rest_f16(float *sum, const float *weight, size_t stride, const size_t n,
                     const struct kv_rows *values, size_t at)
{
    const __mmask16 lanes = avx512_first(values->dim - at);
    const unsigned char *data = values->data + at * 2;
    __m512 s[QUERIES];

    for (size_t i = 0; i < n; i++)
        s[i] = _mm512_maskz_loadu_ps(lanes, sum + i * values->dim + at);
    for (size_t p = 0; p < values->n; p++, data += values->dim * 2) {
        const __m512 v = _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(lanes, data));

        for (size_t i = 0; i < n; i++)
            s[i] = _mm512_fmadd_ps(_mm512_set1_ps(weight[i * stride + p]), v, s[i]);
    }
    for (size_t i = 0; i < n; i++)
        _mm512_mask_storeu_ps(sum + i * values->dim + at, lanes, s[i]);
}

INLINE void mix_of_f16(float *sum, const float *weight, size_t stride, const size_t n,
                       const struct kv_rows *values)
{
    size_t at = 0;

    for (; at + 16 * F16_VECTORS <= values->dim; at += 16 * F16_VECTORS)
        strip_f16(sum, weight, stride, n, F16_VECTORS, values, at);
    for (; at + 16 <= values->dim; at += 16)
        strip_f16(sum, weight, stride, n, 1, values, at);
    if (at < values->dim)
        rest_f16(sum, weight, stride, n, values, at);
}

/* A block of dimensions from `at`: two vectors under one scale. */
INLINE void block_mix_q8_0(float *sum, const float *weight, size_t stride, const size_t n,
                           const struct kv_rows *values, size_t at)
{
    const size_t dim = values->dim, n_blocks = dim / KV_BLOCK;
    __m512 s[QUERIES][2];

    for (size_t i = 0; i < n; i++)
        for (size_t h = 0; h < 2; h++)
            s[i][h] = _mm512_loadu_ps(sum + i * dim + at + h * 16);
    for (size_t p = 0; p < values->n; p++) {
        const unsigned char *panel = values->data + p / KV_PANEL * (dim * KV_PANEL + dim);
        const unsigned char *v = panel + p % KV_PANEL * dim + at;
        const unsigned char *scale =
            panel + dim * KV_PANEL + (p % KV_PANEL * n_blocks + at / KV_BLOCK) * 2;
        const __m512 d = _mm512_set1_ps(_cvtsh_ss(load_u16(scale)));
        const __m512 v0 = load_i8(v), v1 = load_i8(v + 16);

        for (size_t i = 0; i < n; i++) {
            const __m512 w = _mm512_mul_ps(_mm512_set1_ps(weight[i * stride + p]), d);

            s[i][0] = _mm512_fmadd_ps(w, v0, s[i][0]);
            s[i][1] = _mm512_fmadd_ps(w, v1, s[i][1]);
        }
    }
    for (size_t i = 0; i < n; i++)
        for (size_t h = 0; h < 2; h++)
            _mm512_storeu_ps(sum + i * dim + at + h * 16, s[i][h]);
}

INLINE void mix_of(const enum kv_format format, float *sum, const float *weight, size_t stride,
                   const size_t n, const struct kv_rows *values)
{
    if (format == KV_F16) {
        mix_of_f16(sum, weight, stride, n, values);
        return;
    }
    for (size_t at = 0; at < values->dim; at += KV_BLOCK)
        block_mix_q8_0(sum, weight, stride, n, values, at);
}

INLINE void mix(const enum kv_format format, float *sum, const float *weight, size_t stride,
                size_t n_queries, const struct kv_rows *values)
{
    for (size_t i = 0; i < n_queries; i += QUERIES) {
        float *to = sum + i * values->dim;
        const float *w = weight + i * stride;

        switch (n_queries - i) {
        case 1: mix_of(format, to, w, stride, 1, values); break;
        case 2: mix_of(format, to, w, stride, 2, values); break;
        case 3: mix_of(format, to, w, stride, 3, values); break;
        default: mix_of(format, to, w, stride, 4, values); break;
        }
    }
}

static void mix_f16(float *sum, const float *weight, size_t stride, size_t n_queries,
                    const struct kv_rows *values)
{
    mix(KV_F16, sum, weight, stride, n_queries, values);
}

static void mix_q8_0(float *sum, const float *weight, size_t stride, size_t n_queries,
                     const struct kv_rows *values)
{
    mix(KV_Q8_0, sum, weight, stride, n_queries, values);
}

void avx512_fill_attention(struct kernel_ops *ops)
{
    ops->softmax = softmax;
    ops->attention_scores[KV_F16] = scores_f16;
    ops->attention_scores[KV_Q8_0] = scores_q8_0;
    ops->attention_mix[KV_F16] = mix_f16;
    ops->attention_mix[KV_Q8_0] = mix_q8_0;
}
