/* SPDX-License-Identifier: Apache-2.0 */
/* engine/cpu/arm/dotprod_matrix.c - matrices of quantised weights times rows with SDOT.
 *
 * A lane of SDOT adds the products of four bytes: one row of the panel, four columns of the
 * high or of the low bytes of an activation row.  Per block of 32 columns and 16 rows:
 *     unpacking   16 loads, 32 AND and shift             shared by up to TILE_ROWS_MAX rows
 *     each row    8 loads, 64 SDOT, and for the scales 4 each of MLA, SCVTF, FMUL, FMLA
 */
#include "engine/cpu/arm/neon_planes.h"

/* ---- activations ---- */

/* Sixteen columns as two registers of q. */
INLINE void pack_sixteen(unsigned char *ret, int16x8_t a, int16x8_t b)
{
    static const uint8_t columns[16] = { 0, 4, 1, 5, 8, 12, 9, 13, 2, 6, 3, 7, 10, 14, 11, 15 };
    const uint8x16_t order = vld1q_u8(columns);
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
        const int16x8x4_t q = neon_quantise(x + i, block);

        pack_sixteen(block->q, q.val[0], q.val[1]);
        pack_sixteen(block->q + NEON_BLOCK, q.val[2], q.val[3]);
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

INLINE void multiply(const int8x16_t *w, const struct neon_block *block, enum tile_offset offset,
                     int32x4_t *ret_sums)
{
    int8x16_t x[4];

    for (unsigned i = 0; i < 4; i++)
        x[i] = vreinterpretq_s8_u8(vld1q_u8(block->q + (size_t)i * 16));
    for (unsigned quad = 0; quad < 2; quad++) {
        int32x4_t high = vdupq_n_s32(0);
        int32x4_t low = vdupq_n_s32(offset == OFFSET_START ? block->start : 0);

        for (unsigned i = 0; i < 2; i++) {
            high = dot_high(high, w + quad * 8 + i * 4, x + i * 2);
            low = dot_low(low, w + quad * 8 + i * 4, x + i * 2);
        }
        ret_sums[quad] = vmlaq_n_s32(low, high, 256);
    }
}

static void matmul_q4_0(const struct panels *w, uint32_t first_panel, uint32_t n_panels,
                        const struct activations *a, float *out, size_t out_stride, float *scratch)
{
    const struct tile_kernel k = { DTYPE_Q4_0, 4, OFFSET_START, 2, unpack_nibbles, multiply };

    (void)scratch;
    tile_matmul(&k, w, first_panel, n_panels, a, out, out_stride);
}

static void matmul_q4_1(const struct panels *w, uint32_t first_panel, uint32_t n_panels,
                        const struct activations *a, float *out, size_t out_stride, float *scratch)
{
    const struct tile_kernel k = { DTYPE_Q4_1, 4, OFFSET_MIN, 2, unpack_nibbles, multiply };

    (void)scratch;
    tile_matmul(&k, w, first_panel, n_panels, a, out, out_stride);
}

static void matmul_q8_0(const struct panels *w, uint32_t first_panel, uint32_t n_panels,
                        const struct activations *a, float *out, size_t out_stride, float *scratch)
{
    const struct tile_kernel k = { DTYPE_Q8_0, 8, OFFSET_NONE, 2, unpack_bytes, multiply };

    (void)scratch;
    tile_matmul(&k, w, first_panel, n_panels, a, out, out_stride);
}

void kernel_fill_neon_dotprod(struct kernel_ops *ops)
{
    ops->packed_bytes = neon_packed_bytes;
    ops->pack = neon_planes_pack;
    ops->matmul[DTYPE_Q4_0] = matmul_q4_0;
    ops->matmul[DTYPE_Q4_1] = matmul_q4_1;
    ops->matmul[DTYPE_Q8_0] = matmul_q8_0;
}
