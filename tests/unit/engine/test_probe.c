/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/engine/test_probe.c - the machine's bounds are measured; how large they are is its affair. */
#include "support/check.h"

#include "engine/cpu/probe/probe.h"

static void both_bounds_are_found_with_any_number_of_threads(void **state)
{
    (void)state;
    for (unsigned n_threads = 1; n_threads <= 3; n_threads++) {
        struct probe_figures figures = { 0 };
        struct probe *probe = NULL;
        struct err err = { 0 };

        assert_int_equal(probe_new(n_threads, &probe, &err), ST_OK);
        probe_measure(probe, &figures);
        assert_true(figures.read_bytes_per_s > 1e6);
        assert_true(figures.int8_ops_per_s > 1e6);
        assert_non_null(figures.int8_means);
        probe_measure(probe, &figures);
        assert_true(figures.read_bytes_per_s > 1e6);
        probe_free(probe);
    }
}

static void nothing_may_be_freed(void **state)
{
    (void)state;
    probe_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_bounds_are_found_with_any_number_of_threads),
        cmocka_unit_test(nothing_may_be_freed),
    };

    return cmocka_run_group_tests_name("engine/probe", tests, NULL, NULL);
}
