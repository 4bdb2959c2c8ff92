/* SPDX-License-Identifier: Apache-2.0 */
/* engine/cpu/x86/avx2_matrix.c - matrices times rows with AVX2, FMA and F16C.
 *
 * For quantised weights an activation row is packed into 16-bit integers with
 * one scale per block of 32.  Sixteen bits cost little more than eight here,
 * since 4-bit weights come out of a 16-bit word by a shift and a mask
 * each, and keep the error of a product below 2^-15 of the block's largest activation.
 *
 * Two blocks, a and b, are computed at a time, one in each half of a register.  The packed
 * order follows from how the weights unpack: four vectors of
 *     elements 0 2 .. 14 | 16 18 .. 30 | 1 3 .. 15 | 17 19 .. 31   of a, then of b
 *
 * A packed row of n elements, pairs = ceil(n / 64):
 *     int16 q[pairs][4][16], then float { scale_a, sum_a, scale_b, sum_b }[pairs]
 * where sum is scale * (sum of q), what an offset of the weights multiplies.
 * A missing last block is zeros.  Rows that are no whole blocks are not packed: no quantised
 * matrix takes them.
 */
#include <string.h>

#include "base/size.h"
#include "engine/cpu/x86/avx2.h"

enum {
    BLOCK = 32,
    PAIR = 2 * BLOCK,
    Q_MAX = 32767,
    ROWS_AT_ONCE = 4, /* activation rows that share the unpacking of a weight row */
};

/* A block whose largest activation is below this counts as zeros: its factor would overflow. */
#define NOTHING 0x1p-100f

#define INLINE static inline __attribute__((always_inline))

static size_t n_pairs(size_t n)
{
    return (n / BLOCK + 1) / 2;
}

static size_t packed_bytes(size_t n)
{
    return size_round_up(n_pairs(n) * (PAIR * sizeof(int16_t) + 4 * sizeof(float)), KERNEL_ALIGN);
}

/* ---- packing ---- */

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

/* Sixteen elements, even ones first: 0 2 .. 14 1 3 .. 15. */
INLINE __m256i quantise_half(const float *x, __m256 factor)
{
    const __m256i evens_first =
        _mm256_setr_epi8(0, 1, 4, 5, 8, 9, 12, 13, 2, 3, 6, 7, 10, 11, 14, 15, 0, 1, 4, 5, 8, 9, 12,
                         13, 2, 3, 6, 7, 10, 11, 14, 15);
    const __m256i low = _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(x), factor));
    const __m256i high = _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(x + 8), factor));
    const __m256i in_order = _mm256_permute4x64_epi64(_mm256_packs_epi32(low, high), 0xd8);

    return _mm256_permute4x64_epi64(_mm256_shuffle_epi8(in_order, evens_first), 0xd8);
}

INLINE int32_t sum_i16(__m256i a, __m256i b)
{
    const __m256i ones = _mm256_set1_epi16(1);
    const __m256i pairs = _mm256_add_epi32(_mm256_madd_epi16(a, ones), _mm256_madd_epi16(b, ones));
    __m128i s = _mm_add_epi32(_mm256_castsi256_si128(pairs), _mm256_extracti128_si256(pairs, 1));

    s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0x4e));
    return _mm_cvtsi128_si32(_mm_add_epi32(s, _mm_shuffle_epi32(s, 0xb1)));
}

/* q points at the block's half of the pair's first vector. */
INLINE void pack_block(int16_t *q, float *scale_and_sum, const float *x)
{
    const float largest = largest_magnitude(x);
    const float max = largest > NOTHING ? largest : 0, scale = max / Q_MAX;
    const __m256 factor = _mm256_set1_ps(max > 0 ? Q_MAX / max : 0);
    const __m256i a = quantise_half(x, factor), b = quantise_half(x + BLOCK / 2, factor);

    _mm_storeu_si128((__m128i *)(void *)q, _mm256_castsi256_si128(a));
    _mm_storeu_si128((__m128i *)(void *)(q + 16), _mm256_castsi256_si128(b));
    _mm_storeu_si128((__m128i *)(void *)(q + 32), _mm256_extracti128_si256(a, 1));
    _mm_storeu_si128((__m128i *)(void *)(q + 48), _mm256_extracti128_si256(b, 1));
    scale_and_sum[0] = scale;
    scale_and_sum[1] = scale * (float)sum_i16(a, b);
}

static void pack(void *ret_packed, const float *x, size_t n)
{
    const size_t pairs = n_pairs(n), blocks = n / BLOCK;
    int16_t *q = ret_packed;
    float *scales = (float *)(void *)(q + pairs * PAIR);

    if (n % BLOCK != 0)
        return;
    if (blocks % 2 != 0) {
        memset(q + (pairs - 1) * PAIR, 0, PAIR * sizeof(*q));
        memset(scales + 4 * (pairs - 1), 0, 4 * sizeof(*scales));
    }
    for (size_t b = 0; b < blocks; b++)
        pack_block(q + b / 2 * PAIR + b % 2 * 8, scales + 2 * b, x + b * BLOCK);
}

/* ---- unpacking of weights ---- */

/* Two blocks of weights as integers in packed order, and { d_a, m_a, d_b, m_b }. */
struct pair {
    __m256i w[4];
    __m128 dm;
};

typedef struct pair (*load_fn)(const unsigned char *a, const unsigned char *b);

INLINE __m256i load_halves(const unsigned char *a, const unsigned char *b)
{
    const __m128i low = _mm_loadu_si128((const __m128i *)(const void *)a);
    const __m128i high = _mm_loadu_si128((const __m128i *)(const void *)b);

    return _mm256_inserti128_si256(_mm256_castsi128_si256(low), high, 1);
}

INLINE uint32_t word(const unsigned char *p)
{
    uint32_t x;

    memcpy(&x, p, sizeof(x));
    return x;
}

INLINE __m128 four_f16(uint32_t low, uint32_t high)
{
    return _mm_cvtph_ps(_mm_cvtsi64_si128((int64_t)((uint64_t)high << 32 | low)));
}

INLINE uint32_t twice_f16(const unsigned char *p)
{
    uint16_t x;

    memcpy(&x, p, sizeof(x));
    return x * 0x10001u;
}

INLINE void unpack_nibbles(__m256i bytes, __m256i *ret_w)
{
    const __m256i nibble = _mm256_set1_epi16(15);

    ret_w[0] = _mm256_and_si256(bytes, nibble);
    ret_w[1] = _mm256_and_si256(_mm256_srli_epi16(bytes, 4), nibble);
    ret_w[2] = _mm256_and_si256(_mm256_srli_epi16(bytes, 8), nibble);
    ret_w[3] = _mm256_srli_epi16(bytes, 12);
}

INLINE struct pair load_q4_0(const unsigned char *a, const unsigned char *b)
{
    struct pair p = { .dm = four_f16(twice_f16(a), twice_f16(b)) };

    unpack_nibbles(load_halves(a + 2, b + 2), p.w);
    return p;
}

INLINE struct pair load_q4_1(const unsigned char *a, const unsigned char *b)
{
    struct pair p = { .dm = four_f16(word(a), word(b)) };

    unpack_nibbles(load_halves(a + 4, b + 4), p.w);
    return p;
}

INLINE struct pair load_q8_0(const unsigned char *a, const unsigned char *b)
{
    const __m256i low = load_halves(a + 2, b + 2), high = load_halves(a + 18, b + 18);

    return (struct pair){
        .w = { _mm256_srai_epi16(_mm256_slli_epi16(low, 8), 8),
               _mm256_srai_epi16(_mm256_slli_epi16(high, 8), 8), _mm256_srai_epi16(low, 8),
               _mm256_srai_epi16(high, 8) },
        .dm = four_f16(twice_f16(a), twice_f16(b)),
    };
}

/* ---- products ---- */

/* A quantised format, known to the compiler wherever it is used.
 * offset_factor  what the sums of activations times the second half of dm count for:
 *                Q4_1's m as it is, Q4_0's -8 d, nothing for Q8_0 */
struct format {
    size_t block_bytes;
    load_fn load;
    float offset_factor;
};

/* Running sums of one output. */
struct sums {
    __m256 products;
    __m128 offsets; /* lanes 1 and 3 */
};

INLINE void add_pair(struct sums *s, const struct pair *p, const unsigned char *q,
                     const unsigned char *scales)
{
    const __m256i *x = (const __m256i *)(const void *)q;
    const __m256i each_four = _mm256_setr_epi32(0, 0, 0, 0, 2, 2, 2, 2);
    const __m256i i01 = _mm256_add_epi32(_mm256_madd_epi16(p->w[0], _mm256_load_si256(x)),
                                         _mm256_madd_epi16(p->w[1], _mm256_load_si256(x + 1)));
    const __m256i i23 = _mm256_add_epi32(_mm256_madd_epi16(p->w[2], _mm256_load_si256(x + 2)),
                                         _mm256_madd_epi16(p->w[3], _mm256_load_si256(x + 3)));
    const __m256 product = _mm256_cvtepi32_ps(_mm256_add_epi32(i01, i23));
    const __m128 scaled = _mm_mul_ps(p->dm, _mm_load_ps((const float *)(const void *)scales));
    const __m256 d = _mm256_permutevar8x32_ps(_mm256_castps128_ps256(scaled), each_four);

    s->products = _mm256_fmadd_ps(product, d, s->products);
    s->offsets = _mm_add_ps(s->offsets, scaled);
}

INLINE float finish(const struct sums *s, float offset_factor)
{
    const __m128 odd = _mm_movehdup_ps(s->offsets);
    const float offsets = _mm_cvtss_f32(_mm_add_ss(odd, _mm_movehl_ps(odd, odd)));

    return avx2_sum(s->products) + offset_factor * offsets;
}

/* out[r * out_stride] = row . x[r] for n_rows <= ROWS_AT_ONCE, a constant. */
INLINE void dot_rows(const struct format *f, const unsigned char *row, size_t n_cols,
                     const unsigned char *packed, size_t row_bytes, unsigned n_rows, float *out,
                     size_t out_stride)
{
    const size_t pairs = n_pairs(n_cols), whole = n_cols / PAIR;
    const size_t scales_at = pairs * PAIR * sizeof(int16_t);
    struct sums s[ROWS_AT_ONCE];

    for (unsigned r = 0; r < n_rows; r++)
        s[r] = (struct sums){ _mm256_setzero_ps(), _mm_setzero_ps() };
    for (size_t i = 0; i < whole; i++, row += 2 * f->block_bytes) {
        const struct pair p = f->load(row, row + f->block_bytes);

        for (unsigned r = 0; r < n_rows; r++)
            add_pair(&s[r], &p, packed + r * row_bytes + i * PAIR * sizeof(int16_t),
                     packed + r * row_bytes + scales_at + i * 4 * sizeof(float));
    }
    if (whole < pairs) { /* the missing block's activations and scale are zeros */
        const struct pair p = f->load(row, row);

        for (unsigned r = 0; r < n_rows; r++)
            add_pair(&s[r], &p, packed + r * row_bytes + whole * PAIR * sizeof(int16_t),
                     packed + r * row_bytes + scales_at + whole * 4 * sizeof(float));
    }
    for (unsigned r = 0; r < n_rows; r++)
        out[r * out_stride] = finish(&s[r], f->offset_factor);
}

INLINE void matmul_quantised(const struct format *f, const struct matrix *w, uint32_t first_out,
                             uint32_t n_out, const struct activations *a, float *out,
                             size_t out_stride)
{
    const size_t row_bytes = w->n_cols / BLOCK * f->block_bytes;
    const unsigned char *rows = (const unsigned char *)w->data + first_out * row_bytes;
    uint32_t r = 0;

    for (; r + ROWS_AT_ONCE <= a->n_rows; r += ROWS_AT_ONCE)
        for (uint32_t i = 0; i < n_out; i++)
            dot_rows(f, rows + i * row_bytes, w->n_cols, a->packed + r * a->packed_bytes,
                     a->packed_bytes, ROWS_AT_ONCE, out + r * out_stride + i, out_stride);
    for (; r < a->n_rows; r++)
        for (uint32_t i = 0; i < n_out; i++)
            dot_rows(f, rows + i * row_bytes, w->n_cols, a->packed + r * a->packed_bytes,
                     a->packed_bytes, 1, out + r * out_stride + i, out_stride);
}

static void matmul_q4_0(const struct matrix *w, uint32_t first_out, uint32_t n_out,
                        const struct activations *a, float *out, size_t out_stride, float *scratch)
{
    const struct format f = { 18, load_q4_0, -8 };

    (void)scratch;
    matmul_quantised(&f, w, first_out, n_out, a, out, out_stride);
}

static void matmul_q4_1(const struct matrix *w, uint32_t first_out, uint32_t n_out,
                        const struct activations *a, float *out, size_t out_stride, float *scratch)
{
    const struct format f = { 20, load_q4_1, 1 };

    (void)scratch;
    matmul_quantised(&f, w, first_out, n_out, a, out, out_stride);
}

static void matmul_q8_0(const struct matrix *w, uint32_t first_out, uint32_t n_out,
                        const struct activations *a, float *out, size_t out_stride, float *scratch)
{
    const struct format f = { 34, load_q8_0, 0 };

    (void)scratch;
    matmul_quantised(&f, w, first_out, n_out, a, out, out_stride);
}

/* ---- weights that are floating point already ---- */

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

static float dot_f32(const float *a, const float *b, size_t n)
{
    __m256 s0 = _mm256_setzero_ps(), s1 = s0;
    size_t i = 0;
    float sum;

    for (; i + 16 <= n; i += 16) {
        s0 = _mm256_fmadd_ps(_mm256_loadu_ps(a + i), _mm256_loadu_ps(b + i), s0);
        s1 = _mm256_fmadd_ps(_mm256_loadu_ps(a + i + 8), _mm256_loadu_ps(b + i + 8), s1);
    }
    sum = avx2_sum(_mm256_add_ps(s0, s1));
    for (; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

static void matmul_f32(const struct matrix *w, uint32_t first_out, uint32_t n_out,
                       const struct activations *a, float *out, size_t out_stride, float *scratch)
{
    const float *rows = (const float *)w->data + (size_t)first_out * w->n_cols;

    (void)scratch;
    for (uint32_t i = 0; i < n_out; i++)
        for (uint32_t r = 0; r < a->n_rows; r++)
            out[r * out_stride + i] =
                dot_f32(rows + (size_t)i * w->n_cols, a->x + (size_t)r * w->n_cols, w->n_cols);
}

static void matmul_f16(const struct matrix *w, uint32_t first_out, uint32_t n_out,
                       const struct activations *a, float *out, size_t out_stride, float *scratch)
{
    const uint16_t *rows = (const uint16_t *)w->data + (size_t)first_out * w->n_cols;

    for (uint32_t i = 0; i < n_out; i++) {
        dequantise_f16(scratch, rows + (size_t)i * w->n_cols, w->n_cols);
        for (uint32_t r = 0; r < a->n_rows; r++)
            out[r * out_stride + i] = dot_f32(scratch, a->x + (size_t)r * w->n_cols, w->n_cols);
    }
}

void avx2_fill_matrix(struct kernel_ops *ops)
{
    ops->packed_bytes = packed_bytes;
    ops->pack = pack;
    ops->dequantise[DTYPE_F16] = dequantise_f16;
    ops->matmul[DTYPE_F32] = matmul_f32;
    ops->matmul[DTYPE_F16] = matmul_f16;
    ops->matmul[DTYPE_Q4_0] = matmul_q4_0;
    ops->matmul[DTYPE_Q4_1] = matmul_q4_1;
    ops->matmul[DTYPE_Q8_0] = matmul_q8_0;
}
