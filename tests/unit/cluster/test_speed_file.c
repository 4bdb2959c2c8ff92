/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/cluster/test_speed_file.c - kept figures come back, and nothing else is taken for them. */
#include "support/check.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "cluster/topology/speed_file.h"
#include "support/folder.h"

static struct folder folder;

static int set_up(void **state)
{
    (void)state;
    folder_make(&folder);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    folder_remove(&folder);
    return 0;
}

static void figures_come_back(void **state)
{
    const struct node_measure measure = {
        .node = { .memory_gbs = 27.5, .compute_gops = 190, .layer_us = 0.25 },
        .machine = { .memory_gbs = 50, .overlap = 2.5, .sample_ns = 1.75, .token_us = 3.5 },
        .others = 0.125,
    };
    struct node_measure kept = { 0 };
    char path[PATH_MAX_BYTES];
    struct err err = { 0 };

    (void)state;
    assert_int_equal(speed_file_path(folder.path, 2, "avx2", path, &err), ST_OK);
    assert_int_equal(speed_file_read(path, &kept, &err), ST_NOTFOUND);
    assert_int_equal(speed_file_write(path, &measure, &err), ST_OK);
    assert_int_equal(speed_file_read(path, &kept, &err), ST_OK);
    assert_memory_equal(&kept, &measure, sizeof(kept));
}

static void another_way_to_run_has_another_file(void **state)
{
    char a[PATH_MAX_BYTES], b[PATH_MAX_BYTES];

    (void)state;
    assert_int_equal(speed_file_path(folder.path, 2, NULL, a, NULL), ST_OK);
    assert_int_equal(speed_file_path(folder.path, 3, NULL, b, NULL), ST_OK);
    assert_string_not_equal(a, b);
    assert_int_equal(speed_file_path(folder.path, 2, "ref", b, NULL), ST_OK);
    assert_string_not_equal(a, b);
    assert_int_equal(speed_file_path(folder.path, 2, NULL, b, NULL), ST_OK);
    assert_string_equal(a, b);
}

static void what_is_no_figure_is_refused(void **state)
{
    static const char *const contents[] = {
        "",
        "pomona speed 1\nothers 0\nnode.memory_gbs 1\nmachine.memory_gbs 1\n",
        "pomona speed 2\nothers 0\nnode.memory_gbs 1\n", /* nothing of the machine */
        "pomona speed 2\nothers 0\nnode.memory_gbs nan\nmachine.memory_gbs 1\n",
        "pomona speed 2\nothers 0\nnode.memory_gbs -1\nmachine.memory_gbs 1\n",
        "pomona speed 2\nothers 0\nnode.memory_gbs 1e300\nmachine.memory_gbs 1\n",
        "pomona speed 2\nothers 0\nnode.memory_gbs 1 2\nmachine.memory_gbs 1\n",
        "pomona speed 2\nothers 0\nnode.memory_gbs\nmachine.memory_gbs 1\n",
        "pomona speed 2\nnode.memory_gbs 1\nmachine.memory_gbs 1\n", /* nothing of others */
        "pomona speed 2\nothers 1.5\nnode.memory_gbs 1\nmachine.memory_gbs 1\n",
        "pomona speed 2\nothers nan\nnode.memory_gbs 1\nmachine.memory_gbs 1\n",
        "pomona speed 2\nothers 0\nnode.colour 1\nmachine.memory_gbs 1\n",
    };
    char path[PATH_MAX_BYTES];

    (void)state;
    assert_int_equal(path_join(folder.path, "speed-file", path, NULL), ST_OK);
    for (size_t i = 0; i < sizeof(contents) / sizeof(contents[0]); i++) {
        struct node_measure kept = { .others = 0.5 };

        assert_int_equal(file_replace(path, contents[i], strlen(contents[i]), NULL), ST_OK);
        assert_int_equal(speed_file_read(path, &kept, NULL), ST_FORMAT);
        assert_true(fabs(kept.others - 0.5) < 1e-9);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(figures_come_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(another_way_to_run_has_another_file, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_no_figure_is_refused, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("cluster/speed_file", tests, NULL, NULL);
}
