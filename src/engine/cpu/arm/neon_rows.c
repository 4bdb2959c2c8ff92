/* SPDX-License-Identifier: Apache-2.0 */
/* engine/cpu/arm/neon_rows.c - norms, activation functions and conversion with NEON: the
 * operations of x86/avx2_rows.c in the same order, so the same bits.
 */
#include <math.h>
#include <string.h>

#include "engine/cpu/arm/neon.h"
#include "engine/cpu/f16.h"

/* e^x with a relative error below 2e-7, for -87 < x < 88; clamped outside.
 * x = k ln 2 + r with |r| <= ln(2) / 2, where the series to r^7 leaves out
 * less than r^8 / 8! < 6e-9.  ln 2 is split so that k times its high part is exact
 * (Cody and Waite 1980, Software Manual for the Elementary Functions, chapter 6). */
static float32x4_t exp_f32(float32x4_t x)
{
    const float32x4_t log2_e = vdupq_n_f32(0x1.715476p+0f);
    const float32x4_t ln2_high = vdupq_n_f32(0x1.62e4p-1f);
    const float32x4_t ln2_low = vdupq_n_f32(0x1.7f7d1cp-20f);
    static const float inverse_factorials[] = { 1.0f / 720, 1.0f / 120, 1.0f / 24, 1.0f / 6,
                                                1.0f / 2,   1.0f,       1.0f };
    float32x4_t k, r, y;
    int32x4_t power;

    x = vminq_f32(vmaxq_f32(x, vdupq_n_f32(-87.0f)), vdupq_n_f32(88.0f));
    k = vrndnq_f32(vmulq_f32(x, log2_e));
    r = vfmsq_f32(vfmsq_f32(x, k, ln2_high), k, ln2_low);
    y = vdupq_n_f32(1.0f / 5040);
    for (size_t i = 0; i < sizeof(inverse_factorials) / sizeof(inverse_factorials[0]); i++)
        y = vfmaq_f32(vdupq_n_f32(inverse_factorials[i]), y, r);
    power = vshlq_n_s32(vaddq_s32(vcvtq_s32_f32(k), vdupq_n_s32(127)), 23);
    return vmulq_f32(y, vreinterpretq_f32_s32(power));
}

static void rmsnorm(float *ret, const float *x, const float *weight, size_t n, float eps)
{
    float32x4_t s[4] = { vdupq_n_f32(0), vdupq_n_f32(0), vdupq_n_f32(0), vdupq_n_f32(0) };
    float squares, factor;
    size_t i = 0;

    for (; i + 16 <= n; i += 16)
        for (size_t j = 0; j < 4; j++) {
            const float32x4_t a = vld1q_f32(x + i + 4 * j);

            s[j] = vfmaq_f32(s[j], a, a);
        }
    squares = neon_sum_16(s);
    for (; i < n; i++)
        squares += x[i] * x[i];
    factor = 1.0f / sqrtf(squares / (float)n + eps);
    for (i = 0; i + 4 <= n; i += 4)
        vst1q_f32(ret + i, vmulq_f32(vmulq_n_f32(vld1q_f32(x + i), factor), vld1q_f32(weight + i)));
    for (; i < n; i++)
        ret[i] = x[i] * factor * weight[i];
}

static float32x4_t swiglu_f32(float32x4_t gate, float32x4_t up)
{
    const float32x4_t minus = vsubq_f32(vdupq_n_f32(0), gate);

    return vmulq_f32(vdivq_f32(gate, vaddq_f32(vdupq_n_f32(1), exp_f32(minus))), up);
}

static void swiglu(float *gate, const float *up, size_t n)
{
    float g[4] = { 0 }, u[4] = { 0 };
    size_t i = 0;

    for (; i + 4 <= n; i += 4)
        vst1q_f32(gate + i, swiglu_f32(vld1q_f32(gate + i), vld1q_f32(up + i)));
    if (i == n)
        return;
    memcpy(g, gate + i, (n - i) * sizeof(*g));
    memcpy(u, up + i, (n - i) * sizeof(*u));
    vst1q_f32(g, swiglu_f32(vld1q_f32(g), vld1q_f32(u)));
    memcpy(gate + i, g, (n - i) * sizeof(*g));
}

static void f16_store(uint16_t *ret, const float *x, size_t n)
{
    size_t i = 0;

    for (; i + 4 <= n; i += 4)
        vst1_u16(ret + i, vreinterpret_u16_f16(vcvt_f16_f32(vld1q_f32(x + i))));
    for (; i < n; i++)
        ret[i] = f16_of_f32(x[i]);
}

void neon_fill_rows(struct kernel_ops *ops)
{
    ops->rmsnorm = rmsnorm;
    ops->swiglu = swiglu;
    ops->f16_store = f16_store;
}

void kernel_fill_neon(struct kernel_ops *ops)
{
    neon_fill_matrix(ops);
    neon_fill_floats(ops);
    neon_fill_rows(ops);
    neon_fill_attention(ops);
}
