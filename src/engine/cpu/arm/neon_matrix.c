/* SPDX-License-Identifier: Apache-2.0 */
/* engine/cpu/arm/neon_matrix.c - matrices times rows with what every arm64 machine has.
 *
 * Quantised weights become 16-bit integers and are multiplied by one 16-bit activation each,
 * SMLAL by element: a lane is a row of the panel.  Per block of 32 columns and 16 rows:
 *     unpacking   16 loads, 16 UZP, 96 AND and shift     shared by up to TILE_ROWS_MAX rows
 *     each row    16 loads, 128 SMLAL, and for the scales 4 each of ADD, SCVTF, FMUL, FMLA
 */
#include "engine/cpu/arm/neon_tile.h"

/* ---- activations ---- */

INLINE void pack_row(float most, struct neon_block *block, const float *x, size_t n)
{
    if (n % NEON_BLOCK != 0) /* no quantised matrix takes such a row */
        return;
    for (size_t i = 0; i < n; i += NEON_BLOCK, block++) {
        const int16x8x4_t q = neon_quantise(x + i, most, &block->head);

        for (unsigned j = 0; j < 4; j++)
            vst1q_u8(block->q + (size_t)j * 16, vreinterpretq_u8_s16(q.val[j]));
    }
}

static void pack(void *ret_packed, const float *x, size_t n)
{
    pack_row(PACKED_MAX, ret_packed, x, n);
}

static void pack8(void *ret_packed, const float *x, size_t n)
{
    pack_row(PACKED8_MAX, ret_packed, x, n);
}

/* ---- weights: for each sixteen columns of one quad, columns 0|8 1|9 .. 7|15 of its four rows ----
 *
 * A chunk has eight columns in two 16-bit integers per row, columns 2i and 2i + 1 in nibble i of
 * the first and of the second.  Two chunks whose first and second integers are set apart give
 * columns 2i of both, then 2i + 1 of both. */

INLINE uint16x8_t load_eight(const unsigned char *quants)
{
    return vreinterpretq_u16_u8(vld1q_u8(quants));
}

INLINE int8x16_t nibble_of(uint16x8_t x)
{
    return vreinterpretq_s8_u16(vandq_u16(x, vdupq_n_u16(15)));
}

INLINE void unpack_nibbles(const unsigned char *quants, int8x16_t *ret_w)
{
    for (unsigned i = 0; i < 2; i++, quants += (size_t)2 * CHUNK_BYTES, ret_w += 8) {
        const uint16x8_t a = load_eight(quants), b = load_eight(quants + CHUNK_BYTES);
        const uint16x8_t parts[2] = { vuzp1q_u16(a, b), vuzp2q_u16(a, b) };

        for (unsigned odd = 0; odd < 2; odd++) {
            ret_w[odd] = nibble_of(parts[odd]);
            ret_w[2 + odd] = nibble_of(vshrq_n_u16(parts[odd], 4));
            ret_w[4 + odd] = nibble_of(vshrq_n_u16(parts[odd], 8));
            ret_w[6 + odd] = vreinterpretq_s8_u16(vshrq_n_u16(parts[odd], 12));
        }
    }
}

/* A chunk has four columns, bytes 0 2 1 3 of a row: to make column c stand beside column c + 8,
 * chunks of columns 0 and 8, 4 and 12 are taken together. */
INLINE void unpack_bytes(const unsigned char *quants, int8x16_t *ret_w)
{
    for (unsigned i = 0; i < 4; i++, ret_w += 4) {
        const unsigned char *from = quants + (size_t)(i / 2 * 4 + i % 2) * CHUNK_BYTES;
        const uint16x8_t a = load_eight(from), b = load_eight(from + (size_t)2 * CHUNK_BYTES);
        const int16x8_t parts[2] = { vreinterpretq_s16_u16(vuzp1q_u16(a, b)),
                                     vreinterpretq_s16_u16(vuzp2q_u16(a, b)) };

        for (unsigned odd = 0; odd < 2; odd++) {
            ret_w[odd] = vreinterpretq_s8_s16(vshrq_n_s16(vshlq_n_s16(parts[odd], 8), 8));
            ret_w[2 + odd] = vreinterpretq_s8_s16(vshrq_n_s16(parts[odd], 8));
        }
    }
}

/* ---- products ---- */

/* sums[0] += low half of w times column c of x, sums[1] += high half times column c of x + 8. */
#define ADD_COLUMN(sums, w, x, c)                                                                  \
    do {                                                                                           \
        const int16x8_t column = vreinterpretq_s16_s8((w)[c]);                                     \
                                                                                                   \
        (sums)[0] = vmlal_laneq_s16((sums)[0], vget_low_s16(column), (x)[0], c);                   \
        (sums)[1] = vmlal_high_laneq_s16((sums)[1], column, (x)[1], c);                            \
    } while (0)

INLINE void multiply(const int8x16_t *w, const unsigned char *at, const unsigned char *next,
                     enum tile_offset offset, int32x4_t *ret_sums)
{
    const struct neon_block *block = (const void *)at;
    int32x4_t sums[2] = { vdupq_n_s32(offset == OFFSET_START ? block->head.start : 0),
                          vdupq_n_s32(0) };
    int16x8_t x[4];

    (void)next;
    for (unsigned i = 0; i < 4; i++)
        x[i] = vreinterpretq_s16_u8(vld1q_u8(block->q + (size_t)i * 16));
    for (unsigned i = 0; i < 2; i++, w += 8) {
        ADD_COLUMN(sums, w, x + 2 * i, 0);
        ADD_COLUMN(sums, w, x + 2 * i, 1);
        ADD_COLUMN(sums, w, x + 2 * i, 2);
        ADD_COLUMN(sums, w, x + 2 * i, 3);
        ADD_COLUMN(sums, w, x + 2 * i, 4);
        ADD_COLUMN(sums, w, x + 2 * i, 5);
        ADD_COLUMN(sums, w, x + 2 * i, 6);
        ADD_COLUMN(sums, w, x + 2 * i, 7);
    }
    ret_sums[0] = vaddq_s32(sums[0], sums[1]);
}

TILE_MATMUL(matmul_q4_0, DTYPE_Q4_0, OFFSET_START, sizeof(struct neon_block), 1, 1, unpack_nibbles,
            multiply)
TILE_MATMUL(matmul_q4_1, DTYPE_Q4_1, OFFSET_MIN, sizeof(struct neon_block), 1, 1, unpack_nibbles,
            multiply)
TILE_MATMUL(matmul_q8_0, DTYPE_Q8_0, OFFSET_NONE, sizeof(struct neon_block), 1, 1, unpack_bytes,
            multiply)

void neon_fill_matrix(struct kernel_ops *ops)
{
    for (unsigned format = 0; format < N_ACTIVATION_FORMATS; format++) {
        struct product_ops *products = &ops->products[format];

        products->packed_bytes = neon_packed_bytes;
        products->pack = format == ACTIVATIONS_8 ? pack8 : pack;
        products->matmul[DTYPE_Q4_0] = matmul_q4_0;
        products->matmul[DTYPE_Q4_1] = matmul_q4_1;
        products->matmul[DTYPE_Q8_0] = matmul_q8_0;
    }
}
