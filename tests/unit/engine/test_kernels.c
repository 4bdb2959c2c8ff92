/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/engine/test_kernels.c - every kernel of every ISA of this machine against double
 * precision, on odd sizes, between guards.
 */
#include "support/check.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "engine/cpu/f16.h"
#include "engine/cpu/kernels.h"
#include "support/kernel_check.h"
#include "support/numbers.h"

enum { MAX_ISAS = 8 };

struct fixture {
    struct kernel_ops isas[MAX_ISAS];
    size_t n_isas;
    uint32_t seed;
};

static const enum dtype dtypes[] = { DTYPE_F32, DTYPE_F16, DTYPE_Q4_0, DTYPE_Q4_1, DTYPE_Q8_0 };

static int set_up(void **state)
{
    static struct fixture f;

    f = (struct fixture){ .seed = 1 };
    f.n_isas = kernel_check_isas(f.isas, MAX_ISAS);
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

static void products_are_the_definitions_and_do_not_depend_on_company(void **state)
{
    const struct fixture *f = *state;

    for (size_t k = 0; k < f->n_isas; k++)
        for (unsigned format = 0; format < N_ACTIVATION_FORMATS; format++)
            kernel_check_products(&f->isas[k], format);
}

static void products_of_emulated_amx_are_the_definitions(void **state)
{
    struct kernel_ops ops;

    (void)state;
    if (!kernel_check_emulated_amx(&ops))
        return;
    for (unsigned format = 0; format < N_ACTIVATION_FORMATS; format++)
        kernel_check_products(&ops, format);
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
            assert_non_null(ops->dequantise[dtypes[d]]);
        for (unsigned format = 0; format < N_ACTIVATION_FORMATS; format++) {
            const struct product_ops *products = &ops->products[format];

            assert_true(products->packed_bytes && products->pack);
            for (size_t d = 0; d < ARRAY_LEN(dtypes); d++)
                assert_non_null(products->matmul[dtypes[d]]);
        }
        assert_true(ops->rmsnorm && ops->swiglu && ops->f16_store && ops->softmax);
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
        cmocka_unit_test(products_are_the_definitions_and_do_not_depend_on_company),
        cmocka_unit_test(products_of_emulated_amx_are_the_definitions),
        cmocka_unit_test(norms_and_activations_are_right),
        cmocka_unit_test(halves_convert_as_the_standard_says),
    };

    return cmocka_run_group_tests(tests, set_up, NULL);
}
