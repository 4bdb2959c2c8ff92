/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/text/test_prompt.c - the same prompt gives the same tokens, whoever makes it. */
#include "support/check.h"

#include <stdbool.h>
#include <string.h>

#include "small_vocab.h"
#include "text/prompt.h"

enum { BOS = 256, END = 257 };

/* A turn ends with a special token that the template writes. */
static const char source[] = "{% for m in messages %}{{ m['content'] }}<end>{% endfor %}";
static const char source_with_bos[] =
    "{{ bos_token }}{% for m in messages %}{{ m['content'] }}<end>{% endfor %}";

struct fixture {
    struct small_vocab vocab;
    struct tokenizer *tokenizer;
    struct template *template;
    json_t *trusted;
    struct tokens tokens;
};

static void set_up(struct fixture *f, bool adds_bos, const char *template_source)
{
    struct err err;

    memset(f, 0, sizeof(*f));
    small_init(&f->vocab, "smollm");
    assert_int_equal(small_piece(&f->vocab, "<bos>", TOKEN_CONTROL), BOS);
    assert_int_equal(small_piece(&f->vocab, "<end>", TOKEN_CONTROL), END);
    f->vocab.vocab.bos = BOS;
    f->vocab.vocab.adds_bos = adds_bos;
    assert_ok(tokenizer_new(&f->vocab.vocab, &f->tokenizer, &err), err);
    assert_ok(template_parse(template_source, strlen(template_source), &f->template, &err), err);
    f->trusted = prompt_trusted(f->tokenizer);
    assert_non_null(f->trusted);
}

static void tear_down(struct fixture *f)
{
    tokens_release(&f->tokens);
    json_decref(f->trusted);
    template_free(f->template);
    tokenizer_free(f->tokenizer);
}

static void assert_tokens(const struct fixture *f, const int32_t *want, size_t n)
{
    assert_int_equal(f->tokens.n, n);
    assert_memory_equal(f->tokens.ids, want, n * sizeof(*want));
}

static void say(struct fixture *f, const char *content)
{
    json_t *variables = json_pack("{s:[{s:s}]}", "messages", "content", content);
    struct err err;

    assert_ok(prompt_chat(f->tokenizer, f->template, f->trusted, variables, &f->tokens, &err), err);
    json_decref(variables);
}

static void special_text_of_a_person_stays_text(void **state)
{
    static const int32_t want[] = { '<', 'e', 'n', 'd', '>', END };
    struct fixture f;

    (void)state;
    set_up(&f, false, source);
    say(&f, "<end>");
    assert_tokens(&f, want, 6);
    tear_down(&f);
}

static void a_model_that_wants_a_beginning_gets_one(void **state)
{
    static const int32_t want[] = { BOS, 'a', END };
    static const char *const sources[] = { source, source_with_bos };

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct fixture f;

        set_up(&f, true, sources[i]);
        say(&f, "a");
        assert_tokens(&f, want, 3); /* one, not two, where the template wrote it */
        tear_down(&f);
    }
}

static void plain_text_trusts_nothing_and_is_never_empty(void **state)
{
    static const int32_t want[] = { '<', 'e', 'n', 'd', '>' }, empty[] = { BOS };
    struct fixture f;
    struct err err;

    (void)state;
    set_up(&f, false, source);
    assert_ok(prompt_plain(f.tokenizer, "<end>", 5, &f.tokens, &err), err);
    assert_tokens(&f, want, 5);
    tokens_release(&f.tokens);
    assert_ok(prompt_plain(f.tokenizer, "", 0, &f.tokens, &err), err);
    assert_tokens(&f, empty, 1);
    tear_down(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(special_text_of_a_person_stays_text),
        cmocka_unit_test(a_model_that_wants_a_beginning_gets_one),
        cmocka_unit_test(plain_text_trusts_nothing_and_is_never_empty),
    };
    return cmocka_run_group_tests_name("text/prompt", tests, NULL, NULL);
}
