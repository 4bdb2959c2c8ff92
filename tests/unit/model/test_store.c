/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/model/test_store.c - models are listed, found and imported. */
#include "support/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "model/store/store.h"
#include "support/folder.h"
#include "support/tiny_llama.h"

struct fixture {
    struct folder folder;
    struct store store;
    struct store_entry entry;
    char first[PATH_MAX_BYTES], second[PATH_MAX_BYTES]; /* two models outside the store */
    struct err err;
};

static int set_up(void **state)
{
    static struct fixture f;
    struct tiny_llama other = tiny_llama_default;

    f = (struct fixture){ 0 };
    other.n_layer = 2;
    folder_make(&f.folder);
    assert_ok(store_init(&f.store, f.folder.path, &f.err), f.err);
    tiny_llama_write(&tiny_llama_default, folder_path(&f.folder, "First.gguf", f.first));
    tiny_llama_write(&other, folder_path(&f.folder, "Second.gguf", f.second));
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    folder_remove(&f->folder);
    return 0;
}

static enum status import(struct fixture *f, const char *path, const char *name,
                          enum store_import_how how)
{
    return store_import(&f->store, path, name, how, NULL, NULL, &f->entry, &f->err);
}

static void assert_word(const struct fixture *f, const char *word)
{
    if (!strstr(f->err.words, word))
        fail_msg("\"%s\" does not say \"%s\"", f->err.words, word);
}

static size_t n_files(const char *dir, const char *pattern)
{
    char command[2 * PATH_MAX_BYTES], count[16] = "";
    FILE *p;

    snprintf(command, sizeof(command), "find '%s' -name '%s' | wc -l", dir, pattern);
    p = popen(command, "r");
    assert_non_null(p);
    assert_non_null(fgets(count, sizeof(count), p));
    pclose(p);
    return (size_t)strtoul(count, NULL, 10);
}

static void a_copy_is_listed_and_found(void **state)
{
    struct fixture *f = *state;
    struct store_entry *entries = NULL;
    size_t n = 7;

    assert_ok(store_list(&f->store, &entries, &n, NULL, NULL, &f->err), f->err);
    assert_int_equal(n, 0);
    free(entries);
    assert_ok(import(f, f->second, NULL, STORE_COPY), f->err);
    assert_ok(import(f, f->first, "Another.gguf", STORE_COPY), f->err);
    assert_string_equal(f->entry.info.name, "Another");
    unlink(f->first);
    assert_ok(store_list(&f->store, &entries, &n, NULL, NULL, &f->err), f->err);
    assert_int_equal(n, 2);
    assert_string_equal(entries[0].info.name, "Another");
    assert_int_equal(entries[0].info.n_layer, 4);
    assert_string_equal(entries[1].info.name, "Second");
    assert_int_equal(entries[1].info.n_layer, 2);
    free(entries);
    assert_int_equal(n_files(f->store.dir, ".*.*"), 0);
}

static void names_are_found_in_any_case_and_with_the_suffix(void **state)
{
    static const char *const spellings[] = { "First", "first", "FIRST.gguf", "first.GGUF" };
    struct fixture *f = *state;

    assert_ok(import(f, f->first, NULL, STORE_LINK), f->err);
    for (size_t i = 0; i < 4; i++) {
        assert_ok(store_find(&f->store, spellings[i], &f->entry, &f->err), f->err);
        assert_string_equal(f->entry.info.name, "First");
    }
}

static void a_path_is_found_without_the_store(void **state)
{
    struct fixture *f = *state;

    assert_ok(store_find(&f->store, f->second, &f->entry, &f->err), f->err);
    assert_string_equal(f->entry.info.name, "Second");
    assert_true(f->entry.path[0] == '/');
    assert_int_equal(store_find(&f->store, "./nothing.gguf", &f->entry, &f->err), ST_NOTFOUND);
    assert_word(f, "./nothing.gguf");
}

static void a_missing_model_names_those_there_are(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(store_find(&f->store, "none", &f->entry, &f->err), ST_NOTFOUND);
    assert_word(f, "is empty");
    assert_ok(import(f, f->first, NULL, STORE_LINK), f->err);
    assert_ok(import(f, f->second, NULL, STORE_LINK), f->err);
    assert_int_equal(store_find(&f->store, "none", &f->entry, &f->err), ST_NOTFOUND);
    assert_word(f, "there are First, Second");
    assert_int_equal(store_find(&f->store, "", &f->entry, &f->err), ST_NOTFOUND);
    assert_int_equal(store_find(&f->store, "two words", &f->entry, &f->err), ST_NOTFOUND);
}

static void a_link_points_to_the_file(void **state)
{
    struct fixture *f = *state;
    struct stat link, from, to;

    assert_ok(import(f, f->first, "linked", STORE_LINK), f->err);
    assert_int_equal(lstat(f->entry.path, &link), 0);
    assert_true(S_ISLNK(link.st_mode));
    assert_int_equal(stat(f->entry.path, &to), 0);
    assert_int_equal(stat(f->first, &from), 0);
    assert_int_equal(from.st_ino, to.st_ino);
    /* Once more changes nothing; a copy replaces the link. */
    assert_ok(import(f, f->entry.path, "linked", STORE_LINK), f->err);
    assert_ok(import(f, f->first, "linked", STORE_COPY), f->err);
    assert_int_equal(lstat(f->entry.path, &link), 0);
    assert_true(S_ISREG(link.st_mode));
}

static void a_model_imported_onto_itself_stays(void **state)
{
    struct fixture *f = *state;
    char path[PATH_MAX_BYTES];

    assert_ok(import(f, f->first, "one", STORE_COPY), f->err);
    memcpy(path, f->entry.path, sizeof(path));
    assert_ok(import(f, path, "one", STORE_LINK), f->err);
    assert_ok(import(f, path, "ONE", STORE_COPY), f->err);
    assert_ok(store_find(&f->store, "one", &f->entry, &f->err), f->err);
    assert_int_equal(n_files(f->store.dir, "*.gguf"), 1);
}

static void another_model_of_that_name_is_refused(void **state)
{
    struct fixture *f = *state;

    assert_ok(import(f, f->first, "taken", STORE_LINK), f->err);
    assert_int_equal(import(f, f->second, "taken", STORE_LINK), ST_DENIED);
    assert_word(f, "'taken'");
    assert_int_equal(import(f, f->second, "TAKEN", STORE_COPY), ST_DENIED);
    assert_ok(store_find(&f->store, "taken", &f->entry, &f->err), f->err);
    assert_int_equal(f->entry.info.n_layer, 4);
}

static void names_that_leave_the_store_are_refused(void **state)
{
    static const char *const names[] = { "../up", "a/b", ".hidden", "", "two words", "..", "a\nb" };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        assert_int_equal(import(f, f->first, names[i], STORE_COPY), ST_RANGE);
        assert_int_equal(n_files(f->folder.path, "*.gguf"), 2);
    }
}

static void a_damaged_model_is_not_imported(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(truncate(f->first, 5000), 0);
    assert_int_equal(import(f, f->first, NULL, STORE_COPY), ST_FORMAT);
    assert_int_equal(import(f, "/nowhere/x.gguf", NULL, STORE_COPY), ST_NOTFOUND);
    assert_int_equal(n_files(f->store.dir, "*"), 1); /* the folder itself */
}

static void note_bad(void *arg, const char *path, const struct err *why)
{
    char *seen = arg;
    const size_t used = strlen(seen);

    assert_true(strlen(why->words) > 0);
    snprintf(seen + used, 256 - used, "%s;", strrchr(path, '/') + 1);
}

static void files_that_cannot_be_opened_are_told_and_left_out(void **state)
{
    struct fixture *f = *state;
    struct store_entry *entries = NULL;
    char path[PATH_MAX_BYTES], seen[256] = "";
    size_t n = 0;

    assert_ok(import(f, f->first, NULL, STORE_LINK), f->err);
    assert_ok(path_join(f->store.dir, "broken.gguf", path, &f->err), f->err);
    assert_ok(file_replace(path, "GGUF", 4, &f->err), f->err);
    assert_ok(path_join(f->store.dir, "notes.txt", path, &f->err), f->err);
    assert_ok(file_replace(path, "GGUF", 4, &f->err), f->err);
    assert_ok(store_list(&f->store, &entries, &n, note_bad, seen, &f->err), f->err);
    assert_int_equal(n, 1);
    assert_string_equal(seen, "broken.gguf;");
    free(entries);
    unlink(f->first);
    assert_ok(store_list(&f->store, &entries, &n, NULL, NULL, &f->err), f->err);
    assert_int_equal(n, 0);
    free(entries);
}

static void read_cache(struct fixture *f, char *ret_path, struct buf *ret_text)
{
    assert_ok(path_join(f->store.dir, "First.json", ret_path, &f->err), f->err);
    buf_clear(ret_text);
    assert_ok(file_read(ret_path, 1 << 16, ret_text, &f->err), f->err);
}

/* The cache is believed while it fits the file, whatever it says ... */
static void a_fresh_cache_is_used(void **state)
{
    struct fixture *f = *state;
    char path[PATH_MAX_BYTES], *layers;
    struct buf text = { 0 };

    assert_ok(import(f, f->first, NULL, STORE_COPY), f->err);
    read_cache(f, path, &text);
    layers = strstr(text.data, "\"n_layer\": 4");
    assert_non_null(layers);
    layers[strlen("\"n_layer\": ")] = '3';
    assert_ok(file_replace(path, text.data, text.len, &f->err), f->err);
    assert_ok(store_find(&f->store, "first", &f->entry, &f->err), f->err);
    assert_int_equal(f->entry.info.n_layer, 3);
    buf_release(&text);
}

/* ... and not when the file was replaced or the cache is damaged. */
static void a_stale_or_damaged_cache_is_made_again(void **state)
{
    static const char *const damaged[] = { "", "{", "[]", "{\"version\":1}", "\"text\"" };
    struct fixture *f = *state;
    char path[PATH_MAX_BYTES];
    struct buf before = { 0 }, after = { 0 };

    assert_ok(import(f, f->first, NULL, STORE_COPY), f->err);
    read_cache(f, path, &before);
    for (size_t i = 0; i < sizeof(damaged) / sizeof(damaged[0]); i++) {
        assert_ok(file_replace(path, damaged[i], strlen(damaged[i]), &f->err), f->err);
        assert_ok(store_find(&f->store, "first", &f->entry, &f->err), f->err);
        assert_int_equal(f->entry.info.n_layer, 4);
        read_cache(f, path, &after);
        assert_string_equal(after.data, before.data);
    }
    assert_int_equal(rename(f->second, f->entry.path), 0);
    assert_ok(store_find(&f->store, "first", &f->entry, &f->err), f->err);
    assert_int_equal(f->entry.info.n_layer, 2);
    buf_release(&before);
    buf_release(&after);
}

struct progress {
    uint64_t done, total;
    int n_calls;
};

static void note_progress(void *arg, uint64_t done, uint64_t total)
{
    struct progress *progress = arg;

    assert_true(done > progress->done && done <= total);
    *progress = (struct progress){ done, total, progress->n_calls + 1 };
}

static void copying_tells_its_progress_to_the_end(void **state)
{
    struct fixture *f = *state;
    struct progress progress = { 0 };

    assert_ok(store_import(&f->store, f->first, NULL, STORE_COPY, note_progress, &progress,
                           &f->entry, &f->err),
              f->err);
    assert_true(progress.n_calls >= 1);
    assert_int_equal(progress.done, f->entry.info.file_bytes);
    assert_int_equal(progress.total, f->entry.info.file_bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(a_copy_is_listed_and_found),
        TEST(names_are_found_in_any_case_and_with_the_suffix),
        TEST(a_path_is_found_without_the_store),
        TEST(a_missing_model_names_those_there_are),
        TEST(a_link_points_to_the_file),
        TEST(a_model_imported_onto_itself_stays),
        TEST(another_model_of_that_name_is_refused),
        TEST(names_that_leave_the_store_are_refused),
        TEST(a_damaged_model_is_not_imported),
        TEST(files_that_cannot_be_opened_are_told_and_left_out),
        TEST(a_fresh_cache_is_used),
        TEST(a_stale_or_damaged_cache_is_made_again),
        TEST(copying_tells_its_progress_to_the_end),
#undef TEST
    };
    return cmocka_run_group_tests_name("model/store", tests, NULL, NULL);
}
