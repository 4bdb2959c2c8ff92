/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/text/test_tokenizer_memory.c - every allocation may fail, one after the other:
 * the k-th for k = 1, 2, ... until all succeed.
 */
#include "support/check.h"

#include "small_vocab.h"
#include "support/allocations.h"

static struct small_vocab v;

static int set_up(void **state)
{
    (void)state;
    small_init(&v, "smollm");
    small_merge(&v, "a", "b");
    small_piece(&v, "<|end|>", TOKEN_CONTROL);
    return 0;
}

static void a_tokenizer_without_memory_is_refused_and_leaves_none_behind(void **state)
{
    struct tokenizer *tokenizer = NULL;
    enum status s = ST_NOMEM;
    size_t k = 0;

    (void)state;
    while (s == ST_NOMEM) {
        allocations_fail_at(++k);
        s = tokenizer_new(&v.vocab, &tokenizer, NULL);
        allocations_fail_at(0);
        assert_true((s == ST_OK) == (tokenizer != NULL));
    }
    assert_int_equal(s, ST_OK);
    assert_true(k > 5);
    tokenizer_free(tokenizer);
}

static void encoding_without_memory_leaves_the_tokens_as_they_were(void **state)
{
    static const char text[] = "abab <|end|> aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
                               "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    uint8_t trusted[sizeof(text)];
    struct tokenizer *tokenizer = NULL;
    struct tokens tokens = { 0 };
    enum status s = ST_NOMEM;
    struct err err;
    size_t k = 0;

    (void)state;
    memset(trusted, 1, sizeof(trusted));
    assert_ok(tokenizer_new(&v.vocab, &tokenizer, &err), err);
    while (s == ST_NOMEM) {
        tokens_release(&tokens);
        assert_ok(tokenizer_encode(tokenizer, "x", 1, NULL, &tokens, &err), err);
        allocations_fail_at(++k);
        s = tokenizer_encode(tokenizer, text, sizeof(text) - 1, trusted, &tokens, &err);
        allocations_fail_at(0);
        assert_int_equal(tokens.ids[0], 'x');
        assert_true((s == ST_OK) == (tokens.n > 1));
    }
    assert_ok(s, err);
    assert_true(k > 4);
    tokens_release(&tokens);
    tokenizer_free(tokenizer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_tokenizer_without_memory_is_refused_and_leaves_none_behind),
        cmocka_unit_test(encoding_without_memory_leaves_the_tokens_as_they_were),
    };
    return cmocka_run_group_tests_name("text/tokenizer_memory", tests, set_up, NULL);
}
