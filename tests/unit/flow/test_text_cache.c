/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/flow/test_text_cache.c - one job for all who wait, few texts kept, failures told. */
#include "support/check.h"

#include <stdio.h>
#include <string.h>

#include "flow/text_cache.h"
#include "support/folder.h"
#include "support/tiny_llama.h"

enum { PATIENCE_MS = 10000 };

struct fixture {
    struct folder folder;
    char path[PATH_MAX_BYTES];
    struct loop *loop;
    struct loop_timer *patience;
    struct text_cache *cache;
    int n_called;
};

static int make_folder(void **state)
{
    static struct fixture f;

    folder_make(&f.folder);
    tiny_llama_write(&tiny_llama_default, folder_path(&f.folder, "m.gguf", f.path));
    *state = &f;
    return 0;
}

static int remove_folder(void **state)
{
    folder_remove(&((struct fixture *)*state)->folder);
    return 0;
}

static void give_up(void *arg)
{
    (void)arg;
    fail_msg("nothing happened in %d ms", PATIENCE_MS);
}

static int set_up(void **state)
{
    struct fixture *f = *state;
    struct err err = { 0 };

    f->n_called = 0;
    assert_ok(loop_new(&f->loop, &err), err);
    assert_ok(loop_timer_new(f->loop, give_up, f, &f->patience), err);
    loop_timer_once(f->patience, PATIENCE_MS);
    assert_ok(text_cache_new(f->loop, &f->cache, &err), err);
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    text_cache_free(f->cache);
    loop_timer_free(f->patience);
    loop_free(f->loop);
    return 0;
}

static void called(void *arg)
{
    struct fixture *f = arg;

    f->n_called++;
    loop_stop(f->loop);
}

static struct model_info model_of(uint8_t number)
{
    struct model_info model = { .digest = { number } };

    (void)snprintf(model.name, sizeof(model.name), "m%u", number);
    return model;
}

static struct text_waiter waiter_of(struct fixture *f)
{
    return (struct text_waiter){ .fn = called, .arg = f };
}

/* A model's file in the store.  Lent until the next call. */
static const struct cluster_file *file_of(const char *path)
{
    static struct cluster_file file;

    file = (struct cluster_file){ 0 };
    (void)snprintf(file.path, sizeof(file.path), "%s", path);
    return &file;
}

/* Ask, and run the loop until the text is there. */
static struct text *get(struct fixture *f, uint8_t number)
{
    const struct model_info model = model_of(number);
    struct text_waiter w = waiter_of(f);
    struct err err = { 0 };

    assert_ok(text_cache_get(f->cache, &model, file_of(f->path), &w, &err), err);
    if (!w.text)
        assert_ok(loop_run(f->loop, &err), err);
    assert_non_null(w.text);
    return w.text;
}

static void all_who_wait_share_one_text(void **state)
{
    struct fixture *f = *state;
    const struct model_info model = model_of(1);
    struct text_waiter w[3] = { waiter_of(f), waiter_of(f), waiter_of(f) };
    struct err err = { 0 };

    for (int i = 0; i < 3; i++) {
        assert_ok(text_cache_get(f->cache, &model, file_of(f->path), &w[i], &err), err);
        assert_null(w[i].text);
    }
    text_cache_forget(f->cache, &w[1]); /* its client left */
    assert_ok(loop_run(f->loop, &err), err);
    assert_int_equal(f->n_called, 2);
    assert_non_null(w[0].text);
    assert_ptr_equal(w[0].text, w[2].text);
    assert_null(w[1].text);
    assert_true(tokenizer_n_tokens(w[0].text->tokenizer) == tiny_llama_n_vocab());
    assert_true(text_cache_is_idle(f->cache));
    text_cache_put(f->cache, w[0].text);
    text_cache_put(f->cache, w[2].text);
    w[0] = waiter_of(f);
    assert_ok(text_cache_get(f->cache, &model, file_of(f->path), &w[0], &err), err);
    assert_ptr_equal(w[0].text, w[2].text); /* at once this time */
    text_cache_put(f->cache, w[0].text);
}

static void a_failure_is_told_and_may_be_tried_again(void **state)
{
    struct fixture *f = *state;
    const struct model_info model = model_of(1);
    struct text_waiter w = waiter_of(f);
    struct err err = { 0 };

    assert_ok(text_cache_get(f->cache, &model, file_of("/nowhere/m.gguf"), &w, &err), err);
    assert_ok(loop_run(f->loop, &err), err);
    assert_null(w.text);
    assert_non_null(strstr(w.err.words, "/nowhere/m.gguf"));
    text_cache_put(f->cache, get(f, 1));
}

static void the_longest_unused_is_dropped_and_none_in_use(void **state)
{
    struct fixture *f = *state;
    struct text *used = get(f, 0);
    struct text_waiter w = waiter_of(f);
    const struct model_info first = model_of(1), last = model_of(TEXTS_IDLE_MAX + 1);
    struct err err = { 0 };

    for (uint8_t i = 1; i <= TEXTS_IDLE_MAX + 1; i++)
        text_cache_put(f->cache, get(f, i));
    assert_ok(text_cache_get(f->cache, &last, file_of(f->path), &w, &err), err);
    assert_non_null(w.text);
    text_cache_put(f->cache, w.text);
    w = waiter_of(f);
    assert_ok(text_cache_get(f->cache, &first, file_of(f->path), &w, &err), err);
    assert_null(w.text); /* it has to be read again */
    assert_ok(loop_run(f->loop, &err), err);
    text_cache_put(f->cache, w.text);
    assert_true(tokenizer_n_tokens(used->tokenizer) == tiny_llama_n_vocab());
    text_cache_put(f->cache, used);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(all_who_wait_share_one_text, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_failure_is_told_and_may_be_tried_again, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(the_longest_unused_is_dropped_and_none_in_use, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests_name("flow/text_cache", tests, make_folder, remove_folder);
}
