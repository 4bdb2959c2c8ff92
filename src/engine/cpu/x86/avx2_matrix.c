/* SPDX-License-Identifier: Apache-2.0 */
/* engine/cpu/x86/avx2_matrix.c - matrices times rows with AVX2, FMA and F16C. */
#include "base/size.h"
#include "engine/cpu/x86/avx2.h"
#include "engine/cpu/x86/tile.h"

INLINE float largest_magnitude(const float *x)
{
    const __m256 magnitude = _mm256_castsi256_ps(_mm256_set1_epi32(0x7fffffff));
    __m256 max = _mm256_setzero_ps();
    __m128 m;

    for (int i = 0; i < BLOCK; i += 8)
        max = _mm256_max_ps(max, _mm256_and_ps(_mm256_loadu_ps(x + i), magnitude));
    m = _mm_max_ps(_mm256_castps256_ps128(max), _mm256_extractf128_ps(max, 1));
    m = _mm_max_ps(m, _mm_movehl_ps(m, m));
    return _mm_cvtss_f32(_mm_max_ss(m, _mm_movehdup_ps(m)));
}

/* Sixteen elements, in order. */
INLINE __m256i quantise_half(const float *x, __m256 factor)
{
    const __m256i low = _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(x), factor));
    const __m256i high = _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(x + 8), factor));

    return _mm256_permute4x64_epi64(_mm256_packs_epi32(low, high), 0xd8);
}

INLINE int32_t sum_i16(__m256i a, __m256i b)
{
    const __m256i ones = _mm256_set1_epi16(1);
    const __m256i pairs = _mm256_add_epi32(_mm256_madd_epi16(a, ones), _mm256_madd_epi16(b, ones));
    __m128i s = _mm_add_epi32(_mm256_castsi256_si128(pairs), _mm256_extracti128_si256(pairs, 1));

    s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0x4e));
    return _mm_cvtsi128_si32(_mm_add_epi32(s, _mm_shuffle_epi32(s, 0xb1)));
}

/* Bytes of the low halves and of the high halves, in the order of packed_block8. */
INLINE __m256i bytes_in_order(__m256i a, __m256i b)
{
    const __m256i order = _mm256_broadcastsi128_si256(
        _mm_setr_epi8(0, 4, 1, 5, 2, 6, 3, 7, 8, 12, 9, 13, 10, 14, 11, 15));

    return _mm256_shuffle_epi8(_mm256_permute4x64_epi64(_mm256_packs_epi16(a, b), 0xd8), order);
}

INLINE void pack_block(unsigned bits, void *ret_block, const float *x)
{
    const float most = bits == 8 ? PACKED8_MAX : PACKED_MAX, largest = largest_magnitude(x);
    const float max = largest > PACKED_NOTHING ? largest : 0, scale = max / most;
    const __m256 factor = _mm256_set1_ps(max > 0 ? most / max : 0);
    const __m256i a = quantise_half(x, factor), b = quantise_half(x + BLOCK / 2, factor);
    const int32_t sum = sum_i16(a, b);
    struct packed_block *block = ret_block;
    struct packed_block8 *block8 = ret_block;

    if (bits == 8) {
        _mm256_storeu_si256((__m256i *)(void *)block8->q, bytes_in_order(a, b));
    } else {
        _mm256_storeu_si256((__m256i *)(void *)block->q, a);
        _mm256_storeu_si256((__m256i *)(void *)(block->q + BLOCK / 2), b);
    }
    *(struct packed_head *)ret_block = (struct packed_head){ scale, scale * (float)sum, -8 * sum };
}

INLINE void pack_row(unsigned bits, size_t block_bytes, unsigned char *ret_packed, const float *x,
                     size_t n)
{
    for (size_t b = 0; n % BLOCK == 0 && b < n / BLOCK; b++)
        pack_block(bits, ret_packed + b * block_bytes, x + b * BLOCK);
}

static void pack(void *ret_packed, const float *x, size_t n)
{
    pack_row(16, sizeof(struct packed_block), ret_packed, x, n);
}

static void pack8(void *ret_packed, const float *x, size_t n)
{
    pack_row(8, sizeof(struct packed_block8), ret_packed, x, n);
}

static size_t packed_bytes(size_t n)
{
    return size_round_up(n / BLOCK * sizeof(struct packed_block), KERNEL_ALIGN);
}

static size_t packed8_bytes(size_t n)
{
    return size_round_up(n / BLOCK * sizeof(struct packed_block8), KERNEL_ALIGN);
}

static void dequantise_f16(float *ret, const void *row, size_t n)
{
    const uint16_t *p = row;
    size_t i = 0;

    for (; i + 8 <= n; i += 8)
        _mm256_storeu_ps(ret + i,
                         _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)(p + i))));
    for (; i < n; i++)
        ret[i] = _cvtsh_ss(p[i]);
}

void avx2_fill_matrix(struct kernel_ops *ops)
{
    ops->products[ACTIVATIONS_16] = (struct product_ops){ packed_bytes, pack, { 0 } };
    ops->products[ACTIVATIONS_8] = (struct product_ops){ packed8_bytes, pack8, { 0 } };
    ops->dequantise[DTYPE_F16] = dequantise_f16;
    fill_matmul(ops);
}
