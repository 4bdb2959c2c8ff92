/* SPDX-License-Identifier: Apache-2.0 */
/* engine/cpu/arm/dotprod_matrix.c - matrices of quantised weights times rows with SDOT.
 *
 * A lane of SDOT adds the products of four bytes: one row of the panel, four columns of the
 * high or of the low bytes of an activation row.  Per block of 32 columns and 16 rows:
 *     unpacking   16 loads, 32 AND and shift             shared by up to TILE_ROWS_MAX rows
 *     each row    8 loads, 64 SDOT, and for the scales 4 each of MLA, SCVTF, FMUL, FMLA
 *     of 8 bits   4 loads, 32 SDOT, and for the scales 4 each of SCVTF, FMUL, FMLA
 */
#include "engine/cpu/arm/neon_planes.h"

/* ---- activations ---- */

INLINE uint8x16_t column_order(void)
{
    static const uint8_t columns[16] = { 0, 4, 1, 5, 8, 12, 9, 13, 2, 6, 3, 7, 10, 14, 11, 15 };

    return vld1q_u8(columns);
}

/* Sixteen columns as two registers of q. */
INLINE void pack_sixteen(unsigned char *ret, int16x8_t a, int16x8_t b)
{
    const uint8x16_t order = column_order();
    const int8x16_t low = vqtbl1q_s8(vcombine_s8(vmovn_s16(a), vmovn_s16(b)), order);
    const int8x16_t high = vqtbl1q_s8(vcombine_s8(vrshrn_n_s16(a, 8), vrshrn_n_s16(b, 8)), order);
    const int64x2_t l = vreinterpretq_s64_s8(low), h = vreinterpretq_s64_s8(high);

    vst1q_u8(ret, vreinterpretq_u8_s64(vzip1q_s64(h, l)));
    vst1q_u8(ret + 16, vreinterpretq_u8_s64(vzip2q_s64(h, l)));
}

void neon_planes_pack(void *ret_packed, const float *x, size_t n)
{
    struct neon_block *block = ret_packed;

    if (n % NEON_BLOCK != 0) /* no quantised matrix takes such a row */
        return;
    for (size_t i = 0; i < n; i += NEON_BLOCK, block++) {
        const int16x8x4_t q = neon_quantise(x + i, PACKED_MAX, &block->head);

        pack_sixteen(block->q, q.val[0], q.val[1]);
        pack_sixteen(block->q + NEON_BLOCK, q.val[2], q.val[3]);
    }
}

size_t neon_planes_packed8_bytes(size_t n)
{
    return size_round_up(n / NEON_BLOCK * sizeof(struct neon_block8), KERNEL_ALIGN);
}

void neon_planes_pack8(void *ret_packed, const float *x, size_t n)
{
    struct neon_block8 *block = ret_packed;

    if (n % NEON_BLOCK != 0)
        return;
    for (size_t i = 0; i < n; i += NEON_BLOCK, block++) {
        const int16x8x4_t q = neon_quantise(x + i, PACKED8_MAX, &block->head);

        for (unsigned j = 0; j < 2; j++) {
            const int8x16_t sixteen =
                vcombine_s8(vmovn_s16(q.val[2 * j]), vmovn_s16(q.val[2 * j + 1]));

            vst1q_u8(block->q + (size_t)j * 16,
                     vreinterpretq_u8_s8(vqtbl1q_s8(sixteen, column_order())));
        }
    }
}

/* ---- weights: for each of two quads, for each sixteen columns, low of two chunks, high ---- */

INLINE void unpack_nibbles(const unsigned char *quants, int8x16_t *ret_w)
{
    for (unsigned quad = 0; quad < 2; quad++)
        for (unsigned c = 0; c < 4; c++) {
            const struct neon_eight w =
                neon_nibbles(vld1q_u8(quants + c * CHUNK_BYTES + quad * 16));
            int8x16_t *to = ret_w + quad * 8 + c / 2 * 4 + c % 2;

            to[0] = w.low;
            to[2] = w.high;
        }
}

INLINE void unpack_bytes(const unsigned char *quants, int8x16_t *ret_w)
{
    for (unsigned quad = 0; quad < 2; quad++)
        for (unsigned c = 0; c < 4; c++) {
            const struct neon_eight w = neon_bytes(quants + c * 2 * CHUNK_BYTES + quad * 16);
            int8x16_t *to = ret_w + quad * 8 + c / 2 * 4 + c % 2;

            to[0] = w.low;
            to[2] = w.high;
        }
}

/* ---- products ---- */

/* Four rows, sixteen columns. */
INLINE int32x4_t dot_high(int32x4_t sum, const int8x16_t *w, const int8x16_t *x)
{
    sum = vdotq_laneq_s32(sum, w[0], x[0], 0);
    sum = vdotq_laneq_s32(sum, w[1], x[0], 1);
    sum = vdotq_laneq_s32(sum, w[2], x[1], 0);
    return vdotq_laneq_s32(sum, w[3], x[1], 1);
}

INLINE int32x4_t dot_low(int32x4_t sum, const int8x16_t *w, const int8x16_t *x)
{
    sum = vdotq_laneq_s32(sum, w[0], x[0], 2);
    sum = vdotq_laneq_s32(sum, w[1], x[0], 3);
    sum = vdotq_laneq_s32(sum, w[2], x[1], 2);
    return vdotq_laneq_s32(sum, w[3], x[1], 3);
}

INLINE void multiply(const int8x16_t *w, const unsigned char *at, const unsigned char *next,
                     enum tile_offset offset, int32x4_t *ret_sums)
{
    const struct neon_block *block = (const void *)at;
    int8x16_t x[4];

    (void)next;
    for (unsigned i = 0; i < 4; i++)
        x[i] = vreinterpretq_s8_u8(vld1q_u8(block->q + (size_t)i * 16));
    for (unsigned quad = 0; quad < 2; quad++) {
        int32x4_t high = vdupq_n_s32(0);
        int32x4_t low = vdupq_n_s32(offset == OFFSET_START ? block->head.start : 0);

        for (unsigned i = 0; i < 2; i++) {
            high = dot_high(high, w + quad * 8 + i * 4, x + i * 2);
            low = dot_low(low, w + quad * 8 + i * 4, x + i * 2);
        }
        ret_sums[quad] = vmlaq_n_s32(low, high, 256);
    }
}

INLINE int32x4_t dot_sixteen(int32x4_t sum, const int8x16_t *w, int8x16_t x)
{
    sum = vdotq_laneq_s32(sum, w[0], x, 0);
    sum = vdotq_laneq_s32(sum, w[1], x, 1);
    sum = vdotq_laneq_s32(sum, w[2], x, 2);
    return vdotq_laneq_s32(sum, w[3], x, 3);
}

INLINE void multiply8(const int8x16_t *w, const unsigned char *at, const unsigned char *next,
                      enum tile_offset offset, int32x4_t *ret_sums)
{
    const struct neon_block8 *block = (const void *)at;
    const int8x16_t a = vreinterpretq_s8_u8(vld1q_u8(block->q));
    const int8x16_t b = vreinterpretq_s8_u8(vld1q_u8(block->q + 16));

    (void)next;
    for (unsigned quad = 0; quad < 2; quad++, w += 8) {
        const int32x4_t start = vdupq_n_s32(offset == OFFSET_START ? block->head.start : 0);

        ret_sums[quad] = dot_sixteen(dot_sixteen(start, w, a), w + 4, b);
    }
}

TILE_MATMUL(matmul_q4_0, DTYPE_Q4_0, OFFSET_START, sizeof(struct neon_block), 2, 1, unpack_nibbles,
            multiply)
TILE_MATMUL(matmul_q4_1, DTYPE_Q4_1, OFFSET_MIN, sizeof(struct neon_block), 2, 1, unpack_nibbles,
            multiply)
TILE_MATMUL(matmul_q8_0, DTYPE_Q8_0, OFFSET_NONE, sizeof(struct neon_block), 2, 1, unpack_bytes,
            multiply)
TILE_MATMUL(matmul8_q4_0, DTYPE_Q4_0, OFFSET_START, sizeof(struct neon_block8), 2, 1,
            unpack_nibbles, multiply8)
TILE_MATMUL(matmul8_q4_1, DTYPE_Q4_1, OFFSET_MIN, sizeof(struct neon_block8), 2, 1, unpack_nibbles,
            multiply8)
TILE_MATMUL(matmul8_q8_0, DTYPE_Q8_0, OFFSET_NONE, sizeof(struct neon_block8), 2, 1, unpack_bytes,
            multiply8)

void kernel_fill_neon_dotprod(struct kernel_ops *ops)
{
    struct product_ops *of_16 = &ops->products[ACTIVATIONS_16];
    struct product_ops *of_8 = &ops->products[ACTIVATIONS_8];

    of_16->pack = neon_planes_pack;
    of_16->matmul[DTYPE_Q4_0] = matmul_q4_0;
    of_16->matmul[DTYPE_Q4_1] = matmul_q4_1;
    of_16->matmul[DTYPE_Q8_0] = matmul_q8_0;
    of_8->packed_bytes = neon_planes_packed8_bytes;
    of_8->pack = neon_planes_pack8;
    of_8->matmul[DTYPE_Q4_0] = matmul8_q4_0;
    of_8->matmul[DTYPE_Q4_1] = matmul8_q4_1;
    of_8->matmul[DTYPE_Q8_0] = matmul8_q8_0;
}
