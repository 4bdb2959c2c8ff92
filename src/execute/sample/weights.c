/* SPDX-License-Identifier: Apache-2.0 */
/* execute/sample/weights.c - exponentials of many logits, in vectors that the compiler makes. */
#include "execute/sample/weights.h"

#include "engine/cpu/f16.h"

enum { LANES = 8, EXPONENT_BIAS = 127, MANTISSA_BITS = 23 };

#define LOG2_E       0x1.715476p+0f
#define LEAST        -126.0f
#define ROUND        0x1.8p23f /* adding it leaves the nearest integer in the low bits */
#define LARGEST_REAL 0x1.fffffep+127f

/* Coefficients of 2^f for |f| <= 1/2 with the least relative error, 1.9e-9. */
static const float c1 = 0x1.62e430p-1f, c2 = 0x1.ebfbdap-3f, c3 = 0x1.c6aed4p-5f,
                   c4 = 0x1.3b2dbcp-7f, c5 = 0x1.5f456ap-10f, c6 = 0x1.41d332p-13f;

/* 2^y for y <= 0; what it makes of y < LEAST is of no use. */
static inline float power_of_two(float y)
{
    const float shifted = y + ROUND, f = y - (shifted - ROUND);
    const float power = f32_of_bits((f32_bits(shifted) + EXPONENT_BIAS) << MANTISSA_BITS);

    return ((((((c6 * f + c5) * f + c4) * f + c3) * f + c2) * f + c1) * f + 1.0f) * power;
}

/* Masks rather than conditions, which would keep the compiler from vectors. */
static inline float weight_of(float logit, float top, float factor)
{
    const float y = (logit - top) * factor;
    const uint32_t counts = -(uint32_t)((logit <= top) & (y >= LEAST));

    return f32_of_bits(f32_bits(power_of_two(y)) & counts);
}

double sample_weights(float *ret_weights, const float *logits, uint32_t n, float top, float scale)
{
    const float wanted = scale * LOG2_E;
    const float factor = wanted < LARGEST_REAL ? wanted : LARGEST_REAL;
    double sums[LANES] = { 0 }, sum = 0;
    uint32_t i = 0;

    for (uint32_t j = 0; j < n; j++)
        ret_weights[j] = weight_of(logits[j], top, factor);
    for (; i + LANES <= n; i += LANES)
        for (uint32_t lane = 0; lane < LANES; lane++)
            sums[lane] += (double)ret_weights[i + lane];
    for (; i < n; i++)
        sums[0] += (double)ret_weights[i];
    for (uint32_t lane = 0; lane < LANES; lane++)
        sum += sums[lane];
    return sum;
}
