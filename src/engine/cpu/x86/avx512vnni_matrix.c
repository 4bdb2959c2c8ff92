/* SPDX-License-Identifier: Apache-2.0 */
/* engine/cpu/x86/avx512vnni_matrix.c - matrices times rows with AVX-512 and its VNNI.
 *
 * Rows are packed by groups of blocks, because a division for sixteen blocks takes little longer
 * than one for a single block.
 */
#include "base/size.h"
#include "engine/cpu/x86/tile.h"

enum { GROUP = 16 }; /* blocks */

/* Of the blocks of a group: 0 where a block counts as zeros. */
struct group_scales {
    _Alignas(64) float factor[GROUP];
    _Alignas(64) float scale[GROUP];
};

INLINE __m128 largest_magnitude(const float *x)
{
    return _mm_set_ss(_mm512_reduce_max_ps(
        _mm512_max_ps(_mm512_abs_ps(_mm512_loadu_ps(x)), _mm512_abs_ps(_mm512_loadu_ps(x + 16)))));
}

/* The largest magnitudes stay in one register: stored one by one, they would have to reach the
 * cache before they could be loaded together. */
INLINE void scale_group(struct group_scales *ret_scales, float most, const float *x,
                        size_t n_blocks)
{
    __m512 largest = _mm512_setzero_ps();
    __mmask16 is_something;

    for (size_t b = 0; b < n_blocks; b++)
        largest = _mm512_mask_broadcastss_ps(largest, (__mmask16)(1u << b),
                                             largest_magnitude(x + b * BLOCK));
    is_something = _mm512_cmp_ps_mask(largest, _mm512_set1_ps(PACKED_NOTHING), _CMP_GT_OQ);
    _mm512_store_ps(ret_scales->factor,
                    _mm512_maskz_div_ps(is_something, _mm512_set1_ps(most), largest));
    _mm512_store_ps(ret_scales->scale,
                    _mm512_maskz_div_ps(is_something, largest, _mm512_set1_ps(most)));
}

/* Sixteen bytes, in the order of packed_block8. */
INLINE void store_bytes(int8_t *ret, __m512i q)
{
    const __m128i order = _mm_setr_epi8(0, 4, 1, 5, 2, 6, 3, 7, 8, 12, 9, 13, 10, 14, 11, 15);

    _mm_storeu_si128((__m128i *)(void *)ret, _mm_shuffle_epi8(_mm512_cvtepi32_epi8(q), order));
}

INLINE void pack_block(unsigned bits, void *ret_block, const float *x, float factor, float scale)
{
    const __m512 f = _mm512_set1_ps(factor);
    const __m512i low = _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_loadu_ps(x), f));
    const __m512i high = _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_loadu_ps(x + 16), f));
    const int32_t sum = _mm512_reduce_add_epi32(_mm512_add_epi32(low, high));
    struct packed_block *block = ret_block;
    struct packed_block8 *block8 = ret_block;

    if (bits == 8) {
        store_bytes(block8->q, low);
        store_bytes(block8->q + 16, high);
    } else {
        _mm256_storeu_si256((__m256i *)(void *)block->q, _mm512_cvtepi32_epi16(low));
        _mm256_storeu_si256((__m256i *)(void *)(block->q + 16), _mm512_cvtepi32_epi16(high));
    }
    *(struct packed_head *)ret_block = (struct packed_head){ scale, scale * (float)sum, -8 * sum };
}

INLINE void pack_row(unsigned bits, size_t block_bytes, unsigned char *ret_packed, const float *x,
                     size_t n)
{
    for (size_t first = 0; n % BLOCK == 0 && first < n / BLOCK; first += GROUP) {
        const size_t n_blocks = size_min(GROUP, n / BLOCK - first);
        const float *from = x + first * BLOCK;
        struct group_scales scales;

        scale_group(&scales, bits == 8 ? PACKED8_MAX : PACKED_MAX, from, n_blocks);
        for (size_t b = 0; b < n_blocks; b++)
            pack_block(bits, ret_packed + (first + b) * block_bytes, from + b * BLOCK,
                       scales.factor[b], scales.scale[b]);
    }
}

static void pack(void *ret_packed, const float *x, size_t n)
{
    pack_row(16, sizeof(struct packed_block), ret_packed, x, n);
}

static void pack8(void *ret_packed, const float *x, size_t n)
{
    pack_row(8, sizeof(struct packed_block8), ret_packed, x, n);
}

void kernel_fill_avx512vnni(struct kernel_ops *ops)
{
    ops->products[ACTIVATIONS_16].pack = pack;
    ops->products[ACTIVATIONS_8].pack = pack8;
    fill_matmul(ops);
}
