/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/flow/test_admission.c - the queue's bounds, by requests, by tokens, by tenant. */
#include "support/check.h"

#include "base/clock.h"
#include "flow/admission.h"

enum { REQUESTS = 1024 };

static const struct admission_bounds BOUNDS = { REQUESTS, 0, 30 };
static const uint64_t T0 = 1000 * NS_PER_S;
static const uint64_t MIDDLE = (uint64_t)1 << 63;

static enum admission_verdict enter(struct admission *a, uint64_t tenant, uint64_t n_tokens,
                                    struct admission_ticket *ticket, uint32_t *retry_s)
{
    const struct admission_request request = { tenant, n_tokens, PRIORITY_INTERACTIVE };

    return admission_enter(a, &BOUNDS, &request, MIDDLE, T0, ticket, retry_s);
}

static void requests_are_bounded_and_leave_room(void **state)
{
    static struct admission a;
    struct admission_ticket ticket, last = { 0 };
    uint32_t retry_s = 0;

    (void)state;
    for (int i = 0; i < REQUESTS; i++)
        assert_int_equal(enter(&a, 1, 1, &last, &retry_s), ADMISSION_OK);
    assert_int_equal(enter(&a, 2, 1, &ticket, &retry_s), ADMISSION_FULL);
    assert_in_range(retry_s, 1, ADMISSION_RETRY_MAX_S);
    admission_leave(&a, &last);
    admission_leave(&a, &last); /* once */
    assert_int_equal(a.n_requests, REQUESTS - 1);
    assert_int_equal(enter(&a, 2, 1, &ticket, &retry_s), ADMISSION_OK);
}

static void tokens_are_bounded_by_how_fast_they_leave(void **state)
{
    static struct admission a;
    struct admission_ticket first, second, third;
    uint32_t retry_s = 0;

    (void)state;
    assert_int_equal(enter(&a, 1, 10000, &first, &retry_s), ADMISSION_OK);
    admission_answered(&a, &first, T0 + 5 * NS_PER_S); /* 2,000 a second: 60,000 in 30 s */
    assert_float_equal(a.tokens_per_s, 2000, 1e-6);
    assert_int_equal(enter(&a, 1, 40000, &first, &retry_s), ADMISSION_OK);
    assert_int_equal(enter(&a, 1, 20000, &second, &retry_s), ADMISSION_OK);
    assert_int_equal(enter(&a, 1, 1, &third, &retry_s), ADMISSION_FULL);
    assert_int_equal(retry_s, 30);
    admission_leave(&a, &first);
    assert_int_equal(enter(&a, 1, 40001, &third, &retry_s), ADMISSION_FULL);
    assert_in_range(retry_s, 10, 11);
}

static void one_prompt_longer_than_all_may_wait_alone(void **state)
{
    static struct admission a;
    struct admission_ticket ticket;
    uint32_t retry_s;

    (void)state;
    assert_int_equal(enter(&a, 1, 2 * ADMISSION_TOKENS_MAX, &ticket, &retry_s), ADMISSION_OK);
    assert_int_equal(enter(&a, 1, 1, &ticket, &retry_s), ADMISSION_FULL);
}

static void nobody_has_more_than_half_while_others_wait(void **state)
{
    static struct admission a;
    struct admission_ticket ticket;
    uint32_t retry_s;

    (void)state;
    assert_int_equal(enter(&a, 1, ADMISSION_TOKENS_MAX / 2, &ticket, &retry_s), ADMISSION_OK);
    assert_int_equal(enter(&a, 1, 1000, &ticket, &retry_s), ADMISSION_OK); /* it is alone */
    assert_int_equal(enter(&a, 2, 1000, &ticket, &retry_s), ADMISSION_OK);
    assert_int_equal(enter(&a, 1, 1, &ticket, &retry_s), ADMISSION_SHARE);
    assert_int_equal(enter(&a, 2, 1000, &ticket, &retry_s), ADMISSION_OK);
}

static void those_refused_together_come_back_apart(void **state)
{
    static struct admission a;
    const struct admission_request one = { 1, 1, PRIORITY_INTERACTIVE };
    struct admission_ticket ticket;
    uint32_t soon = 0, late = 0;

    (void)state;
    a = (struct admission){ .tokens_per_s = 50000,
                            .n_tokens = ADMISSION_TOKENS_MAX,
                            .n_requests = 1 };
    assert_int_equal(admission_enter(&a, &BOUNDS, &one, 0, T0, &ticket, &soon), ADMISSION_FULL);
    assert_int_equal(admission_enter(&a, &BOUNDS, &one, UINT64_MAX, T0, &ticket, &late),
                     ADMISSION_FULL);
    assert_in_range(soon, 17, 18); /* of 21 */
    assert_in_range(late, 25, 26);
}

static void a_batch_leaves_room_for_who_cannot_wait(void **state)
{
    static struct admission a;
    const struct admission_request batch = { 1, 1, PRIORITY_BATCH };
    const struct admission_request long_batch = { 2, ADMISSION_TOKENS_MAX / 4 * 3, PRIORITY_BATCH };
    struct admission_ticket ticket, last = { 0 };
    uint32_t retry_s;

    (void)state;
    for (int i = 0; i < REQUESTS / 4 * 3; i++)
        assert_int_equal(admission_enter(&a, &BOUNDS, &batch, MIDDLE, T0, &last, &retry_s),
                         ADMISSION_OK);
    assert_int_equal(admission_enter(&a, &BOUNDS, &batch, MIDDLE, T0, &ticket, &retry_s),
                     ADMISSION_FULL);
    assert_int_equal(enter(&a, 2, 1, &ticket, &retry_s), ADMISSION_OK);
    admission_leave(&a, &last);
    assert_int_equal(admission_enter(&a, &BOUNDS, &long_batch, MIDDLE, T0, &last, &retry_s),
                     ADMISSION_FULL);
    assert_int_equal(enter(&a, 2, 1000, &ticket, &retry_s), ADMISSION_OK);
    admission_leave(&a, &ticket);
    assert_int_equal(a.n_batch_requests, REQUESTS / 4 * 3 - 1);
    assert_int_equal(a.n_batch_tokens, REQUESTS / 4 * 3 - 1);
}

static void a_batch_that_waited_for_long_waits_no_longer_than_others(void **state)
{
    static struct admission a;
    const struct admission_request batch = { 1, 1, PRIORITY_BATCH };
    struct admission_ticket ticket, other;
    uint32_t retry_s;

    (void)state;
    (void)admission_enter(&a, &BOUNDS, &batch, MIDDLE, T0, &ticket, &retry_s);
    (void)enter(&a, 1, 1, &other, &retry_s);
    assert_false(admission_has_aged(&ticket, 300, T0 + ADMISSION_AGE_S * NS_PER_S));
    assert_true(admission_has_aged(&ticket, 300, T0 + ADMISSION_AGE_S * NS_PER_S + 1));
    assert_true(admission_has_aged(&ticket, 10, T0 + 5 * NS_PER_S + 1));
    assert_false(admission_has_aged(&other, 300, T0 + 1000 * NS_PER_S));
    admission_answered(&a, &ticket, T0 + NS_PER_S);
    assert_false(admission_has_aged(&ticket, 300, T0 + 1000 * NS_PER_S));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_are_bounded_and_leave_room),
        cmocka_unit_test(tokens_are_bounded_by_how_fast_they_leave),
        cmocka_unit_test(one_prompt_longer_than_all_may_wait_alone),
        cmocka_unit_test(nobody_has_more_than_half_while_others_wait),
        cmocka_unit_test(those_refused_together_come_back_apart),
        cmocka_unit_test(a_batch_leaves_room_for_who_cannot_wait),
        cmocka_unit_test(a_batch_that_waited_for_long_waits_no_longer_than_others),
    };
    return cmocka_run_group_tests_name("admission", tests, NULL, NULL);
}
