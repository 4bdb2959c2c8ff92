/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/text/test_vocab.c - what a damaged vocabulary is refused for, in words. */
#include "support/check.h"

#include <stdlib.h>

#include "small_vocab.h"

static struct small_vocab v;

/* Refused with `status` and words that contain `words`; nothing is given. */
static void assert_refused(enum status status, const char *words)
{
    struct tokenizer *tokenizer = NULL;
    struct err err = { 0 };

    assert_int_equal(tokenizer_new(&v.vocab, &tokenizer, &err), status);
    assert_null(tokenizer);
    assert_int_equal(err.status, status);
    if (!strstr(err.words, words))
        fail_msg("'%s' lacks '%s'", err.words, words);
}

static void an_unknown_pre_tokenizer_is_named(void **state)
{
    (void)state;
    small_init(&v, "mystery-7");
    assert_refused(ST_UNSUPPORTED, "mystery-7");
    v.vocab.pre = NULL;
    assert_refused(ST_UNSUPPORTED, "none");
    v.vocab.pre = "";
    assert_refused(ST_UNSUPPORTED, "none");
}

static void an_unknown_model_is_named(void **state)
{
    (void)state;
    small_init(&v, "smollm");
    v.vocab.model = "rwkv";
    assert_refused(ST_UNSUPPORTED, "rwkv");
    v.vocab.model = NULL;
    assert_refused(ST_UNSUPPORTED, "none");
}

static void equal_pieces_are_refused(void **state)
{
    (void)state;
    small_init(&v, "smollm");
    small_piece(&v, "ab", TOKEN_NORMAL);
    small_piece(&v, "ab", TOKEN_NORMAL);
    assert_refused(ST_FORMAT, "256 and 257");
}

static void equal_special_pieces_are_refused(void **state)
{
    (void)state;
    small_init(&v, "smollm");
    small_piece(&v, "<|a|>", TOKEN_CONTROL);
    small_piece(&v, "<|b|>", TOKEN_CONTROL);
    small_piece(&v, "<|a|>", TOKEN_USER_DEFINED);
    assert_refused(ST_FORMAT, "the same");
}

static void what_is_not_a_merge_is_refused(void **state)
{
    static const char *const lines[] = {
        "",     "ab",   " ",      "a ",     " a",     "a b c",    "a q", "q a",
        "zz a", "a zz", "a \xFF", "\xFF b", "ab  ab", "\u4E00 a", "b a",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        small_init(&v, "smollm");
        small_merge(&v, "a", "b");
        small_merge_line(&v, lines[i]);
        assert_refused(ST_FORMAT, "merge 1");
    }
}

static void a_merge_that_came_before_is_refused(void **state)
{
    (void)state;
    small_init(&v, "smollm");
    small_merge(&v, "a", "b");
    small_merge_line(&v, "a b");
    assert_refused(ST_FORMAT, "merges 0 and 1");
}

static void ids_out_of_range_are_refused(void **state)
{
    int32_t *const ids[] = { &v.vocab.bos, &v.vocab.eos, &v.vocab.eot, &v.vocab.unk };
    static const int32_t wrong[] = { 256, -2, INT32_MAX, INT32_MIN };

    (void)state;
    for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++)
        for (size_t j = 0; j < sizeof(wrong) / sizeof(wrong[0]); j++) {
            small_init(&v, "smollm");
            *ids[i] = wrong[j];
            assert_refused(ST_FORMAT, "256 pieces");
        }
}

static void kinds_that_do_not_exist_are_refused(void **state)
{
    (void)state;
    small_init(&v, "smollm");
    v.kinds[3] = 7;
    assert_refused(ST_FORMAT, "kind 7");
    v.kinds[3] = 0;
    assert_refused(ST_FORMAT, "kind 0");
}

static void a_piece_beyond_the_bound_is_refused(void **state)
{
    char longest[1026];

    (void)state;
    memset(longest, 'a', sizeof(longest));
    longest[1025] = '\0';
    small_init(&v, "smollm");
    small_piece(&v, longest, TOKEN_NORMAL);
    assert_refused(ST_FORMAT, "1025");
    small_init(&v, "smollm");
    small_merge_line(&v, longest);
    assert_refused(ST_FORMAT, "merge 0");
}

static void an_empty_vocabulary_encodes_nothing(void **state)
{
    struct tokenizer *tokenizer = NULL;
    struct tokens tokens = { 0 };
    struct err err;

    (void)state;
    small_init(&v, "smollm");
    v.vocab.n_pieces = 0;
    v.vocab.kinds = NULL;
    assert_ok(tokenizer_new(&v.vocab, &tokenizer, &err), err);
    assert_ok(tokenizer_encode(tokenizer, "abc", 3, NULL, &tokens, &err), err);
    assert_int_equal(tokens.n, 0);
    tokens_release(&tokens);
    tokenizer_free(tokenizer);
    tokenizer_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_unknown_pre_tokenizer_is_named),
        cmocka_unit_test(an_unknown_model_is_named),
        cmocka_unit_test(equal_pieces_are_refused),
        cmocka_unit_test(equal_special_pieces_are_refused),
        cmocka_unit_test(what_is_not_a_merge_is_refused),
        cmocka_unit_test(a_merge_that_came_before_is_refused),
        cmocka_unit_test(ids_out_of_range_are_refused),
        cmocka_unit_test(kinds_that_do_not_exist_are_refused),
        cmocka_unit_test(a_piece_beyond_the_bound_is_refused),
        cmocka_unit_test(an_empty_vocabulary_encodes_nothing),
    };
    return cmocka_run_group_tests_name("text/vocab", tests, NULL, NULL);
}
