/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/balance/test_balance.c - of the ready instances of a model one answers. */
#include "support/check.h"

#include <stdio.h>

#include "balance/balance.h"

static struct instance_view instance(const char *id, const char *model, bool is_ready,
                                     uint32_t n_active, uint32_t n_waiting)
{
    struct instance_view v = { .is_ready = is_ready, .n_active = n_active, .n_waiting = n_waiting };

    (void)snprintf(v.id, sizeof(v.id), "%s", id);
    (void)snprintf(v.model, sizeof(v.model), "%s", model);
    v.driver.port = (uint16_t)(id[0]);
    return v;
}

static void pick(const struct instance_view *all, size_t n, uint64_t random, struct route *route)
{
    const struct balance_request request = { .random = random };

    balance_pick(&balance_predicted_work, all, n, "m", &request, route);
}

static void the_least_outstanding_work_wins(void **state)
{
    const struct instance_view all[] = {
        instance("a", "m", true, 4, 0),
        instance("b", "m", true, 1, 2),
        instance("c", "m", true, 0, 4),
    };
    struct route route;

    (void)state;
    for (uint64_t random = 0; random < 50; random++) {
        pick(all, 3, random, &route);
        assert_true(route.is_placed);
        assert_string_equal(route.instance_id, "b");
        assert_int_equal(route.driver.port, 'b');
    }
}

static void others_models_and_instances_not_ready_are_left_out(void **state)
{
    const struct instance_view all[] = {
        instance("a", "other", true, 0, 0),
        instance("b", "m", false, 0, 0),
    };
    struct route route = { .is_placed = true };

    (void)state;
    pick(all, 2, 7, &route);
    assert_false(route.is_placed);
    pick(NULL, 0, 7, &route);
    assert_false(route.is_placed);
}

static void equals_share_the_work(void **state)
{
    const struct instance_view all[] = {
        instance("a", "m", true, 1, 0),
        instance("b", "m", true, 1, 0),
        instance("c", "m", true, 0, 1),
    };
    unsigned picked[3] = { 0 };
    uint64_t random = 20240117;
    struct route route;

    (void)state;
    for (int i = 0; i < 3000; i++) {
        random ^= random << 13; /* xorshift64, Marsaglia 2003 */
        random ^= random >> 7;
        random ^= random << 17;
        pick(all, 3, random, &route);
        picked[route.instance_id[0] - 'a']++;
    }
    for (int i = 0; i < 3; i++)
        assert_in_range(picked[i], 850, 1150);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_least_outstanding_work_wins),
        cmocka_unit_test(others_models_and_instances_not_ready_are_left_out),
        cmocka_unit_test(equals_share_the_work),
    };
    return cmocka_run_group_tests_name("balance", tests, NULL, NULL);
}
