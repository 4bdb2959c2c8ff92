/* SPDX-License-Identifier: Apache-2.0 */
/* engine/cpu/arm/i8mm_matrix.c - matrices of quantised weights times rows with SMMLA.
 *
 * SMMLA multiplies two rows of eight bytes by two rows of eight bytes: two rows of the panel
 * by the high and the low bytes of one activation row, so all four sums are of use even for
 * one row; or by two activation rows of 8 bits.  Activations are packed as for SDOT.  Per block of 32 columns and 16 rows:
 *     unpacking   16 loads, 16 ZIP, 32 AND and shift     shared by up to TILE_ROWS_MAX rows
 *     each row    8 loads, 32 SMMLA, 8 UZP, and for the scales 4 each of MLA, SCVTF, FMUL, FMLA
 *     two of 8 bits   8 loads, 8 ZIP, 32 SMMLA, 8 UZP, and for the scales 8 each of SCVTF, FMUL, FMLA
 */
#include "engine/cpu/arm/neon_planes.h"

/* ---- weights: for each two of eight rows, for each sixteen columns, eight low, eight high ---- */

INLINE uint8x16_t zip1(uint8x16_t a, uint8x16_t b)
{
    return vreinterpretq_u8_u32(vzip1q_u32(vreinterpretq_u32_u8(a), vreinterpretq_u32_u8(b)));
}

INLINE uint8x16_t zip2(uint8x16_t a, uint8x16_t b)
{
    return vreinterpretq_u8_u32(vzip2q_u32(vreinterpretq_u32_u8(a), vreinterpretq_u32_u8(b)));
}

/* Where the registers of a quad and sixteen columns go: 0 and 1 for its first two rows, 4 and 5
 * for the others. */
INLINE int8x16_t *place(int8x16_t *w, unsigned quad, unsigned sixteen)
{
    return w + (size_t)quad * 8 + (size_t)sixteen * 2;
}

INLINE void unpack_nibbles(const unsigned char *quants, int8x16_t *ret_w)
{
    for (unsigned quad = 0; quad < 2; quad++)
        for (unsigned i = 0; i < 2; i++) {
            const unsigned char *from = quants + i * 2 * CHUNK_BYTES + quad * 16;
            const uint8x16_t a = vld1q_u8(from), b = vld1q_u8(from + CHUNK_BYTES);
            const struct neon_eight first = neon_nibbles(zip1(a, b));
            const struct neon_eight second = neon_nibbles(zip2(a, b));
            int8x16_t *to = place(ret_w, quad, i);

            to[0] = first.low;
            to[1] = first.high;
            to[4] = second.low;
            to[5] = second.high;
        }
}

INLINE void unpack_bytes(const unsigned char *quants, int8x16_t *ret_w)
{
    for (unsigned quad = 0; quad < 2; quad++)
        for (unsigned i = 0; i < 2; i++) {
            const unsigned char *from = quants + i * 4 * CHUNK_BYTES + quad * 16;
            const struct neon_eight a = neon_bytes(from), b = neon_bytes(from + 2 * CHUNK_BYTES);
            const uint8x16_t low_a = vreinterpretq_u8_s8(a.low), low_b = vreinterpretq_u8_s8(b.low);
            const uint8x16_t high_a = vreinterpretq_u8_s8(a.high);
            const uint8x16_t high_b = vreinterpretq_u8_s8(b.high);
            int8x16_t *to = place(ret_w, quad, i);

            to[0] = vreinterpretq_s8_u8(zip1(low_a, low_b));
            to[1] = vreinterpretq_s8_u8(zip1(high_a, high_b));
            to[4] = vreinterpretq_s8_u8(zip2(low_a, low_b));
            to[5] = vreinterpretq_s8_u8(zip2(high_a, high_b));
        }
}

/* ---- products ---- */

/* { row 0 high, row 0 low, row 1 high, row 1 low } of two rows. */
INLINE int32x4_t multiply_two(int32x4_t sum, const int8x16_t *w, const int8x16_t *x)
{
    for (unsigned i = 0; i < 4; i++)
        sum = vmmlaq_s32(sum, w[i], x[i]);
    return sum;
}

INLINE int32x4_t pair(int32x2_t a)
{
    return vcombine_s32(a, a);
}

INLINE void multiply(const int8x16_t *w, const unsigned char *at, const unsigned char *next,
                     enum tile_offset offset, int32x4_t *ret_sums)
{
    const struct neon_block *block = (const void *)at;
    const int32x4_t start =
        offset == OFFSET_START ? pair(vld1_s32(&block->head.zero)) : vdupq_n_s32(0);
    int8x16_t x[4];

    (void)next;
    for (unsigned i = 0; i < 4; i++)
        x[i] = vreinterpretq_s8_u8(vld1q_u8(block->q + (size_t)i * 16));
    for (unsigned quad = 0; quad < 2; quad++) {
        const int32x4_t first = multiply_two(start, w + (size_t)quad * 8, x);
        const int32x4_t second = multiply_two(start, w + (size_t)quad * 8 + 4, x);

        ret_sums[quad] = vmlaq_n_s32(vuzp2q_s32(first, second), vuzp1q_s32(first, second), 256);
    }
}

/* { row 0 of x, row 0 of next, row 1 of x, row 1 of next }, then apart. */
INLINE void multiply8(const int8x16_t *w, const unsigned char *at, const unsigned char *next_at,
                      enum tile_offset offset, int32x4_t *ret_sums)
{
    const struct neon_block8 *block = (const void *)at, *next = (const void *)next_at;
    const int32_t starts[2] = { block->head.start, next->head.start };
    const int32x4_t start = offset == OFFSET_START ? pair(vld1_s32(starts)) : vdupq_n_s32(0);
    int8x16_t x[4];

    for (unsigned i = 0; i < 2; i++) {
        const int64x2_t a = vreinterpretq_s64_u8(vld1q_u8(block->q + (size_t)i * 16));
        const int64x2_t b = vreinterpretq_s64_u8(vld1q_u8(next->q + (size_t)i * 16));

        x[2 * i] = vreinterpretq_s8_s64(vzip1q_s64(a, b));
        x[2 * i + 1] = vreinterpretq_s8_s64(vzip2q_s64(a, b));
    }
    for (unsigned quad = 0; quad < 2; quad++) {
        const int32x4_t first = multiply_two(start, w + (size_t)quad * 8, x);
        const int32x4_t second = multiply_two(start, w + (size_t)quad * 8 + 4, x);

        ret_sums[quad] = vuzp1q_s32(first, second);
        ret_sums[2 + quad] = vuzp2q_s32(first, second);
    }
}

TILE_MATMUL(matmul_q4_0, DTYPE_Q4_0, OFFSET_START, sizeof(struct neon_block), 2, 1, unpack_nibbles,
            multiply)
TILE_MATMUL(matmul_q4_1, DTYPE_Q4_1, OFFSET_MIN, sizeof(struct neon_block), 2, 1, unpack_nibbles,
            multiply)
TILE_MATMUL(matmul_q8_0, DTYPE_Q8_0, OFFSET_NONE, sizeof(struct neon_block), 2, 1, unpack_bytes,
            multiply)
TILE_MATMUL(matmul8_q4_0, DTYPE_Q4_0, OFFSET_START, sizeof(struct neon_block8), 2, 2,
            unpack_nibbles, multiply8)
TILE_MATMUL(matmul8_q4_1, DTYPE_Q4_1, OFFSET_MIN, sizeof(struct neon_block8), 2, 2, unpack_nibbles,
            multiply8)
TILE_MATMUL(matmul8_q8_0, DTYPE_Q8_0, OFFSET_NONE, sizeof(struct neon_block8), 2, 2, unpack_bytes,
            multiply8)

void kernel_fill_neon_i8mm(struct kernel_ops *ops)
{
    struct product_ops *of_16 = &ops->products[ACTIVATIONS_16];
    struct product_ops *of_8 = &ops->products[ACTIVATIONS_8];

    of_16->matmul[DTYPE_Q4_0] = matmul_q4_0;
    of_16->matmul[DTYPE_Q4_1] = matmul_q4_1;
    of_16->matmul[DTYPE_Q8_0] = matmul_q8_0;
    of_8->matmul[DTYPE_Q4_0] = matmul8_q4_0;
    of_8->matmul[DTYPE_Q4_1] = matmul8_q4_1;
    of_8->matmul[DTYPE_Q8_0] = matmul8_q8_0;
}
