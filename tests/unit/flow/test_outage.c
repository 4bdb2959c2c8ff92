/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/flow/test_outage.c - a request looks for another instance, but not for ever. */
#include "support/check.h"

#include "base/clock.h"
#include "flow/outage.h"

static uint64_t after_ms(uint64_t ms)
{
    return NS_PER_S + ms * NS_PER_MS;
}

static void a_lost_instance_is_replaced_at_once(void **state)
{
    struct outage o = { 0 };
    uint32_t wait_ms = 99;

    (void)state;
    assert_true(outage_go_on(&o, SETBACK_LOSS, after_ms(0), &wait_ms));
    assert_int_equal(wait_ms, 0);
}

static void a_request_that_fails_by_itself_is_not_repeated(void **state)
{
    struct outage o = { 0 };
    uint32_t wait_ms;

    (void)state;
    assert_false(outage_go_on(&o, SETBACK_NONE, after_ms(0), &wait_ms));
    assert_true(outage_go_on(&o, SETBACK_LOSS, after_ms(0), &wait_ms));
    assert_false(outage_go_on(&o, SETBACK_NONE, after_ms(1), &wait_ms));
}

static void losses_without_a_token_between_are_the_requests_fault(void **state)
{
    struct outage o = { 0 };
    uint32_t wait_ms;

    (void)state;
    for (unsigned i = 0; i < OUTAGE_LOSSES_MAX; i++)
        assert_true(outage_go_on(&o, SETBACK_LOSS, after_ms(i), &wait_ms));
    assert_false(outage_go_on(&o, SETBACK_LOSS, after_ms(10), &wait_ms));
}

static void a_link_that_is_cut_counts_as_a_loss(void **state)
{
    struct outage o = { 0 };
    uint32_t wait_ms = 7;

    (void)state;
    for (unsigned i = 0; i < OUTAGE_LOSSES_MAX; i++) {
        assert_true(outage_go_on(&o, i % 2 ? SETBACK_LOSS : SETBACK_LINK, after_ms(i), &wait_ms));
        assert_int_equal(wait_ms, 0);
    }
    assert_false(outage_go_on(&o, SETBACK_LINK, after_ms(10), &wait_ms));
}

static void a_token_ends_the_outage(void **state)
{
    struct outage o = { 0 };
    uint32_t wait_ms;

    (void)state;
    for (unsigned i = 0; i < OUTAGES_MAX; i++) { /* each long after the one before */
        assert_true(
            outage_go_on(&o, SETBACK_LOSS, after_ms(i * 10 * (uint64_t)OUTAGE_MS), &wait_ms));
        outage_end(&o);
    }
    assert_false(outage_go_on(&o, SETBACK_LOSS, after_ms(1), &wait_ms)); /* bounded all the same */
}

static void room_is_waited_for_until_the_time_is_over(void **state)
{
    struct outage o = { 0 };
    uint32_t wait_ms = 0;

    (void)state;
    assert_true(outage_go_on(&o, SETBACK_LOSS, after_ms(0), &wait_ms));
    for (uint64_t ms = 1; ms <= OUTAGE_MS; ms += OUTAGE_WAIT_ROOM_MS) {
        assert_true(outage_go_on(&o, SETBACK_ROOM, after_ms(ms), &wait_ms));
        assert_int_equal(wait_ms, OUTAGE_WAIT_ROOM_MS);
    }
    assert_false(outage_go_on(&o, SETBACK_ROOM, after_ms(OUTAGE_MS + 1), &wait_ms));
}

static void a_request_that_had_no_instance_does_not_wait_for_room(void **state)
{
    struct outage o = { 0 };
    uint32_t wait_ms;

    (void)state;
    assert_false(outage_go_on(&o, SETBACK_ROOM, after_ms(0), &wait_ms));
    for (unsigned i = 0; i < OUTAGE_PLACINGS_FIRST_MAX; i++)
        assert_true(outage_go_on(&o, SETBACK_PLACING, after_ms(i), &wait_ms));
    assert_false(outage_go_on(&o, SETBACK_PLACING, after_ms(9), &wait_ms));
}

static void placing_is_tried_again_after_longer_waits(void **state)
{
    struct outage o = { 0 };
    uint32_t wait_ms, last_ms = 0;

    (void)state;
    assert_true(outage_go_on(&o, SETBACK_LOSS, after_ms(0), &wait_ms));
    for (unsigned i = 0; i < OUTAGE_PLACINGS_MAX; i++) {
        assert_true(outage_go_on(&o, SETBACK_PLACING, after_ms(i), &wait_ms));
        assert_true(wait_ms > last_ms);
        last_ms = wait_ms;
    }
    assert_false(outage_go_on(&o, SETBACK_PLACING, after_ms(100), &wait_ms));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lost_instance_is_replaced_at_once),
        cmocka_unit_test(a_request_that_fails_by_itself_is_not_repeated),
        cmocka_unit_test(losses_without_a_token_between_are_the_requests_fault),
        cmocka_unit_test(a_link_that_is_cut_counts_as_a_loss),
        cmocka_unit_test(a_token_ends_the_outage),
        cmocka_unit_test(room_is_waited_for_until_the_time_is_over),
        cmocka_unit_test(a_request_that_had_no_instance_does_not_wait_for_room),
        cmocka_unit_test(placing_is_tried_again_after_longer_waits),
    };

    return cmocka_run_group_tests_name("flow/outage", tests, NULL, NULL);
}
