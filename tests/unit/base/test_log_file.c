/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/base/test_log_file.c - a log that was moved away is begun anew at its path. */
#include "support/check.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/log_file.h"

static char folder[32], log_path[64], old_path[64];
static int terminal = -1;

static int setup(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof(folder), "/tmp/log-XXXXXX");
    assert_non_null(mkdtemp(folder));
    (void)snprintf(log_path, sizeof(log_path), "%s/log", folder);
    (void)snprintf(old_path, sizeof(old_path), "%s/log.0", folder);
    terminal = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    return terminal < 0;
}

static int teardown(void **state)
{
    (void)state;
    (void)dup2(terminal, STDERR_FILENO);
    (void)unlink(log_path);
    (void)unlink(old_path);
    return rmdir(folder);
}

static bool has(const char *path, const char *words)
{
    char bytes[4096];
    FILE *file = fopen(path, "r");
    size_t n;

    if (!file)
        return false;
    n = fread(bytes, 1, sizeof(bytes) - 1, file);
    (void)fclose(file);
    bytes[n] = '\0';
    return strstr(bytes, words) != NULL;
}

static void a_folder_that_is_not_there_is_named(void **state)
{
    struct err err;

    (void)state;
    assert_int_equal(log_file_begin("/no/such/folder/log", &err), ST_IO);
    assert_non_null(strstr(err.words, "/no/such/folder/log"));
}

/* It looks once a second at most, so a line may go to the old file; none goes nowhere. */
static void a_log_that_was_moved_is_begun_anew(void **state)
{
    struct err err;
    struct stat st;
    char words[32];
    unsigned i = 0;

    (void)state;
    assert_ok(log_file_begin(log_path, &err), err);
    log_info("the first");
    assert_true(has(log_path, "the first"));
    assert_int_equal(stat(log_path, &st), 0);
    assert_int_equal(st.st_mode & 0007, 0);
    assert_int_equal(rename(log_path, old_path), 0);
    do {
        const struct timespec pause = { 0, 50 * 1000000L };

        (void)snprintf(words, sizeof(words), "line %u of many", i++);
        log_info("%s", words);
        assert_true(has(log_path, words) || has(old_path, words));
        (void)nanosleep(&pause, NULL);
    } while (!has(log_path, words) && i < 1000);
    assert_true(has(log_path, words));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_folder_that_is_not_there_is_named),
        cmocka_unit_test_setup_teardown(a_log_that_was_moved_is_begun_anew, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
