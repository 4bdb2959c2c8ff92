/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/model/test_keep.c - the folders of a model's panels follow its path, the key its file. */
#include "support/check.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "model/keep.h"
#include "support/folder.h"
#include "support/tiny_llama.h"

struct fixture {
    struct folder folder;
    char model[PATH_MAX_BYTES];
    unsigned n_orphans;
    char orphan[PATH_MAX_BYTES];
};

static int set_up(void **state)
{
    static struct fixture f;

    f = (struct fixture){ 0 };
    folder_make(&f.folder);
    tiny_llama_write(&tiny_llama_default, folder_path(&f.folder, "m.gguf", f.model));
    setenv("XDG_CACHE_HOME", f.folder.path, 1);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    folder_remove(&f->folder);
    return 0;
}

/* As an engine would get it; the paths stay in `keep`. */
static void keep_of(const char *path, struct model_keep *keep)
{
    struct model *model = NULL;
    struct err err = { 0 };

    assert_ok(model_open(path, &model, &err), err);
    model_keep_init(keep, model);
    model_free(model);
}

static void folders_are_beside_the_path_and_in_the_cache(void **state)
{
    const struct fixture *f = *state;
    char link[PATH_MAX_BYTES];
    struct model_keep keep, linked;

    keep_of(f->model, &keep);
    assert_string_equal(keep.engine.dirs[0] + strlen(f->model), ".panels");
    assert_memory_equal(keep.engine.dirs[0], f->model, strlen(f->model));
#if !defined(__APPLE__)
    assert_non_null(strstr(keep.engine.dirs[1], "/pomona/panels/m.gguf-"));
#endif
    assert_int_equal(symlink(f->model, folder_path(&f->folder, "link.gguf", link)), 0);
    keep_of(link, &linked);
    assert_memory_equal(linked.engine.dirs[0], link, strlen(link));
    assert_string_not_equal(linked.engine.dirs[1], keep.engine.dirs[1]);
    assert_memory_equal(linked.engine.key, keep.engine.key, ENGINE_KEY_BYTES);
}

static void the_key_is_another_when_the_file_is_written(void **state)
{
    const struct fixture *f = *state;
    const struct timespec times[2] = { { .tv_sec = 1000 }, { .tv_sec = 2000 } };
    struct model_keep before, after;

    keep_of(f->model, &before);
    assert_int_equal(utimensat(AT_FDCWD, f->model, times, 0), 0);
    keep_of(f->model, &after);
    assert_memory_not_equal(before.engine.key, after.engine.key, ENGINE_KEY_BYTES);
}

static void on_orphan(void *arg, const char *path)
{
    struct fixture *f = arg;

    f->n_orphans++;
    memcpy(f->orphan, path, strlen(path) + 1);
}

static void panels_are_weighed_and_orphans_named(void **state)
{
    struct fixture *f = *state;
    char dir[PATH_MAX_BYTES], file[PATH_MAX_BYTES], found[PATH_MAX_BYTES];
    struct buf content = { 0 };

    assert_int_equal(model_keep_bytes(f->model, found), 0);
    assert_int_equal(mkdir(folder_path(&f->folder, "m.gguf.panels", dir), 0700), 0);
    buf_puts(&content, "panels");
    folder_put(&f->folder, "m.gguf.panels/output", &content, file);
    buf_release(&content);
    assert_true(model_keep_bytes(f->model, found) > 0);
    assert_string_equal(found, dir);
    model_keep_orphans(f->folder.path, on_orphan, f);
    assert_int_equal(f->n_orphans, 0);
    assert_int_equal(unlink(f->model), 0);
    model_keep_orphans(f->folder.path, on_orphan, f);
    assert_int_equal(f->n_orphans, 1);
    assert_string_equal(f->orphan, dir);
}

#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FIXTURE(folders_are_beside_the_path_and_in_the_cache),
        WITH_FIXTURE(the_key_is_another_when_the_file_is_written),
        WITH_FIXTURE(panels_are_weighed_and_orphans_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
