/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/gateway/test_limits.c - rates hold, what was reserved comes back, days end. */
#include "support/check.h"

#include <string.h>

#include "base/clock.h"
#include "gateway/guard/limits.h"

static const uint64_t START_NS = 1000000000000;

static int set_up(void **state)
{
    struct limits *l = NULL;

    if (limits_new(&l, NULL) != ST_OK)
        return -1;
    *state = l;
    return 0;
}

static int tear_down(void **state)
{
    limits_free(*state);
    return 0;
}

static enum limits_verdict take(struct limits *l, const struct limits_of *of, size_t n,
                                struct limits_cost cost, uint64_t now_ns,
                                struct limits_claim *claim)
{
    return limits_take(l, of, n, cost, now_ns, 1, claim).verdict;
}

static void requests_come_at_their_rate(void **state)
{
    const struct limits_of of = { LIMITS_KEY, "a", { .requests_per_minute = 600 } };
    const struct limits_cost one = { .requests = 1 };
    struct limits_claim claim;
    unsigned n = 0;

    /* 200 askers, one each millisecond, for 30 s */
    for (uint64_t ms = 0; ms < 30000; ms++)
        n += take(*state, &of, 1, one, START_NS + ms * NS_PER_MS, &claim) == LIMITS_GRANTED;
    assert_in_range(n, 300, 306);
}

static void tokens_come_at_their_rate_whatever_was_reserved(void **state)
{
    const struct limits_of of = { LIMITS_KEY, "a", { .tokens_per_minute = 60000 } };
    struct limits_claim claims[64];
    uint64_t used = 0, until[64] = { 0 };

    for (uint64_t ms = 0; ms < 30000; ms++) {
        const uint64_t now = START_NS + ms * NS_PER_MS;

        for (size_t i = 0; i < 64; i++) { /* 64 streams of 100 tokens that reserve 500 */
            if (until[i] == ms && ms > 0) {
                limits_settle(*state, &claims[i], 100, true, now);
                used += 100;
                until[i] = 0;
            }
            if (until[i] == 0 && take(*state, &of, 1, (struct limits_cost){ .tokens = 500 }, now,
                                      &claims[i]) == LIMITS_GRANTED)
                until[i] = ms + 200;
        }
    }
    assert_in_range(used, 29000, 31000);
}

static void all_accounts_or_none(void **state)
{
    const struct limits_of of[] = { { LIMITS_KEY, "a", { .concurrent = 5 } },
                                    { LIMITS_TENANT, "t", { .concurrent = 1 } } };
    const struct limits_cost one = { .running = 1 };
    struct limits_claim first, other;

    assert_int_equal(take(*state, of, 2, one, START_NS, &first), LIMITS_GRANTED);
    for (int i = 0; i < 20; i++)
        assert_int_equal(take(*state, of, 2, one, START_NS, &other), LIMITS_CONCURRENT);
    limits_settle(*state, &first, 0, true, START_NS);
    for (int i = 0; i < 5; i++) /* the refused ones took nothing of the key's */
        assert_int_equal(take(*state, of, 1, one, START_NS, &other), LIMITS_GRANTED);
    assert_int_equal(take(*state, of, 1, one, START_NS, &other), LIMITS_CONCURRENT);
}

static void a_key_and_a_tenant_of_one_name_differ(void **state)
{
    const struct limits_of key = { LIMITS_KEY, "x", { .concurrent = 1 } };
    const struct limits_of tenant = { LIMITS_TENANT, "x", { .concurrent = 1 } };
    const struct limits_cost one = { .running = 1 };
    struct limits_claim claim;

    assert_int_equal(take(*state, &key, 1, one, START_NS, &claim), LIMITS_GRANTED);
    assert_int_equal(take(*state, &tenant, 1, one, START_NS, &claim), LIMITS_GRANTED);
}

static void what_never_fits_is_told_at_once(void **state)
{
    const struct limits_of of = { LIMITS_KEY, "a", { .tokens_per_minute = 100 } };
    struct limits_claim claim;
    const struct limits_answer answer =
        limits_take(*state, &of, 1, (struct limits_cost){ .tokens = 101 }, START_NS, 1, &claim);

    assert_int_equal(answer.verdict, LIMITS_TOO_LARGE);
    assert_int_equal(answer.retry_ms, 0);
}

static void the_wait_that_is_told_suffices_and_no_less(void **state)
{
    const struct limits_of of = { LIMITS_KEY, "a", { .requests_per_minute = 60 } };
    const struct limits_cost one = { .requests = 1 };
    struct limits_claim claim;
    struct limits_answer answer;
    uint64_t at;

    assert_int_equal(take(*state, &of, 1, one, START_NS, &claim), LIMITS_GRANTED);
    answer = limits_take(*state, &of, 1, one, START_NS, 1, &claim);
    assert_int_equal(answer.verdict, LIMITS_REQUESTS);
    at = START_NS + (answer.retry_ms - 2) * NS_PER_MS;
    assert_int_equal(take(*state, &of, 1, one, at, &claim), LIMITS_REQUESTS);
    at = START_NS + answer.retry_ms * NS_PER_MS;
    assert_int_equal(take(*state, &of, 1, one, at, &claim), LIMITS_GRANTED);
}

static void a_request_that_failed_here_costs_nothing(void **state)
{
    const struct limits_of of = { LIMITS_KEY,
                                  "a",
                                  { .requests_per_minute = 60, .requests_per_day = 1 } };
    const struct limits_cost cost = { .requests = 1, .tokens = 10 };
    struct limits_claim claim;

    for (int i = 0; i < 10; i++) {
        assert_int_equal(take(*state, &of, 1, cost, START_NS, &claim), LIMITS_GRANTED);
        limits_settle(*state, &claim, 0, false, START_NS);
    }
}

static void a_quota_ends_with_its_day_and_outlives_a_restart(void **state)
{
    const struct limits_of of = { LIMITS_KEY, "a", { .tokens_per_day = 100 } };
    const struct limits_cost cost = { .tokens = 60 };
    struct limits *other = NULL;
    struct limits_claim claim;
    json_t *saved;

    assert_int_equal(take(*state, &of, 1, cost, START_NS, &claim), LIMITS_GRANTED);
    assert_int_equal(take(*state, &of, 1, cost, START_NS, &claim), LIMITS_DAY);
    saved = limits_save(*state, 1);
    assert_int_equal(limits_new(&other, NULL), ST_OK);
    limits_restore(other, saved, 1);
    assert_int_equal(take(other, &of, 1, cost, START_NS, &claim), LIMITS_DAY);
    assert_int_equal(limits_take(other, &of, 1, cost, START_NS, 2, &claim).verdict, LIMITS_GRANTED);
    assert_int_equal(limits_take(other, &of, 1, cost, START_NS, 1, &claim).verdict, LIMITS_DAY);
    json_decref(saved);
    limits_free(other);
}

static void headers_say_what_is_left(void **state)
{
    const struct limits_of of = { LIMITS_KEY,
                                  "a",
                                  { .requests_per_minute = 1200, .tokens_per_minute = 12000 } };
    struct limits_claim claim;
    struct limits_view v = limits_look(*state, &of, START_NS);

    assert_int_equal(v.request_limit, 1200);
    assert_int_equal(v.requests_left, 10);
    assert_int_equal(v.request_reset_ms, 0);
    assert_int_equal(take(*state, &of, 1, (struct limits_cost){ .requests = 4, .tokens = 500 },
                          START_NS, &claim),
                     LIMITS_GRANTED);
    v = limits_look(*state, &of, START_NS);
    assert_int_equal(v.requests_left, 6);
    assert_in_range(v.request_reset_ms, 200, 202);
    assert_int_equal(v.tokens_left, 0);
    assert_in_range(v.token_reset_ms, 2500, 2502);
}

static void accounts_are_bounded(void **state)
{
    const struct limits_cost one = { .requests = 1 };
    struct limits_claim claim;
    char name[32];

    for (int i = 0; i < LIMITS_ACCOUNTS_MAX; i++) {
        const struct limits_of of = { LIMITS_KEY, name, { .requests_per_minute = 60 } };

        snprintf(name, sizeof(name), "%d", i);
        assert_int_equal(take(*state, &of, 1, one, START_NS, &claim), LIMITS_GRANTED);
    }
    const struct limits_of more = { LIMITS_KEY, "more", { .requests_per_minute = 60 } };

    assert_int_equal(take(*state, &more, 1, one, START_NS, &claim), LIMITS_CROWDED);
    assert_int_equal(limits_take(*state, &more, 1, one, START_NS + 2 * NS_PER_S, 2, &claim).verdict,
                     LIMITS_GRANTED);
}

#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(requests_come_at_their_rate),
        T(tokens_come_at_their_rate_whatever_was_reserved),
        T(all_accounts_or_none),
        T(a_key_and_a_tenant_of_one_name_differ),
        T(what_never_fits_is_told_at_once),
        T(the_wait_that_is_told_suffices_and_no_less),
        T(a_request_that_failed_here_costs_nothing),
        T(a_quota_ends_with_its_day_and_outlives_a_restart),
        T(headers_say_what_is_left),
        T(accounts_are_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
