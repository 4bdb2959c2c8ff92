/* SPDX-License-Identifier: Apache-2.0 */
/* engine/cpu/x86/avx2_attention.c - attention with AVX2: the bits of ref, sixteen positions or
 * thirty-two dimensions at a time, for up to four queries that share what is read.
 */
#include <math.h>
#include <string.h>

#include "engine/cpu/f16.h"
#include "engine/cpu/kv_rows.h"
#include "engine/cpu/pow2.h"
#include "engine/cpu/x86/avx2.h"

enum { QUERIES = 4 };

#define INLINE static inline __attribute__((always_inline))

INLINE __m256 load_f16(const unsigned char *p)
{
    return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)p));
}

INLINE __m256 load_i8(const unsigned char *p)
{
    return _mm256_cvtepi32_ps(
        _mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)p)));
}

/* ---- softmax ---- */

/* pow2.h, eight at once. */
INLINE __m256 pow2_ps(__m256 y)
{
    const __m256 round = _mm256_set1_ps(POW2_ROUND), shifted = _mm256_add_ps(y, round);
    const __m256 f = _mm256_sub_ps(y, _mm256_sub_ps(shifted, round));
    const __m256i power = _mm256_slli_epi32(
        _mm256_add_epi32(_mm256_castps_si256(shifted), _mm256_set1_epi32(127)), 23);
    __m256 p = _mm256_set1_ps(POW2_C6);

    p = _mm256_fmadd_ps(p, f, _mm256_set1_ps(POW2_C5));
    p = _mm256_fmadd_ps(p, f, _mm256_set1_ps(POW2_C4));
    p = _mm256_fmadd_ps(p, f, _mm256_set1_ps(POW2_C3));
    p = _mm256_fmadd_ps(p, f, _mm256_set1_ps(POW2_C2));
    p = _mm256_fmadd_ps(p, f, _mm256_set1_ps(POW2_C1));
    p = _mm256_fmadd_ps(p, f, _mm256_set1_ps(POW2_C0));
    p = _mm256_mul_ps(p, _mm256_castsi256_ps(power));
    return _mm256_andnot_ps(_mm256_cmp_ps(y, _mm256_set1_ps(POW2_LEAST), _CMP_LT_OQ), p);
}

/* All bits set in the first n of eight lanes, n being any number. */
INLINE __m256i first_lanes(size_t n)
{
    const __m256i lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);

    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n > 8 ? 8 : (int)n), lanes);
}

INLINE float largest_of(const float *x, size_t n)
{
    __m256 max = _mm256_set1_ps(x[0]);
    __m128 m;
    size_t i = 0;

    for (; i + 8 <= n; i += 8)
        max = _mm256_max_ps(max, _mm256_loadu_ps(x + i));
    if (i < n) {
        const __m256i mask = first_lanes(n - i);

        max = _mm256_max_ps(
            max, _mm256_blendv_ps(max, _mm256_maskload_ps(x + i, mask), _mm256_castsi256_ps(mask)));
    }
    m = _mm_max_ps(_mm256_castps256_ps128(max), _mm256_extractf128_ps(max, 1));
    m = _mm_max_ps(m, _mm_movehl_ps(m, m));
    return _mm_cvtss_f32(_mm_max_ss(m, _mm_movehdup_ps(m)));
}

static float softmax(float *x, size_t n, float *ret_max)
{
    const float max = largest_of(x, n);
    const __m256 shift = _mm256_set1_ps(max);
    __m256 sum[2] = { _mm256_setzero_ps(), _mm256_setzero_ps() };
    size_t i = 0;

    for (; i + 16 <= n; i += 16)
        for (size_t h = 0; h < 2; h++) {
            const __m256 e = pow2_ps(_mm256_sub_ps(_mm256_loadu_ps(x + i + 8 * h), shift));

            _mm256_storeu_ps(x + i + 8 * h, e);
            sum[h] = _mm256_add_ps(sum[h], e);
        }
    for (size_t h = 0; i < n; h++, i += 8) {
        const __m256i mask = first_lanes(n - i);
        const __m256 e = pow2_ps(_mm256_sub_ps(_mm256_maskload_ps(x + i, mask), shift));

        _mm256_maskstore_ps(x + i, mask, e);
        sum[h] = _mm256_add_ps(sum[h], _mm256_and_ps(e, _mm256_castsi256_ps(mask)));
    }
    *ret_max = max;
    return avx2_sum(_mm256_add_ps(sum[0], sum[1]));
}

/* ---- scores ---- */

/* n queries against one panel of keys; n is a constant wherever this is expanded. */
INLINE void panel_f16(float *score, size_t stride, const float *q, const size_t n,
                      const unsigned char *panel, size_t dim)
{
    __m256 s[QUERIES][2];

    for (size_t i = 0; i < n; i++)
        s[i][0] = s[i][1] = _mm256_setzero_ps();
    for (size_t j = 0; j < dim; j++, panel += KV_PANEL * 2) {
        const __m256 k0 = load_f16(panel), k1 = load_f16(panel + 16);

        for (size_t i = 0; i < n; i++) {
            const __m256 x = _mm256_broadcast_ss(q + i * dim + j);

            s[i][0] = _mm256_fmadd_ps(x, k0, s[i][0]);
            s[i][1] = _mm256_fmadd_ps(x, k1, s[i][1]);
        }
    }
    for (size_t i = 0; i < n; i++) {
        _mm256_storeu_ps(score + i * stride, s[i][0]);
        _mm256_storeu_ps(score + i * stride + 8, s[i][1]);
    }
}

/* Half a panel, whose sums of a block and of all blocks fill the registers. */
INLINE void half_panel_q8_0(float *score, size_t stride, const float *q, const size_t n,
                            const unsigned char *keys, const unsigned char *scales, size_t dim)
{
    __m256 s[QUERIES], b[QUERIES];

    for (size_t i = 0; i < n; i++)
        s[i] = _mm256_setzero_ps();
    for (size_t start = 0; start < dim; start += KV_BLOCK, scales += KV_PANEL * 2) {
        const __m256 d = load_f16(scales);

        for (size_t i = 0; i < n; i++)
            b[i] = _mm256_setzero_ps();
        for (size_t j = start; j < start + KV_BLOCK; j++) {
            const __m256 k = load_i8(keys + j * KV_PANEL);

            for (size_t i = 0; i < n; i++)
                b[i] = _mm256_fmadd_ps(_mm256_broadcast_ss(q + i * dim + j), k, b[i]);
        }
        for (size_t i = 0; i < n; i++)
            s[i] = _mm256_fmadd_ps(b[i], d, s[i]);
    }
    for (size_t i = 0; i < n; i++)
        _mm256_storeu_ps(score + i * stride, s[i]);
}

INLINE void panel_q8_0(float *score, size_t stride, const float *q, const size_t n,
                       const unsigned char *panel, size_t dim)
{
    const unsigned char *scales = panel + kv_panel_elems_bytes(KV_Q8_0, dim);

    half_panel_q8_0(score, stride, q, n, panel, scales, dim);
    half_panel_q8_0(score + 8, stride, q, n, panel + 8, scales + 16, dim);
}

INLINE void panel_scores(const enum kv_format format, float *score, size_t stride, const float *q,
                         const size_t n, const unsigned char *panel, size_t dim)
{
    if (format == KV_F16)
        panel_f16(score, stride, q, n, panel, dim);
    else
        panel_q8_0(score, stride, q, n, panel, dim);
}

INLINE void scores(const enum kv_format format, float *score, size_t stride, const float *q,
                   size_t n_queries, const struct kv_rows *keys)
{
    const size_t dim = keys->dim, bytes = dim * KV_PANEL * 2;
    const size_t panel_bytes = format == KV_F16 ? bytes : dim * KV_PANEL + dim;

    for (size_t i = 0; i < n_queries; i += QUERIES)
        for (size_t p = 0; p < keys->n; p += KV_PANEL) {
            const unsigned char *panel = keys->data + p / KV_PANEL * panel_bytes;
            float *out = score + i * stride + p;
            const float *x = q + i * dim;

            switch (n_queries - i) {
            case 1: panel_scores(format, out, stride, x, 1, panel, dim); break;
            case 2: panel_scores(format, out, stride, x, 2, panel, dim); break;
            case 3: panel_scores(format, out, stride, x, 3, panel, dim); break;
            default: panel_scores(format, out, stride, x, 4, panel, dim); break;
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

/* Sixteen dimensions from `at` for n queries, all positions: the sums stay in registers. */
INLINE void strip_f16(float *sum, const float *weight, size_t stride, const size_t n,
                      const struct kv_rows *values, size_t at)
{
    const unsigned char *v = values->data + at * 2;
    __m256 s[QUERIES][2];

    for (size_t i = 0; i < n; i++)
        for (size_t h = 0; h < 2; h++)
            s[i][h] = _mm256_loadu_ps(sum + i * values->dim + at + 8 * h);
    for (size_t p = 0; p < values->n; p++, v += values->dim * 2) {
        const __m256 v0 = load_f16(v), v1 = load_f16(v + 16);

        for (size_t i = 0; i < n; i++) {
            const __m256 w = _mm256_broadcast_ss(weight + i * stride + p);

            s[i][0] = _mm256_fmadd_ps(w, v0, s[i][0]);
            s[i][1] = _mm256_fmadd_ps(w, v1, s[i][1]);
        }
    }
    for (size_t i = 0; i < n; i++)
        for (size_t h = 0; h < 2; h++)
            _mm256_storeu_ps(sum + i * values->dim + at + 8 * h, s[i][h]);
}

INLINE void strip_q8_0(float *sum, const float *weight, size_t stride, const size_t n,
                       const struct kv_rows *values, size_t at)
{
    const size_t dim = values->dim, n_blocks = dim / KV_BLOCK;
    __m256 s[QUERIES][2];

    for (size_t i = 0; i < n; i++)
        for (size_t h = 0; h < 2; h++)
            s[i][h] = _mm256_loadu_ps(sum + i * dim + at + 8 * h);
    for (size_t p = 0; p < values->n; p++) {
        const unsigned char *panel = values->data + p / KV_PANEL * (dim * KV_PANEL + dim);
        const unsigned char *v = panel + p % KV_PANEL * dim + at;
        const unsigned char *scale =
            panel + dim * KV_PANEL + (p % KV_PANEL * n_blocks + at / KV_BLOCK) * 2;
        const float d = _cvtsh_ss(load_u16(scale));
        const __m256 v0 = load_i8(v), v1 = load_i8(v + 8);

        for (size_t i = 0; i < n; i++) {
            const __m256 w = _mm256_set1_ps(weight[i * stride + p] * d);

            s[i][0] = _mm256_fmadd_ps(w, v0, s[i][0]);
            s[i][1] = _mm256_fmadd_ps(w, v1, s[i][1]);
        }
    }
    for (size_t i = 0; i < n; i++)
        for (size_t h = 0; h < 2; h++)
            _mm256_storeu_ps(sum + i * dim + at + 8 * h, s[i][h]);
}

/* What sixteens leave of the dimensions of f16 values. */
static void rest_f16(float *sum, const float *weight, size_t stride, size_t n_queries,
                     const struct kv_rows *values, size_t at)
{
    const size_t dim = values->dim;

    for (size_t i = 0; i < n_queries; i++)
        for (size_t j = at; j < dim; j++)
            for (size_t p = 0; p < values->n; p++)
                sum[i * dim + j] =
                    fmaf(weight[i * stride + p],
                         _cvtsh_ss(load_u16(values->data + (p * dim + j) * 2)), sum[i * dim + j]);
}

INLINE void strip(const enum kv_format format, float *sum, const float *weight, size_t stride,
                  const size_t n, const struct kv_rows *values, size_t at)
{
    if (format == KV_F16)
        strip_f16(sum, weight, stride, n, values, at);
    else
        strip_q8_0(sum, weight, stride, n, values, at);
}

INLINE void mix(const enum kv_format format, float *sum, const float *weight, size_t stride,
                size_t n_queries, const struct kv_rows *values)
{
    for (size_t i = 0; i < n_queries; i += QUERIES)
        for (size_t at = 0; at + 16 <= values->dim; at += 16) {
            float *to = sum + i * values->dim;
            const float *w = weight + i * stride;

            switch (n_queries - i) {
            case 1: strip(format, to, w, stride, 1, values, at); break;
            case 2: strip(format, to, w, stride, 2, values, at); break;
            case 3: strip(format, to, w, stride, 3, values, at); break;
            default: strip(format, to, w, stride, 4, values, at); break;
            }
        }
}

static void mix_f16(float *sum, const float *weight, size_t stride, size_t n_queries,
                    const struct kv_rows *values)
{
    mix(KV_F16, sum, weight, stride, n_queries, values);
    rest_f16(sum, weight, stride, n_queries, values, values->dim / 16 * 16);
}

static void mix_q8_0(float *sum, const float *weight, size_t stride, size_t n_queries,
                     const struct kv_rows *values)
{
    mix(KV_Q8_0, sum, weight, stride, n_queries, values);
}

void avx2_fill_attention(struct kernel_ops *ops)
{
    ops->softmax = softmax;
    ops->attention_scores[KV_F16] = scores_f16;
    ops->attention_scores[KV_Q8_0] = scores_q8_0;
    ops->attention_mix[KV_F16] = mix_f16;
    ops->attention_mix[KV_Q8_0] = mix_q8_0;
}
