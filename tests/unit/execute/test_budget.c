/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/execute/test_budget.c - prompts have the rows that keep streams at their pace. */
#include "support/check.h"

#include "execute/budget.h"

enum { MAX_ROWS = 512, BASE_NS = 6000000, ROW_NS = 150000 };

static uint64_t step_ns(uint32_t n_rows)
{
    return BASE_NS + (uint64_t)n_rows * ROW_NS;
}

static void learn(struct budget *b, uint32_t n_decodes, uint32_t n_prompt_rows)
{
    budget_learn(b, n_decodes, n_prompt_rows, step_ns(n_decodes + n_prompt_rows));
}

static void without_streams_all_rows_are_for_prompts(void **state)
{
    struct budget b = { 0 };

    (void)state;
    assert_int_equal(budget_prompt_rows(&b, 0, 0, MAX_ROWS), MAX_ROWS);
    assert_int_equal(budget_prompt_rows(&b, 0, 1, MAX_ROWS), BUDGET_ALONE_ROWS);
    assert_int_equal(budget_prompt_rows(&b, 0, 1, 20), 20);
    budget_learn(&b, 0, 100, 10000000);
    assert_int_equal(budget_prompt_rows(&b, 0, 20000000, MAX_ROWS), 200);
    assert_int_equal(budget_prompt_rows(&b, 0, 1, MAX_ROWS), BUDGET_ALONE_ROWS);
}

static void what_is_unknown_is_tried_with_little(void **state)
{
    struct budget b = { 0 };

    (void)state;
    assert_int_equal(budget_prompt_rows(&b, 3, 0, MAX_ROWS), BUDGET_FIRST_ROWS);
    assert_int_equal(budget_prompt_rows(&b, 3, 0, 1), 1);
}

static void a_step_with_prompts_takes_what_it_may(void **state)
{
    struct budget b = { 0 };

    (void)state;
    for (uint32_t n_streams = 1; n_streams <= 32; n_streams *= 2) {
        uint32_t n = 0;

        for (int i = 0; i < 50; i++)
            learn(&b, n_streams, 0);
        for (int i = 0; i < 50; i++) {
            n = budget_prompt_rows(&b, n_streams, 0, MAX_ROWS);
            learn(&b, n_streams, n);
        }
        assert_true(step_ns(n_streams + n) * 2 <= step_ns(n_streams) * 3);
        assert_true(step_ns(n_streams + n) * 100 >=
                    step_ns(n_streams) * (BUDGET_STRETCH_PERCENT - 15));
    }
}

/* While a prompt is computed every step holds some of it: none tells the time of decodes alone. */
static void streams_that_join_meanwhile_are_allowed_for(void **state)
{
    struct budget b = { 0 };
    uint32_t n = 0;

    (void)state;
    for (int i = 0; i < 50; i++)
        learn(&b, 2, 0);
    for (int i = 0; i < 50; i++)
        learn(&b, 2, 10);
    for (int i = 0; i < 50; i++) {
        n = budget_prompt_rows(&b, 12, 0, MAX_ROWS);
        learn(&b, 12, n);
    }
    assert_true(step_ns(12 + n) * 2 <= step_ns(12) * 3);
    assert_true(step_ns(12 + n) * 100 >= step_ns(12) * 120);
}

static void slow_rows_leave_the_least(void **state)
{
    struct budget b = { 0 };

    (void)state;
    budget_learn(&b, 4, 0, 1000000);
    for (int i = 0; i < 20; i++)
        budget_learn(&b, 4, budget_prompt_rows(&b, 4, 0, MAX_ROWS), 900000000);
    assert_int_equal(budget_prompt_rows(&b, 4, 0, MAX_ROWS), BUDGET_LEAST_ROWS);
}

/* Beside what a row costs, the first of a step costs much more. */
static void a_dear_first_row_does_not_hide_cheap_ones(void **state)
{
    struct budget b = { 0 };
    uint32_t n = 0;

    (void)state;
    budget_learn(&b, 4, 0, 10000000);
    for (int i = 0; i < 10; i++)
        budget_learn(&b, 4, budget_prompt_rows(&b, 4, 0, MAX_ROWS),
                     100000000); /* it was slow once */
    assert_int_equal(budget_prompt_rows(&b, 4, 0, MAX_ROWS), BUDGET_LEAST_ROWS);
    for (int i = 0; i < 60; i++) {
        n = budget_prompt_rows(&b, 4, 0, MAX_ROWS);
        budget_learn(&b, 4, n, 10000000 + 2000000 + n * 100000);
    }
    assert_in_range(n, 15, 20);
}

static void the_end_of_a_prompt_teaches_no_haste(void **state)
{
    struct budget b = { 0 };

    (void)state;
    budget_learn(&b, 4, 0, 10000000);
    budget_learn(&b, 4, 16, 14000000);
    for (int i = 0; i < 10; i++)
        budget_learn(&b, 4, 3, 10500000);
    assert_int_equal(budget_prompt_rows(&b, 4, 0, MAX_ROWS), 16);
}

/* Measured times jump: a mixed step may even seem shorter than one without a prompt. */
static void noise_neither_stops_prompts_nor_frees_them(void **state)
{
    struct budget b = { 0 };
    uint32_t x = 3, most = 0;

    (void)state;
    for (int i = 0; i < 2000; i++) {
        const uint32_t n_prompt = i % 3 == 0 ? 0 : budget_prompt_rows(&b, 4, 0, MAX_ROWS);

        x = x * 1664525u + 1013904223u; /* Numerical Recipes */
        budget_learn(&b, 4, n_prompt, step_ns(4 + n_prompt) * (80 + (x >> 16) % 40) / 100);
        assert_in_range(n_prompt, i % 3 == 0 ? 0 : BUDGET_LEAST_ROWS, MAX_ROWS); /* it has looked */
        if (i > 100 && n_prompt > most)
            most = n_prompt;
    }
    assert_true(most < 40);
}

static void a_step_goes_without_prompts_where_that_is_unknown_or_long_ago(void **state)
{
    struct budget b = { 0 };

    (void)state;
    assert_int_equal(budget_prompt_rows(&b, 2, 0, MAX_ROWS), BUDGET_FIRST_ROWS);
    learn(&b, 2, BUDGET_FIRST_ROWS);
    assert_int_equal(budget_prompt_rows(&b, 2, 0, MAX_ROWS), 0);
    assert_int_equal(budget_prompt_rows(&b, 0, 0, MAX_ROWS), MAX_ROWS);
    learn(&b, 2, 0);
    for (int i = 0; i < BUDGET_LOOK_STEPS; i++) {
        assert_true(budget_prompt_rows(&b, 2, 0, MAX_ROWS) > 0);
        learn(&b, 2, 5);
    }
    assert_int_equal(budget_prompt_rows(&b, 2, 0, MAX_ROWS), 0);
    learn(&b, 2, 0);
    assert_true(budget_prompt_rows(&b, 2, 0, MAX_ROWS) > 0);
}

static void short_prompts_fill_a_step_to_its_bound(void **state)
{
    struct budget b = { 0 };
    uint32_t n;

    (void)state;
    assert_int_equal(budget_short_rows(&b, 4, BUDGET_SHORT_MS, MAX_ROWS), 0); /* nothing is known */
    for (int i = 0; i < 50; i++)
        learn(&b, 4, 0);
    assert_int_equal(budget_short_rows(&b, 4, BUDGET_SHORT_MS, MAX_ROWS), 0);
    learn(&b, 4, 16);
    n = budget_short_rows(&b, 4, BUDGET_SHORT_MS, MAX_ROWS);
    assert_in_range(step_ns(4 + n), 49000000, 51000000);
    assert_in_range(budget_short_rows(&b, 4, BUDGET_STALLED_MS, MAX_ROWS), n + 1, MAX_ROWS);
    assert_int_equal(budget_short_rows(&b, 4, BUDGET_SHORT_MS, 7), 7);
    assert_int_equal(budget_short_rows(&b, 0, BUDGET_SHORT_MS, MAX_ROWS), 0);
    budget_learn(&b, 4, 0, 900000000); /* decodes alone are slower than that */
    assert_int_equal(budget_short_rows(&b, 4, BUDGET_SHORT_MS, MAX_ROWS), 0);
}

static void steps_filled_with_short_prompts_teach_no_restraint(void **state)
{
    struct budget b = { 0 };
    uint32_t n;

    (void)state;
    for (int i = 0; i < 100; i++)
        learn(&b, 4, i % 2 == 0 ? 0 : budget_prompt_rows(&b, 4, 0, MAX_ROWS));
    n = budget_prompt_rows(&b, 4, 0, MAX_ROWS);
    for (int i = 0; i < 20; i++)
        learn(&b, 4, 200);
    assert_int_equal(budget_prompt_rows(&b, 4, 0, MAX_ROWS), n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_streams_all_rows_are_for_prompts),
        cmocka_unit_test(what_is_unknown_is_tried_with_little),
        cmocka_unit_test(a_step_with_prompts_takes_what_it_may),
        cmocka_unit_test(streams_that_join_meanwhile_are_allowed_for),
        cmocka_unit_test(slow_rows_leave_the_least),
        cmocka_unit_test(a_dear_first_row_does_not_hide_cheap_ones),
        cmocka_unit_test(the_end_of_a_prompt_teaches_no_haste),
        cmocka_unit_test(a_step_goes_without_prompts_where_that_is_unknown_or_long_ago),
        cmocka_unit_test(short_prompts_fill_a_step_to_its_bound),
        cmocka_unit_test(steps_filled_with_short_prompts_teach_no_restraint),
        cmocka_unit_test(noise_neither_stops_prompts_nor_frees_them),
    };

    return cmocka_run_group_tests_name("execute/budget", tests, NULL, NULL);
}
