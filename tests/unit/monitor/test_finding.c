/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/monitor/test_finding.c - when a value is a change of state. */
#include "support/check.h"

#include "base/clock.h"
#include "base/size.h"
#include "monitor/finding.h"

static const struct check ABOVE = {
    .name = "x", .sense = BAD_ABOVE, .warning = 10, .critical = 20, .for_s = 4, .clear_s = 2
};
static const struct check BELOW = {
    .name = "y", .sense = BAD_BELOW, .warning = 0.1, .critical = 0.03, .for_s = 4, .clear_s = 2
};
static const uint64_t T0 = 1000 * NS_PER_S;

/* One value a second; the second at which the state became `to`, or -1. */
static int when(struct finding *f, const struct check *check, const double *values, size_t n,
                enum finding_state to)
{
    int at = -1;

    for (size_t i = 0; i < n; i++) {
        enum finding_state from;

        if (finding_observe(f, check, values[i], T0 + i * NS_PER_S, &from)) {
            assert_true(finding_may_follow(from, f->state));
            if (f->state == to && at < 0)
                at = (int)i;
        }
    }
    return at;
}

#define WHEN(f, check, to, ...)                                                                    \
    when(f, check, (const double[]){ __VA_ARGS__ },                                                \
         sizeof((const double[]){ __VA_ARGS__ }) / sizeof(double), to)

static void a_good_value_makes_it_ok_at_once(void **state)
{
    struct finding f = { 0 };

    (void)state;
    assert_int_equal(WHEN(&f, &ABOVE, FINDING_OK, 5), 0);
}

static void bad_has_to_hold(void **state)
{
    struct finding f = { 0 }, g = { 0 };

    (void)state;
    assert_int_equal(WHEN(&f, &ABOVE, FINDING_WARNING, 5, 12, 12, 12, 12, 12, 12), 5);
    assert_int_equal(WHEN(&g, &ABOVE, FINDING_WARNING, 5, 12, 12, 12, 5, 12, 12, 12, 5), -1);
}

static void worse_and_worse_is_critical_in_its_time(void **state)
{
    struct finding f = { 0 }, g = { 0 };

    (void)state;
    /* warning since 1, critical since 3: a warning at 5 would be right, too, but it is worse by then */
    assert_int_equal(WHEN(&f, &ABOVE, FINDING_CRITICAL, 5, 12, 12, 25, 25, 25, 25, 25, 25), 5);
    /* critical for a moment is no reason to forget how long it was a warning */
    assert_int_equal(WHEN(&g, &ABOVE, FINDING_WARNING, 5, 25, 12, 12, 12, 12, 12, 12), 6);
}

static void better_has_to_hold_and_be_well_better(void **state)
{
    struct finding f = { .state = FINDING_CRITICAL, .next = FINDING_CRITICAL };

    (void)state;
    assert_int_equal(WHEN(&f, &ABOVE, FINDING_WARNING, 19.5, 19.5, 19.5, 19.5), -1);
    assert_int_equal(WHEN(&f, &ABOVE, FINDING_WARNING, 15, 15, 15), 2);
    assert_int_equal(WHEN(&f, &ABOVE, FINDING_OK, 9.8, 9.8, 9.8, 9.8), -1);
    assert_int_equal(WHEN(&f, &ABOVE, FINDING_OK, 9, 9, 9), 2);
}

static void at_the_threshold_nothing_comes_and_goes(void **state)
{
    struct finding f = { 0 };
    unsigned n_changes = 0;

    (void)state;
    for (uint64_t i = 0; i < 1000; i++) {
        enum finding_state from;

        n_changes += finding_observe(&f, &ABOVE, i % 10 < 5 ? 10.0 : 9.9, T0 + i * NS_PER_S, &from);
    }
    assert_int_equal(n_changes, 1); /* from unknown, to what it was first */
}

static void low_may_be_bad(void **state)
{
    struct finding f = { 0 };

    (void)state;
    assert_int_equal(WHEN(&f, &BELOW, FINDING_WARNING, 0.5, 0.05, 0.05, 0.05, 0.05, 0.05), 5);
    assert_int_equal(WHEN(&f, &BELOW, FINDING_CRITICAL, 0.01, 0.01, 0.01, 0.01, 0.01), 4);
    assert_int_equal(WHEN(&f, &BELOW, FINDING_OK, 0.2, 0.2, 0.2), 2);
}

static void silence_is_unknown(void **state)
{
    struct finding f = { 0 };
    enum finding_state from;

    (void)state;
    assert_false(finding_age(&f, 30, T0, &from));
    (void)WHEN(&f, &ABOVE, FINDING_OK, 5);
    assert_false(finding_age(&f, 30, T0 + 29 * NS_PER_S, &from));
    assert_true(finding_age(&f, 30, T0 + 30 * NS_PER_S, &from));
    assert_int_equal(from, FINDING_OK);
    assert_int_equal(f.state, FINDING_UNKNOWN);
    assert_false(finding_age(&f, 30, T0 + 60 * NS_PER_S, &from));
}

static void no_state_follows_itself(void **state)
{
    (void)state;
    for (int s = FINDING_UNKNOWN; s <= FINDING_CRITICAL; s++)
        assert_false(finding_may_follow((enum finding_state)s, (enum finding_state)s));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_value_makes_it_ok_at_once),
        cmocka_unit_test(bad_has_to_hold),
        cmocka_unit_test(worse_and_worse_is_critical_in_its_time),
        cmocka_unit_test(better_has_to_hold_and_be_well_better),
        cmocka_unit_test(at_the_threshold_nothing_comes_and_goes),
        cmocka_unit_test(low_may_be_bad),
        cmocka_unit_test(silence_is_unknown),
        cmocka_unit_test(no_state_follows_itself),
    };
    return cmocka_run_group_tests_name("monitor/finding", tests, NULL, NULL);
}
