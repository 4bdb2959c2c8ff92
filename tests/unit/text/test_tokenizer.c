/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/text/test_tokenizer.c - merging, special tokens, lossless encoding.
 *
 * That real text becomes the tokens a model was trained with is shown by
 * tests/integration/test_tokenizer.py; here the rules one by one.
 */
#include "support/check.h"

#include <stdlib.h>

#include "small_vocab.h"

struct fixture {
    struct small_vocab v;
    struct tokenizer *tokenizer;
    struct tokens tokens;
};

static struct fixture fixture;

static struct fixture *begin(const char *pre)
{
    small_init(&fixture.v, pre);
    return &fixture;
}

static void make(struct fixture *f)
{
    struct err err;

    assert_ok(tokenizer_new(&f->v.vocab, &f->tokenizer, &err), err);
}

static int tear_down(void **state)
{
    (void)state;
    tokenizer_free(fixture.tokenizer);
    tokens_release(&fixture.tokens);
    memset(&fixture, 0, sizeof(fixture));
    return 0;
}

static void encode(struct fixture *f, const char *text, size_t n, const uint8_t *trusted)
{
    struct err err;

    f->tokens.n = 0;
    assert_ok(tokenizer_encode(f->tokenizer, text, n, trusted, &f->tokens, &err), err);
}

#define assert_ids(f, ...)                                                                         \
    do {                                                                                           \
        const int32_t want_ids[] = { __VA_ARGS__ };                                                \
        assert_int_equal((f)->tokens.n, sizeof(want_ids) / sizeof(want_ids[0]));                   \
        assert_memory_equal((f)->tokens.ids, want_ids, sizeof(want_ids));                          \
    } while (0)

static void the_lower_rank_is_merged_first(void **state)
{
    struct fixture *f = begin("smollm");
    const int32_t bc = small_merge(&f->v, "b", "c");

    (void)state;
    small_merge(&f->v, "a", "b");
    make(f);
    encode(f, "abc", 3, NULL);
    assert_ids(f, 'a', bc);
}

static void of_equal_ranks_the_leftmost_is_merged_first(void **state)
{
    struct fixture *f = begin("smollm");
    const int32_t aa = small_merge(&f->v, "a", "a");

    (void)state;
    make(f);
    encode(f, "aaaaa", 5, NULL);
    assert_ids(f, aa, aa, 'a');
}

static void merged_pieces_merge_again(void **state)
{
    struct fixture *f = begin("smollm");
    int32_t word;

    (void)state;
    small_merge(&f->v, "l", "o");
    small_merge(&f->v, "h", "e");
    small_merge(&f->v, "he", "l");
    word = small_merge(&f->v, "hel", "lo");
    make(f);
    encode(f, "hello", 5, NULL);
    assert_ids(f, word);
    encode(f, "hell", 4, NULL);
    assert_int_equal(f->tokens.n, 2);
}

static void no_merge_crosses_a_cut(void **state)
{
    struct fixture *f = begin("smollm");
    const int32_t space_a = small_merge(&f->v, "Ġ", "a");
    const int32_t digits = small_merge(&f->v, "1", "2");

    (void)state;
    small_merge(&f->v, "a", "Ġ");
    make(f);
    encode(f, "a a12", 5, NULL);
    assert_ids(f, 'a', space_a, '1', '2');
    tokenizer_free(f->tokenizer);

    f->v.vocab.pre = "gpt-2";
    make(f);
    encode(f, "a a12", 5, NULL);
    assert_ids(f, 'a', space_a, digits);
}

static void a_known_piece_is_taken_whole_where_the_pre_tokenizer_says_so(void **state)
{
    struct fixture *f = begin("llama-bpe");
    const int32_t xyz = small_piece(&f->v, "xyz", TOKEN_NORMAL);

    (void)state;
    make(f);
    encode(f, "xyz", 3, NULL);
    assert_ids(f, xyz);
    tokenizer_free(f->tokenizer);

    f->v.vocab.pre = "smollm";
    make(f);
    encode(f, "xyz", 3, NULL);
    assert_ids(f, 'x', 'y', 'z');
}

static void special_tokens_need_every_byte_trusted(void **state)
{
    struct fixture *f = begin("smollm");
    const int32_t end = small_piece(&f->v, "<|end|>", TOKEN_CONTROL);
    const char text[] = "a<|end|>b";
    uint8_t trusted[sizeof(text) - 1];

    (void)state;
    make(f);
    encode(f, text, sizeof(trusted), NULL);
    assert_int_equal(f->tokens.n, sizeof(trusted));

    memset(trusted, 1, sizeof(trusted));
    encode(f, text, sizeof(trusted), trusted);
    assert_ids(f, 'a', end, 'b');

    trusted[0] = trusted[8] = 0;
    encode(f, text, sizeof(trusted), trusted);
    assert_ids(f, 'a', end, 'b');

    for (size_t i = 1; i < 8; i++) {
        trusted[i] = 0;
        encode(f, text, sizeof(trusted), trusted);
        assert_int_equal(f->tokens.n, sizeof(trusted));
        trusted[i] = 1;
    }
}

static void the_longest_special_token_wins(void **state)
{
    struct fixture *f = begin("smollm");
    const int32_t middle = small_piece(&f->v, "<|im|>", TOKEN_CONTROL);
    const int32_t longest = small_piece(&f->v, "<|im|>>", TOKEN_USER_DEFINED);
    const int32_t shortest = small_piece(&f->v, "<", TOKEN_CONTROL);
    const char text[] = "<|im|>>><|im|><|im";
    uint8_t trusted[sizeof(text) - 1];

    (void)state;
    make(f);
    memset(trusted, 1, sizeof(trusted));
    encode(f, text, sizeof(trusted), trusted);
    assert_ids(f, longest, '>', middle, shortest, '|', 'i', 'm');
}

static void merging_never_ends_in_a_special_token(void **state)
{
    struct fixture *f = begin("smollm");

    (void)state;
    small_piece(&f->v, "<>", TOKEN_CONTROL);
    small_merge_line(&f->v, "< >");
    assert_int_equal(tokenizer_new(&f->v.vocab, &f->tokenizer, NULL), ST_FORMAT);
}

static void tokens_are_appended(void **state)
{
    struct fixture *f = begin("smollm");

    (void)state;
    make(f);
    encode(f, "a", 1, NULL);
    assert_int_equal(tokenizer_encode(f->tokenizer, "b", 1, NULL, &f->tokens, NULL), ST_OK);
    assert_int_equal(tokenizer_encode(f->tokenizer, NULL, 0, NULL, &f->tokens, NULL), ST_OK);
    assert_ids(f, 'a', 'b');
}

static void a_byte_without_a_piece_is_left_out(void **state)
{
    struct fixture *f = begin("smollm");

    (void)state;
    f->v.pieces['x'] = (struct vocab_piece){ "unrelated", 9 };
    f->v.vocab.unk = 0;
    make(f);
    encode(f, "axb x", 5, NULL);
    assert_ids(f, 'a', 'b', ' ');
}

static void a_piece_outside_the_alphabet_is_kept_as_written(void **state)
{
    struct fixture *f = begin("smollm");
    const int32_t id = small_piece(&f->v, "我 x", TOKEN_NORMAL);
    size_t n;

    (void)state;
    make(f);
    assert_memory_equal(tokenizer_bytes(f->tokenizer, id, &n), "我 x", 5);
    assert_int_equal(n, 5);
    tokenizer_bytes(f->tokenizer, id + 1, &n);
    assert_int_equal(n, 0);
    tokenizer_bytes(f->tokenizer, -1, &n);
    assert_int_equal(n, 0);
    assert_int_equal(tokenizer_n_tokens(f->tokenizer), (size_t)id + 1);
}

/* Numerical Recipes' generator: the same bytes on every machine. */
static uint32_t next_random(uint32_t *x)
{
    *x = *x * 1664525u + 1013904223u;
    return *x >> 16;
}

static void add_pieces_of_every_sort(struct fixture *f)
{
    small_merge(&f->v, "Ġ", "Ġ");
    small_merge(&f->v, "a", "a");
    small_merge(&f->v, "aa", "aa");
    small_merge(&f->v, "Ã", "©");
    small_merge(&f->v, "Ġ", "a");
    small_merge(&f->v, "'", "s");
    small_piece(&f->v, "<|end|>", TOKEN_CONTROL);
    small_piece(&f->v, "<|", TOKEN_USER_DEFINED);
}

static void assert_lossless(struct fixture *f, const char *text, size_t n, const uint8_t *trusted)
{
    size_t at = 0, n_bytes;

    encode(f, text, n, trusted);
    for (size_t i = 0; i < f->tokens.n; i++) {
        const char *bytes = tokenizer_bytes(f->tokenizer, f->tokens.ids[i], &n_bytes);

        assert_true(n_bytes >= 1 && n_bytes <= n - at);
        assert_memory_equal(bytes, text + at, n_bytes);
        at += n_bytes;
    }
    assert_int_equal(at, n);
}

static void random_bytes_come_back(const char *pre)
{
    static const char *const parts[] = { "a",    "aa",     " ",       "\n", "'s",       "é",
                                         "我",   "1",      "<|end|>", "<|", "\xE6\x88", "\xFF",
                                         "\xC0", "\u0301", "'",       "\r" };
    struct fixture *f = begin(pre);
    uint32_t x = 20240229;
    uint8_t trusted[512];
    char text[512];

    add_pieces_of_every_sort(f);
    make(f);
    for (int round = 0; round < 20000; round++) {
        const size_t n_parts = next_random(&x) % 40;
        size_t n = 0;

        for (size_t i = 0; i < n_parts; i++) {
            const char any = (char)next_random(&x);
            const char *part = parts[next_random(&x) % (sizeof(parts) / sizeof(parts[0]))];
            const bool is_any = next_random(&x) % 3 == 0;
            const size_t n_part = is_any ? 1 : strlen(part);

            memcpy(text + n, is_any ? &any : part, n_part);
            memset(trusted + n, (int)(next_random(&x) % 2), n_part);
            n += n_part;
        }
        assert_lossless(f, text, n, trusted);
    }
}

static void random_bytes_come_back_from_gpt2_pieces(void **state)
{
    (void)state;
    random_bytes_come_back("smollm");
}

static void random_bytes_come_back_from_llama3_pieces(void **state)
{
    (void)state;
    random_bytes_come_back("llama-bpe");
}

/* With a time that grows as the square of the length this would take hours,
 * and the test's limit would end it. */
static void a_megabyte_without_a_space_is_no_trouble(void **state)
{
    enum { N = 1 << 20 };
    struct fixture *f = begin("smollm");
    static const char fills[] = { 'a', ' ', '\n', '!', '\x80', '<' };
    uint8_t *trusted = malloc(N);
    char *text = malloc(N);

    (void)state;
    assert_non_null(text);
    assert_non_null(trusted);
    add_pieces_of_every_sort(f);
    make(f);
    memset(trusted, 1, N);
    for (size_t i = 0; i < sizeof(fills); i++) {
        memset(text, fills[i], N);
        assert_lossless(f, text, N, trusted);
    }
    free(text);
    free(trusted);
}

static void end_tokens_are_listed_once(void **state)
{
    struct fixture *f = begin("smollm");
    const int32_t im_end = small_piece(&f->v, "<|im_end|>", TOKEN_CONTROL);
    const int32_t end_of_text = small_piece(&f->v, "<|endoftext|>", TOKEN_CONTROL);
    int32_t ids[4];

    (void)state;
    small_piece(&f->v, "</s>", TOKEN_USER_DEFINED);
    small_piece(&f->v, "<|im_start|>", TOKEN_CONTROL);
    f->v.vocab.eos = im_end;
    f->v.vocab.eot = 7;
    f->v.vocab.bos = 1;
    f->v.vocab.adds_bos = true;
    make(f);
    assert_int_equal(tokenizer_end_tokens(f->tokenizer, ids, 4), 3);
    assert_int_equal(ids[0], im_end);
    assert_int_equal(ids[1], 7);
    assert_int_equal(ids[2], end_of_text);
    assert_int_equal(tokenizer_end_tokens(f->tokenizer, ids, 1), 1);
    assert_int_equal(tokenizer_bos(f->tokenizer), 1);
    assert_int_equal(tokenizer_eos(f->tokenizer), im_end);
    assert_true(tokenizer_adds_bos(f->tokenizer));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(the_lower_rank_is_merged_first, tear_down),
        cmocka_unit_test_teardown(of_equal_ranks_the_leftmost_is_merged_first, tear_down),
        cmocka_unit_test_teardown(merged_pieces_merge_again, tear_down),
        cmocka_unit_test_teardown(no_merge_crosses_a_cut, tear_down),
        cmocka_unit_test_teardown(a_known_piece_is_taken_whole_where_the_pre_tokenizer_says_so,
                                  tear_down),
        cmocka_unit_test_teardown(special_tokens_need_every_byte_trusted, tear_down),
        cmocka_unit_test_teardown(the_longest_special_token_wins, tear_down),
        cmocka_unit_test_teardown(merging_never_ends_in_a_special_token, tear_down),
        cmocka_unit_test_teardown(tokens_are_appended, tear_down),
        cmocka_unit_test_teardown(a_byte_without_a_piece_is_left_out, tear_down),
        cmocka_unit_test_teardown(a_piece_outside_the_alphabet_is_kept_as_written, tear_down),
        cmocka_unit_test_teardown(random_bytes_come_back_from_gpt2_pieces, tear_down),
        cmocka_unit_test_teardown(random_bytes_come_back_from_llama3_pieces, tear_down),
        cmocka_unit_test_teardown(a_megabyte_without_a_space_is_no_trouble, tear_down),
        cmocka_unit_test_teardown(end_tokens_are_listed_once, tear_down),
    };
    return cmocka_run_group_tests_name("text/tokenizer", tests, NULL, NULL);
}
