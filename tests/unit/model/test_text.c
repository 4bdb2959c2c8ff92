/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/model/test_text.c - a model file gives its tokenizer, or says what is wrong with it. */
#include "support/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/model.h"
#include "support/folder.h"
#include "support/tiny_llama.h"

struct fixture {
    struct folder folder;
    struct gguf_writer w;
    struct model *model;
    struct tokenizer *tokenizer;
    struct err err;
};

static int set_up(void **state)
{
    static struct fixture f;

    f = (struct fixture){ 0 };
    folder_make(&f.folder);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    tokenizer_free(f->tokenizer);
    model_free(f->model);
    gguf_writer_release(&f->w);
    folder_remove(&f->folder);
    return 0;
}

/* A model with the metadata put so far and all tensors. */
static void open_written(struct fixture *f)
{
    char path[PATH_MAX_BYTES];
    struct buf file = { 0 };

    tiny_llama_put_numbers(&tiny_llama_default, &f->w);
    tiny_llama_put_tensors(&tiny_llama_default, &f->w);
    gguf_writer_finish(&f->w, &file);
    assert_ok(model_open(folder_put(&f->folder, "tiny.gguf", &file, path), &f->model, &f->err),
              f->err);
    buf_release(&file);
}

static void assert_tokenizer_refused(struct fixture *f, enum status s, const char *word)
{
    assert_int_equal(model_tokenizer(f->model, &f->tokenizer, &f->err), s);
    assert_null(f->tokenizer);
    if (!strstr(f->err.words, word))
        fail_msg("\"%s\" does not say \"%s\"", f->err.words, word);
}

static void assert_encodes(const struct tokenizer *tokenizer, const char *text, const int32_t *ids,
                           size_t n)
{
    struct tokens tokens = { 0 };
    struct err err;

    assert_ok(tokenizer_encode(tokenizer, text, strlen(text), NULL, &tokens, &err), err);
    assert_int_equal(tokens.n, n);
    assert_memory_equal(tokens.ids, ids, n * sizeof(*ids));
    tokens_release(&tokens);
}

static void the_tiny_model_has_its_tokenizer(void **state)
{
    struct fixture *f = *state;
    const int32_t the = 3 + 256 + 2, ing = 3 + 256 + 7; /* after specials and bytes */

    tiny_llama_put_text(&f->w);
    open_written(f);
    assert_ok(model_tokenizer(f->model, &f->tokenizer, &f->err), f->err);
    assert_int_equal(tokenizer_n_tokens(f->tokenizer), tiny_llama_n_vocab());
    assert_int_equal(tokenizer_bos(f->tokenizer), 1);
    assert_int_equal(tokenizer_eos(f->tokenizer), 2);
    assert_false(tokenizer_adds_bos(f->tokenizer));
    assert_encodes(f->tokenizer, "the", &the, 1);
    assert_encodes(f->tokenizer, "ing", &ing, 1);
}

/* Ids as the Python package tokenizers gives them for the same pieces and merges. */
static void the_real_model_has_its_tokenizer(void **state)
{
    struct fixture *f = *state;
    const char *path = getenv("POMONA_TEST_MODEL");
    const int32_t hello[] = { 19556, 28, 905, 17 };

    assert_non_null(path);
    assert_ok(model_open(path, &f->model, &f->err), f->err);
    assert_ok(model_tokenizer(f->model, &f->tokenizer, &f->err), f->err);
    assert_int_equal(tokenizer_n_tokens(f->tokenizer), 49152);
    assert_int_equal(tokenizer_kind(f->tokenizer, 2), TOKEN_CONTROL);
    assert_encodes(f->tokenizer, "Hello, world!", hello, 4);
}

static void a_model_without_a_tokenizer_says_so(void **state)
{
    struct fixture *f = *state;

    open_written(f);
    assert_tokenizer_refused(f, ST_FORMAT, "'tokenizer.ggml.model'");
}

static void kinds_for_another_number_of_tokens_are_refused(void **state)
{
    struct fixture *f = *state;
    const char **pieces = calloc(tiny_llama_n_vocab(), sizeof(*pieces));
    char(*texts)[8] = calloc(tiny_llama_n_vocab(), sizeof(*texts));

    assert_true(pieces && texts);
    for (uint32_t i = 0; i < tiny_llama_n_vocab(); i++) {
        snprintf(texts[i], sizeof(texts[i]), "t%u", (unsigned)(uint16_t)i);
        pieces[i] = texts[i];
    }
    gguf_put_text(&f->w, "tokenizer.ggml.model", "gpt2");
    gguf_put_texts(&f->w, "tokenizer.ggml.tokens", pieces, tiny_llama_n_vocab());
    gguf_put_i32s(&f->w, "tokenizer.ggml.token_type", (const int32_t[]){ 1, 1 }, 2);
    free(pieces);
    free(texts);
    open_written(f);
    assert_tokenizer_refused(f, ST_FORMAT, "2 entries for");
}

static void an_id_beyond_the_tokens_is_refused(void **state)
{
    struct fixture *f = *state;

    tiny_llama_put_text(&f->w);
    gguf_put_u32(&f->w, "tokenizer.ggml.eot_token_id", tiny_llama_n_vocab());
    open_written(f);
    assert_tokenizer_refused(f, ST_FORMAT, "'tokenizer.ggml.eot_token_id'");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(the_tiny_model_has_its_tokenizer),
        TEST(the_real_model_has_its_tokenizer),
        TEST(a_model_without_a_tokenizer_says_so),
        TEST(kinds_for_another_number_of_tokens_are_refused),
        TEST(an_id_beyond_the_tokens_is_refused),
#undef TEST
    };
    return cmocka_run_group_tests_name("model/text", tests, NULL, NULL);
}
