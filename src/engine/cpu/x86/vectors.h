/* SPDX-License-Identifier: Apache-2.0 */
/* engine/cpu/x86/vectors.h - the widest vectors that the flags of the including file allow.
 *
 * tile.h is written in these words, and compiled once for each ISA.
 *
 *     VECTOR_LANES  rows of a panel in one vector
 *     ints, floats  a vector of 32-bit lanes
 *     v_dot()       each lane of acc plus the two products of its pairs of 16-bit integers;
 *                   nothing saturates at the magnitudes of weights and activations
 *
 * Sums of a block in bytes, of which instructions multiply unsigned by signed ones:
 *     v_begin_nibbles(), v_dot_nibbles(), v_end_nibbles()   of `start`, four products of 0..15 with
 *                   signed bytes, as often as a block needs; the sum in 32-bit lanes
 *     v_begin_bytes(), v_dot_bytes()   the same of signed bytes with signed bytes; VNNI takes
 *                   the first as w + 128, and begins with -128 times the sum of the others, which
 *                   is 16 times the start of nibbles
 */
#ifndef POMONA_ENGINE_CPU_X86_VECTORS_H
#define POMONA_ENGINE_CPU_X86_VECTORS_H

#include <immintrin.h>
#include <stdint.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))

INLINE int32_t load_int(const void *p)
{
    int32_t x;

    memcpy(&x, p, sizeof(x));
    return x;
}

#if defined(__AVX512F__)

#define VECTOR_LANES  16
#define TILE_VECTORS  2 /* vectors of weights and */
#define TILE_ROWS_MAX 6 /* activation rows whose sums stay in 32 registers */

typedef __m512i ints;
typedef __m512 floats;

INLINE ints v_load(const void *p)
{
    return _mm512_loadu_si512(p);
}

INLINE ints v_set(int32_t x)
{
    return _mm512_set1_epi32(x);
}

INLINE ints v_low_nibbles(ints v)
{
    return _mm512_and_si512(v, _mm512_set1_epi16(15));
}

/* Shifts of 16-bit integers; the second keeps the sign. */
INLINE ints v_right(ints v, int n)
{
    return _mm512_srli_epi16(v, n);
}

INLINE ints v_right_signed(ints v, int n)
{
    return _mm512_srai_epi16(v, n);
}

INLINE ints v_left(ints v, int n)
{
    return _mm512_slli_epi16(v, n);
}

INLINE ints v_dot(ints acc, ints w, ints x)
{
    return _mm512_dpwssd_epi32(acc, w, x);
}

INLINE ints v_and(ints a, ints b)
{
    return _mm512_and_si512(a, b);
}

/* Bits of a where the mask has ones, of b elsewhere. */
INLINE ints v_select(ints mask, ints a, ints b)
{
    return _mm512_ternarylogic_epi32(mask, a, b, 0xca);
}

INLINE ints v_begin_nibbles(int32_t start)
{
    return v_set(start);
}

INLINE ints v_dot_nibbles(ints acc, ints w, ints x)
{
    return _mm512_dpbusd_epi32(acc, w, x);
}

INLINE ints v_end_nibbles(ints acc)
{
    return acc;
}

INLINE ints v_begin_bytes(int32_t start)
{
    return v_set(16 * start);
}

INLINE ints v_dot_bytes(ints acc, ints w, ints x)
{
    return _mm512_dpbusd_epi32(acc, _mm512_xor_si512(w, _mm512_set1_epi8(-128)), x);
}

INLINE floats v_of_ints(ints v)
{
    return _mm512_cvtepi32_ps(v);
}

INLINE floats v_load_f16(const void *p)
{
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p));
}

INLINE floats v_load_f32(const void *p)
{
    return _mm512_loadu_ps(p);
}

INLINE floats v_set_f32(float x)
{
    return _mm512_set1_ps(x);
}

INLINE floats v_mul(floats a, floats b)
{
    return _mm512_mul_ps(a, b);
}

INLINE floats v_fma(floats a, floats b, floats c)
{
    return _mm512_fmadd_ps(a, b, c);
}

INLINE void v_store(float *ret, floats v)
{
    _mm512_storeu_ps(ret, v);
}

#else

#define VECTOR_LANES  8
#define TILE_VECTORS  2 /* one panel */
#define TILE_ROWS_MAX 4 /* of 16 registers, 8 hold sums */

typedef __m256i ints;
typedef __m256 floats;

INLINE ints v_load(const void *p)
{
    return _mm256_loadu_si256((const __m256i *)p);
}

INLINE ints v_set(int32_t x)
{
    return _mm256_set1_epi32(x);
}

INLINE ints v_low_nibbles(ints v)
{
    return _mm256_and_si256(v, _mm256_set1_epi16(15));
}

INLINE ints v_right(ints v, int n)
{
    return _mm256_srli_epi16(v, n);
}

INLINE ints v_right_signed(ints v, int n)
{
    return _mm256_srai_epi16(v, n);
}

INLINE ints v_left(ints v, int n)
{
    return _mm256_slli_epi16(v, n);
}

INLINE ints v_dot(ints acc, ints w, ints x)
{
#if defined(__AVXVNNI__)
    return _mm256_dpwssd_avx_epi32(acc, w, x);
#else
    return _mm256_add_epi32(acc, _mm256_madd_epi16(w, x));
#endif
}

INLINE ints v_and(ints a, ints b)
{
    return _mm256_and_si256(a, b);
}

INLINE ints v_select(ints mask, ints a, ints b)
{
    return _mm256_or_si256(_mm256_and_si256(mask, a), _mm256_andnot_si256(mask, b));
}

#if defined(__AVXVNNI__)

INLINE ints v_begin_nibbles(int32_t start)
{
    return v_set(start);
}

INLINE ints v_dot_nibbles(ints acc, ints w, ints x)
{
    return _mm256_dpbusd_avx_epi32(acc, w, x);
}

INLINE ints v_end_nibbles(ints acc)
{
    return acc;
}

INLINE ints v_begin_bytes(int32_t start)
{
    return v_set(16 * start);
}

INLINE ints v_dot_bytes(ints acc, ints w, ints x)
{
    return _mm256_dpbusd_avx_epi32(acc, _mm256_xor_si256(w, _mm256_set1_epi8(-128)), x);
}

#else

/* Of a whole block, 16 products of at most 15 * 127 in each 16-bit lane, 32 with the start in one:
 * 32512 at most. */
INLINE ints v_begin_nibbles(int32_t start)
{
    return v_set(start & 0xffff);
}

INLINE ints v_dot_nibbles(ints acc, ints w, ints x)
{
    return _mm256_add_epi16(acc, _mm256_maddubs_epi16(w, x));
}

INLINE ints v_end_nibbles(ints acc)
{
    return _mm256_madd_epi16(acc, _mm256_set1_epi16(1));
}

INLINE ints v_begin_bytes(int32_t start)
{
    (void)start;
    return _mm256_setzero_si256();
}

/* Magnitudes of w times x with the signs of w: two products are 32512 at most. */
INLINE ints v_dot_bytes(ints acc, ints w, ints x)
{
    const ints pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(x, w));

    return _mm256_add_epi32(acc, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}

#endif

INLINE floats v_of_ints(ints v)
{
    return _mm256_cvtepi32_ps(v);
}

INLINE floats v_load_f16(const void *p)
{
    return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p));
}

INLINE floats v_load_f32(const void *p)
{
    return _mm256_loadu_ps(p);
}

INLINE floats v_set_f32(float x)
{
    return _mm256_set1_ps(x);
}

INLINE floats v_mul(floats a, floats b)
{
    return _mm256_mul_ps(a, b);
}

INLINE floats v_fma(floats a, floats b, floats c)
{
    return _mm256_fmadd_ps(a, b, c);
}

INLINE void v_store(float *ret, floats v)
{
    _mm256_storeu_ps(ret, v);
}

#endif
#endif
