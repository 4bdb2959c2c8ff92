/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/balance/test_policies.c - each policy does what its name says. */
#include "support/check.h"

#include <string.h>

#include "balance/policy.h"

enum { N = 8, ROUNDS = 6000 };

static void make(struct balance_candidate *c, size_t n)
{
    for (size_t i = 0; i < n; i++)
        c[i] = (struct balance_candidate){
            .key = 1000 + i, .weight = 1, .warmth = 1, .prompt_tokens_per_s = 1000, .token_s = 0.01
        };
}

static void count(const struct balance_policy *policy, const struct balance_candidate *c, size_t n,
                  unsigned *picked)
{
    struct balance_request r = { .n_prompt_tokens = 100, .n_answer_tokens = 100 };

    memset(picked, 0, n * sizeof(*picked));
    for (unsigned i = 0; i < ROUNDS; i++) {
        r.turn = i;
        r.random = balance_next_random(i);
        r.session = r.prefix = balance_next_random(i + 77) | 1;
        picked[policy->choose(c, n, &r)]++;
    }
}

static void policies_are_found_by_name(void **state)
{
    static const char *const names[] = { "predicted-work", "least-outstanding", "round-robin",
                                         "prefix-affinity", "session-affinity" };
    const struct balance_policy *policy;
    struct err err;

    (void)state;
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(balance_policy_find(names[i], &policy, &err), ST_OK);
        assert_string_equal(policy->name, names[i]);
    }
    assert_int_equal(balance_policy_find("", &policy, &err), ST_OK);
    assert_string_equal(policy->name, "predicted-work");
    assert_int_equal(balance_policy_find("fastest", &policy, &err), ST_NOTFOUND);
    assert_non_null(strstr(err.words, "round-robin"));
}

static void equals_share_under_every_policy(void **state)
{
    static const struct balance_policy *const all[] = {
        &balance_predicted_work, &balance_least_outstanding, &balance_round_robin,
        &balance_prefix_affinity, &balance_session_affinity
    };
    struct balance_candidate c[N];
    unsigned picked[N];

    (void)state;
    make(c, N);
    for (size_t p = 0; p < 5; p++) {
        count(all[p], c, N, picked);
        for (size_t i = 0; i < N; i++)
            assert_in_range(picked[i], ROUNDS / N * 85 / 100, ROUNDS / N * 115 / 100);
    }
}

static void predicted_work_is_seconds_not_requests(void **state)
{
    struct balance_candidate c[2];
    const struct balance_request r = { .n_prompt_tokens = 1000, .n_answer_tokens = 100 };

    (void)state;
    make(c, 2);
    c[0].prompt_tokens_per_s = 20; /* slow, and idle */
    c[0].token_s = 0.5;
    c[1].prompt_tokens_per_s = 20000; /* fast, and busy */
    c[1].token_s = 0.02;
    c[1].n_outstanding = 30;
    c[1].n_waiting_tokens = 30000;
    assert_int_equal(balance_predicted_work.choose(c, 2, &r), 1);
    assert_int_equal(balance_least_outstanding.choose(c, 2, &r), 0);
}

static void who_was_not_measured_is_taken_for_one_like_the_others(void **state)
{
    struct balance_candidate c[2];
    unsigned picked[2];

    (void)state;
    make(c, 2);
    c[1].prompt_tokens_per_s = c[1].token_s = 0;
    count(&balance_predicted_work, c, 2, picked);
    assert_in_range(picked[1], ROUNDS * 4 / 10, ROUNDS * 6 / 10);
}

static void of_many_two_at_random_are_compared(void **state)
{
    enum { MANY = 40 };
    struct balance_candidate c[MANY];
    unsigned picked[MANY];

    (void)state;
    make(c, MANY);
    c[3].token_s = 0.001; /* the best of all */
    c[4].token_s = 1;     /* the worst */
    count(&balance_predicted_work, c, MANY, picked);
    assert_in_range(picked[3], ROUNDS * 3 / 100, ROUNDS * 7 / 100); /* 2/40: when it is looked at */
    assert_int_equal(picked[4], 0);                                 /* the other is always better */
}

static void weights_count_in_round_robin(void **state)
{
    struct balance_candidate c[3];
    unsigned picked[3];

    (void)state;
    make(c, 3);
    count(&balance_round_robin, c, 3, picked);
    for (int i = 0; i < 3; i++)
        assert_int_equal(picked[i], ROUNDS / 3);
    c[0].weight = 2;
    count(&balance_round_robin, c, 3, picked);
    assert_in_range(picked[0], ROUNDS / 2 - 5, ROUNDS / 2 + 5);
    assert_in_range(picked[1], ROUNDS / 4 - 5, ROUNDS / 4 + 5);
}

static void a_prefix_has_one_owner_until_that_has_too_much(void **state)
{
    struct balance_candidate c[4];
    const struct balance_request r = { .prefix = 4711 };
    size_t owner, second;

    (void)state;
    make(c, 4);
    for (size_t i = 0; i < 4; i++)
        c[i].n_outstanding = 10;
    owner = balance_prefix_affinity.choose(c, 4, &r);
    for (size_t i = 0; i < 20; i++)
        assert_int_equal(balance_prefix_affinity.choose(c, 4, &r), owner);
    c[owner].n_outstanding = 20; /* of 50: more than a quarter over its part */
    second = balance_prefix_affinity.choose(c, 4, &r);
    assert_int_not_equal(second, owner);
    assert_int_equal(balance_prefix_affinity.choose(c, 4, &r), second);
}

/* The others keep their owners when one goes: that is what rendezvous hashing is for. */
static void only_the_prefixes_of_who_went_move(void **state)
{
    struct balance_candidate all[N], rest[N - 1];
    struct balance_request r = { 0 };

    (void)state;
    make(all, N);
    memcpy(rest, all, sizeof(rest)); /* the last one went */
    for (uint64_t i = 1; i < 500; i++) {
        size_t before;

        r.prefix = i;
        before = balance_prefix_affinity.choose(all, N, &r);
        if (before != N - 1)
            assert_int_equal(balance_prefix_affinity.choose(rest, N - 1, &r), before);
    }
}

static void what_has_no_session_goes_by_work(void **state)
{
    struct balance_candidate c[2];
    const struct balance_request r = { .n_answer_tokens = 100 };

    (void)state;
    make(c, 2);
    c[0].token_s = 1;
    assert_int_equal(balance_session_affinity.choose(c, 2, &r), 1);
    assert_int_equal(balance_prefix_affinity.choose(c, 2, &r), 1);
}

static void who_starts_gets_less(void **state)
{
    struct balance_candidate c[2];
    unsigned picked[2];

    (void)state;
    make(c, 2);
    c[0].warmth = 0.1;
    count(&balance_session_affinity, c, 2, picked);
    assert_in_range(picked[0], ROUNDS * 5 / 100, ROUNDS * 15 / 100); /* 1/11 */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(policies_are_found_by_name),
        cmocka_unit_test(equals_share_under_every_policy),
        cmocka_unit_test(predicted_work_is_seconds_not_requests),
        cmocka_unit_test(who_was_not_measured_is_taken_for_one_like_the_others),
        cmocka_unit_test(of_many_two_at_random_are_compared),
        cmocka_unit_test(weights_count_in_round_robin),
        cmocka_unit_test(a_prefix_has_one_owner_until_that_has_too_much),
        cmocka_unit_test(only_the_prefixes_of_who_went_move),
        cmocka_unit_test(what_has_no_session_goes_by_work),
        cmocka_unit_test(who_starts_gets_less),
    };
    return cmocka_run_group_tests_name("policies", tests, NULL, NULL);
}
