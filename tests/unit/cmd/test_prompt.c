/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/cmd/test_prompt.c - requests of a load are reproducible, and no two alike. */
#include <string.h>

#include "support/check.h"

#include "cmd/bench/serve/prompt.h"

enum { SEED = 11, N_ARRIVALS = 20000 };

static void the_same_number_says_the_same(void **state)
{
    struct buf a = { 0 }, b = { 0 }, c = { 0 };

    (void)state;
    prompt_words(&a, SEED, 5, 64);
    prompt_words(&b, SEED, 5, 64);
    prompt_words(&c, SEED, 6, 64);
    assert_string_equal(buf_text(&a), buf_text(&b));
    assert_string_not_equal(buf_text(&a), buf_text(&c));
    buf_release(&a);
    buf_release(&b);
    buf_release(&c);
}

static void words_are_counted(void **state)
{
    struct buf text = { 0 };
    int n_blanks = 0;

    (void)state;
    prompt_words(&text, SEED, 0, 64);
    for (const char *p = buf_text(&text); *p; p++)
        n_blanks += *p == ' ';
    assert_int_equal(n_blanks, 63);
    buf_release(&text);
}

/* The mean of n exponential draws is 1/rate with a deviation of 1/(rate sqrt(n)): 0.7 % here. */
static void arrivals_keep_their_rate(void **state)
{
    double sum = 0;

    (void)state;
    for (uint64_t i = 0; i < N_ARRIVALS; i++) {
        const double s = prompt_arrival_s(SEED, i, 4);

        assert_true(s >= 0);
        sum += s;
    }
    assert_true(sum / N_ARRIVALS > 0.24 && sum / N_ARRIVALS < 0.26);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_number_says_the_same),
        cmocka_unit_test(words_are_counted),
        cmocka_unit_test(arrivals_keep_their_rate),
    };

    return cmocka_run_group_tests_name("cmd/prompt", tests, NULL, NULL);
}
