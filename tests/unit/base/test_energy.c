/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/base/test_energy.c - counters of energy are added up, across their beginning again. */
#include "support/check.h"

#include <stdio.h>
#include <sys/stat.h>

#include "base/energy.h"
#include "support/folder.h"

static int set_up(void **state)
{
    static struct folder f;

    folder_make(&f);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    folder_remove(*state);
    return 0;
}

static void write_text(const struct folder *f, const char *zone, const char *file, const char *text)
{
    char path[PATH_MAX_BYTES], name[128];
    FILE *out;

    (void)mkdir(folder_path(f, zone, path), 0700);
    (void)snprintf(name, sizeof(name), "%s/%s", zone, file);
    out = fopen(folder_path(f, name, path), "w");
    assert_non_null(out);
    assert_true(fputs(text, out) >= 0);
    assert_int_equal(fclose(out), 0);
}

static void write_zone(const struct folder *f, const char *zone, const char *name, const char *uj)
{
    write_text(f, zone, "name", name);
    write_text(f, zone, "energy_uj", uj);
    write_text(f, zone, "max_energy_range_uj", "1000000000\n");
}

static void packages_and_their_memory_are_zones_and_parts_are_not(void **state)
{
    const struct folder *f = *state;
    static struct energy e;

    write_zone(f, "intel-rapl:1", "package-1\n", "5\n");
    write_zone(f, "intel-rapl:0", "package-0\n", "5\n");
    write_zone(f, "intel-rapl:0:0", "core\n", "5\n");
    write_zone(f, "intel-rapl:0:1", "dram\n", "5\n");
    write_zone(f, "intel-rapl-mmio:0", "package-0\n", "5\n");
    energy_open(&e, f->path);
    assert_int_equal(e.n_zones, 3);
    assert_string_equal(e.zones[0].name, "package-0");
    assert_string_equal(e.zones[1].name, "package-0/dram");
    assert_string_equal(e.zones[2].name, "package-1");
}

static void a_counter_that_begins_again_goes_on_here(void **state)
{
    const struct folder *f = *state;
    static struct energy e;

    write_zone(f, "intel-rapl:0", "package-0\n", "999000000\n");
    energy_open(&e, f->path);
    assert_int_equal(e.n_zones, 1);
    energy_read(&e);
    assert_true(e.zones[0].joules == 0);
    write_text(f, "intel-rapl:0", "energy_uj", "999500000\n");
    energy_read(&e);
    assert_true(e.zones[0].joules == 0.5);
    write_text(f, "intel-rapl:0", "energy_uj", "1000000\n"); /* 0.5 J to the end, and 1 more */
    energy_read(&e);
    assert_true(e.zones[0].joules == 2.0);
}

static void what_cannot_be_read_is_not_there(void **state)
{
    const struct folder *f = *state;
    char path[PATH_MAX_BYTES];
    static struct energy e;

    energy_open(&e, folder_path(f, "none", path));
    assert_int_equal(e.n_zones, 0);
    write_text(f, "intel-rapl:0", "name", "package-0\n");
    write_text(f, "intel-rapl:0", "energy_uj", "no number\n");
    write_text(f, "intel-rapl:0", "max_energy_range_uj", "1000000000\n");
    energy_open(&e, f->path);
    assert_int_equal(e.n_zones, 0);
    energy_read(&e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(packages_and_their_memory_are_zones_and_parts_are_not,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_counter_that_begins_again_goes_on_here, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_cannot_be_read_is_not_there, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("base/energy", tests, NULL, NULL);
}
