/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/cluster/test_measuring.c - a node whose own measure failed takes what another one made.
 *
 * Nodes of one machine share a file of figures, and only one measures at a time: the others fail.
 */
#include "support/check.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "cluster/cluster.h"
#include "cluster/topology/speed_file.h"
#include "support/folder.h"

enum { WITHIN_MS = 30000 /* it would measure again after 60 s */ };

struct fixture {
    struct folder folder;
    struct loop *loop;
    struct cluster *cluster;
    char program[PATH_MAX_BYTES], ran[PATH_MAX_BYTES], figures[PATH_MAX_BYTES];
};

static const struct cluster_events events = { 0 };

/* In place of `pomona measure`: it leaves a file behind, and fails. */
static void write_program(const struct fixture *f)
{
    FILE *out = fopen(f->program, "w");

    assert_non_null(out);
    assert_true(fputs("#!/bin/sh\n: >\"$0.ran\"\nexit 1\n", out) >= 0);
    assert_int_equal(fclose(out), 0);
    assert_int_equal(chmod(f->program, 0700), 0);
}

static int set_up(void **state)
{
    static struct fixture f;
    struct err err = { 0 };

    memset(&f, 0, sizeof(f));
    folder_make(&f.folder);
    (void)folder_path(&f.folder, "measure", f.program);
    (void)folder_path(&f.folder, "measure.ran", f.ran);
    write_program(&f);
    assert_ok(speed_file_path(f.folder.path, 1, NULL, f.figures, &err), err);
    assert_ok(loop_new(&f.loop, &err), err);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    cluster_free(f->cluster);
    loop_free(f->loop);
    folder_remove(&f->folder);
    return 0;
}

static void start(struct fixture *f)
{
    const struct cluster_peer self = { .name = "a", .host = "127.0.0.1" };
    const struct cluster_options options = { .cluster_name = "test",
                                             .node_name = "a",
                                             .node_id = "00000000000000000000000000000001",
                                             .host = "127.0.0.1",
                                             .api_port = 1,
                                             .memory_bytes = 1000,
                                             .runner_program = f->program,
                                             .speed_file = f->figures,
                                             .peers = &self,
                                             .n_peers = 1 };
    struct err err = { 0 };

    assert_ok(cluster_new(f->loop, &options, &events, NULL, &f->cluster, &err), err);
}

static void until(struct fixture *f, bool (*is_true)(const struct fixture *f), const char *what)
{
    const uint64_t deadline = deadline_after_ms(WITHIN_MS);

    while (!is_true(f)) {
        if (clock_ns() > deadline)
            fail_msg("after %d s still not: %s", WITHIN_MS / 1000, what);
        (void)event_base_loop(loop_base(f->loop), EVLOOP_ONCE);
    }
}

static bool has_failed(const struct fixture *f)
{
    siginfo_t info;

    return access(f->ran, F_OK) == 0 && waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0 &&
           errno == ECHILD;
}

static bool is_known(const struct fixture *f)
{
    struct cluster_member self;

    assert_int_equal(cluster_members(f->cluster, &self, 1), 1);
    return self.speed.memory_gbs > 0;
}

static void figures_of_another_are_taken_soon(void **state)
{
    const struct node_speed speed = { .memory_gbs = 27.5, .compute_gops = 190, .layer_us = 0.25 };
    const struct node_measure measure = { .node = speed, .machine = speed };
    struct fixture *f = *state;
    struct err err = { 0 };

    start(f);
    until(f, has_failed, "its own measure failed");
    assert_false(is_known(f));
    assert_ok(speed_file_write(f->figures, &measure, &err), err);
    until(f, is_known, "the figures are known");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(figures_of_another_are_taken_soon, set_up, tear_down),
    };

    return cmocka_run_group_tests_name("cluster/measuring", tests, NULL, NULL);
}
