/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/cluster/test_ways.c - which link is fast, and which address is tried first. */
#include "support/check.h"

#include <math.h>
#include <stdio.h>

#include "cluster/topology/figures.h"
#include "cluster/topology/ways.h"

static void assert_order(const struct path *paths, size_t n, size_t n_bytes, const char *wanted)
{
    struct hosts hosts;
    char text[256] = "";
    size_t used = 0;

    ways_order(paths, n, n_bytes, &hosts);
    for (size_t i = 0; i < hosts.n; i++)
        used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s", i > 0 ? " " : "",
                                 hosts.text[i]);
    assert_string_equal(text, wanted);
}

static void the_size_of_a_message_decides(void **state)
{
    const struct path paths[] = {
        { .host = "near", .latency_s = 20e-6, .bytes_per_s = 125e6 },
        { .host = "wide", .latency_s = 300e-6, .bytes_per_s = 1250e6 },
    };

    (void)state;
    assert_order(paths, 2, WAY_TOKENS_BYTES, "near wide");
    assert_order(paths, 2, WAY_PIECES_BYTES, "wide near");
}

static void what_is_not_known_follows_and_what_failed_is_last(void **state)
{
    const struct path paths[] = {
        { .host = "failed", .latency_s = 1e-6, .bytes_per_s = 1e10, .has_failed = true },
        { .host = "new" },
        { .host = "slow", .latency_s = 1e-3, .bytes_per_s = 1e6 },
        { .host = "newer" },
        { .host = "fast", .latency_s = 1e-4, .bytes_per_s = 1e9 },
        { .host = "never", .has_failed = true },
    };

    (void)state;
    assert_order(paths, 6, WAY_ROWS_BYTES, "fast slow new newer failed never");
    assert_order(paths, 0, WAY_ROWS_BYTES, "");
}

/* A link as it is: latency each way, and bytes at its rate. */
static void probe(double latency_s, double bytes_per_s, double slow_first_s, double *ret_times)
{
    for (size_t i = 0; i < PROBE_MESSAGES; i++)
        ret_times[i] = 2 * latency_s + (double)probe_bytes(i) / bytes_per_s;
    ret_times[0] += slow_first_s;
}

static void figures_are_those_of_the_link(void **state)
{
    double times[PROBE_MESSAGES], latency_s, bytes_per_s;

    (void)state;
    probe(100e-6, 125e6, 5e-3, times);
    probe_figures(times, &latency_s, &bytes_per_s);
    assert_true(fabs(latency_s - 100e-6) < 1e-9);
    assert_true(fabs(bytes_per_s / 125e6 - 1) < 1e-6);
}

static void what_disturbs_once_does_not_show(void **state)
{
    double times[PROBE_MESSAGES], latency_s, bytes_per_s;

    (void)state;
    probe(100e-6, 125e6, 0, times);
    times[2] += 1;
    times[PROBE_PINGS] += 1;     /* a small burst */
    times[PROBE_PINGS + 1] += 1; /* a large one */
    probe_figures(times, &latency_s, &bytes_per_s);
    assert_true(fabs(latency_s - 100e-6) < 1e-9);
    assert_true(fabs(bytes_per_s / 125e6 - 1) < 1e-6);
}

static void a_link_faster_than_can_be_told_has_a_bound(void **state)
{
    double times[PROBE_MESSAGES], latency_s, bytes_per_s;

    (void)state;
    probe(1e-6, 1e15, 0, times);
    probe_figures(times, &latency_s, &bytes_per_s);
    assert_true(isfinite(bytes_per_s) && bytes_per_s > 1e10);
    assert_true(isinf(path_seconds(0, 0, WAY_ROWS_BYTES)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_size_of_a_message_decides),
        cmocka_unit_test(what_is_not_known_follows_and_what_failed_is_last),
        cmocka_unit_test(figures_are_those_of_the_link),
        cmocka_unit_test(what_disturbs_once_does_not_show),
        cmocka_unit_test(a_link_faster_than_can_be_told_has_a_bound),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
