/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/monitor/test_stall.c - which instance stands still, and which answers are wrong. */
#include "support/check.h"

#include <math.h>
#include <stdio.h>

#include "base/clock.h"
#include "monitor/stall.h"

static const uint64_t S = NS_PER_S;

static struct remote_instance instance(const char *id, uint64_t n_active, uint64_t n_generated)
{
    struct remote_instance in = { .is_ready = true,
                                  .n_active = n_active,
                                  .n_generated = n_generated };

    snprintf(in.id, sizeof(in.id), "%s", id);
    snprintf(in.model, sizeof(in.model), "m");
    return in;
}

static void learn(struct stall *stall, struct remote_instance a, struct remote_instance b,
                  uint64_t now_ns)
{
    struct remote_instance both[] = { a, b };
    const struct remote_state state = { .instances = both, .n_instances = b.id[0] ? 2 : 1 };

    stall_learn(stall, &state, 60 * S, now_ns);
}

static const struct remote_instance NONE = { .id = "" };

static bool is_about(double seconds, double want)
{
    return fabs(seconds - want) < 1e-9;
}

static void an_instance_that_moves_does_not_stall(void **state)
{
    static struct stall stall;

    (void)state;
    for (uint64_t t = 0; t < 60; t++) {
        learn(&stall, instance("a", 1, 10 * t), NONE, (100 + t) * S);
        assert_true(stall_seconds(&stall, 0, 100 * S, (100 + t) * S) <= 1);
    }
}

static void one_that_is_asked_and_stands_still_stalls(void **state)
{
    static struct stall stall;

    (void)state;
    learn(&stall, instance("a", 0, 5), NONE, 10 * S);
    assert_true(is_about(stall_seconds(&stall, 0, 0, 500 * S), 0)); /* nobody asks */
    learn(&stall, instance("a", 1, 5), NONE, 100 * S);
    assert_true(is_about(stall_seconds(&stall, 0, 100 * S, 112 * S), 12));
    learn(&stall, instance("a", 1, 6), NONE, 113 * S);
    assert_true(is_about(stall_seconds(&stall, 0, 100 * S, 120 * S), 7));
}

static void of_two_the_one_that_has_requests_is_meant(void **state)
{
    static struct stall stall;

    (void)state;
    learn(&stall, instance("a", 0, 5), instance("b", 1, 5), 10 * S);
    learn(&stall, instance("a", 0, 5), instance("b", 1, 5), 20 * S);
    assert_true(is_about(stall_seconds(&stall, 0, 12 * S, 20 * S), 0));
    assert_true(is_about(stall_seconds(&stall, 1, 12 * S, 20 * S), 8));
}

static void of_two_that_look_idle_the_first_is_meant(void **state)
{
    static struct stall stall;

    (void)state;
    learn(&stall, instance("a", 0, 5), instance("b", 0, 5), 10 * S);
    assert_true(is_about(stall_seconds(&stall, 0, 12 * S, 20 * S), 8));
    assert_true(is_about(stall_seconds(&stall, 1, 12 * S, 20 * S), 0));
}

static void what_is_gone_is_forgotten(void **state)
{
    static struct stall stall;

    (void)state;
    learn(&stall, instance("a", 0, 5), NONE, 10 * S);
    learn(&stall, instance("b", 0, 5), NONE, 100 * S);
    assert_int_equal(stall.n, 1);
    assert_string_equal(stall.instances[0].id, "b");
}

static void the_first_answer_is_believed_and_others_are_wrong(void **state)
{
    struct canary_memory m = { 0 };

    (void)state;
    assert_int_equal(canary_judge(&m, 7, 1, 111, true), 0);
    assert_int_equal(canary_judge(&m, 7, 1, 222, true), 1);
    assert_int_equal(canary_judge(&m, 7, 1, 333, true), 2);
    assert_int_equal(canary_judge(&m, 7, 1, 111, true), 0);
    assert_int_equal(canary_judge(&m, 8, 1, 222, true), 0); /* another placement: it begins anew */
}

static void two_kinds_of_placement_may_give_two_answers(void **state)
{
    struct canary_memory m = { 0 };

    (void)state;
    assert_int_equal(canary_judge(&m, 7, 2, 111, true), 0);
    assert_int_equal(canary_judge(&m, 7, 2, 222, true), 0);
    assert_int_equal(canary_judge(&m, 7, 2, 333, true), 1);
}

static void what_was_to_be_expected_is_wrong_from_the_start(void **state)
{
    struct canary_memory m = { 0 };

    (void)state;
    assert_int_equal(canary_judge(&m, 7, 1, 111, false), 1);
    assert_int_equal(canary_judge(&m, 7, 1, 111, false), 2);
    assert_int_equal(canary_judge(&m, 7, 1, 222, true), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_instance_that_moves_does_not_stall),
        cmocka_unit_test(one_that_is_asked_and_stands_still_stalls),
        cmocka_unit_test(of_two_the_one_that_has_requests_is_meant),
        cmocka_unit_test(of_two_that_look_idle_the_first_is_meant),
        cmocka_unit_test(what_is_gone_is_forgotten),
        cmocka_unit_test(the_first_answer_is_believed_and_others_are_wrong),
        cmocka_unit_test(two_kinds_of_placement_may_give_two_answers),
        cmocka_unit_test(what_was_to_be_expected_is_wrong_from_the_start),
    };
    return cmocka_run_group_tests_name("monitor/stall", tests, NULL, NULL);
}
