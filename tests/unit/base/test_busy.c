/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/base/test_busy.c - what other processes use is seen. */
#include "support/check.h"

#include <math.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/busy.h"
#include "base/clock.h"

static const double TICKS_S = 0.1; /* what so short a time may be told wrong */

static double used_by_children_s(void)
{
    struct rusage usage = { 0 };

    assert_int_equal(getrusage(RUSAGE_CHILDREN, &usage), 0);
    return (double)usage.ru_utime.tv_sec + (double)usage.ru_utime.tv_usec * 1e-6 +
           (double)usage.ru_stime.tv_sec + (double)usage.ru_stime.tv_usec * 1e-6;
}

/* For a second of processor time, however long that takes on a crowded machine. */
static _Noreturn void spin(void)
{
    const struct rlimit one = { 1, 1 };
    volatile uint64_t n = 0;

    (void)setrlimit(RLIMIT_CPU, &one); /* ends it after a second */
    for (;;)
        n++;
}

static void the_time_of_another_process_counts(void **state)
{
    struct busy_mark mark;
    double used_s, wall_s;
    pid_t pid;

    (void)state;
    busy_mark(&mark);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        spin();
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    wall_s = (double)(clock_ns() - mark.begin_ns) / (double)NS_PER_S;
    used_s = used_by_children_s();
    assert_true(used_s > TICKS_S);
    assert_true(busy_others(&mark) * wall_s * (double)sysconf(_SC_NPROCESSORS_ONLN) >
                used_s - TICKS_S);
}

static void what_the_system_does_not_tell_is_nothing(void **state)
{
    const struct busy_mark mark = { .all_s = -1 };

    (void)state;
    assert_true(fabs(busy_others(&mark)) < 1e-9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_time_of_another_process_counts),
        cmocka_unit_test(what_the_system_does_not_tell_is_nothing),
    };
    return cmocka_run_group_tests_name("base/busy", tests, NULL, NULL);
}
