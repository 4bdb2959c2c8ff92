/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/balance/test_conditions.c - who may be asked: ejection, breaker, health, slow start, budget. */
#include "support/check.h"

#include "balance/breaker.h"
#include "balance/outlier.h"
#include "balance/pace.h"
#include "balance/pulse.h"
#include "balance/retry_budget.h"
#include "balance/slow_start.h"
#include "base/clock.h"

static const uint64_t T0 = 1000 * NS_PER_S;

static uint64_t after(uint64_t ms)
{
    return T0 + ms * NS_PER_MS;
}

static void five_failures_in_a_row_put_a_server_out_and_longer_each_time(void **state)
{
    struct outlier o = { 0 };

    (void)state;
    for (int i = 0; i < 4; i++)
        assert_false(outlier_failed(&o, 0, 4, T0));
    outlier_succeeded(&o, T0); /* not in a row */
    for (int i = 0; i < 4; i++)
        assert_false(outlier_failed(&o, 0, 4, T0));
    assert_true(outlier_failed(&o, 0, 4, T0));
    assert_true(outlier_is_out(&o, after(29999)));
    assert_false(outlier_is_out(&o, after(30000)));
    for (int i = 0; i < 5; i++)
        (void)outlier_failed(&o, 0, 4, after(30000));
    assert_true(outlier_is_out(&o, after(30000 + 59999)));
    assert_false(outlier_is_out(&o, after(30000 + 60000)));
}

static void half_of_the_servers_stay_and_always_the_last(void **state)
{
    struct outlier o = { .n_failures = OUTLIER_FAILURES };

    (void)state;
    assert_false(outlier_failed(&o, 0, 1, T0));
    assert_false(outlier_failed(&o, 1, 3, T0));
    assert_true(outlier_failed(&o, 1, 4, T0));
}

static void a_breaker_opens_lets_one_through_and_closes(void **state)
{
    struct breaker b = { 0 };

    (void)state;
    for (int i = 0; i < 5; i++) {
        assert_true(breaker_allows(&b, T0));
        breaker_enter(&b);
        breaker_failed(&b, 0, T0);
    }
    assert_int_equal(b.state, BREAKER_OPEN);
    assert_false(breaker_allows(&b, after(14999))); /* half of 30 s at least */
    assert_true(breaker_allows(&b, after(30000)));
    breaker_enter(&b);
    assert_false(breaker_allows(&b, after(30000))); /* one at a time */
    breaker_succeeded(&b, after(30001));
    assert_int_equal(b.state, BREAKER_HALF_OPEN);
    assert_true(breaker_allows(&b, after(30001)));
    breaker_enter(&b);
    breaker_succeeded(&b, after(30002));
    assert_int_equal(b.state, BREAKER_CLOSED);
}

static void a_probe_that_fails_opens_for_longer_up_to_five_minutes(void **state)
{
    struct breaker b = { 0 };
    uint64_t now = T0, opened = 0;

    (void)state;
    for (int i = 0; i < 5; i++)
        breaker_failed(&b, UINT64_MAX, now);
    for (int i = 0; i < 8; i++) {
        opened = now;
        now = b.until_ns;
        assert_true(breaker_allows(&b, now));
        breaker_enter(&b);
        breaker_failed(&b, 150000, now); /* jitter: all of it at the longest */
    }
    assert_true(now - opened > 149 * NS_PER_S && now - opened <= 300 * NS_PER_S);
    assert_true(b.until_ns - now <= 300 * NS_PER_S);
}

/* A client that leaves says nothing about the server, and must not keep the next one from asking. */
static void a_probe_whose_client_left_frees_its_place(void **state)
{
    struct breaker b = { .state = BREAKER_HALF_OPEN };

    (void)state;
    breaker_enter(&b);
    assert_false(breaker_allows(&b, T0));
    breaker_leave(&b);
    assert_true(breaker_allows(&b, T0));
}

static void few_failures_among_many_answers_open_nothing(void **state)
{
    struct breaker b = { 0 };

    (void)state;
    for (int i = 0; i < 1000; i++) {
        if (i % 10 == 9)
            breaker_failed(&b, 0, T0);
        else
            breaker_succeeded(&b, T0);
    }
    assert_int_equal(b.state, BREAKER_CLOSED);
}

static void old_failures_are_forgotten(void **state)
{
    struct breaker b = { 0 };

    (void)state;
    for (uint64_t i = 0; i < 20; i++)
        breaker_failed(&b, 0, after(i * 20000));
    assert_int_equal(b.state, BREAKER_CLOSED); /* three or four a minute */
}

static void three_bad_answers_are_down_two_good_ones_up(void **state)
{
    struct pulse p = { 0 };

    (void)state;
    assert_false(pulse_answer(&p, false, T0));
    assert_false(pulse_answer(&p, false, T0));
    assert_false(pulse_answer(&p, true, T0));
    assert_false(pulse_answer(&p, false, T0));
    assert_false(pulse_answer(&p, false, T0));
    assert_true(pulse_answer(&p, false, T0));
    assert_true(p.is_down);
    assert_false(pulse_answer(&p, true, T0));
    assert_true(pulse_answer(&p, true, after(5)));
    assert_false(p.is_down);
    assert_int_equal(p.up_since_ns, after(5));
}

static void warmth_grows_from_a_tenth_to_all(void **state)
{
    (void)state;
    assert_float_equal(slow_start_warmth(0, T0), 1, 1e-9);
    assert_float_equal(slow_start_warmth(T0, T0), 0.1, 1e-9);
    assert_float_equal(slow_start_warmth(T0, after(15000)), 0.55, 1e-9);
    assert_float_equal(slow_start_warmth(T0, after(30000)), 1, 1e-9);
}

static void a_fifth_may_be_tried_again_and_three_always(void **state)
{
    struct retry_budget b = { 0 };
    unsigned n = 0;

    (void)state;
    for (int i = 0; i < 4; i++)
        retry_budget_begin(&b);
    while (retry_budget_take(&b))
        n++;
    assert_int_equal(n, 3);
    for (int i = 4; i < 100; i++)
        retry_budget_begin(&b);
    while (retry_budget_take(&b))
        n++;
    assert_int_equal(n, 20);
    retry_budget_end(&b, true);
    retry_budget_begin(&b);
    assert_true(retry_budget_take(&b));
    assert_true(retry_wait_ms(1, UINT64_MAX) <= 50);
    assert_true(retry_wait_ms(30, UINT64_MAX) <= RETRY_WAIT_MS_MAX);
}

static void pace_follows_the_number_that_runs(void **state)
{
    struct pace p = { 0 };

    (void)state;
    assert_float_equal(pace_token_s(&p, 1), 0, 1e-12);
    for (int i = 0; i < 200; i++) {
        const double n = 1 + i % 8;

        pace_answer(&p, 101, 100 * (0.01 + 0.002 * n), n);
        pace_first(&p, 500, 0.5);
    }
    assert_float_equal(pace_token_s(&p, 1), 0.012, 1e-6);
    assert_float_equal(pace_token_s(&p, 20), 0.05, 1e-6);
    assert_float_equal(p.prompt_tokens_per_s, 1000, 1e-6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(five_failures_in_a_row_put_a_server_out_and_longer_each_time),
        cmocka_unit_test(half_of_the_servers_stay_and_always_the_last),
        cmocka_unit_test(a_breaker_opens_lets_one_through_and_closes),
        cmocka_unit_test(a_probe_that_fails_opens_for_longer_up_to_five_minutes),
        cmocka_unit_test(a_probe_whose_client_left_frees_its_place),
        cmocka_unit_test(few_failures_among_many_answers_open_nothing),
        cmocka_unit_test(old_failures_are_forgotten),
        cmocka_unit_test(three_bad_answers_are_down_two_good_ones_up),
        cmocka_unit_test(warmth_grows_from_a_tenth_to_all),
        cmocka_unit_test(a_fifth_may_be_tried_again_and_three_always),
        cmocka_unit_test(pace_follows_the_number_that_runs),
    };
    return cmocka_run_group_tests_name("conditions", tests, NULL, NULL);
}
