/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/base/test_run_folder.c - processes of one user find one another. */
#include "support/check.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/run_folder.h"

static void name_of_test(char ret_name[64])
{
    (void)snprintf(ret_name, 64, "test-%ld", (long)getpid());
}

static void who_connects_is_known_by_its_process(void **state)
{
    char name[64], path[PATH_MAX_BYTES], byte = 'x';
    int listener, ours, theirs;

    (void)state;
    name_of_test(name);
    assert_int_equal(run_listen(name, &listener, NULL), ST_OK);
    assert_int_equal(run_connect(name, deadline_after_ms(10000), &theirs, NULL), ST_OK);
    ours = accept(listener, NULL, NULL);
    assert_true(ours >= 0);
    assert_int_equal(run_peer(ours), getpid());
    assert_int_equal(write(theirs, &byte, 1), 1);
    assert_int_equal(read(ours, &byte, 1), 1);
    assert_int_equal(run_path(name, path, NULL), ST_OK);
    assert_int_equal(unlink(path), 0);
    close(ours);
    close(theirs);
    close(listener);
}

static void nobody_there_is_said_at_the_deadline(void **state)
{
    struct err err = { 0 };
    int fd = -1;

    (void)state;
    assert_int_equal(run_connect("nobody", deadline_after_ms(1), &fd, &err), ST_DEADLINE);
    assert_non_null(strstr(err.words, "nobody"));
    assert_int_equal(fd, -1);
}

static void the_folder_is_nobody_elses(void **state)
{
    char path[PATH_MAX_BYTES];
    struct stat st;

    (void)state;
    assert_int_equal(run_path("x", path, NULL), ST_OK);
    *strrchr(path, '/') = '\0';
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    assert_int_equal(st.st_uid, geteuid());
}

static void a_name_too_long_for_a_socket_is_refused(void **state)
{
    char name[200];
    int fd = -1;

    (void)state;
    memset(name, 'n', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    assert_int_equal(run_listen(name, &fd, NULL), ST_RANGE);
    assert_int_equal(fd, -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_connects_is_known_by_its_process),
        cmocka_unit_test(nobody_there_is_said_at_the_deadline),
        cmocka_unit_test(the_folder_is_nobody_elses),
        cmocka_unit_test(a_name_too_long_for_a_socket_is_refused),
    };
    return cmocka_run_group_tests_name("base/run_folder", tests, NULL, NULL);
}
