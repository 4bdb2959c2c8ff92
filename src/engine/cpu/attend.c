/* SPDX-License-Identifier: Apache-2.0 */
/* engine/cpu/attend.c - positions and attention of one head of one row.
 *
 * Attention walks the sequence page by page, keeping the running maximum and
 * sum of the softmax (Milakov and Gimelshein 2018, arXiv:1805.02867, section 3).
 * Page borders depend on positions alone, so the result does too.
 */
#include <math.h>

#include "engine/cpu/shard.h"

enum { MAX_PAGE_TOKENS = 256 };

void cpu_rope_angles(const struct cpu_shard *shard, uint32_t position, float *ret_turn)
{
    const struct model_shape *shape = &shard->weights.shape;

    for (uint32_t i = 0; i < shape->n_rope / 2; i++) {
        const double angle = (double)position * shard->frequency[i];

        ret_turn[2 * i] = (float)cos(angle);
        ret_turn[2 * i + 1] = (float)sin(angle);
    }
}

/* Su et al. 2021, equation 34, for both ways of pairing dimensions. */
void cpu_rope_turn(const struct model_shape *shape, const float *turn, float *head)
{
    const uint32_t half = shape->n_rope / 2;
    const bool is_halves = shape->rope_style == ROPE_HALVES;
    const uint32_t step = is_halves ? 1 : 2, apart = is_halves ? half : 1;

    for (uint32_t i = 0; i < half; i++) {
        const float a = head[i * step], b = head[i * step + apart];
        const float c = turn[2 * i], s = turn[2 * i + 1];

        head[i * step] = a * c - b * s;
        head[i * step + apart] = a * s + b * c;
    }
}

static float largest(const float *x, uint32_t n, float start)
{
    float max = start;

    for (uint32_t i = 0; i < n; i++)
        max = x[i] > max ? x[i] : max;
    return max;
}

void cpu_attend(struct cpu_shard *shard, uint32_t layer, uint32_t row, uint32_t head)
{
    const struct model_shape *shape = &shard->weights.shape;
    const struct kernel_ops *ops = &shard->ops;
    const struct row_place *place = &shard->places[row];
    const uint32_t page_tokens = shard->options.page_tokens, dim = shape->head_dim;
    const uint32_t kv_head = head / (shape->n_head / shape->n_kv_head);
    const size_t offset = ((size_t)row * shape->n_head + head) * dim;
    const float *q = shard->q + offset;
    const float scale = 1.0f / sqrtf((float)dim);
    float *mixed = shard->mixed + offset;
    float score[MAX_PAGE_TOKENS], max = -INFINITY, total = 0;

    for (uint32_t i = 0; i < dim; i++)
        mixed[i] = 0;
    for (uint32_t start = 0, i = 0; start <= place->position; start += page_tokens, i++) {
        const uint32_t page = place->pages[i], left = place->position - start + 1;
        const uint32_t n = left < page_tokens ? left : page_tokens;
        float new_max, keep;

        ops->attention_scores(score, q, page_pool_head(&shard->pool, page, layer, KV_KEY, kv_head),
                              n, dim, scale);
        new_max = largest(score, n, max);
        keep = expf(max - new_max);
        total = total * keep + ops->exp_sum(score, n, new_max);
        ops->attention_mix(mixed, keep, score,
                           page_pool_head(&shard->pool, page, layer, KV_VALUE, kv_head), n, dim);
        max = new_max;
    }
    for (uint32_t i = 0; i < dim; i++)
        mixed[i] /= total;
}
