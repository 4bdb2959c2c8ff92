/* SPDX-License-Identifier: Apache-2.0 */
/* engine/cpu/x86/amx_matrix.c - matrices times many rows with the tiles of AMX.
 *
 * A tile of weights holds one block of a panel: 32 columns of 16 weight rows, as signed bytes.  A tile
 * of activations holds the same block of 16 rows: their bytes, or once the high and once the low bytes
 * of 16-bit integers, so that 256 times one sum of products and once the other are the exact sum that
 * kernels.h defines.  Scales differ from block to block, so sums leave the tiles after each.
 *
 * A few rows alone would leave most of a tile empty: they go the way of AVX-512 VNNI, which gives the
 * same bits.  F16 and F32 weights do so always: bf16 tiles would round what kernels.h says is not.
 *
 * Compilers do not know that a tile load reads memory: publish() comes between writing a buffer
 * and loading it.
 *
 * Source: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 1, chapter 18;
 *         TDPBSSD and TDPBUSD in volume 2
 */
#include "base/size.h"
#include "engine/cpu/x86/tile.h"

enum {
    AMX_ROWS = 16,     /* activation rows of a tile */
    AMX_ROWS_MIN = 8,  /* fewer are left to VNNI */
    AMX_ROWS_MAX = 64, /* whose sums of two panels, 8 KiB, stay in the first cache */
    AMX_PANELS = 2,
    B_ROWS = BLOCK / 4,
    PALETTE = 1,
};

/* Numbers of tiles; instructions hold them, so they must be literal.  Activations of 8 bits are high
 * bytes alone. */
#define TILE_X_HIGH 0
#define TILE_X_LOW  1
#define TILE_W_0    2
#define TILE_W_1    3
#define TILE_HIGH_0 4
#define TILE_LOW_0  5
#define TILE_HIGH_1 6
#define TILE_LOW_1  7

/* As LDTILECFG reads it. */
struct tile_config {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
};

/* What tiles are loaded from and stored to. */
struct amx_buffers {
    _Alignas(64) unsigned char x[AMX_ROWS][2 * BLOCK]; /* of a row: high bytes, low bytes */
    _Alignas(64) unsigned char w[AMX_PANELS][B_ROWS][4 * PANEL_ROWS];
    _Alignas(64) int32_t high[AMX_PANELS][AMX_ROWS][PANEL_ROWS];
    _Alignas(64) int32_t low[AMX_PANELS][AMX_ROWS][PANEL_ROWS];
    _Alignas(64) float acc[AMX_ROWS_MAX][AMX_PANELS * PANEL_ROWS];
};

INLINE void publish(void)
{
    __asm__ volatile("" ::: "memory");
}

static void configure(void)
{
    struct tile_config config = { .palette = PALETTE };

    for (int tile = TILE_X_HIGH; tile <= TILE_LOW_1; tile++) {
        config.rows[tile] = tile == TILE_W_0 || tile == TILE_W_1 ? B_ROWS : AMX_ROWS;
        config.row_bytes[tile] = tile <= TILE_X_LOW ? BLOCK : 4 * PANEL_ROWS;
    }
    publish();
    _tile_loadconfig(&config);
}

/* Where the bytes of a tile's row of activations lie among the integers of a block: columns in the order
 * that panels have them, first their high bytes, then their low ones. */
static __m512i byte_order(const struct block_format *f)
{
    static const uint8_t of_nibbles[8] = { 0, 4, 1, 5, 2, 6, 3, 7 };
    static const uint8_t of_bytes[8] = { 0, 2, 1, 3, 4, 6, 5, 7 };
    static const uint8_t in_packed8[8] = { 0, 2, 4, 6, 1, 3, 5, 7 }; /* where a column is */
    const uint8_t *order = f->n_chunks == 4 ? of_nibbles : of_bytes;
    uint8_t from[2 * BLOCK] = { 0 };

    for (unsigned i = 0; i < BLOCK; i++) {
        const unsigned eight = i / 8 * 8, column = eight + order[i % 8];

        if (f->bits == 8) {
            from[i] = (uint8_t)(eight + in_packed8[order[i % 8]]);
        } else {
            from[i] = (uint8_t)(2 * column + 1);
            from[BLOCK + i] = (uint8_t)(2 * column);
        }
    }
    return _mm512_loadu_si512(from);
}

/* The block of each of the panels, as tiles. */
INLINE void load_weights(const struct block_format *f, const struct tile *t, size_t block,
                         unsigned n_panels, struct amx_buffers *buffers)
{
    const unsigned char *chunks = t->panel + block * f->n_chunks * CHUNK_BYTES;
    const __m512i nibble = _mm512_set1_epi8(15);
    const __m512i offset = _mm512_set1_epi8(f->is_signed ? 8 : 0);

    if (f->n_chunks == 8) {
        _tile_loadd(TILE_W_0, chunks, CHUNK_BYTES);
        if (n_panels > 1)
            _tile_loadd(TILE_W_1, chunks + t->panel_bytes, CHUNK_BYTES);
        return;
    }
    UNROLL
    for (unsigned p = 0; p < n_panels; p++) {
        UNROLL
        for (unsigned c = 0; c < 4; c++) {
            const ints v = v_load(vector_at(t, chunks + c * CHUNK_BYTES, p, CHUNK_BYTES));
            const ints low = _mm512_and_si512(v, nibble);
            const ints high = _mm512_and_si512(v_right(v, 4), nibble);

            _mm512_store_si512(buffers->w[p][2 * c], _mm512_sub_epi8(low, offset));
            _mm512_store_si512(buffers->w[p][2 * c + 1], _mm512_sub_epi8(high, offset));
        }
    }
    publish();
    _tile_loadd(TILE_W_0, buffers->w[0], 4 * PANEL_ROWS);
    if (n_panels > 1)
        _tile_loadd(TILE_W_1, buffers->w[1], 4 * PANEL_ROWS);
}

/* Rows of a tile beyond n_rows keep what they had; nobody reads their sums. */
INLINE void load_rows(const struct block_format *f, const unsigned char *x, size_t stride_bytes,
                      unsigned n_rows, __m512i order, struct amx_buffers *buffers)
{
    const __mmask64 bytes = f->bits == 8 ? (__mmask64)UINT32_MAX : ~(__mmask64)0;
    const unsigned char *at = integers_of(f, x);

    for (unsigned r = 0; r < n_rows; r++, at += stride_bytes)
        _mm512_store_si512(buffers->x[r],
                           _mm512_permutexvar_epi8(order, _mm512_maskz_loadu_epi8(bytes, at)));
    publish();
    _tile_loadd(TILE_X_HIGH, buffers->x[0], 2 * BLOCK);
    if (f->bits == 16)
        _tile_loadd(TILE_X_LOW, buffers->x[0] + BLOCK, 2 * BLOCK);
}

INLINE void multiply_high(unsigned n_panels, struct amx_buffers *buffers)
{
    _tile_zero(TILE_HIGH_0);
    _tile_dpbssd(TILE_HIGH_0, TILE_X_HIGH, TILE_W_0);
    if (n_panels > 1) {
        _tile_zero(TILE_HIGH_1);
        _tile_dpbssd(TILE_HIGH_1, TILE_X_HIGH, TILE_W_1);
    }
    _tile_stored(TILE_HIGH_0, buffers->high[0], 4 * PANEL_ROWS);
    if (n_panels > 1)
        _tile_stored(TILE_HIGH_1, buffers->high[1], 4 * PANEL_ROWS);
}

INLINE void multiply_low(unsigned n_panels, struct amx_buffers *buffers)
{
    _tile_zero(TILE_LOW_0);
    _tile_dpbusd(TILE_LOW_0, TILE_X_LOW, TILE_W_0);
    if (n_panels > 1) {
        _tile_zero(TILE_LOW_1);
        _tile_dpbusd(TILE_LOW_1, TILE_X_LOW, TILE_W_1);
    }
    _tile_stored(TILE_LOW_0, buffers->low[0], 4 * PANEL_ROWS);
    if (n_panels > 1)
        _tile_stored(TILE_LOW_1, buffers->low[1], 4 * PANEL_ROWS);
}

INLINE ints sum_of(const struct block_format *f, const struct amx_buffers *buffers, unsigned panel,
                   unsigned row)
{
    const ints high = v_load(buffers->high[panel][row]);

    if (f->bits == 8)
        return high;
    return _mm512_add_epi32(_mm512_slli_epi32(high, 8), v_load(buffers->low[panel][row]));
}

/* Add the sums of a block to those of the rows from `first`, scaled. */
INLINE void add_sums(const struct block_format *f, const struct tile *t, size_t block,
                     const unsigned char *x, unsigned first, unsigned n_rows, unsigned n_panels,
                     struct amx_buffers *buffers)
{
    const size_t scale_bytes = PANEL_ROWS * sizeof(uint16_t), n_blocks = t->a->n_cols / BLOCK;
    const unsigned char *d_at = t->panel + t->scales_at + block * scale_bytes;

    UNROLL
    for (unsigned p = 0; p < n_panels; p++) {
        const unsigned char *at = vector_at(t, d_at, p, scale_bytes);
        const floats d = v_load_f16(at);
        const floats m = f->has_m ? v_load_f16(at + n_blocks * scale_bytes) : v_set_f32(0);
        const unsigned char *row = x;

        for (unsigned r = 0; r < n_rows; r++, row += t->a->packed_bytes) {
            const floats scale = v_mul(d, v_set_f32(head_of(row)->scale));
            float *acc = buffers->acc[first + r] + p * PANEL_ROWS;
            floats v = v_fma(v_of_ints(sum_of(f, buffers, p, r)), scale, _mm512_load_ps(acc));

            if (f->has_m)
                v = v_fma(m, v_set_f32(head_of(row)->sum), v);
            _mm512_store_ps(acc, v);
        }
    }
}

/* n_rows rows of `t` from its first one, at most AMX_ROWS_MAX. */
INLINE void amx_rows(const struct block_format *f, const struct tile *t, __m512i order,
                     unsigned n_panels, uint32_t n_rows)
{
    const struct activations *a = t->a;
    const unsigned char *rows = a->packed + t->first_row * a->packed_bytes;
    struct amx_buffers buffers;

    memset(buffers.x, 0, sizeof(buffers.x));
    memset(buffers.acc, 0, n_rows * sizeof(buffers.acc[0]));
    for (size_t b = 0; b < a->n_cols / BLOCK; b++) {
        if (t->first_row == 0)
            prefetch_block(f, t, b, n_panels * PANEL_VECTORS);
        load_weights(f, t, b, n_panels, &buffers);
        for (uint32_t first = 0; first < n_rows; first += AMX_ROWS) {
            const unsigned n = (unsigned)size_min(AMX_ROWS, n_rows - first);
            const unsigned char *x = rows + first * a->packed_bytes + b * packed_block_bytes(f);

            load_rows(f, x, a->packed_bytes, n, order, &buffers);
            multiply_high(n_panels, &buffers);
            if (f->bits == 16)
                multiply_low(n_panels, &buffers);
            publish();
            add_sums(f, t, b, x, first, n, n_panels, &buffers);
        }
    }
    for (uint32_t r = 0; r < n_rows; r++)
        memcpy(t->out + (t->first_row + r) * t->out_stride, buffers.acc[r],
               size_min(n_panels * PANEL_ROWS, t->n_outs) * sizeof(*t->out));
}

/* As many of the `left` rows as tiles should take now. */
static uint32_t rows_for_tiles(uint32_t left)
{
    const uint32_t n = (uint32_t)size_min(AMX_ROWS_MAX, left);

    return n % AMX_ROWS < AMX_ROWS_MIN ? n - n % AMX_ROWS : n;
}

INLINE void multiply_panels(const struct block_format *f, struct tile *t, __m512i order,
                            unsigned n_panels)
{
    for (uint32_t n; (n = rows_for_tiles(t->a->n_rows - t->first_row)) > 0; t->first_row += n)
        amx_rows(f, t, order, n_panels, n);
    tile_rows(f, false, t, n_panels * PANEL_VECTORS);
}

INLINE void amx_multiply(const struct block_format *f, const struct panels *w, uint32_t first_panel,
                         uint32_t n_panels, const struct activations *a, float *out,
                         size_t out_stride)
{
    struct tile t = { .panel_bytes = panel_bytes(w->dtype, w->n_cols),
                      .scales_at = panel_scales_at(w->dtype, w->n_cols),
                      .a = a,
                      .out_stride = out_stride };
    const __m512i order = byte_order(f);

    configure();
    for (uint32_t p = 0, n; p < n_panels; p += n) {
        n = (uint32_t)size_min(AMX_PANELS, n_panels - p);
        t.panel = w->data + (first_panel + p) * t.panel_bytes;
        t.out = out + (size_t)p * PANEL_ROWS;
        t.n_outs = w->n_rows - (first_panel + p) * PANEL_ROWS;
        t.first_row = 0;
        if (n == AMX_PANELS)
            multiply_panels(f, &t, order, AMX_PANELS);
        else
            multiply_panels(f, &t, order, 1);
    }
    _tile_release();
}

#define AMX_MATMUL(name, format, for_few_rows)                                                     \
    static void name(const struct panels *w, uint32_t first_panel, uint32_t n_panels,              \
                     const struct activations *a, float *out, size_t out_stride, float *scratch)   \
    {                                                                                              \
        if (a->n_rows < AMX_ROWS_MIN)                                                              \
            for_few_rows(w, first_panel, n_panels, a, out, out_stride, scratch);                   \
        else                                                                                       \
            amx_multiply(format, w, first_panel, n_panels, a, out, out_stride);                    \
    }

AMX_MATMUL(amx_q4_0, &block_q4_0, matmul_q4_0)
AMX_MATMUL(amx_q4_1, &block_q4_1, matmul_q4_1)
AMX_MATMUL(amx_q8_0, &block_q8_0, matmul_q8_0)
AMX_MATMUL(amx8_q4_0, &block8_q4_0, matmul8_q4_0)
AMX_MATMUL(amx8_q4_1, &block8_q4_1, matmul8_q4_1)
AMX_MATMUL(amx8_q8_0, &block8_q8_0, matmul8_q8_0)

void kernel_fill_amx(struct kernel_ops *ops)
{
    struct product_ops *of_16 = &ops->products[ACTIVATIONS_16];
    struct product_ops *of_8 = &ops->products[ACTIVATIONS_8];

    fill_matmul(ops);
    of_16->matmul[DTYPE_Q4_0] = amx_q4_0;
    of_16->matmul[DTYPE_Q4_1] = amx_q4_1;
    of_16->matmul[DTYPE_Q8_0] = amx_q8_0;
    of_8->matmul[DTYPE_Q4_0] = amx8_q4_0;
    of_8->matmul[DTYPE_Q4_1] = amx8_q4_1;
    of_8->matmul[DTYPE_Q8_0] = amx8_q8_0;
}
