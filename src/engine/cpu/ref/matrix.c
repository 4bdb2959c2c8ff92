/* SPDX-License-Identifier: Apache-2.0 */
/* engine/cpu/ref/matrix.c - what each weight format means, and matrix times rows in f32.
 *
 * A weight row is dequantised once per call and meets every activation row;
 * nothing is quantised on the way, unless activations of 8 bits are asked for (matrix8.c).  Sums run over LANES interleaved partial sums so
 * that a compiler may use vectors without changing the result.
 */
#include <string.h>

#include "base/size.h"
#include "engine/cpu/f16.h"
#include "engine/cpu/kernels.h"
#include "engine/cpu/ref/ref.h"

enum { BLOCK = 32, LANES = 16 };

static void dequantise_f32(float *ret, const void *row, size_t n)
{
    memcpy(ret, row, n * sizeof(*ret));
}

static void dequantise_f16(float *ret, const void *row, size_t n)
{
    const unsigned char *p = row;

    for (size_t i = 0; i < n; i++)
        ret[i] = f16_to_f32(load_u16(p + 2 * i));
}

static void dequantise_q4_0(float *ret, const void *row, size_t n)
{
    const unsigned char *p = row;

    for (size_t b = 0; b < n / BLOCK; b++, p += 18, ret += BLOCK) {
        const float d = f16_to_f32(load_u16(p));

        for (size_t i = 0; i < BLOCK / 2; i++) {
            ret[i] = d * (float)((p[2 + i] & 15) - 8);
            ret[i + BLOCK / 2] = d * (float)((p[2 + i] >> 4) - 8);
        }
    }
}

static void dequantise_q4_1(float *ret, const void *row, size_t n)
{
    const unsigned char *p = row;

    for (size_t b = 0; b < n / BLOCK; b++, p += 20, ret += BLOCK) {
        const float d = f16_to_f32(load_u16(p)), m = f16_to_f32(load_u16(p + 2));

        for (size_t i = 0; i < BLOCK / 2; i++) {
            ret[i] = d * (float)(p[4 + i] & 15) + m;
            ret[i + BLOCK / 2] = d * (float)(p[4 + i] >> 4) + m;
        }
    }
}

static void dequantise_q8_0(float *ret, const void *row, size_t n)
{
    const unsigned char *p = row;

    for (size_t b = 0; b < n / BLOCK; b++, p += 34, ret += BLOCK) {
        const float d = f16_to_f32(load_u16(p));

        for (size_t i = 0; i < BLOCK; i++)
            ret[i] = d * (float)(int8_t)p[2 + i];
    }
}

static const struct {
    enum dtype dtype;
    void (*dequantise)(float *ret, const void *row, size_t n);
} formats[] = {
    { DTYPE_F32, dequantise_f32 },   { DTYPE_F16, dequantise_f16 },
    { DTYPE_Q4_0, dequantise_q4_0 }, { DTYPE_Q4_1, dequantise_q4_1 },
    { DTYPE_Q8_0, dequantise_q8_0 },
};

enum { N_FORMATS = sizeof(formats) / sizeof(formats[0]) };

static float dot(const float *a, const float *b, size_t n)
{
    float sums[LANES] = { 0 }, sum = 0;
    size_t i = 0;

    for (; i + LANES <= n; i += LANES)
        for (size_t j = 0; j < LANES; j++)
            sums[j] += a[i + j] * b[i + j];
    for (; i < n; i++)
        sum += a[i] * b[i];
    for (size_t j = 0; j < LANES; j++)
        sum += sums[j];
    return sum;
}

static void matmul(const struct panels *w, uint32_t first_panel, uint32_t n_panels,
                   const struct activations *a, float *out, size_t out_stride, float *scratch)
{
    const uint32_t first = first_panel * PANEL_ROWS;
    const uint32_t n = (uint32_t)size_min((size_t)n_panels * PANEL_ROWS, w->n_rows - first);

    for (uint32_t i = 0; i < n; i++) {
        panel_row(w, first + i, scratch);
        for (uint32_t r = 0; r < a->n_rows; r++)
            out[r * out_stride + i] = dot(scratch, a->x + (size_t)r * a->n_cols, w->n_cols);
    }
}

static size_t packed_bytes(size_t n)
{
    (void)n;
    return 0;
}

static void pack(void *ret_packed, const float *x, size_t n)
{
    (void)ret_packed;
    (void)x;
    (void)n;
}

void ref_fill_matrix(struct kernel_ops *ops)
{
    struct product_ops *products = &ops->products[ACTIVATIONS_16];

    for (size_t i = 0; i < N_FORMATS; i++) {
        ops->dequantise[formats[i].dtype] = formats[i].dequantise;
        products->matmul[formats[i].dtype] = matmul;
    }
    products->packed_bytes = packed_bytes;
    products->pack = pack;
    ops->products[ACTIVATIONS_8] = *products;
    ref_fill_matrix8(&ops->products[ACTIVATIONS_8]);
}
