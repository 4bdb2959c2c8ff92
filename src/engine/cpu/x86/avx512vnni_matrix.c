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
    return _mm_set_ss(_mm512_reduce_max_ps(_mm512_max_ps(
        _mm512_abs_ps(_mm512_loadu_ps(x)), _mm512_abs_ps(_mm512_loadu_ps(x + 16)))));
}

/* The largest magnitudes stay in one register: stored one by one, they would have to reach the
 * cache before they could be loaded together. */
INLINE void scale_group(struct group_scales *ret_scales, const float *x, size_t n_blocks)
{
    __m512 largest = _mm512_setzero_ps();
    __mmask16 is_something;

    for (size_t b = 0; b < n_blocks; b++)
        largest = _mm512_mask_broadcastss_ps(largest, (__mmask16)(1u << b),
                                             largest_magnitude(x + b * BLOCK));
    is_something = _mm512_cmp_ps_mask(largest, _mm512_set1_ps(PACKED_NOTHING), _CMP_GT_OQ);
    _mm512_store_ps(ret_scales->factor,
                    _mm512_maskz_div_ps(is_something, _mm512_set1_ps(PACKED_MAX), largest));
    _mm512_store_ps(ret_scales->scale,
                    _mm512_maskz_div_ps(is_something, largest, _mm512_set1_ps(PACKED_MAX)));
}

INLINE void pack_block(struct packed_block *ret_block, const float *x, float factor, float scale)
{
    const __m512 f = _mm512_set1_ps(factor);
    const __m512i low = _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_loadu_ps(x), f));
    const __m512i high = _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_loadu_ps(x + 16), f));
    const int32_t sum = _mm512_reduce_add_epi32(_mm512_add_epi32(low, high));

    _mm256_storeu_si256((__m256i *)(void *)ret_block->q, _mm512_cvtepi32_epi16(low));
    _mm256_storeu_si256((__m256i *)(void *)(ret_block->q + 16), _mm512_cvtepi32_epi16(high));
    ret_block->scale = scale;
    ret_block->sum = scale * (float)sum;
    ret_block->start = -8 * sum;
}

/* Rows that are no whole blocks are not packed: no quantised matrix takes them. */
static void pack(void *ret_packed, const float *x, size_t n)
{
    struct packed_block *blocks = ret_packed;

    if (n % BLOCK != 0)
        return;
    for (size_t first = 0; first < n / BLOCK; first += GROUP) {
        const size_t n_blocks = size_min(GROUP, n / BLOCK - first);
        const float *from = x + first * BLOCK;
        struct group_scales scales;

        scale_group(&scales, from, n_blocks);
        for (size_t b = 0; b < n_blocks; b++)
            pack_block(&blocks[first + b], from + b * BLOCK, scales.factor[b], scales.scale[b]);
    }
}

void kernel_fill_avx512vnni(struct kernel_ops *ops)
{
    ops->pack = pack;
    fill_matmul(ops);
}
