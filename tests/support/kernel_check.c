/* SPDX-License-Identifier: Apache-2.0 */
/* tests/support/kernel_check.c - products against plain C, on odd sizes, between guards.
 *
 * The oracle reads weights as GGUF stores them, never panels, and follows the arithmetic that
 * kernels.h states, one output at a time, with fmaf().
 */
#include "support/kernel_check.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/machine.h"
#include "base/size.h"
#include "engine/cpu/f16.h"
#include "support/numbers.h"

enum { BLOCK = 32, MAX_ROWS = 14 };

static const enum dtype dtypes[] = { DTYPE_F32, DTYPE_F16, DTYPE_Q4_0, DTYPE_Q4_1, DTYPE_Q8_0 };

size_t kernel_check_isas(struct kernel_ops *ret_isas, size_t capacity)
{
    const uint32_t features = machine_cpu_features();
    char names[256], *rest = names;
    size_t n = 0;

    kernel_isa_names(UINT32_MAX, names, sizeof(names));
    for (char *name; (name = strtok_r(rest, ", ", &rest)) != NULL;) {
        require(n < capacity, "more than %zu ISAs", capacity);
        if (kernel_ops_select(&ret_isas[n], features, name))
            n++;
        else
            printf("SKIPPED: %s, which this CPU lacks\n", name);
    }
    return n;
}

/* ---- the definition ---- */

struct block {
    int w[BLOCK];
    float d, m;
};

static float f16_at(const unsigned char *p)
{
    return f16_to_f32(load_u16(p));
}

static struct block block_of(enum dtype dtype, const unsigned char *p)
{
    struct block b = { .d = f16_at(p), .m = dtype == DTYPE_Q4_1 ? f16_at(p + 2) : 0 };
    const unsigned char *quants = p + (dtype == DTYPE_Q4_1 ? 4 : 2);
    const int offset = dtype == DTYPE_Q4_0 ? 8 : 0;

    for (unsigned i = 0; i < BLOCK; i++)
        if (dtype == DTYPE_Q8_0)
            b.w[i] = (int8_t)quants[i];
        else
            b.w[i] = (int)(quants[i % 16] >> i / 16 * 4 & 15) - offset;
    return b;
}

static float add_block(const struct block *b, enum dtype dtype, const float *x, float acc)
{
    float max = 0, factor, scale;
    int32_t isum = 0, sum = 0;

    for (unsigned i = 0; i < BLOCK; i++)
        max = fmaxf(max, fabsf(x[i]));
    if (max <= PACKED_NOTHING)
        max = 0;
    factor = max > 0 ? PACKED_MAX / max : 0;
    scale = max / PACKED_MAX;
    for (unsigned i = 0; i < BLOCK; i++) {
        const int32_t q = (int32_t)nearbyintf(x[i] * factor);

        isum += b->w[i] * q;
        sum += q;
    }
    acc = fmaf((float)isum, b->d * scale, acc);
    return dtype == DTYPE_Q4_1 ? fmaf(b->m, scale * (float)sum, acc) : acc;
}

static float product(const struct matrix *w, uint32_t row, const float *x)
{
    const struct dtype_info *info = dtype_info((uint32_t)w->dtype);
    const unsigned char *p =
        (const unsigned char *)w->data + row * dtype_row_bytes(w->dtype, w->n_cols);
    float acc = 0;

    for (uint32_t c = 0; c < w->n_cols; c += info->block_elems, p += info->block_bytes) {
        if (info->block_elems == 1) {
            acc = fmaf((float)matrix_at(w, row, c), x[c], acc);
        } else {
            const struct block b = block_of(w->dtype, p);

            acc = add_block(&b, w->dtype, x + c, acc);
        }
    }
    return acc;
}

static void require_near(const struct matrix *w, uint32_t row, const float *x, float got)
{
    double exact = 0, bound = 1e-6;

    for (uint32_t c = 0; c < w->n_cols; c++) {
        exact += matrix_at(w, row, c) * (double)x[c];
        bound += fabs(matrix_at(w, row, c) * (double)x[c]) * 1e-5;
    }
    require(fabs((double)got - exact) <= bound, "ref %s %u x %u: %g, not %g",
            dtype_info((uint32_t)w->dtype)->name, w->n_rows, w->n_cols, (double)got, exact);
}

/* ---- one case ---- */

struct sample {
    const struct kernel_ops *ops;
    struct matrix w;
    struct panels panels;
    unsigned char *panel_data;
    size_t panel_data_bytes;
    struct activations a;
    float *x, *scratch;
    unsigned char *packed;
    uint32_t first_panel, n_panels, n_outs;
};

static float *random_rows(uint32_t n_rows, uint32_t n_cols, uint32_t *seed)
{
    float *x = guarded_new((size_t)n_rows * n_cols * sizeof(*x));

    for (size_t i = 0; i < (size_t)n_rows * n_cols; i++)
        x[i] = 3 * random_float(seed);
    return x;
}

/* Rows 1 and 2 begin with what quantising could trip over: nothing at all, next to nothing, and
 * one activation that leaves the others nothing. */
static void make_odd(float *x, uint32_t n_rows, uint32_t n_cols)
{
    const uint32_t n = n_cols < BLOCK ? n_cols : BLOCK;

    if (n_rows < 3)
        return;
    for (uint32_t i = 0; i < n; i++)
        x[n_cols + i] = x[2 * n_cols + i] = 0;
    if (n_cols >= 2 * BLOCK)
        for (uint32_t i = 0; i < BLOCK; i++)
            x[n_cols + BLOCK + i] = 1e-40f;
    x[2 * n_cols + n / 2] = -1e6f;
}

static void sample_init(struct sample *s, const struct kernel_ops *ops, enum dtype dtype,
                        uint32_t height, uint32_t n_rows, uint32_t n_cols, uint32_t *seed)
{
    const size_t one = panel_bytes(dtype, n_cols), packed = ops->packed_bytes(n_cols);

    s->ops = ops;
    s->w = random_matrix(dtype, height, n_cols, seed);
    s->panel_data_bytes = panel_count(height) * one;
    s->panel_data = guarded_new(s->panel_data_bytes);
    for (uint32_t p = 0; p < panel_count(height); p++)
        panel_pack(&s->w, p, s->panel_data + p * one);
    s->panels = (struct panels){ dtype, height, n_cols, s->panel_data };
    s->x = random_rows(n_rows, n_cols, seed);
    make_odd(s->x, n_rows, n_cols);
    s->packed = guarded_new(n_rows * packed);
    for (uint32_t r = 0; r < n_rows; r++)
        ops->pack(s->packed + r * packed, s->x + (size_t)r * n_cols, n_cols);
    s->a = (struct activations){ s->x, s->packed, packed, n_cols, n_rows };
    s->scratch = guarded_new(n_cols * sizeof(*s->scratch));
    s->first_panel = panel_count(height) > 2;
    s->n_panels = panel_count(height) - s->first_panel;
    s->n_outs = height - s->first_panel * PANEL_ROWS;
}

static void sample_release(struct sample *s)
{
    guarded_free(s->scratch, s->a.n_cols * sizeof(*s->scratch));
    guarded_free(s->packed, s->a.n_rows * s->a.packed_bytes);
    guarded_free(s->x, (size_t)s->a.n_rows * s->a.n_cols * sizeof(*s->x));
    guarded_free(s->panel_data, s->panel_data_bytes);
    matrix_release(&s->w);
}

static void require_product(const struct sample *s, uint32_t out, uint32_t row, float got)
{
    const float *x = s->x + (size_t)row * s->a.n_cols;
    const uint32_t w_row = s->first_panel * PANEL_ROWS + out;
    float expected;

    if (strcmp(s->ops->isa, "ref") == 0) {
        require_near(&s->w, w_row, x, got);
        return;
    }
    expected = product(&s->w, w_row, x);
    require(memcmp(&got, &expected, sizeof(got)) == 0,
            "%s %s, %u x %u times %u rows: output %u of row %u is %a, not %a", s->ops->isa,
            dtype_info((uint32_t)s->w.dtype)->name, s->w.n_rows, s->w.n_cols, s->a.n_rows, out, row,
            (double)got, (double)expected);
}

/* Between the outputs of two rows lies what must stay as it is. */
static void check_sample(const struct sample *s)
{
    const uint32_t stride = s->n_outs + 3;
    const size_t n = (size_t)(s->a.n_rows - 1) * stride + s->n_outs;
    const float untouched = -12345;
    float *out = guarded_new(n * sizeof(*out));

    for (size_t i = 0; i < n; i++)
        out[i] = untouched;
    s->ops->matmul[s->w.dtype](&s->panels, s->first_panel, s->n_panels, &s->a, out, stride,
                               s->scratch);
    for (size_t i = 0; i < n; i++) {
        const uint32_t row = (uint32_t)(i / stride), o = (uint32_t)(i % stride);

        if (o < s->n_outs)
            require_product(s, o, row, out[i]);
        else
            require(f32_bits(out[i]) == f32_bits(untouched), "%s writes beyond a row", s->ops->isa);
    }
    guarded_free(out, n * sizeof(*out));
}

static void check_format(const struct kernel_ops *ops, enum dtype dtype, uint32_t n_rows,
                         uint32_t *seed)
{
    static const uint32_t heights[] = { 1, 15, 16, 33, 53, 80 };
    static const uint32_t cols[] = { 32, 64, 96, 608, 1, 7, 33, 100 };

    for (size_t c = 0; c < ARRAY_LEN(cols); c++)
        for (size_t h = 0; h < ARRAY_LEN(heights); h++) {
            struct sample s;

            if (panel_bytes(dtype, cols[c]) == 0)
                continue;
            sample_init(&s, ops, dtype, heights[h], n_rows, cols[c], seed);
            check_sample(&s);
            sample_release(&s);
        }
}

void kernel_check_products(const struct kernel_ops *ops)
{
    uint32_t seed = 20240229;

    for (size_t d = 0; d < ARRAY_LEN(dtypes); d++)
        for (uint32_t rows = 1; rows <= MAX_ROWS; rows++)
            check_format(ops, dtypes[d], rows, &seed);
}
