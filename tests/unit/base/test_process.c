/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/base/test_process.c - what a process uses of its machine. */
#include "support/check.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/process.h"

enum { MANY_BYTES = 64 << 20 };

static void each_descriptor_is_counted(void **state)
{
    struct process_usage before, after;
    int fd;

    (void)state;
    process_usage(&before);
    fd = open("/dev/null", O_RDONLY);
    assert_true(fd >= 0);
    process_usage(&after);
    close(fd);
    assert_int_equal(after.n_open_fds, before.n_open_fds + 1);
    assert_true(after.n_max_fds >= after.n_open_fds);
    process_usage(&after);
    assert_int_equal(after.n_open_fds, before.n_open_fds);
}

static void memory_that_is_written_is_held(void **state)
{
    struct process_usage before, after;
    char *bytes;

    (void)state;
    process_usage(&before);
    assert_true(before.resident_bytes > 0);
    bytes = malloc(MANY_BYTES);
    assert_non_null(bytes);
    memset(bytes, 1, MANY_BYTES);
    process_usage(&after);
    assert_true(bytes[MANY_BYTES / 2] == 1 &&
                after.resident_bytes > before.resident_bytes + MANY_BYTES / 2);
    free(bytes);
}

static void of_another_process_its_memory_is_told(void **state)
{
    struct process_usage usage;

    (void)state;
    process_usage(&usage);
    assert_true(process_resident_bytes(getpid()) > usage.resident_bytes / 2);
    assert_int_equal(process_resident_bytes(0), 0);
    assert_int_equal(process_resident_bytes(-1), 0);
}

static void work_takes_processor_time(void **state)
{
    struct process_usage before, after;
    volatile double x = 1;

    (void)state;
    process_usage(&before);
    do {
        for (int i = 0; i < 1000000; i++)
            x = x * 1.0000001;
        process_usage(&after);
    } while (after.cpu_seconds <= before.cpu_seconds);
    assert_true(after.cpu_seconds < before.cpu_seconds + 60);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_descriptor_is_counted),
        cmocka_unit_test(memory_that_is_written_is_held),
        cmocka_unit_test(of_another_process_its_memory_is_told),
        cmocka_unit_test(work_takes_processor_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
