/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/execute/test_fair.c - tenants are served in turn, and absence earns nothing. */
#include "support/check.h"

#include "execute/fair.h"

enum { N = 4 };

static int set_up(void **state)
{
    return fair_new(N, (struct fair **)state, NULL) == ST_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    fair_free(*state);
    return 0;
}

static void sequences_of_a_tenant_share_an_account(void **state)
{
    const uint32_t a = fair_join(*state, 7), b = fair_join(*state, 8);

    assert_int_not_equal(a, b);
    assert_int_equal(fair_join(*state, 7), a);
    fair_charge(*state, a, 10);
    assert_int_equal(fair_served(*state, a), 10);
    assert_int_equal(fair_served(*state, b), 0);
}

static void a_newcomer_starts_at_the_least_served(void **state)
{
    const uint32_t a = fair_join(*state, 1), b = fair_join(*state, 2);

    fair_charge(*state, a, 100);
    fair_charge(*state, b, 40);
    assert_int_equal(fair_served(*state, fair_join(*state, 3)), 40);
}

static void who_comes_back_has_its_debt_and_no_credit(void **state)
{
    const uint32_t a = fair_join(*state, 1);
    uint32_t b = fair_join(*state, 2);

    fair_charge(*state, b, 30);
    fair_leave(*state, b);
    b = fair_join(*state, 2);
    assert_int_equal(fair_served(*state, b), 30);
    fair_leave(*state, b);
    fair_charge(*state, a, 90);
    assert_int_equal(fair_served(*state, fair_join(*state, 2)), 90);
}

static void time_stands_still_while_nobody_is_here(void **state)
{
    const uint32_t a = fair_join(*state, 1);

    fair_charge(*state, a, 50);
    fair_leave(*state, a);
    assert_int_equal(fair_served(*state, fair_join(*state, 2)), 50);
    assert_int_equal(fair_served(*state, fair_join(*state, 1)), 50);
}

static void there_is_a_place_for_every_sequence(void **state)
{
    uint32_t places[N];

    for (uint64_t round = 0; round < 50; round++) {
        for (uint32_t i = 0; i < N; i++) {
            places[i] = fair_join(*state, round * N + i);
            fair_charge(*state, places[i], i);
            for (uint32_t k = 0; k < i; k++)
                assert_int_not_equal(places[k], places[i]);
        }
        for (uint32_t i = 0; i < N; i++)
            fair_leave(*state, places[i]);
    }
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(sequences_of_a_tenant_share_an_account),
        CASE(a_newcomer_starts_at_the_least_served),
        CASE(who_comes_back_has_its_debt_and_no_credit),
        CASE(time_stands_still_while_nobody_is_here),
        CASE(there_is_a_place_for_every_sequence),
    };

    return cmocka_run_group_tests_name("execute/fair", tests, NULL, NULL);
}
