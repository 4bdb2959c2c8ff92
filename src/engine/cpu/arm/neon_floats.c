/* SPDX-License-Identifier: Apache-2.0 */
/* engine/cpu/arm/neon_floats.c - matrices of floating point weights times rows.
 *
 * A column of a panel is four registers of four rows, multiplied by one activation: FMLA by
 * element.  Four activation rows share the loads and, for F16, the conversions: per column
 * 4 (F16: 2, and 4 FCVTL) and 4 loads, 16 FMLA; sums and weights take 20 of the 32 registers.
 */
#include <string.h>

#include "engine/cpu/arm/neon.h"
#include "engine/cpu/f16.h"

enum { ROWS_AT_ONCE = 4, QUADS = PANEL_ROWS / 4 };

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

/* n_rows is a constant; n_outs rows of the panel exist. */
INLINE void panel_rows(load_fn load, size_t column_bytes, const unsigned char *panel,
                       const float *x, size_t n_cols, unsigned n_rows, float *out,
                       size_t out_stride, size_t n_outs)
{
    float32x4_t acc[ROWS_AT_ONCE][QUADS];
    float sums[PANEL_ROWS];

    for (unsigned r = 0; r < n_rows; r++)
        for (unsigned i = 0; i < QUADS; i++)
            acc[r][i] = vdupq_n_f32(0);
    for (size_t c = 0; c < n_cols; c++, panel += column_bytes) {
        float32x4_t w[QUADS];

        load(panel, w);
        for (unsigned r = 0; r < n_rows; r++)
            for (unsigned i = 0; i < QUADS; i++)
                acc[r][i] = vfmaq_n_f32(acc[r][i], w[i], x[r * n_cols + c]);
    }
    for (unsigned r = 0; r < n_rows; r++) {
        for (unsigned i = 0; i < QUADS; i++)
            vst1q_f32(sums + (size_t)i * 4, acc[r][i]);
        memcpy(out + r * out_stride, sums, n_outs * sizeof(float));
    }
}

INLINE void matmul(load_fn load, size_t elem_bytes, const struct panels *w, uint32_t first_panel,
                   uint32_t n_panels, const struct activations *a, float *out, size_t out_stride)
{
    const size_t n_cols = w->n_cols, bytes = panel_bytes(w->dtype, w->n_cols);
    const size_t column_bytes = PANEL_ROWS * elem_bytes;

    for (uint32_t p = 0; p < n_panels; p++, out += PANEL_ROWS) {
        const unsigned char *panel = w->data + (first_panel + p) * bytes;
        const uint32_t left = w->n_rows - (first_panel + p) * PANEL_ROWS;
        const size_t n_outs = left < PANEL_ROWS ? left : PANEL_ROWS;
        uint32_t r = 0;

        for (; r + ROWS_AT_ONCE <= a->n_rows; r += ROWS_AT_ONCE)
            panel_rows(load, column_bytes, panel, a->x + r * n_cols, n_cols, ROWS_AT_ONCE,
                       out + r * out_stride, out_stride, n_outs);
        for (; r < a->n_rows; r++)
            panel_rows(load, column_bytes, panel, a->x + r * n_cols, n_cols, 1,
                       out + r * out_stride, out_stride, n_outs);
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
    ops->matmul[DTYPE_F32] = matmul_f32;
    ops->matmul[DTYPE_F16] = matmul_f16;
}
