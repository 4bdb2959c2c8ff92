/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/model/test_out_of_memory.c - whichever allocation fails, it is said and nothing is lost.
 *
 * Each call is tried with its first, second, ... allocation failing, until none
 * of them fails.  Leaks show under the address sanitizer.
 */
#include "support/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "model/convert/convert.h"
#include "model/model.h"
#include "model/safetensors/safetensors.h"
#include "model/store/store.h"
#include "support/allocations.h"
#include "support/folder.h"
#include "support/tiny_folder.h"
#include "support/tiny_llama.h"

enum { TRIES_MAX = 100000 };

struct fixture {
    struct folder folder;
    struct store store;
    char path[PATH_MAX_BYTES];
    struct model *model;
};

static int set_up(void **state)
{
    static struct fixture f;
    struct err err;

    folder_make(&f.folder);
    tiny_llama_write(&tiny_llama_default, folder_path(&f.folder, "tiny.gguf", f.path));
    assert_ok(model_open(f.path, &f.model, &err), err);
    assert_ok(store_init(&f.store, f.folder.path, &err), err);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    model_free(f->model);
    folder_remove(&f->folder);
    return 0;
}

static enum status open_model(const struct fixture *f, struct err *err)
{
    struct model *model = NULL;
    enum status s = model_open(f->path, &model, err);

    model_free(model);
    return s;
}

static enum status cut_shard(const struct fixture *f, struct err *err)
{
    struct shard_weights w = { 0 };
    enum status s = model_shard(f->model, 1, 2, &w, err);

    shard_weights_release(&w);
    return s;
}

static enum status make_tokenizer(const struct fixture *f, struct err *err)
{
    struct tokenizer *tokenizer = NULL;
    enum status s = model_tokenizer(f->model, &tokenizer, err);

    tokenizer_free(tokenizer);
    return s;
}

static enum status import_copy(const struct fixture *f, struct err *err)
{
    struct store_entry entry;

    return store_import(&f->store, f->path, "copy", STORE_COPY, NULL, NULL, &entry, err);
}

static enum status list_models(const struct fixture *f, struct err *err)
{
    struct store_entry *entries = NULL;
    size_t n;
    enum status s = store_list(&f->store, &entries, &n, NULL, NULL, err);

    free(entries);
    return s;
}

static enum status open_folder(const struct fixture *f, struct err *err)
{
    struct safetensors *set = NULL;
    enum status s = safetensors_open(f->folder.path, &set, err);

    safetensors_free(set);
    return s;
}

static enum status convert(const struct fixture *f, struct err *err)
{
    char path[PATH_MAX_BYTES];
    enum status s =
        convert_folder(f->folder.path, folder_path(&f->folder, "new.gguf", path), NULL, NULL, err);

    if (s == ST_OK)
        unlink(path);
    assert_int_equal(access(path, F_OK), -1);
    return s;
}

/* Returns how many allocations could fail. */
static size_t fail_each(const struct fixture *f,
                        enum status (*call)(const struct fixture *f, struct err *err),
                        enum status allowed)
{
    for (size_t k = 1; k < TRIES_MAX; k++) {
        struct err err = { 0 };
        enum status s;

        allocations_fail_at(k);
        s = call(f, &err);
        if (s == ST_OK && !allocations_failed()) {
            allocations_fail_at(0);
            return k - 1;
        }
        if (s != ST_NOMEM && s != allowed)
            fail_msg("allocation %zu: status %d, \"%s\"", k, (int)s, err.words);
        if (s == ST_NOMEM)
            assert_true(strlen(err.words) > 0);
    }
    fail_msg("it never succeeded");
    return 0;
}

static void opening_says_that_memory_is_out(void **state)
{
    assert_true(fail_each(*state, open_model, ST_NOMEM) >= 6);
    assert_true(fail_each(*state, cut_shard, ST_NOMEM) >= 1);
}

static void making_a_tokenizer_says_that_memory_is_out(void **state)
{
    assert_true(fail_each(*state, make_tokenizer, ST_NOMEM) >= 4);
}

/* The store goes on without a cached description, and lists what it can open. */
static void the_store_says_that_memory_is_out(void **state)
{
    assert_true(fail_each(*state, import_copy, ST_OK) >= 4);
    assert_true(fail_each(*state, list_models, ST_OK) >= 1);
}

static void converting_says_that_memory_is_out(void **state)
{
    const struct fixture *f = *state;

    tiny_folder_put(&f->folder);
    assert_true(fail_each(f, open_folder, ST_NOMEM) >= 4);
    assert_true(fail_each(f, convert, ST_NOMEM) >= 12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opening_says_that_memory_is_out),
        cmocka_unit_test(making_a_tokenizer_says_that_memory_is_out),
        cmocka_unit_test(the_store_says_that_memory_is_out),
        cmocka_unit_test(converting_says_that_memory_is_out),
    };
    return cmocka_run_group_tests_name("model/out_of_memory", tests, set_up, tear_down);
}
