/* SPDX-License-Identifier: Apache-2.0 */
/* engine/cpu/ref/attention.c - scores, softmax and mixing of values, one element at a time. */
#include "engine/cpu/kv_rows.h"
#include "engine/cpu/pow2.h"
#include "engine/cpu/ref/ref.h"

static float softmax(float *x, size_t n, float *ret_max)
{
    float sum[16] = { 0 }, max = x[0];

    for (size_t i = 1; i < n; i++)
        max = x[i] > max ? x[i] : max;
    for (size_t i = 0; i < n; i++) {
        x[i] = pow2(x[i] - max);
        sum[i % 16] += x[i];
    }
    for (size_t half = 8; half > 0; half /= 2)
        for (size_t i = 0; i < half; i++)
            sum[i] += sum[i + half];
    *ret_max = max;
    return sum[0];
}

/* What a panel holds, as kv_rows.h has it. */
static const unsigned char *panel_of(const struct kv_rows *rows, enum kv_format format, size_t p)
{
    return rows->data + p / KV_PANEL * kv_panel_bytes(format, rows->dim);
}

static float half_at(const unsigned char *halves, size_t i)
{
    return f16_to_f32(load_u16(halves + i * sizeof(uint16_t)));
}

static float score_f16(const float *q, const unsigned char *panel, size_t lane, size_t dim)
{
    float s = 0;

    for (size_t j = 0; j < dim; j++)
        s = fmaf(q[j], half_at(panel, j * KV_PANEL + lane), s);
    return s;
}

static float score_q8_0(const float *q, const unsigned char *panel, size_t lane, size_t dim)
{
    const int8_t *keys = (const int8_t *)panel;
    const unsigned char *scales = panel + kv_panel_elems_bytes(KV_Q8_0, dim);
    float s = 0;

    for (size_t b = 0; b < dim / KV_BLOCK; b++) {
        float in_block = 0;

        for (size_t j = b * KV_BLOCK; j < (b + 1) * KV_BLOCK; j++)
            in_block = fmaf(q[j], (float)keys[j * KV_PANEL + lane], in_block);
        s = fmaf(in_block, half_at(scales, b * KV_PANEL + lane), s);
    }
    return s;
}

static void scores_f16(float *score, size_t stride, const float *q, size_t n_queries,
                       const struct kv_rows *keys)
{
    for (size_t i = 0; i < n_queries; i++)
        for (size_t p = 0; p < keys->n; p++)
            score[i * stride + p] =
                score_f16(q + i * keys->dim, panel_of(keys, KV_F16, p), p % KV_PANEL, keys->dim);
}

static void scores_q8_0(float *score, size_t stride, const float *q, size_t n_queries,
                        const struct kv_rows *keys)
{
    for (size_t i = 0; i < n_queries; i++)
        for (size_t p = 0; p < keys->n; p++)
            score[i * stride + p] =
                score_q8_0(q + i * keys->dim, panel_of(keys, KV_Q8_0, p), p % KV_PANEL, keys->dim);
}

static void mix_f16(float *sum, const float *weight, size_t stride, size_t n_queries,
                    const struct kv_rows *values)
{
    const size_t dim = values->dim;

    for (size_t p = 0; p < values->n; p++) {
        const unsigned char *panel = panel_of(values, KV_F16, p);

        for (size_t i = 0; i < n_queries; i++)
            for (size_t j = 0; j < dim; j++)
                sum[i * dim + j] = fmaf(weight[i * stride + p],
                                        half_at(panel, p % KV_PANEL * dim + j), sum[i * dim + j]);
    }
}

static void mix_q8_0(float *sum, const float *weight, size_t stride, size_t n_queries,
                     const struct kv_rows *values)
{
    const size_t dim = values->dim, n_blocks = dim / KV_BLOCK;

    for (size_t p = 0; p < values->n; p++) {
        const unsigned char *panel = panel_of(values, KV_Q8_0, p);
        const int8_t *row = (const int8_t *)panel + p % KV_PANEL * dim;
        const unsigned char *scales = panel + kv_panel_elems_bytes(KV_Q8_0, dim);

        for (size_t i = 0; i < n_queries; i++)
            for (size_t j = 0; j < dim; j++) {
                const float d = half_at(scales, p % KV_PANEL * n_blocks + j / KV_BLOCK);

                sum[i * dim + j] =
                    fmaf(weight[i * stride + p] * d, (float)row[j], sum[i * dim + j]);
            }
    }
}

void ref_fill_attention(struct kernel_ops *ops)
{
    ops->softmax = softmax;
    ops->attention_scores[KV_F16] = scores_f16;
    ops->attention_scores[KV_Q8_0] = scores_q8_0;
    ops->attention_mix[KV_F16] = mix_f16;
    ops->attention_mix[KV_Q8_0] = mix_q8_0;
}
