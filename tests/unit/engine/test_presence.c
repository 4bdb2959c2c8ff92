/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/engine/test_presence.c - workers sit out where they lose more than they add. */
#include "support/check.h"

#include "engine/cpu/presence.h"

enum { RUN_NS = 1000000 };

/* Run for `ns` of time, `lost` of every 100 ns lost. */
static uint64_t run_for(struct presence *p, uint64_t now_ns, uint64_t ns, unsigned lost)
{
    for (uint64_t end_ns = now_ns + ns; now_ns < end_ns;) {
        now_ns += RUN_NS;
        presence_note(p, now_ns, RUN_NS, (uint64_t)RUN_NS * lost / 100);
    }
    return now_ns;
}

static void all_are_present_while_little_is_lost(void **state)
{
    struct presence p = presence_of(4);

    (void)state;
    (void)run_for(&p, 0, 100ull * PRESENCE_WINDOW_NS, 10);
    assert_int_equal(p.n_present, 4);
}

static void one_after_the_other_sits_out_until_little_is_lost(void **state)
{
    struct presence p = presence_of(4);
    uint64_t now_ns;

    (void)state;
    now_ns = run_for(&p, 0, PRESENCE_WINDOW_NS, 20);
    assert_int_equal(p.n_present, 3);
    now_ns = run_for(&p, now_ns, PRESENCE_WINDOW_NS, 20);
    assert_int_equal(p.n_present, 2);
    now_ns = run_for(&p, now_ns, PRESENCE_WINDOW_NS, 20);
    assert_int_equal(p.n_present, 2);
}

static void the_first_worker_is_always_present(void **state)
{
    struct presence p = presence_of(2);

    (void)state;
    (void)run_for(&p, 0, 3ull * PRESENCE_WINDOW_NS, 100);
    assert_int_equal(p.n_present, 1);
}

static void who_sat_out_is_tried_again_and_stays_where_nothing_is_lost(void **state)
{
    struct presence p = presence_of(2);
    uint64_t now_ns = run_for(&p, 0, PRESENCE_WINDOW_NS, 90);

    (void)state;
    assert_int_equal(p.n_present, 1);
    now_ns = run_for(&p, now_ns, PRESENCE_PAUSE_NS + 2ull * PRESENCE_WINDOW_NS, 0);
    assert_int_equal(p.n_present, 2);
    now_ns = run_for(&p, now_ns, 10ull * PRESENCE_WINDOW_NS, 0);
    assert_int_equal(p.n_present, 2);
    assert_int_equal(p.pause_ns, PRESENCE_PAUSE_NS);
}

static void pauses_grow_up_to_a_bound_where_trials_fail(void **state)
{
    struct presence p = presence_of(2);
    uint64_t now_ns = 0, present_ns = 0;
    const uint64_t all_ns = 1000ull * PRESENCE_PAUSE_NS;

    (void)state;
    while (now_ns < all_ns) {
        present_ns += p.n_present == 2 ? RUN_NS : 0;
        now_ns = run_for(&p, now_ns, RUN_NS, p.n_present == 2 ? 90 : 0);
    }
    assert_int_equal(p.pause_ns, (uint64_t)PRESENCE_PAUSES * PRESENCE_PAUSE_NS);
    assert_true(present_ns < all_ns / 40);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_are_present_while_little_is_lost),
        cmocka_unit_test(one_after_the_other_sits_out_until_little_is_lost),
        cmocka_unit_test(the_first_worker_is_always_present),
        cmocka_unit_test(who_sat_out_is_tried_again_and_stays_where_nothing_is_lost),
        cmocka_unit_test(pauses_grow_up_to_a_bound_where_trials_fail),
    };

    return cmocka_run_group_tests_name("engine/presence", tests, NULL, NULL);
}
