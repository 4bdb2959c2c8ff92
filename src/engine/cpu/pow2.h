/* SPDX-License-Identifier: Apache-2.0 */
/* engine/cpu/pow2.h - the power of two that softmax is made of, in plain C: what every ISA computes.
 *
 * y = k + f with k the nearest integer, so |f| <= 1/2; 2^f is a polynomial of degree 6 with the
 * least relative error, 1.9e-9 exactly and 8e-8 in f32; 2^0 is 1.  Below POW2_LEAST the result is 0.
 * Scores carry the factor log2(e), so that no other exponential is needed.
 */
#ifndef POMONA_ENGINE_CPU_POW2_H
#define POMONA_ENGINE_CPU_POW2_H

#include <math.h>

#include "engine/cpu/f16.h"

#define POW2_LEAST -126.0f
#define POW2_ROUND 0x1.8p23f /* adding it leaves the nearest integer in the low bits */

#define POW2_C0 1.0f
#define POW2_C1 0x1.62e430p-1f
#define POW2_C2 0x1.ebfbdap-3f
#define POW2_C3 0x1.c6aed4p-5f
#define POW2_C4 0x1.3b2dbcp-7f
#define POW2_C5 0x1.5f456ap-10f
#define POW2_C6 0x1.41d332p-13f

/* y <= 0 */
static inline float pow2(float y)
{
    const float shifted = y + POW2_ROUND, f = y - (shifted - POW2_ROUND);
    const float power = f32_of_bits((f32_bits(shifted) + 127) << 23);
    float p = POW2_C6;

    p = fmaf(p, f, POW2_C5);
    p = fmaf(p, f, POW2_C4);
    p = fmaf(p, f, POW2_C3);
    p = fmaf(p, f, POW2_C2);
    p = fmaf(p, f, POW2_C1);
    p = fmaf(p, f, POW2_C0);
    return y < POW2_LEAST ? 0 : p * power;
}

#endif
