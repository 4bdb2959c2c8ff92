/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/aggregate/test_aggregate.c - text, stops and logprobs do not depend on the cuts.
 *
 * The vocabulary has a token for each byte and for a few longer pieces, so a
 * text can be fed in any partition of it into runs of known pieces.
 */
#include "support/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aggregate/aggregate.h"
#include "base/buf.h"
#include "base/size.h"

/* In the GPT-2 byte alphabet printable ASCII is itself; U+00C3 and U+00A9
 * stand for the bytes C3 A9, which are an e with an acute accent. */
static const struct piece {
    const char *text; /* as in the vocabulary */
    const char *bytes;
} pieces[] = {
    { "a", "a" },     { "b", "b" },   { "c", "c" },           { "d", "d" },
    { "e", "e" },     { "ab", "ab" }, { "bc", "bc" },         { "cd", "cd" },
    { "abc", "abc" }, { "de", "de" }, { "\xC3\x83", "\xC3" }, { "\xC2\xA9", "\xA9" },
    { "<end>", "" },
};

enum { E_ACUTE_1 = 10, E_ACUTE_2 = 11, END = 12 };

struct fixture {
    struct tokenizer *tokenizer;
};

static int set_up(void **state)
{
    static struct fixture f;
    struct vocab_piece vocab_pieces[ARRAY_LEN(pieces)];
    int32_t kinds[ARRAY_LEN(pieces)];
    struct vocab vocab = {
        .model = "gpt2",
        .pre = "smollm",
        .pieces = vocab_pieces,
        .kinds = kinds,
        .n_pieces = ARRAY_LEN(pieces),
        .bos = TOKEN_NONE,
        .eos = END,
        .eot = TOKEN_NONE,
        .unk = TOKEN_NONE,
    };
    struct err err = { 0 };

    for (size_t i = 0; i < ARRAY_LEN(pieces); i++) {
        vocab_pieces[i] = (struct vocab_piece){ pieces[i].text, (uint32_t)strlen(pieces[i].text) };
        kinds[i] = i == END ? TOKEN_CONTROL : TOKEN_NORMAL;
    }
    assert_ok(tokenizer_new(&vocab, &f.tokenizer, &err), err);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    tokenizer_free(((struct fixture *)*state)->tokenizer);
    return 0;
}

struct seen {
    struct buf text, logprob_text;
    enum finish_reason finish;
    size_t n_finishes, n_logprobs;
};

static void note(void *arg, const struct reply_delta *delta)
{
    struct seen *seen = arg;

    assert_int_equal(delta->choice, 3);
    buf_append(&seen->text, delta->text, delta->n_text);
    for (size_t i = 0; i < delta->n_logprobs; i++) {
        const struct reply_candidate *c = &delta->logprobs[i].chosen;

        buf_append(&seen->logprob_text, c->bytes, c->n_bytes);
        assert_float_equal(c->logprob, (float)-c->token, 0.0);
        assert_int_equal(delta->logprobs[i].n_top, 2);
        assert_int_equal(delta->logprobs[i].top[0].token, c->token);
        seen->n_logprobs++;
    }
    if (delta->finish != FINISH_NONE) {
        seen->finish = delta->finish;
        seen->n_finishes++;
    }
}

static void seen_release(struct seen *seen)
{
    buf_release(&seen->text);
    buf_release(&seen->logprob_text);
}

static struct aggregate *aggregate_of(const struct fixture *f, struct seen *seen,
                                      const char *const *stops, size_t n_stops, bool includes_stop)
{
    const struct aggregate_options options = {
        .tokenizer = f->tokenizer,
        .stops = stops,
        .n_stops = n_stops,
        .includes_stop = includes_stop,
        .wants_logprobs = true,
        .choice = 3,
    };
    struct aggregate *a;
    struct err err = { 0 };

    *seen = (struct seen){ 0 };
    assert_ok(aggregate_new(&options, note, seen, &a, &err), err);
    return a;
}

static bool push(struct aggregate *a, int32_t token, enum finish_reason finish)
{
    const struct token_logprob top[2] = { { token, (float)-token }, { 0, -9.0f } };
    const struct token_event event = {
        .token = token,
        .logprob = (float)-token,
        .top = top,
        .n_top = 2,
        .finish = finish,
    };
    bool is_finished = false;
    struct err err = { 0 };

    assert_ok(aggregate_push(a, &event, &is_finished, &err), err);
    return is_finished;
}

/* Feed every partition of `text` into pieces; each must show `want`. */
struct partitions {
    const struct fixture *f;
    const char *text, *want;
    const char *const *stops;
    size_t n_stops;
    bool includes_stop;
    enum finish_reason finish;
    int32_t tokens[32];
    size_t n_tried;
};

static void try_one(struct partitions *p, size_t n_tokens)
{
    struct seen seen;
    struct aggregate *a = aggregate_of(p->f, &seen, p->stops, p->n_stops, p->includes_stop);
    bool is_finished = false;

    for (size_t i = 0; i < n_tokens && !is_finished; i++)
        is_finished = push(a, p->tokens[i], FINISH_NONE);
    if (!is_finished)
        (void)push(a, END, FINISH_STOP);
    assert_string_equal(buf_text(&seen.text), p->want);
    assert_int_equal(seen.finish, p->finish);
    assert_int_equal(seen.n_finishes, 1);
    /* Logprobs stand for a beginning of the text, whole tokens only. */
    assert_memory_equal(buf_text(&seen.logprob_text), p->want, seen.logprob_text.len);
    aggregate_free(a);
    seen_release(&seen);
    p->n_tried++;
}

static void try_from(struct partitions *p, size_t at, size_t n_tokens)
{
    if (p->text[at] == '\0') {
        try_one(p, n_tokens);
        return;
    }
    for (size_t i = 0; i < END; i++) {
        const size_t n = strlen(pieces[i].bytes);

        if (strncmp(p->text + at, pieces[i].bytes, n) != 0)
            continue;
        p->tokens[n_tokens] = (int32_t)i;
        try_from(p, at + n, n_tokens + 1);
    }
}

static void no_cut_changes_what_a_stop_string_leaves(void **state)
{
    static const char *const stops[] = { "cda", "dea", "c\xC3\xA9" };
    static const struct {
        const char *text, *want, *with_stop;
    } cases[] = {
        { "abcdeabcde", "abc", "abcdea" },
        { "abcabcdabc", "abcab", "abcabcda" },
        { "ab\xC3\xA9\x62\x63\xC3\xA9\x61", "ab\xC3\xA9\x62", "ab\xC3\xA9\x62\x63\xC3\xA9" },
        { "abcdabcde", "ab", "abcda" },
    };
    size_t n_tried = 0;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct partitions p = {
            .f = *state,
            .text = cases[i].text,
            .want = cases[i].want,
            .stops = stops,
            .n_stops = ARRAY_LEN(stops),
            .finish = FINISH_STOP,
        };

        try_from(&p, 0, 0);
        p.includes_stop = true;
        p.want = cases[i].with_stop;
        try_from(&p, 0, 0);
        n_tried += p.n_tried;
    }
    assert_true(n_tried > 100);
}

static void a_stop_inside_a_longer_one_ends_first(void **state)
{
    static const char *const stops[] = { "bcd", "c" };
    struct partitions p = {
        .f = *state,
        .text = "abcde",
        .want = "ab",
        .stops = stops,
        .n_stops = 2,
        .finish = FINISH_STOP,
    };

    try_from(&p, 0, 0);
    assert_true(p.n_tried > 5);
}

static void what_only_looked_like_a_stop_is_shown_at_the_end(void **state)
{
    static const char *const stops[] = { "cdex" };
    struct partitions p = {
        .f = *state,
        .text = "abcde",
        .want = "abcde",
        .stops = stops,
        .n_stops = 1,
        .finish = FINISH_STOP,
    };

    try_from(&p, 0, 0);
    assert_true(p.n_tried > 5);
}

static void the_start_of_a_stop_is_held_until_it_is_decided(void **state)
{
    static const char *const stops[] = { "cda" };
    struct seen seen;
    struct aggregate *a = aggregate_of(*state, &seen, stops, 1, false);

    (void)push(a, 8, FINISH_NONE); /* abc */
    assert_string_equal(buf_text(&seen.text), "ab");
    assert_int_equal(seen.n_logprobs, 0); /* its token is not whole yet */
    (void)push(a, 9, FINISH_NONE);        /* de */
    assert_string_equal(buf_text(&seen.text), "abcde");
    assert_int_equal(seen.n_logprobs, 2);
    aggregate_free(a);
    seen_release(&seen);
}

static void half_a_character_waits_and_at_the_end_is_replaced(void **state)
{
    struct seen seen;
    struct aggregate *a = aggregate_of(*state, &seen, NULL, 0, false);

    (void)push(a, 0, FINISH_NONE);
    (void)push(a, E_ACUTE_1, FINISH_NONE);
    assert_string_equal(buf_text(&seen.text), "a");
    (void)push(a, E_ACUTE_2, FINISH_NONE);
    assert_string_equal(buf_text(&seen.text), "a\xC3\xA9");
    assert_true(push(a, E_ACUTE_1, FINISH_LENGTH));
    assert_string_equal(buf_text(&seen.text), "a\xC3\xA9\xEF\xBF\xBD");
    assert_int_equal(seen.finish, FINISH_LENGTH);
    aggregate_free(a);
    seen_release(&seen);
}

static void stop_tokens_count_but_are_not_shown(void **state)
{
    struct seen seen;
    struct aggregate *a = aggregate_of(*state, &seen, NULL, 0, false);

    (void)push(a, 1, FINISH_NONE);
    assert_true(push(a, 2, FINISH_STOP));
    assert_string_equal(buf_text(&seen.text), "b");
    assert_int_equal(aggregate_n_tokens(a), 2);
    assert_int_equal(seen.n_logprobs, 1);
    assert_true(push(a, 3, FINISH_NONE)); /* too late: nothing more is said */
    assert_int_equal(seen.n_finishes, 1);
    aggregate_free(a);
    seen_release(&seen);
}

static void an_end_without_a_token_is_an_end(void **state)
{
    struct seen seen;
    struct aggregate *a = aggregate_of(*state, &seen, NULL, 0, false);

    assert_true(push(a, -1, FINISH_LENGTH));
    assert_int_equal(aggregate_n_tokens(a), 0);
    assert_int_equal(seen.finish, FINISH_LENGTH);
    assert_string_equal(buf_text(&seen.text), "");
    aggregate_free(a);
    seen_release(&seen);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_cut_changes_what_a_stop_string_leaves),
        cmocka_unit_test(a_stop_inside_a_longer_one_ends_first),
        cmocka_unit_test(what_only_looked_like_a_stop_is_shown_at_the_end),
        cmocka_unit_test(the_start_of_a_stop_is_held_until_it_is_decided),
        cmocka_unit_test(half_a_character_waits_and_at_the_end_is_replaced),
        cmocka_unit_test(stop_tokens_count_but_are_not_shown),
        cmocka_unit_test(an_end_without_a_token_is_an_end),
    };
    return cmocka_run_group_tests_name("aggregate", tests, set_up, tear_down);
}
