/* SPDX-License-Identifier: Apache-2.0 */
/* engine/cpu/arm/neon_floats.c - matrices of floating point weights times rows.
 *
 * A column of a panel is four registers of four rows, multiplied by one activation: FMLA by
 * element.  Up to four activation rows share the loads and, for F16, the conversions: per column
 * 4 (F16: 2, and 4 FCVTL) and 4 loads, 16 FMLA; sums and weights take 20 of the 32 registers.
 * One row alone takes two panels at a time: four sums would wait for one another.
 */
#include <string.h>

#include "engine/cpu/arm/neon.h"
#include "engine/cpu/f16.h"

enum { ROWS_AT_ONCE = 4, PANELS_AT_ONCE = 2, QUADS = PANEL_ROWS / 4 };

typedef void (*load_fn)(const unsigned char *column, float32x4_t *ret_w);

INLINE void load_f32(const unsigned char *column, float32x4_t *ret_w)
{
    for (unsigned i = 0; i < QUADS; i++)
        ret_w[i] = vreinterpretq_f32_u8(vld1q_u8(column + (size_t)i * 16));
}

INLINE void load_f16(const unsigned char *column, float32x4_t *ret_w)
{
    for (unsigned i = 0; i < QUADS; i += 2) {
        const float16x8_t eight = vreinterpretq_f16_u8(vld1q_u8(column + (size_t)i * 8));

        ret_w[i] = vcvt_f32_f16(vget_low_f16(eight));
        ret_w[i + 1] = vcvt_high_f32_f16(eight);
    }
}

/* Where the products of some panels and rows lie.
 * n_outs  rows of the matrix from the first panel on */
struct place {
    const unsigned char *panel;
    size_t panel_bytes, n_cols;
    const float *x;
    float *out;
    size_t out_stride, n_outs;
};

INLINE void store_row(float *out, const float32x4_t *sums, unsigned n_panels, size_t n_outs)
{
    float row[PANELS_AT_ONCE * PANEL_ROWS];
    const size_t n = (size_t)n_panels * PANEL_ROWS;

    for (size_t i = 0; i < (size_t)n_panels * QUADS; i++)
        vst1q_f32(row + i * 4, sums[i]);
    memcpy(out, row, (n_outs < n ? n_outs : n) * sizeof(*out));
}

/* n_panels and n_rows are constants wherever this is expanded. */
INLINE void products(load_fn load, size_t elem_bytes, const struct place *p, unsigned n_panels,
                     unsigned n_rows)
{
    float32x4_t acc[ROWS_AT_ONCE][PANELS_AT_ONCE * QUADS], w[PANELS_AT_ONCE * QUADS];

    for (unsigned r = 0; r < n_rows; r++)
        for (unsigned i = 0; i < n_panels * QUADS; i++)
            acc[r][i] = vdupq_n_f32(0);
    for (size_t c = 0; c < p->n_cols; c++) {
        for (unsigned i = 0; i < n_panels; i++)
            load(p->panel + i * p->panel_bytes + c * PANEL_ROWS * elem_bytes, w + i * QUADS);
        for (unsigned r = 0; r < n_rows; r++)
            for (unsigned i = 0; i < n_panels * QUADS; i++)
                acc[r][i] = vfmaq_n_f32(acc[r][i], w[i], p->x[r * p->n_cols + c]);
    }
    for (unsigned r = 0; r < n_rows; r++)
        store_row(p->out + r * p->out_stride, acc[r], n_panels, p->n_outs);
}

INLINE void one_panel(load_fn load, size_t elem_bytes, struct place p, uint32_t n_rows)
{
    for (; n_rows > ROWS_AT_ONCE; n_rows -= ROWS_AT_ONCE) {
        products(load, elem_bytes, &p, 1, ROWS_AT_ONCE);
        p.x += ROWS_AT_ONCE * p.n_cols;
        p.out += ROWS_AT_ONCE * p.out_stride;
    }
    switch (n_rows) {
    case 1: products(load, elem_bytes, &p, 1, 1); break;
    case 2: products(load, elem_bytes, &p, 1, 2); break;
    case 3: products(load, elem_bytes, &p, 1, 3); break;
    case 4: products(load, elem_bytes, &p, 1, 4); break;
    default: break;
    }
}

INLINE void matmul(load_fn load, size_t elem_bytes, const struct panels *w, uint32_t first_panel,
                   uint32_t n_panels, const struct activations *a, float *out, size_t out_stride)
{
    const size_t bytes = panel_bytes(w->dtype, w->n_cols);

    for (uint32_t i = 0, n; i < n_panels; i += n) {
        const struct place p = { .panel = w->data + (first_panel + i) * bytes,
                                 .panel_bytes = bytes,
                                 .n_cols = w->n_cols,
                                 .x = a->x,
                                 .out = out + (size_t)i * PANEL_ROWS,
                                 .out_stride = out_stride,
                                 .n_outs = w->n_rows - (first_panel + i) * PANEL_ROWS };

        n = a->n_rows == 1 && n_panels - i >= PANELS_AT_ONCE ? PANELS_AT_ONCE : 1;
        if (n > 1)
            products(load, elem_bytes, &p, PANELS_AT_ONCE, 1);
        else
            one_panel(load, elem_bytes, p, a->n_rows);
    }
}

static void matmul_f32(const struct panels *w, uint32_t first_panel, uint32_t n_panels,
                       const struct activations *a, float *out, size_t out_stride, float *scratch)
{
    (void)scratch;
    matmul(load_f32, sizeof(float), w, first_panel, n_panels, a, out, out_stride);
}

static void matmul_f16(const struct panels *w, uint32_t first_panel, uint32_t n_panels,
                       const struct activations *a, float *out, size_t out_stride, float *scratch)
{
    (void)scratch;
    matmul(load_f16, sizeof(uint16_t), w, first_panel, n_panels, a, out, out_stride);
}

static void dequantise_f16(float *ret, const void *row, size_t n)
{
    const unsigned char *p = row;
    size_t i = 0;

    for (; i + 4 <= n; i += 4)
        vst1q_f32(ret + i, vcvt_f32_f16(vreinterpret_f16_u8(vld1_u8(p + 2 * i))));
    for (; i < n; i++)
        ret[i] = f16_to_f32(load_u16(p + 2 * i));
}

void neon_fill_floats(struct kernel_ops *ops)
{
    ops->dequantise[DTYPE_F16] = dequantise_f16;
    for (unsigned format = 0; format < N_ACTIVATION_FORMATS; format++) {
        ops->products[format].matmul[DTYPE_F32] = matmul_f32;
        ops->products[format].matmul[DTYPE_F16] = matmul_f16;
    }
}
