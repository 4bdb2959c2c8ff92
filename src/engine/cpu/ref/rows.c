/* SPDX-License-Identifier: Apache-2.0 */
/* engine/cpu/ref/rows.c - norms, activation functions and conversion, in plain f32. */
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

void ref_fill_rows(struct kernel_ops *ops)
{
    ops->rmsnorm = rmsnorm;
    ops->swiglu = swiglu;
    ops->f16_store = f16_store;
}

void kernel_fill_ref(struct kernel_ops *ops)
{
    ref_fill_matrix(ops);
    ref_fill_rows(ops);
    ref_fill_attention(ops);
}
