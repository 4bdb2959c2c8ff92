/* SPDX-License-Identifier: Apache-2.0 */
/* engine/cpu/arm/neon_attention.c - attention with NEON: the bits of ref, sixteen positions or
 * sixteen dimensions at a time, for up to four queries that share what is read.
 */
#include <math.h>
#include <string.h>

#include "engine/cpu/arm/neon.h"
#include "engine/cpu/f16.h"
#include "engine/cpu/kv_rows.h"
#include "engine/cpu/pow2.h"

enum { QUERIES = 4, PARTS = KV_PANEL / 4 };

/* n x 4 numbers, n even. */
INLINE void load_f16(const unsigned char *from, unsigned n, float32x4_t *ret)
{
    for (unsigned i = 0; i < n; i += 2) {
        const float16x8_t eight = vreinterpretq_f16_u8(vld1q_u8(from + (size_t)i * 8));

        ret[i] = vcvt_f32_f16(vget_low_f16(eight));
        ret[i + 1] = vcvt_high_f32_f16(eight);
    }
}

INLINE void load_i8(const unsigned char *from, unsigned n, float32x4_t *ret)
{
    for (unsigned i = 0; i < n; i += 2) {
        const int16x8_t eight = vmovl_s8(vreinterpret_s8_u8(vld1_u8(from + (size_t)i * 4)));

        ret[i] = vcvtq_f32_s32(vmovl_s16(vget_low_s16(eight)));
        ret[i + 1] = vcvtq_f32_s32(vmovl_high_s16(eight));
    }
}

/* ---- softmax ---- */

/* pow2.h, four at once. */
INLINE float32x4_t pow2_f32(float32x4_t y)
{
    const float32x4_t round = vdupq_n_f32(POW2_ROUND), shifted = vaddq_f32(y, round);
    const float32x4_t f = vsubq_f32(y, vsubq_f32(shifted, round));
    const int32x4_t power =
        vshlq_n_s32(vaddq_s32(vreinterpretq_s32_f32(shifted), vdupq_n_s32(127)), 23);
    float32x4_t p = vdupq_n_f32(POW2_C6);

    p = vfmaq_f32(vdupq_n_f32(POW2_C5), p, f);
    p = vfmaq_f32(vdupq_n_f32(POW2_C4), p, f);
    p = vfmaq_f32(vdupq_n_f32(POW2_C3), p, f);
    p = vfmaq_f32(vdupq_n_f32(POW2_C2), p, f);
    p = vfmaq_f32(vdupq_n_f32(POW2_C1), p, f);
    p = vfmaq_f32(vdupq_n_f32(POW2_C0), p, f);
    p = vmulq_f32(p, vreinterpretq_f32_s32(power));
    return vreinterpretq_f32_u32(
        vbicq_u32(vreinterpretq_u32_f32(p), vcltq_f32(y, vdupq_n_f32(POW2_LEAST))));
}

INLINE float largest_of(const float *x, size_t n)
{
    float32x4_t max = vdupq_n_f32(x[0]);
    float largest;
    size_t i = 0;

    for (; i + 4 <= n; i += 4)
        max = vmaxq_f32(max, vld1q_f32(x + i));
    largest = vmaxvq_f32(max);
    for (; i < n; i++)
        largest = x[i] > largest ? x[i] : largest;
    return largest;
}

INLINE void sixteen_powers(float *x, float max, float32x4_t *sums)
{
    for (size_t i = 0; i < 4; i++) {
        const float32x4_t e = pow2_f32(vsubq_f32(vld1q_f32(x + 4 * i), vdupq_n_f32(max)));

        vst1q_f32(x + 4 * i, e);
        sums[i] = vaddq_f32(sums[i], e);
    }
}

static float softmax(float *x, size_t n, float *ret_max)
{
    const float max = largest_of(x, n);
    float32x4_t sums[4] = { vdupq_n_f32(0), vdupq_n_f32(0), vdupq_n_f32(0), vdupq_n_f32(0) };
    float rest[16];
    size_t i = 0;

    for (; i + 16 <= n; i += 16)
        sixteen_powers(x + i, max, sums);
    if (i < n) {
        for (size_t j = 0; j < 16; j++)
            rest[j] = j < n - i ? x[i + j] : -INFINITY; /* whose power is 0 */
        sixteen_powers(rest, max, sums);
        memcpy(x + i, rest, (n - i) * sizeof(*x));
    }
    *ret_max = max;
    return neon_sum_16(sums);
}

/* ---- scores ---- */

/* n queries against one panel of keys; n is a constant wherever this is expanded. */
INLINE void panel_f16(float *score, size_t stride, const float *q, const size_t n,
                      const unsigned char *panel, size_t dim)
{
    float32x4_t s[QUERIES][PARTS];

    for (size_t i = 0; i < n; i++)
        for (size_t h = 0; h < PARTS; h++)
            s[i][h] = vdupq_n_f32(0);
    for (size_t j = 0; j < dim; j++, panel += KV_PANEL * sizeof(uint16_t)) {
        float32x4_t k[PARTS];

        load_f16(panel, PARTS, k);
        for (size_t i = 0; i < n; i++)
            for (size_t h = 0; h < PARTS; h++)
                s[i][h] = vfmaq_n_f32(s[i][h], k[h], q[i * dim + j]);
    }
    for (size_t i = 0; i < n; i++)
        for (size_t h = 0; h < PARTS; h++)
            vst1q_f32(score + i * stride + 4 * h, s[i][h]);
}

/* Half a panel, whose sums of a block and of all blocks take 16 registers. */
INLINE void half_panel_q8_0(float *score, size_t stride, const float *q, const size_t n,
                            const unsigned char *keys, const unsigned char *scales, size_t dim)
{
    float32x4_t s[QUERIES][2], b[QUERIES][2], k[2], d[2];

    for (size_t i = 0; i < n; i++)
        s[i][0] = s[i][1] = vdupq_n_f32(0);
    for (size_t start = 0; start < dim; start += KV_BLOCK) {
        for (size_t i = 0; i < n; i++)
            b[i][0] = b[i][1] = vdupq_n_f32(0);
        for (size_t j = start; j < start + KV_BLOCK; j++) {
            load_i8(keys + j * KV_PANEL, 2, k);
            for (size_t i = 0; i < n; i++)
                for (size_t h = 0; h < 2; h++)
                    b[i][h] = vfmaq_n_f32(b[i][h], k[h], q[i * dim + j]);
        }
        load_f16(scales + start / KV_BLOCK * KV_PANEL * sizeof(uint16_t), 2, d);
        for (size_t i = 0; i < n; i++)
            for (size_t h = 0; h < 2; h++)
                s[i][h] = vfmaq_f32(s[i][h], b[i][h], d[h]);
    }
    for (size_t i = 0; i < n; i++)
        for (size_t h = 0; h < 2; h++)
            vst1q_f32(score + i * stride + 4 * h, s[i][h]);
}

INLINE void panel_q8_0(float *score, size_t stride, const float *q, const size_t n,
                       const unsigned char *panel, size_t dim)
{
    const unsigned char *scales = panel + kv_panel_elems_bytes(KV_Q8_0, dim);

    half_panel_q8_0(score, stride, q, n, panel, scales, dim);
    half_panel_q8_0(score + 8, stride, q, n, panel + 8, scales + 8 * sizeof(uint16_t), dim);
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
    const size_t dim = keys->dim, panel_bytes = kv_panel_bytes(format, dim);

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

/* Values of sixteen dimensions from `at` of one position, and the factor of their weight. */
INLINE float load_values(const enum kv_format format, const struct kv_rows *values, size_t at,
                         size_t p, float32x4_t *ret_v)
{
    const size_t dim = values->dim;
    const unsigned char *panel = values->data + p / KV_PANEL * kv_panel_bytes(format, dim);
    const size_t elem = p % KV_PANEL * dim + at;

    if (format == KV_F16) {
        load_f16(panel + elem * sizeof(uint16_t), 4, ret_v);
        return 1;
    }
    load_i8(panel + elem, 4, ret_v);
    return f16_to_f32(
        load_u16(panel + kv_panel_elems_bytes(format, dim) + elem / KV_BLOCK * sizeof(uint16_t)));
}

/* Sixteen dimensions from `at` for n queries, all positions: the sums stay in registers. */
INLINE void strip(const enum kv_format format, float *sum, const float *weight, size_t stride,
                  const size_t n, const struct kv_rows *values, size_t at)
{
    float32x4_t s[QUERIES][4];

    for (size_t i = 0; i < n; i++)
        for (size_t h = 0; h < 4; h++)
            s[i][h] = vld1q_f32(sum + i * values->dim + at + 4 * h);
    for (size_t p = 0; p < values->n; p++) {
        float32x4_t v[4];
        const float d = load_values(format, values, at, p, v);

        for (size_t i = 0; i < n; i++) {
            const float w = format == KV_F16 ? weight[i * stride + p] : weight[i * stride + p] * d;

            for (size_t h = 0; h < 4; h++)
                s[i][h] = vfmaq_n_f32(s[i][h], v[h], w);
        }
    }
    for (size_t i = 0; i < n; i++)
        for (size_t h = 0; h < 4; h++)
            vst1q_f32(sum + i * values->dim + at + 4 * h, s[i][h]);
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
                         f16_to_f32(load_u16(values->data + (p * dim + j) * sizeof(uint16_t))),
                         sum[i * dim + j]);
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

void neon_fill_attention(struct kernel_ops *ops)
{
    ops->softmax = softmax;
    ops->attention_scores[KV_F16] = scores_f16;
    ops->attention_scores[KV_Q8_0] = scores_q8_0;
    ops->attention_mix[KV_F16] = mix_f16;
    ops->attention_mix[KV_Q8_0] = mix_q8_0;
}
