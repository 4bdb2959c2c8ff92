/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/base/test_log_repeat.c - what repeats is told now and then, and how often it was not. */
#include "support/check.h"

#include "base/log.h"
#include "base/log_repeat.h"

static const uint64_t SECOND = UINT64_C(1000000000);

/* Of `n` lines at that time, how many are told. */
static unsigned told(struct log_repeat *repeat, uint64_t hash, uint64_t now_ns, unsigned n,
                     uint32_t *ret_n_left_out)
{
    unsigned n_told = 0;
    uint32_t n_left_out;

    *ret_n_left_out = 0;
    for (unsigned i = 0; i < n; i++) {
        n_told += log_repeat_allows(repeat, hash, now_ns, &n_left_out);
        *ret_n_left_out += n_left_out;
    }
    return n_told;
}

static void a_window_has_a_few_and_the_next_says_how_many_were_left_out(void **state)
{
    struct log_repeat repeat = { 0 };
    uint32_t n_left_out;

    (void)state;
    assert_int_equal(told(&repeat, 1, SECOND, 5, &n_left_out), 5);
    assert_int_equal(told(&repeat, 1, 2 * SECOND, 95, &n_left_out), LOG_REPEAT_MOST - 5);
    assert_int_equal(n_left_out, 0);
    assert_int_equal(told(&repeat, 2, 2 * SECOND, 3, &n_left_out), 3);
    assert_int_equal(told(&repeat, 1, 11 * SECOND, 1, &n_left_out), 1);
    assert_int_equal(n_left_out, 100 - LOG_REPEAT_MOST);
    assert_int_equal(told(&repeat, 1, 11 * SECOND, 1, &n_left_out), 1);
    assert_int_equal(n_left_out, 0);
}

/* Others do not push out a line that comes all the time. */
static void what_comes_all_the_time_is_remembered(void **state)
{
    struct log_repeat repeat = { 0 };
    uint32_t n_left_out;
    unsigned n_told = 0;

    (void)state;
    for (uint64_t i = 0; i < 1000; i++) {
        assert_int_equal(told(&repeat, 100 + i, SECOND + i, 1, &n_left_out), 1);
        n_told += told(&repeat, 7, SECOND + i, 1, &n_left_out);
    }
    assert_int_equal(n_told, LOG_REPEAT_MOST);
}

static uint64_t hash(enum log_level level, const char *message, struct log_field field)
{
    const struct log_event event = {
        .level = level, .message = message, .fields = &field, .n_fields = 1
    };

    return log_repeat_hash(&event);
}

static void lines_are_equal_by_all_but_their_time(void **state)
{
    const uint64_t one = hash(LOG_INFO, "m", log_text("a", "b"));

    (void)state;
    assert_true(one == hash(LOG_INFO, "m", log_text("a", "b")));
    assert_true(one != hash(LOG_WARN, "m", log_text("a", "b")));
    assert_true(one != hash(LOG_INFO, "n", log_text("a", "b")));
    assert_true(one != hash(LOG_INFO, "m", log_text("a", "c")));
    assert_true(one != hash(LOG_INFO, "m", log_text("ab", "")));
    assert_true(hash(LOG_INFO, "m", log_count("a", 1)) != hash(LOG_INFO, "m", log_count("a", 2)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_window_has_a_few_and_the_next_says_how_many_were_left_out),
        cmocka_unit_test(what_comes_all_the_time_is_remembered),
        cmocka_unit_test(lines_are_equal_by_all_but_their_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
