/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/base/test_files.c - paths, whole files, and what the machine says of itself. */
#include "support/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/machine.h"
#include "base/paths.h"

struct fixture {
    char dir[64];
};

static int set_up(void **state)
{
    static struct fixture f;

    snprintf(f.dir, sizeof(f.dir), "/tmp/pomona-files-XXXXXX");
    *state = &f;
    return mkdtemp(f.dir) ? 0 : -1;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    char command[128];

    snprintf(command, sizeof(command), "rm -rf '%s'", f->dir);
    return system(command);
}

static void a_replaced_file_reads_back(void **state)
{
    struct fixture *f = *state;
    char path[PATH_MAX_BYTES], deep[PATH_MAX_BYTES];
    struct buf content = { 0 };
    struct err err;

    assert_ok(path_join(f->dir, "a/b/c", deep, &err), err);
    assert_ok(path_make(deep, &err), err);
    assert_ok(path_make(deep, &err), err);
    assert_ok(path_join(deep, "file", path, &err), err);
    assert_ok(file_replace(path, "first", 5, &err), err);
    assert_ok(file_replace(path, "second", 6, &err), err);
    assert_ok(file_read(path, 100, &content, &err), err);
    assert_string_equal(buf_text(&content), "second");
    assert_int_equal(file_read(path, 5, &content, &err), ST_RANGE);
    assert_int_equal(file_read(f->dir, 5, &content, &err), ST_IO);
    buf_release(&content);
}

static void a_missing_file_is_named(void **state)
{
    struct fixture *f = *state;
    char path[PATH_MAX_BYTES];
    struct buf content = { 0 };
    struct err err;

    assert_ok(path_join(f->dir, "absent", path, &err), err);
    assert_int_equal(file_read(path, 5, &content, &err), ST_NOTFOUND);
    assert_non_null(strstr(err.words, "absent"));
}

static void data_follows_the_platform_and_the_override(void **state)
{
    char path[PATH_MAX_BYTES], longest[PATH_MAX_BYTES + 1];
    struct err err;

    (void)state;
    assert_ok(path_data("/x", path, &err), err);
    assert_string_equal(path, "/x");
#if !defined(__APPLE__)
    setenv("XDG_DATA_HOME", "/xdg", 1);
    assert_ok(path_data(NULL, path, &err), err);
    assert_string_equal(path, "/xdg/pomona");
    setenv("XDG_DATA_HOME", "relative", 1);
    setenv("HOME", "/home/u", 1);
    setenv("XDG_CACHE_HOME", "/scratch", 1);
    assert_ok(path_cache(path, &err), err);
    assert_string_equal(path, "/scratch/pomona");
    unsetenv("XDG_CACHE_HOME");
    assert_ok(path_cache(path, &err), err);
    assert_string_equal(path, "/home/u/.cache/pomona");
    assert_ok(path_data(NULL, path, &err), err);
    assert_string_equal(path, "/home/u/.local/share/pomona");
    unsetenv("HOME");
    assert_int_equal(path_data(NULL, path, &err), ST_RANGE);
#endif
    memset(longest, 'a', PATH_MAX_BYTES);
    longest[PATH_MAX_BYTES] = '\0';
    assert_int_equal(path_data(longest, path, &err), ST_RANGE);
}

static void the_machine_has_cores_and_memory(void **state)
{
    char name[64], self[PATH_MAX_BYTES];
    struct err err;

    (void)state;
    assert_true(machine_n_cores() >= 1);
    assert_in_range(machine_n_fast_cores(), 1, machine_n_cores());
    assert_true(machine_memory_bytes() > 64u << 20);
    machine_cpu_name(name, sizeof(name));
    assert_true(strlen(name) > 0);
    assert_ok(path_of_self(self, &err), err);
    assert_non_null(strstr(self, "test_files"));
    assert_null(machine_cpu_feature_name(1u << 31));
    assert_string_equal(machine_cpu_feature_name(CPU_AVX2), "avx2");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_replaced_file_reads_back),
        cmocka_unit_test(a_missing_file_is_named),
        cmocka_unit_test(data_follows_the_platform_and_the_override),
        cmocka_unit_test(the_machine_has_cores_and_memory),
    };
    return cmocka_run_group_tests_name("base/files", tests, set_up, tear_down);
}
