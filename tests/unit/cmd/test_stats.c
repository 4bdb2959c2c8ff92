/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/cmd/test_stats.c - means, medians and percentiles of measured values. */
#include "support/check.h"

#include "base/size.h"
#include "cmd/bench/stats.h"

static struct samples samples_of(const double *values, size_t n)
{
    struct samples s = { 0 };

    for (size_t i = 0; i < n; i++)
        samples_add(&s, values[i]);
    return s;
}

static void no_values_give_nought(void **state)
{
    struct samples s = { 0 };

    (void)state;
    assert_true(samples_mean(&s) == 0 && samples_stddev(&s) == 0);
    assert_true(samples_median(&s) == 0 && samples_percentile(&s, 99) == 0);
    samples_release(&s);
}

static void one_value_is_all_of_them(void **state)
{
    const double one = 7;
    struct samples s = samples_of(&one, 1);

    (void)state;
    assert_true(samples_mean(&s) == 7 && samples_stddev(&s) == 0);
    assert_true(samples_median(&s) == 7);
    assert_true(samples_percentile(&s, 0) == 7 && samples_percentile(&s, 100) == 7);
    samples_release(&s);
}

static void mean_and_deviation_are_those_of_a_sample(void **state)
{
    const double values[] = { 2, 4, 4, 4, 5, 5, 7, 9 };
    struct samples s = samples_of(values, ARRAY_LEN(values));

    (void)state;
    assert_true(samples_mean(&s) == 5);
    assert_float_equal(samples_stddev(&s), 2.13809f, 1e-5f);
    samples_release(&s);
}

static void order_does_not_matter(void **state)
{
    const double odd[] = { 9, 1, 5 }, even[] = { 4, 1, 3, 2 };
    struct samples a = samples_of(odd, ARRAY_LEN(odd)), b = samples_of(even, ARRAY_LEN(even));

    (void)state;
    assert_true(samples_median(&a) == 5);
    assert_true(samples_median(&b) == 2.5);
    samples_release(&a);
    samples_release(&b);
}

static void percentiles_are_nearest_ranks(void **state)
{
    struct samples s = { 0 };

    (void)state;
    for (int i = 100; i >= 1; i--)
        samples_add(&s, i);
    assert_true(samples_percentile(&s, 50) == 50);
    assert_true(samples_percentile(&s, 95) == 95);
    assert_true(samples_percentile(&s, 99) == 99);
    assert_true(samples_percentile(&s, 100) == 100);
    samples_clear(&s);
    assert_true(samples_median(&s) == 0);
    samples_release(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_values_give_nought),
        cmocka_unit_test(one_value_is_all_of_them),
        cmocka_unit_test(mean_and_deviation_are_those_of_a_sample),
        cmocka_unit_test(order_does_not_matter),
        cmocka_unit_test(percentiles_are_nearest_ranks),
    };

    return cmocka_run_group_tests_name("cmd/stats", tests, NULL, NULL);
}
