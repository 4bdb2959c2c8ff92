/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/execute/test_lookup.c - guesses come from the longest, then newest, earlier place. */
#include "support/check.h"

#include <string.h>

#include "execute/spec/lookup.h"

enum { N_LIMIT = 512, N_GUESS = 8 };

struct scene {
    const char *fact, *text; /* one token for each byte */
    uint32_t match;
    const char *guess; /* as many tokens; "" for none */
};

static const struct scene scenes[] = {
    { "too short for any place", "ab", 0, "" },
    { "nothing occurred before", "abcdef", 0, "" },
    { "one common token says too little", "axbxcx", 0, "" },
    { "what followed the same pair", "hello world, he", 2, "llo" },
    { "the longest common past wins over a newer one", "xabcDE yabcFG xabc", 4, "DE" },
    { "the newest wins among equals", "abcD.abcE!abc", 3, "E!a" },
    { "a loop goes on", "123-ababab", 4, "abab" },
    { "a run of one token goes on", "xyzzzz", 3, "zzz" },
};

static void scenes_are_guessed_as_told(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(scenes) / sizeof(scenes[0]); i++) {
        const struct scene *s = &scenes[i];
        const uint32_t n_tokens = (uint32_t)strlen(s->text), wanted = (uint32_t)strlen(s->guess);
        int32_t tokens[N_LIMIT], guess[N_GUESS];
        uint32_t match, n;
        struct lookup l;
        struct err err = { 0 };

        for (uint32_t k = 0; k < n_tokens; k++)
            tokens[k] = s->text[k];
        assert_ok(lookup_init(&l, N_LIMIT, &err), err);
        n = lookup_guess(&l, tokens, n_tokens, wanted > 0 ? wanted : N_GUESS, guess, &match);
        if (n != wanted || match != s->match)
            fail_msg("%s: %u tokens, match %u", s->fact, n, match);
        for (uint32_t k = 0; k < n; k++)
            if (guess[k] != s->guess[k])
                fail_msg("%s: token %u", s->fact, k);
        lookup_release(&l);
    }
}

/* Few distinct tokens, so that places abound; the plain search is the meaning. */
static uint32_t longest_match(const int32_t *tokens, uint32_t n)
{
    uint32_t longest = 0;

    for (uint32_t end = LOOKUP_MATCH_MIN; end < n; end++) {
        uint32_t k = 0;

        while (k < LOOKUP_MATCH_MAX && k < end && tokens[end - 1 - k] == tokens[n - 1 - k])
            k++;
        longest = k > longest ? k : longest;
    }
    return longest >= LOOKUP_MATCH_MIN ? longest : 0;
}

static void growing_with_the_answer_finds_what_a_plain_search_finds(void **state)
{
    int32_t tokens[N_LIMIT], guess[N_GUESS];
    uint32_t random = 1, n_found = 0, match;
    struct lookup l;
    struct err err = { 0 };

    (void)state;
    assert_ok(lookup_init(&l, N_LIMIT, &err), err);
    for (uint32_t n = 0; n < N_LIMIT; n++) {
        random = random * 1664525u + 1013904223u;
        tokens[n] = (int32_t)(random >> 16) % 40 * 1000;
        if (n % 3 != 0) /* every third step asks: tokens come several at a time */
            continue;
        (void)lookup_guess(&l, tokens, n + 1, N_GUESS, guess, &match);
        assert_int_equal(match, longest_match(tokens, n + 1));
        n_found += match > 0;
    }
    assert_true(n_found > 10);
    lookup_release(&l);
}

/* The same pair everywhere: the chain is as long as the text, the walk is not. */
static void a_long_chain_is_not_walked_to_its_end(void **state)
{
    int32_t tokens[N_LIMIT], guess[N_GUESS];
    uint32_t match;
    struct lookup l;
    struct err err = { 0 };

    (void)state;
    for (uint32_t i = 0; i < N_LIMIT; i++)
        tokens[i] = i % 3 == 2 ? (int32_t)i : 7;
    tokens[0] = 6; /* the only place with a longer past is the oldest */
    tokens[2] = 8;
    tokens[N_LIMIT - 3] = 8;
    tokens[N_LIMIT - 2] = 7;
    tokens[N_LIMIT - 1] = 7;
    assert_ok(lookup_init(&l, N_LIMIT, &err), err);
    assert_int_equal(lookup_guess(&l, tokens, N_LIMIT, N_GUESS, guess, &match), N_GUESS);
    assert_int_equal(match, 2);
    lookup_release(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scenes_are_guessed_as_told),
        cmocka_unit_test(growing_with_the_answer_finds_what_a_plain_search_finds),
        cmocka_unit_test(a_long_chain_is_not_walked_to_its_end),
    };

    return cmocka_run_group_tests_name("execute/lookup", tests, NULL, NULL);
}
