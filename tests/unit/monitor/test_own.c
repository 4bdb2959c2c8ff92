/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/monitor/test_own.c - what a kernel tells is understood. */
#include "support/check.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include "monitor/own.h"

static bool is_about(double a, double b)
{
    return fabs(a - b) < 1e-9;
}

static void memory_is_read(void **state)
{
    struct own_figures f = { 0 };

    (void)state;
    own_parse_memory("MemTotal:       1000 kB\nMemFree: 1 kB\nMemAvailable:    250 kB\n"
                     "SwapTotal:       200 kB\nSwapFree:        50 kB\n",
                     &f);
    assert_true(is_about(f.memory_free, 0.25) && is_about(f.swap_used, 0.75));
    own_parse_memory("MemTotal: 1000 kB\nMemAvailable: 250 kB\nSwapTotal: 0 kB\n", &f);
    assert_true(is_about(f.swap_used, 0));
    own_parse_memory("", &f);
    assert_true(isnan(f.memory_free) && isnan(f.swap_used));
}

static void processors_are_read(void **state)
{
    struct own_figures f = { 0 };

    (void)state;
    own_parse_cpu("cpu  10 0 20 60 5 1 2 2 0 0\ncpu0 1 2 3 4\n", &f);
    assert_int_equal(f.cpu_total, 100);
    assert_int_equal(f.cpu_idle, 65);
    own_parse_cpu("intr 1 2 3", &f);
    assert_int_equal(f.cpu_total, 0);
}

static void pressure_and_limits_are_read(void **state)
{
    (void)state;
    assert_true(is_about(own_parse_pressure("some avg10=12.50 avg60=1.00 avg300=0.00 total=1\n"
                                            "full avg10=3.00 avg60=0 avg300=0 total=1\n"),
                         12.5));
    assert_true(isnan(own_parse_pressure("")));
    assert_true(
        is_about(own_parse_file_limit("Limit  Soft  Hard  Units\n"
                                      "Max open files            1024     4096     files\n"),
                 1024));
    assert_true(isnan(own_parse_file_limit("Max open files   unlimited  unlimited  files\n")));
    assert_true(isnan(own_parse_file_limit("nothing")));
}

static void a_machine_that_tells_nothing_has_no_figures(void **state)
{
    struct own_figures f;

    (void)state;
    own_read("/nowhere", "/nowhere", NULL, &f);
    assert_true(isnan(f.cpu_busy) && isnan(f.memory_free) && isnan(f.memory_pressure));
    assert_true(isnan(f.temperature_c) && isnan(f.files_used));
    assert_true(isnan(f.gpu_temperature_c) && isnan(f.gpu_memory_used));
}

static void a_disk_tells_room_and_time(void **state)
{
    char dir[] = "/tmp/pomona-own-XXXXXX";
    struct own_disk d;
    struct own_speed speed;
    struct err err;

    (void)state;
    assert_non_null(mkdtemp(dir));
    assert_ok(own_disk(dir, &d, &err), err);
    assert_true(d.free >= 0 && d.free <= 1 && d.sync_s >= 0);
    assert_ok(own_speed(dir, &speed, &err), err);
    assert_true(speed.read_mb_s > 0 && speed.write_mb_s > 0);
    assert_int_equal(rmdir(dir), 0); /* nothing is left in it */
    assert_int_equal(own_disk("/nowhere", &d, &err), ST_IO);
    assert_int_equal(own_speed("/nowhere", &speed, &err), ST_IO);
    assert_true(isnan(speed.read_mb_s) && isnan(speed.write_mb_s));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_read),
        cmocka_unit_test(processors_are_read),
        cmocka_unit_test(pressure_and_limits_are_read),
        cmocka_unit_test(a_machine_that_tells_nothing_has_no_figures),
        cmocka_unit_test(a_disk_tells_room_and_time),
    };
    return cmocka_run_group_tests_name("monitor/own", tests, NULL, NULL);
}
