/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/engine/test_panel.c - a panel holds the rows it was packed from, and nothing else. */
#include "support/check.h"

#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "engine/cpu/panel.h"
#include "support/numbers.h"

static const enum dtype dtypes[] = { DTYPE_F32, DTYPE_F16, DTYPE_Q4_0, DTYPE_Q4_1, DTYPE_Q8_0 };

static void assert_rows_come_back(enum dtype dtype, uint32_t n_rows, uint32_t n_cols,
                                  uint32_t *seed)
{
    struct matrix w = random_matrix(dtype, n_rows, n_cols, seed);
    const size_t one = panel_bytes(dtype, n_cols), all = panel_count(n_rows) * one;
    unsigned char *data = guarded_new(all);
    const struct panels panels = { dtype, n_rows, n_cols, data };
    float *row = calloc(n_cols, sizeof(*row));

    assert_non_null(row);
    memset(data, 0xa5, all);
    for (uint32_t p = 0; p < panel_count(n_rows); p++)
        panel_pack(&w, p, data + p * one);
    for (uint32_t i = 0; i < n_rows; i++) {
        panel_row(&panels, i, row);
        for (uint32_t j = 0; j < n_cols; j++)
            assert_float_equal(row[j], (float)matrix_at(&w, i, j), 1e-6);
    }
    for (uint32_t i = n_rows; i < panel_count(n_rows) * PANEL_ROWS; i++) {
        panel_row(&panels, i, row);
        for (uint32_t j = 0; j < n_cols; j++)
            assert_true(row[j] >= 0 && row[j] <= 0);
    }
    free(row);
    guarded_free(data, all);
    matrix_release(&w);
}

static void every_format_comes_back_as_it_was(void **state)
{
    const uint32_t heights[] = { 1, 15, 16, 17, 48 };
    uint32_t seed = 20240611;

    (void)state;
    for (size_t f = 0; f < ARRAY_LEN(dtypes); f++)
        for (size_t h = 0; h < ARRAY_LEN(heights); h++)
            for (uint32_t n_cols = 32; n_cols <= 160; n_cols += 32)
                assert_rows_come_back(dtypes[f], heights[h], n_cols, &seed);
}

static void a_panel_is_no_larger_than_its_rows(void **state)
{
    (void)state;
    for (size_t f = 0; f < ARRAY_LEN(dtypes); f++)
        assert_int_equal(panel_bytes(dtypes[f], 2048),
                         PANEL_ROWS * dtype_row_bytes(dtypes[f], 2048));
}

static void columns_that_are_no_whole_blocks_are_refused(void **state)
{
    (void)state;
    assert_int_equal(panel_bytes(DTYPE_Q4_0, 33), 0);
    assert_int_equal(panel_bytes((enum dtype)99, 32), 0);
    assert_int_not_equal(panel_bytes(DTYPE_F32, 33), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_format_comes_back_as_it_was),
        cmocka_unit_test(a_panel_is_no_larger_than_its_rows),
        cmocka_unit_test(columns_that_are_no_whole_blocks_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
