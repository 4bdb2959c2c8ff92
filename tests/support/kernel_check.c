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

enum { BLOCK = 32 };

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

#if defined(__x86_64__)

void kernel_fill_amx_emulated(struct kernel_ops *ops); /* amx_emulated.h */

bool kernel_check_emulated_amx(struct kernel_ops *ret_ops)
{
    const uint32_t features = machine_cpu_features();

    if (!(features & CPU_AVX512_VBMI) || !kernel_ops_select(ret_ops, features, "avx512-vnni")) {
        printf("SKIPPED: emulated AMX, on a CPU without AVX-512 VNNI and VBMI\n");
        return false;
    }
    kernel_fill_amx_emulated(ret_ops);
    ret_ops->isa = "amx-int8, emulated";
    return true;
}

#else

bool kernel_check_emulated_amx(struct kernel_ops *ret_ops)
{
    (void)ret_ops;
    printf("SKIPPED: emulated AMX, on a CPU of another kind\n");
    return false;
}

#endif

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

/* Activations of one block, in order; as 16-bit integers for both formats. */
static struct packed_block quantise(enum activation_format format, const float *x)
{
    const float most = format == ACTIVATIONS_8 ? 127 : 32512;
    struct packed_block b = { .head = { 0 } };
    float max = 0, factor;
    int32_t sum = 0;

    for (unsigned i = 0; i < BLOCK; i++)
        max = fmaxf(max, fabsf(x[i]));
    if (max <= PACKED_NOTHING)
        max = 0;
    factor = max > 0 ? most / max : 0;
    for (unsigned i = 0; i < BLOCK; i++) {
        b.q[i] = (int16_t)nearbyintf(x[i] * factor);
        sum += b.q[i];
    }
    b.head.scale = max / most;
    b.head.sum = b.head.scale * (float)sum;
    return b;
}

static float add_block(const struct block *b, enum dtype dtype, const struct packed_block *x,
                       float acc)
{
    int32_t isum = 0;

    for (unsigned i = 0; i < BLOCK; i++)
        isum += b->w[i] * x->q[i];
    acc = fmaf((float)isum, b->d * x->head.scale, acc);
    return dtype == DTYPE_Q4_1 ? fmaf(b->m, x->head.sum, acc) : acc;
}

/* ---- one case ---- */

/* Weights and activations as the oracle reads them, worked out once for all products. */
struct definition {
    double *w; /* [height][n_cols]; for what is not exact, and for formats without blocks */
    struct block *w_blocks;        /* [height][n_cols / BLOCK] */
    struct packed_block *x_blocks; /* [n_rows][n_cols / BLOCK] */
};

struct sample {
    const char *isa;
    enum activation_format format;
    const struct product_ops *products;
    struct matrix w;
    struct panels panels;
    unsigned char *panel_data;
    size_t panel_data_bytes;
    struct activations a;
    float *x, *scratch;
    unsigned char *packed;
    uint32_t first_panel, n_panels, n_outs;
    struct definition definition;
};

static void *array_new(size_t n, size_t bytes)
{
    void *p = calloc(n + 1, bytes);

    require(p != NULL, "no memory for %zu elements", n);
    return p;
}

/* Of the formats without blocks, ref's bits are its own too. */
static bool is_exact(const struct sample *s)
{
    return strcmp(s->isa, "ref") != 0 ||
           (s->format == ACTIVATIONS_8 && dtype_info((uint32_t)s->w.dtype)->block_elems > 1);
}

/* What the sample's ISA is held against. */
static void definition_init(struct definition *d, const struct sample *s)
{
    const struct dtype_info *info = dtype_info((uint32_t)s->w.dtype);
    const bool has_blocks = info->block_elems > 1;
    const uint32_t n_cols = s->w.n_cols, n_blocks = has_blocks ? n_cols / BLOCK : 0;
    const uint32_t n_elems = !is_exact(s) || !has_blocks ? s->w.n_rows * n_cols : 0;
    const unsigned char *data = s->w.data;

    d->w = array_new(n_elems, sizeof(*d->w));
    d->w_blocks = array_new((size_t)s->w.n_rows * n_blocks, sizeof(*d->w_blocks));
    d->x_blocks = array_new((size_t)s->a.n_rows * n_blocks, sizeof(*d->x_blocks));
    for (uint32_t i = 0; i < n_elems; i++)
        d->w[i] = matrix_at(&s->w, i / n_cols, i % n_cols);
    for (uint32_t i = 0; i < s->w.n_rows * n_blocks; i++)
        d->w_blocks[i] = block_of(s->w.dtype, data + (size_t)i * info->block_bytes);
    for (uint32_t i = 0; i < s->a.n_rows * n_blocks; i++)
        d->x_blocks[i] = quantise(s->format, s->x + (size_t)i * BLOCK);
}

static void definition_release(struct definition *d)
{
    free(d->w);
    free(d->w_blocks);
    free(d->x_blocks);
}

static float product(const struct sample *s, uint32_t w_row, uint32_t row)
{
    const uint32_t n_cols = s->w.n_cols, n_blocks = n_cols / BLOCK;
    const struct definition *d = &s->definition;
    const float *x = s->x + (size_t)row * n_cols;
    float acc = 0;

    if (dtype_info((uint32_t)s->w.dtype)->block_elems > 1) {
        for (uint32_t b = 0; b < n_blocks; b++)
            acc = add_block(&d->w_blocks[w_row * n_blocks + b], s->w.dtype,
                            &d->x_blocks[row * n_blocks + b], acc);
        return acc;
    }
    for (uint32_t c = 0; c < n_cols; c++)
        acc = fmaf((float)d->w[(size_t)w_row * n_cols + c], x[c], acc);
    return acc;
}

static void require_near(const struct sample *s, uint32_t w_row, uint32_t row, float got)
{
    const uint32_t n_cols = s->w.n_cols;
    const double *w = s->definition.w + (size_t)w_row * n_cols;
    const float *x = s->x + (size_t)row * n_cols;
    double exact = 0, bound = 1e-6;

    for (uint32_t c = 0; c < n_cols; c++) {
        exact += w[c] * (double)x[c];
        bound += fabs(w[c] * (double)x[c]) * 1e-5;
    }
    require(fabs((double)got - exact) <= bound, "ref %s %u x %u: %g, not %g",
            dtype_info((uint32_t)s->w.dtype)->name, s->w.n_rows, n_cols, (double)got, exact);
}

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

/* The kernels are in `s` already. */
static void sample_init(struct sample *s, enum dtype dtype, uint32_t height, uint32_t n_rows,
                        uint32_t n_cols, uint32_t *seed)
{
    const size_t one = panel_bytes(dtype, n_cols), packed = s->products->packed_bytes(n_cols);

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
        s->products->pack(s->packed + r * packed, s->x + (size_t)r * n_cols, n_cols);
    s->a = (struct activations){ s->x, s->packed, packed, n_cols, n_rows };
    definition_init(&s->definition, s);
    s->scratch = guarded_new(n_cols * sizeof(*s->scratch));
    s->first_panel = panel_count(height) > 2;
    s->n_panels = panel_count(height) - s->first_panel;
    s->n_outs = height - s->first_panel * PANEL_ROWS;
}

static void sample_release(struct sample *s)
{
    guarded_free(s->scratch, s->a.n_cols * sizeof(*s->scratch));
    definition_release(&s->definition);
    guarded_free(s->packed, s->a.n_rows * s->a.packed_bytes);
    guarded_free(s->x, (size_t)s->a.n_rows * s->a.n_cols * sizeof(*s->x));
    guarded_free(s->panel_data, s->panel_data_bytes);
    matrix_release(&s->w);
}

static void require_product(const struct sample *s, uint32_t out, uint32_t row, float got)
{
    const uint32_t w_row = s->first_panel * PANEL_ROWS + out;
    float expected;

    if (!is_exact(s)) {
        require_near(s, w_row, row, got);
        return;
    }
    expected = product(s, w_row, row);
    require(memcmp(&got, &expected, sizeof(got)) == 0,
            "%s %s, %u bits, %u x %u times %u rows: output %u of row %u is %a, not %a", s->isa,
            dtype_info((uint32_t)s->w.dtype)->name, activation_format_bits(s->format), s->w.n_rows,
            s->w.n_cols, s->a.n_rows, out, row, (double)got, (double)expected);
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
    s->products->matmul[s->w.dtype](&s->panels, s->first_panel, s->n_panels, &s->a, out, stride,
                                    s->scratch);
    for (size_t i = 0; i < n; i++) {
        const uint32_t row = (uint32_t)(i / stride), o = (uint32_t)(i % stride);

        if (o < s->n_outs)
            require_product(s, o, row, out[i]);
        else
            require(f32_bits(out[i]) == f32_bits(untouched), "%s writes beyond a row", s->isa);
    }
    guarded_free(out, n * sizeof(*out));
}

static void check_dtype(const struct sample *kernels, enum dtype dtype, uint32_t n_rows,
                        uint32_t *seed)
{
    static const uint32_t heights[] = { 1, 15, 16, 33, 53, 80 };
    static const uint32_t cols[] = { 32, 64, 96, 608, 1, 7, 33, 100 };

    for (size_t c = 0; c < ARRAY_LEN(cols); c++)
        for (size_t h = 0; h < ARRAY_LEN(heights); h++) {
            struct sample s = *kernels;

            if (panel_bytes(dtype, cols[c]) == 0)
                continue;
            sample_init(&s, dtype, heights[h], n_rows, cols[c], seed);
            check_sample(&s);
            sample_release(&s);
        }
}

void kernel_check_products(const struct kernel_ops *ops, enum activation_format format)
{
    static const uint32_t n_rows[] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 17, 31, 74 };
    const struct sample kernels = { .isa = ops->isa,
                                    .format = format,
                                    .products = &ops->products[format] };
    uint32_t seed = 20240229;

    for (size_t d = 0; d < ARRAY_LEN(dtypes); d++)
        for (size_t i = 0; i < ARRAY_LEN(n_rows); i++)
            check_dtype(&kernels, dtypes[d], n_rows[i], &seed);
}
