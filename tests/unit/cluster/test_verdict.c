/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/cluster/test_verdict.c - what a peer's signs of life mean, taken together. */
#include "support/check.h"

#include "cluster/membership/verdict.h"

static enum verdict with_channel(enum datagram_sign datagrams, uint64_t silent_ms)
{
    return verdict_of(&(struct signs){ datagrams, true, silent_ms });
}

static enum verdict without_channel(enum datagram_sign datagrams)
{
    return verdict_of(&(struct signs){ .datagrams = datagrams });
}

static void a_channel_that_speaks_is_life_whatever_datagrams_say(void **state)
{
    (void)state;
    for (enum datagram_sign sign = SIGN_UNHEARD; sign <= SIGN_DEAD; sign++)
        assert_int_equal(with_channel(sign, SILENT_MS), VERDICT_ALIVE);
}

static void the_dead_are_dead_once_their_channel_is_silent_too(void **state)
{
    (void)state;
    assert_int_equal(with_channel(SIGN_DEAD, SILENT_MS + 1), VERDICT_DEAD);
    assert_int_equal(without_channel(SIGN_DEAD), VERDICT_DEAD);
}

static void where_no_datagram_came_the_channel_decides(void **state)
{
    (void)state;
    assert_int_equal(with_channel(SIGN_UNHEARD, DEAD_AFTER_MS), VERDICT_ALIVE);
    assert_int_equal(with_channel(SIGN_UNHEARD, DEAD_AFTER_MS + 1), VERDICT_DEAD);
    assert_int_equal(without_channel(SIGN_UNHEARD), VERDICT_DEAD);
}

static void who_answers_is_alive_and_called_anew_where_its_channel_is_silent(void **state)
{
    (void)state;
    assert_int_equal(with_channel(SIGN_ANSWERS, CHANNEL_SILENT_MS), VERDICT_ALIVE);
    assert_int_equal(with_channel(SIGN_ANSWERS, CHANNEL_SILENT_MS + 1), VERDICT_CALL_ANEW);
    assert_int_equal(without_channel(SIGN_ANSWERS), VERDICT_ALIVE);
}

static void of_a_suspect_the_datagrams_decide(void **state)
{
    (void)state;
    assert_int_equal(with_channel(SIGN_SUSPECT, UINT64_MAX), VERDICT_ALIVE);
    assert_int_equal(without_channel(SIGN_SUSPECT), VERDICT_ALIVE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_channel_that_speaks_is_life_whatever_datagrams_say),
        cmocka_unit_test(the_dead_are_dead_once_their_channel_is_silent_too),
        cmocka_unit_test(where_no_datagram_came_the_channel_decides),
        cmocka_unit_test(who_answers_is_alive_and_called_anew_where_its_channel_is_silent),
        cmocka_unit_test(of_a_suspect_the_datagrams_decide),
    };
    return cmocka_run_group_tests_name("cluster/verdict", tests, NULL, NULL);
}
