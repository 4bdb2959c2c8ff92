/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/history/test_analysis.c - availability, failures, budgets, trends, what came together. */
#include "support/check.h"

#include <math.h>

#include "base/size.h"
#include "history/analysis.h"

#define assert_near(a, b, by) assert_true(fabs((a) - (b)) <= (by))
#define EVENT(t, subject, from, to)                                                                \
    {                                                                                              \
        t, subject, "node.up", from, to, 0, ""                                                     \
    }

static const struct history_event EVENTS[] = {
    EVENT(100, "node/a", "ok", "critical"), EVENT(110, "node/b", "ok", "warning"),
    EVENT(130, "node/a", "critical", "ok"), EVENT(150, "node/b", "warning", "ok"),
    EVENT(500, "node/a", "ok", "critical"), EVENT(600, "node/a", "critical", "unknown"),
    EVENT(900, "node/a", "ok", "critical"),
};

static void failures_are_counted_with_their_times(void **state)
{
    struct outages o;

    (void)state;
    analysis_outages(EVENTS, ARRAY_LEN(EVENTS), "node/a", "node.up", 0, 1000, &o);
    assert_int_equal(o.n_failures, 3);
    assert_int_equal(o.down_s, 30 + 100 + 100);
    assert_true(o.is_down);
    assert_near(o.mttr_s, 65, 1e-9); /* of those that are over */
    assert_near(o.mtbf_s, 770 / 3.0, 1e-9);
}

static void a_failure_from_before_counts_from_the_start(void **state)
{
    struct outages o;

    (void)state;
    analysis_outages(EVENTS + 2, ARRAY_LEN(EVENTS) - 2, "node/a", "node.up", 120, 400, &o);
    assert_int_equal(o.n_failures, 1);
    assert_int_equal(o.down_s, 10);
    assert_false(o.is_down);
}

static void without_a_failure_there_is_no_mean_time(void **state)
{
    struct outages o;

    (void)state;
    analysis_outages(EVENTS, ARRAY_LEN(EVENTS), "node/b", "node.up", 0, 1000, &o);
    assert_int_equal(o.n_failures, 0);
    assert_true(isnan(o.mttr_s) && isnan(o.mtbf_s));
}

static void a_budget_is_spent_by_what_failed(void **state)
{
    const struct history_point half = { .n = 10000, .sum = 9995 }, over = { .n = 100, .sum = 99 };
    struct budget b;

    (void)state;
    analysis_budget(&half, 0.999, &b);
    assert_near(b.availability, 0.9995, 1e-12);
    assert_near(b.left, 0.5, 1e-9);
    analysis_budget(&over, 0.999, &b);
    assert_near(b.left, -9, 1e-9);
}

static void a_line_tells_when_it_meets_a_threshold(void **state)
{
    struct history_point points[48];
    struct trend t;

    (void)state;
    for (int i = 0; i < 48; i++) /* 1 % a day, of means of hours of unlike numbers of samples */
        points[i] =
            (struct history_point){ .t = i * 3600, .span_s = 3600, .n = 1 + (unsigned)i % 3 };
    for (int i = 0; i < 48; i++)
        points[i].sum = (0.5 + 0.01 * i / 24) * (double)points[i].n;
    assert_true(analysis_trend(points, 48, 48 * 3600, 0.9, &t));
    assert_near(t.slope_per_day, 0.01, 1e-9);
    assert_near(t.now, 0.52, 1e-9);
    assert_near(t.days, 38, 1e-6);
    assert_near(t.fit, 1, 1e-9);
    assert_true(analysis_trend(points, 48, 48 * 3600, 0.1, &t));
    assert_true(isnan(t.days)); /* it goes the other way */
    assert_false(analysis_trend(points, 2, 0, 1, &t));
}

static void what_stands_still_meets_nothing(void **state)
{
    const struct history_point points[] = { { 0, 0, 1, 5, 5, 5 },
                                            { 1, 0, 1, 5, 5, 5 },
                                            { 2, 0, 1, 5, 5, 5 } };
    struct trend t;

    (void)state;
    assert_true(analysis_trend(points, 3, 2, 9, &t));
    assert_true(isnan(t.days));
}

static void what_came_together_is_found(void **state)
{
    size_t at[8];

    (void)state;
    assert_int_equal(analysis_beside(EVENTS, ARRAY_LEN(EVENTS), 0, 60, at, 8), 1);
    assert_int_equal(at[0], 1);
    assert_int_equal(analysis_beside(EVENTS, ARRAY_LEN(EVENTS), 0, 5, at, 8), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(failures_are_counted_with_their_times),
        cmocka_unit_test(a_failure_from_before_counts_from_the_start),
        cmocka_unit_test(without_a_failure_there_is_no_mean_time),
        cmocka_unit_test(a_budget_is_spent_by_what_failed),
        cmocka_unit_test(a_line_tells_when_it_meets_a_threshold),
        cmocka_unit_test(what_stands_still_meets_nothing),
        cmocka_unit_test(what_came_together_is_found),
    };
    return cmocka_run_group_tests_name("history/analysis", tests, NULL, NULL);
}
