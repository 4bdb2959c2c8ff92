/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/engine/test_kernels.c - every kernel of every ISA of this machine against double
 * precision, on odd sizes, between guards.
 */
#include "support/check.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/machine.h"
#include "base/size.h"
#include "engine/cpu/f16.h"
#include "engine/cpu/kernels.h"
#include "numbers.h"

enum { MAX_ISAS = 8, MAX_ROWS = 9 };

struct fixture {
    struct kernel_ops isas[MAX_ISAS];
    size_t n_isas;
    uint32_t seed;
};

static const enum dtype dtypes[] = { DTYPE_F32, DTYPE_F16, DTYPE_Q4_0, DTYPE_Q4_1, DTYPE_Q8_0 };

static int set_up(void **state)
{
    static struct fixture f;
    const uint32_t features = machine_cpu_features();
    char names[128], *rest = names;

    f = (struct fixture){ .seed = 1 };
    kernel_isa_names(features, names, sizeof(names));
    for (char *name; (name = strtok_r(rest, ", ", &rest)) != NULL;)
        assert_true(kernel_ops_select(&f.isas[f.n_isas++], features, name));
    *state = &f;
    return 0;
}

static float *random_row(size_t n, uint32_t *seed)
{
    float *x = guarded_new(n * sizeof(*x));

    for (size_t i = 0; i < n; i++)
        x[i] = 3 * random_float(seed);
    return x;
}

static unsigned char *aligned_new(size_t n_bytes)
{
    unsigned char *p = aligned_alloc(KERNEL_ALIGN, size_round_up(n_bytes + 1, KERNEL_ALIGN));

    assert_non_null(p);
    return p;
}

/* Rows in the form `ops` wants; x is guarded, packed freed with free(). */
static struct activations activations_of(const struct kernel_ops *ops, const float *x,
                                         uint32_t n_rows, uint32_t n_cols)
{
    const size_t packed_bytes = ops->packed_bytes(n_cols);
    unsigned char *packed = aligned_new(n_rows * packed_bytes);

    for (uint32_t r = 0; r < n_rows; r++)
        ops->pack(packed + r * packed_bytes, x + (size_t)r * n_cols, n_cols);
    return (struct activations){ x, packed, packed_bytes, n_cols, n_rows };
}

/* Half a step of a 16-bit integer on the block's largest activation, and some rounding. */
static void assert_product(const struct matrix *w, uint32_t row, const float *x, float got)
{
    double exact = 0, bound = 1e-6;

    for (uint32_t start = 0; start < w->n_cols; start += 32) {
        double weights = 0, largest = 0;

        for (uint32_t c = start; c < w->n_cols && c < start + 32; c++) {
            exact += matrix_at(w, row, c) * (double)x[c];
            weights += fabs(matrix_at(w, row, c));
            largest = fmax(largest, fabs((double)x[c]));
        }
        bound += weights * largest * 2 / 32767;
    }
    if (!(fabs((double)got - exact) <= bound))
        fail_msg("%s %u x %u: %g, not %g", dtype_info((uint32_t)w->dtype)->name, w->n_rows,
                 w->n_cols, (double)got, exact);
}

static void check_matmul(struct fixture *f, const struct kernel_ops *ops, enum dtype dtype,
                         uint32_t n_rows, uint32_t n_cols)
{
    enum { N_OUT = 5, FIRST = 2, STRIDE = N_OUT + 3 };
    struct matrix w = random_matrix(dtype, FIRST + N_OUT, n_cols, &f->seed);
    const size_t x_bytes = (size_t)n_rows * n_cols * sizeof(float);
    const size_t out_bytes = ((n_rows - 1) * STRIDE + N_OUT) * sizeof(float);
    float *x = random_row((size_t)n_rows * n_cols, &f->seed), *out = guarded_new(out_bytes);
    float *scratch = guarded_new(n_cols * sizeof(float));
    const struct activations a = activations_of(ops, x, n_rows, n_cols);

    ops->matmul[dtype](&w, FIRST, N_OUT, &a, out, STRIDE, scratch);
    for (uint32_t r = 0; r < n_rows; r++)
        for (uint32_t i = 0; i < N_OUT; i++)
            assert_product(&w, FIRST + i, x + (size_t)r * n_cols, out[r * STRIDE + i]);
    for (uint32_t r = 0; r < n_rows; r++) { /* alone, one output at a time: the same bits */
        const struct activations one = activations_of(ops, x + (size_t)r * n_cols, 1, n_cols);

        for (uint32_t i = 0; i < N_OUT; i++) {
            float alone;

            ops->matmul[dtype](&w, FIRST + i, 1, &one, &alone, 1, scratch);
            assert_memory_equal(&alone, &out[r * STRIDE + i], sizeof(alone));
        }
        free((void *)(uintptr_t)one.packed);
    }
    free((void *)(uintptr_t)a.packed);
    guarded_free(scratch, n_cols * sizeof(float));
    guarded_free(out, out_bytes);
    guarded_free(x, x_bytes);
    matrix_release(&w);
}

static void a_product_is_right_and_does_not_depend_on_its_company(void **state)
{
    static const uint32_t cols[] = { 32, 64, 96, 160, 576, 608 };
    static const uint32_t odd_cols[] = { 1, 7, 16, 33, 100 }; /* formats without blocks */
    struct fixture *f = *state;

    for (size_t k = 0; k < f->n_isas; k++)
        for (size_t d = 0; d < ARRAY_LEN(dtypes); d++)
            for (uint32_t rows = 1; rows <= MAX_ROWS; rows++) {
                for (size_t c = 0; c < ARRAY_LEN(cols); c++)
                    check_matmul(f, &f->isas[k], dtypes[d], rows, cols[c]);
                for (size_t c = 0; c < ARRAY_LEN(odd_cols); c++)
                    if (dtype_row_bytes(dtypes[d], odd_cols[c]) > 0)
                        check_matmul(f, &f->isas[k], dtypes[d], rows, odd_cols[c]);
            }
}

static void zero_and_tiny_activations_give_zero(void **state)
{
    const struct fixture *f = *state;
    uint32_t seed = 3;
    struct matrix w = random_matrix(DTYPE_Q4_1, 1, 64, &seed);
    float x[64] = { 0 }, scratch[64], out;

    x[5] = 1e-40f;
    for (size_t k = 0; k < f->n_isas; k++) {
        const struct activations a = activations_of(&f->isas[k], x, 1, 64);

        f->isas[k].matmul[DTYPE_Q4_1](&w, 0, 1, &a, &out, 1, scratch);
        assert_true(fabsf(out) < 1e-30f);
        free((void *)(uintptr_t)a.packed);
    }
    matrix_release(&w);
}

static void every_format_dequantises_to_its_definition(void **state)
{
    struct fixture *f = *state;

    for (size_t k = 0; k < f->n_isas; k++)
        for (size_t d = 0; d < ARRAY_LEN(dtypes); d++) {
            struct matrix w = random_matrix(dtypes[d], 1, 96, &f->seed);
            float *row = guarded_new(96 * sizeof(*row));

            f->isas[k].dequantise[dtypes[d]](row, w.data, 96);
            for (uint32_t c = 0; c < 96; c++)
                assert_true(fabs((double)row[c] - matrix_at(&w, 0, c)) < 1e-6);
            guarded_free(row, 96 * sizeof(*row));
            matrix_release(&w);
        }
}

static void check_rows(struct fixture *f, const struct kernel_ops *ops, size_t n)
{
    const size_t bytes = n * sizeof(float);
    float *x = random_row(n, &f->seed), *y = random_row(n, &f->seed), *out = guarded_new(bytes);
    double squares = 0;

    for (size_t i = 0; i < n; i++)
        squares += (double)x[i] * (double)x[i];
    ops->rmsnorm(out, x, y, n, 1e-5f);
    for (size_t i = 0; i < n; i++) {
        const double exact =
            (double)x[i] / sqrt(squares / (double)n + (double)1e-5f) * (double)y[i];

        assert_true(fabs((double)out[i] - exact) <= 2e-6 * fabs(exact));
    }
    memcpy(out, x, bytes);
    if (n > 1)
        out[1] = -100; /* the exponential is near its limits */
    ops->swiglu(out, y, n);
    for (size_t i = 0; i < n; i++) {
        const double z = i == 1 ? -100 : (double)x[i];
        const double exact = z / (1 + exp(-z)) * (double)y[i];

        assert_true(fabs((double)out[i] - exact) <= 2e-6 * fabs(exact) + 1e-35);
    }
    guarded_free(out, bytes);
    guarded_free(y, bytes);
    guarded_free(x, bytes);
}

static void norms_and_activations_are_right(void **state)
{
    static const size_t sizes[] = { 1, 2, 7, 8, 15, 16, 33, 576 };
    struct fixture *f = *state;

    for (size_t k = 0; k < f->n_isas; k++)
        for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
            check_rows(f, &f->isas[k], sizes[i]);
}

static void halves_convert_as_the_standard_says(void **state)
{
    const struct fixture *f = *state;

    for (uint32_t h = 0; h < 0x10000; h++) {
        const float x = f16_to_f32((uint16_t)h);
        const float between = f32_of_bits(f32_bits(x) + 0x1000); /* half a unit further out */

        if ((h & 0x7c00) == 0x7c00)
            continue;
        for (size_t k = 0; k < f->n_isas; k++) {
            uint16_t back, up;

            f->isas[k].f16_store(&back, &x, 1);
            assert_int_equal(back, h);
            f->isas[k].f16_store(&up, &between, 1);
            if ((h & 0x7fff) >= 0x400) /* normal: ties go to even */
                assert_int_equal(up, h + (h & 1));
        }
    }
}

/* For people; a matrix as large as a layer of a small model, one row. */
static void the_speed_of_each_format_is_printed(void **state)
{
    enum { ROWS = 512, COLS = 2048, REPEATS = 8 };
    struct fixture *f = *state;
    float *x = random_row(COLS, &f->seed), *scratch = guarded_new(COLS * sizeof(*scratch));
    float out[ROWS];

    for (size_t k = 0; k < f->n_isas; k++)
        for (size_t d = 0; d < ARRAY_LEN(dtypes); d++) {
            struct matrix w = random_matrix(dtypes[d], ROWS, COLS, &f->seed);
            const struct activations a = activations_of(&f->isas[k], x, 1, COLS);
            const uint64_t start_ns = clock_ns();

            for (int i = 0; i < REPEATS; i++)
                f->isas[k].matmul[dtypes[d]](&w, 0, ROWS, &a, out, ROWS, scratch);
            print_message("%-5s %-5s %6.2f GB/s\n", f->isas[k].isa,
                          dtype_info((uint32_t)dtypes[d])->name,
                          (double)(REPEATS * ROWS * dtype_row_bytes(dtypes[d], COLS)) /
                              (double)(clock_ns() - start_ns + 1));
            free((void *)(uintptr_t)a.packed);
            matrix_release(&w);
        }
    guarded_free(scratch, COLS * sizeof(*scratch));
    guarded_free(x, COLS * sizeof(*x));
}

static void no_feature_means_the_reference_kernels(void **state)
{
    struct kernel_ops ops = { 0 };
    char names[16];

    (void)state;
    assert_true(kernel_ops_select(&ops, 0, NULL));
    assert_string_equal(ops.isa, "ref");
    assert_false(kernel_ops_select(&ops, 0, "avx2"));
    assert_false(kernel_ops_select(&ops, UINT32_MAX, "abacus"));
    kernel_isa_names(0, names, sizeof(names));
    assert_string_equal(names, "ref");
}

static void every_table_is_complete(void **state)
{
    const struct fixture *f = *state;

    for (size_t k = 0; k < f->n_isas; k++) {
        const struct kernel_ops *ops = &f->isas[k];

        for (size_t d = 0; d < ARRAY_LEN(dtypes); d++)
            assert_true(ops->matmul[dtypes[d]] && ops->dequantise[dtypes[d]]);
        assert_true(ops->packed_bytes && ops->pack && ops->rmsnorm && ops->swiglu &&
                    ops->f16_store && ops->softmax);
        for (unsigned format = 0; format < N_KV_FORMATS; format++)
            assert_true(ops->attention_scores[format] && ops->attention_mix[format]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_feature_means_the_reference_kernels),
        cmocka_unit_test(every_table_is_complete),
        cmocka_unit_test(every_format_dequantises_to_its_definition),
        cmocka_unit_test(a_product_is_right_and_does_not_depend_on_its_company),
        cmocka_unit_test(zero_and_tiny_activations_give_zero),
        cmocka_unit_test(norms_and_activations_are_right),
        cmocka_unit_test(halves_convert_as_the_standard_says),
        cmocka_unit_test(the_speed_of_each_format_is_printed),
    };

    return cmocka_run_group_tests(tests, set_up, NULL);
}
