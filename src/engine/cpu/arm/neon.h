/* SPDX-License-Identifier: Apache-2.0 */
/* engine/cpu/arm/neon.h - what the files of the arm64 kernels share.
 *
 * Three ISAs: plain NEON, which every arm64 machine has, multiplies 16-bit integers; dot
 * products (SDOT) and 8-bit matrices (SMMLA) multiply bytes.  For these an activation of 16 bits
 * is split into two signed bytes, q = 256 high + low, and two sums of bytes make one exact sum.
 *
 * A block of a packed activation row is a struct neon_block or neon_block8.  Its q holds
 *   plain NEON     int16 [32], columns in order, for activations of 8 bits too
 *   SDOT, SMMLA    for columns 0..15, then 16..31:
 *       16 bits        high of columns 0 4 1 5 8 12 9 13, low of the same,
 *                      high of columns 2 6 3 7 10 14 11 15, low of the same
 *       8 bits         columns 0 4 1 5 8 12 9 13 2 6 3 7 10 14 11 15
 * which is the order of a panel's low nibbles and high nibbles in two chunks: four bytes of it
 * are what SDOT multiplies with a register of low or of high nibbles, eight are a row of SMMLA.
 */
#ifndef POMONA_ENGINE_CPU_ARM_NEON_H
#define POMONA_ENGINE_CPU_ARM_NEON_H

#include <arm_neon.h>

#include "base/size.h"
#include "engine/cpu/kernels.h"

#define INLINE static inline __attribute__((always_inline))

enum { NEON_BLOCK = 32 };

struct neon_head {
    float scale, sum;
    int32_t zero, start; /* a pair, as SMMLA adds to the sums of high and low bytes */
};

struct neon_block {
    struct neon_head head;
    unsigned char q[NEON_BLOCK * 2];
};

struct neon_block8 {
    struct neon_head head;
    unsigned char q[NEON_BLOCK];
};

/* The integers of a block of activations, -most..most, columns in order. */
INLINE int16x8x4_t neon_quantise(const float *x, float most, struct neon_head *ret_head)
{
    float32x4_t part[8], max = vdupq_n_f32(0);
    int32x4_t sums = vdupq_n_s32(0);
    int16x8x4_t q;
    float largest, factor;
    int32_t sum;

    for (int i = 0; i < 8; i++) {
        part[i] = vld1q_f32(x + 4 * i);
        max = vmaxq_f32(max, vabsq_f32(part[i]));
    }
    largest = vmaxvq_f32(max);
    if (!(largest > PACKED_NOTHING))
        largest = 0;
    factor = largest > 0 ? most / largest : 0;
    for (int i = 0; i < 4; i++) {
        const int32x4_t low = vcvtnq_s32_f32(vmulq_n_f32(part[2 * i], factor));
        const int32x4_t high = vcvtnq_s32_f32(vmulq_n_f32(part[2 * i + 1], factor));

        q.val[i] = vcombine_s16(vqmovn_s32(low), vqmovn_s32(high));
        sums = vpadalq_s16(sums, q.val[i]);
    }
    sum = vaddvq_s32(sums);
    ret_head->scale = largest / most;
    ret_head->sum = ret_head->scale * (float)sum;
    ret_head->zero = 0;
    ret_head->start = -8 * sum;
    return q;
}

static inline size_t neon_packed_bytes(size_t n)
{
    return size_round_up(n / NEON_BLOCK * sizeof(struct neon_block), KERNEL_ALIGN);
}

/* Sixteen numbers added as halves: 8 to 8, 4 to 4, 2 to 2, 1 to 1. */
static inline float neon_sum_16(const float32x4_t *s)
{
    const float32x4_t four = vaddq_f32(vaddq_f32(s[0], s[2]), vaddq_f32(s[1], s[3]));
    const float32x2_t two = vadd_f32(vget_low_f32(four), vget_high_f32(four));

    return vget_lane_f32(two, 0) + vget_lane_f32(two, 1);
}

void neon_fill_floats(struct kernel_ops *ops);
void neon_fill_matrix(struct kernel_ops *ops);
void neon_fill_rows(struct kernel_ops *ops);
void neon_fill_attention(struct kernel_ops *ops);

#endif
