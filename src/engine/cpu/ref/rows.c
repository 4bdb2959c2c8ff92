/* SPDX-License-Identifier: Apache-2.0 */
/* engine/cpu/ref/rows.c - everything but matrices, in plain f32. */
#include <math.h>

#include "engine/cpu/f16.h"
#include "engine/cpu/kernels.h"
#include "engine/cpu/ref/ref.h"

static void rmsnorm(float *ret, const float *x, const float *weight, size_t n, float eps)
{
    double squares = 0;
    float factor;

    for (size_t i = 0; i < n; i++)
        squares += (double)x[i] * (double)x[i];
    factor = (float)(1.0 / sqrt(squares / (double)n + (double)eps));
    for (size_t i = 0; i < n; i++)
        ret[i] = x[i] * factor * weight[i];
}

static void swiglu(float *gate, const float *up, size_t n)
{
    for (size_t i = 0; i < n; i++)
        gate[i] = gate[i] / (1.0f + expf(-gate[i])) * up[i];
}

static void f16_store(uint16_t *ret, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        ret[i] = f16_of_f32(x[i]);
}

static void attention_scores(float *score, const float *q, const uint16_t *keys, size_t n,
                             size_t dim, float scale)
{
    for (size_t i = 0; i < n; i++, keys += dim) {
        float sum = 0;

        for (size_t j = 0; j < dim; j++)
            sum += q[j] * f16_to_f32(keys[j]);
        score[i] = sum * scale;
    }
}

static float exp_sum(float *score, size_t n, float max)
{
    float sum = 0;

    for (size_t i = 0; i < n; i++) {
        score[i] = expf(score[i] - max);
        sum += score[i];
    }
    return sum;
}

static void attention_mix(float *sum, float keep, const float *weight, const uint16_t *values,
                          size_t n, size_t dim)
{
    for (size_t j = 0; j < dim; j++)
        sum[j] *= keep;
    for (size_t i = 0; i < n; i++, values += dim)
        for (size_t j = 0; j < dim; j++)
            sum[j] += weight[i] * f16_to_f32(values[j]);
}

void ref_fill_rows(struct kernel_ops *ops)
{
    ops->rmsnorm = rmsnorm;
    ops->swiglu = swiglu;
    ops->f16_store = f16_store;
    ops->attention_scores = attention_scores;
    ops->exp_sum = exp_sum;
    ops->attention_mix = attention_mix;
}

void kernel_fill_ref(struct kernel_ops *ops)
{
    ref_fill_matrix(ops);
    ref_fill_rows(ops);
}
