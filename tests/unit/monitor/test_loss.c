/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/monitor/test_loss.c - the share of datagrams that are lost, of counts that only rise. */
#include "support/check.h"

#include <math.h>
#include <stdio.h>

#include "monitor/loss.h"

static double learn(struct loss *loss, const char *peer, uint64_t n_pings, uint64_t n_pongs)
{
    struct remote_member m = { .n_pings = n_pings, .n_pongs = n_pongs };

    (void)snprintf(m.name, sizeof(m.name), "%s", peer);
    return loss_learn(loss, &m);
}

static bool is_about(double a, double b)
{
    return fabs(a - b) < 1e-9;
}

static void nothing_is_said_before_a_window_is_over(void **state)
{
    struct loss loss = { 0 };

    (void)state;
    assert_true(
        isnan(learn(&loss, "b", 1000, 10))); /* what was before this monitor is not looked at */
    assert_true(isnan(learn(&loss, "b", 1000 + LOSS_WINDOW - 1, 10)));
    assert_true(is_about(learn(&loss, "b", 1000 + LOSS_WINDOW, 10 + LOSS_WINDOW / 2), 0.5));
}

static void a_window_s_share_stays_until_the_next_is_over(void **state)
{
    struct loss loss = { 0 };

    (void)state;
    (void)learn(&loss, "b", 0, 0);
    assert_true(is_about(learn(&loss, "b", 100, 75), 0.25));
    assert_true(is_about(learn(&loss, "b", 101, 75), 0.25));
    assert_true(is_about(learn(&loss, "b", 200, 175), 0));
    assert_true(is_about(learn(&loss, "b", 300, 276), 0)); /* one of the window before came late */
}

static void a_node_that_begins_anew_has_lost_nothing(void **state)
{
    struct loss loss = { 0 };

    (void)state;
    (void)learn(&loss, "b", 0, 0);
    assert_true(is_about(learn(&loss, "b", 100, 90), 0.1));
    assert_true(is_about(learn(&loss, "b", 5, 5), 0.1));
    assert_true(is_about(learn(&loss, "b", 105, 105), 0));
}

static void peers_are_apart_and_bounded(void **state)
{
    struct loss loss = { 0 };
    char name[16];

    (void)state;
    for (int i = 0; i < LOSS_PEERS_MAX; i++) {
        (void)snprintf(name, sizeof(name), "n%d", i);
        (void)learn(&loss, name, 0, 0);
    }
    assert_true(is_about(learn(&loss, "n3", 100, 60), 0.4));
    assert_true(is_about(learn(&loss, "n4", 100, 100), 0));
    (void)learn(&loss, "one too many", 0, 0);
    assert_true(isnan(learn(&loss, "one too many", 100, 0)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_said_before_a_window_is_over),
        cmocka_unit_test(a_window_s_share_stays_until_the_next_is_over),
        cmocka_unit_test(a_node_that_begins_anew_has_lost_nothing),
        cmocka_unit_test(peers_are_apart_and_bounded),
    };
    return cmocka_run_group_tests_name("monitor/loss", tests, NULL, NULL);
}
