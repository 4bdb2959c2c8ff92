/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/history/test_long_history.c - a cluster's history of months is small, and its sums are right.
 *
 * By default 4 days of 3 nodes; with POMONA_TEST_FULL=1 90 days of 20 nodes.  Samples come each minute, each ten
 * seconds in the last hours that samples are kept; roll-ups and forgetting go on beside, as in a monitor.  How
 * long queries take is printed, not asserted.
 */
#include "support/check.h"

#include <sys/stat.h>

#include "base/clock.h"
#include "folder.h"
#include "history/history.h"

static const int64_t T0 = 1700000000 / 86400 * 86400;
static const struct history_retention KEEP = { 12, 7, 400, 400 };
enum { METRICS = 12, DENSE_S = 12 * 3600, STEP_S = 3600, FILE_MAX_BYTES = 200 << 20 };

struct size {
    int n_nodes, n_days;
};

static struct size size_of_run(void)
{
    const char *full = getenv("POMONA_TEST_FULL");

    return full && strcmp(full, "1") == 0 ? (struct size){ 20, 90 } : (struct size){ 3, 4 };
}

static int64_t end_of(struct size size)
{
    return T0 + size.n_days * (int64_t)86400;
}

static double value_of(int series, int64_t t)
{
    const uint64_t x = (uint64_t)(t + series * 7919) * 0x9e3779b97f4a7c15u;

    return series % METRICS == 0 ? (x >> 40) % 1000 != 0 /* is up */
                                 : (double)(x >> 44) / 256;
}

static int64_t every_s(struct size size, int64_t t)
{
    return t >= end_of(size) - DENSE_S ? 10 : 60;
}

static void names_of(int series, char *subject, char *metric)
{
    snprintf(subject, HISTORY_NAME_MAX, "node/studio-%02d", series / METRICS);
    snprintf(metric, HISTORY_NAME_MAX, "metric.%02d", series % METRICS);
}

static void fill(struct history *h, struct size size)
{
    struct err err;

    for (int64_t from = T0; from < end_of(size); from += STEP_S) {
        assert_ok(history_begin(h, &err), err);
        for (int i = 0; i < size.n_nodes * METRICS; i++) {
            char subject[HISTORY_NAME_MAX], metric[HISTORY_NAME_MAX];
            int64_t id = 0;

            names_of(i, subject, metric);
            assert_ok(history_series(h, subject, metric, &id, &err), err);
            for (int64_t t = from; t < from + STEP_S; t += every_s(size, t))
                assert_ok(history_add(h, id, t, value_of(i, t), &err), err);
        }
        assert_ok(history_commit(h, &err), err);
        assert_ok(history_roll(h, from + STEP_S, &err), err);
        assert_ok(history_prune(h, from + STEP_S, &KEEP, &err), err);
    }
}

static void assert_series(struct history *h, struct size size, int series)
{
    char subject[HISTORY_NAME_MAX], metric[HISTORY_NAME_MAX];
    struct history_point *points;
    struct err err;
    size_t n;

    names_of(series, subject, metric);
    assert_ok(history_points(h, subject, metric, T0, end_of(size), &points, &n, &err), err);
    assert_int_equal(n, (size_t)size.n_days * 24);
    for (size_t k = 0; k < n; k++) {
        struct history_point want = { .t = T0 + (int64_t)k * 3600, .min = 1e18, .max = -1e18 };

        for (int64_t t = want.t; t < want.t + 3600; t += every_s(size, t)) {
            const double v = value_of(series, t);

            want.n++;
            want.sum += v;
            want.min = v < want.min ? v : want.min;
            want.max = v > want.max ? v : want.max;
        }
        assert_int_equal(points[k].t, want.t);
        assert_int_equal(points[k].n, want.n);
        assert_true(points[k].sum == want.sum && points[k].min == want.min &&
                    points[k].max == want.max);
    }
    free(points);
}

static void time_queries(struct history *h, struct size size)
{
    static const struct {
        const char *what;
        int64_t seconds;
    } queries[] = { { "an hour, samples", 3600 },
                    { "a day, minutes", 86400 },
                    { "all, hours", 0 } };

    for (size_t q = 0; q < 3; q++) {
        uint64_t worst_ns = 0;

        for (int i = 0; i < size.n_nodes * METRICS; i++) {
            char subject[HISTORY_NAME_MAX], metric[HISTORY_NAME_MAX];
            const int64_t from = queries[q].seconds ? end_of(size) - queries[q].seconds : T0;
            const uint64_t begun_ns = clock_ns();
            struct history_point *points;
            struct err err;
            size_t n;

            names_of(i, subject, metric);
            assert_ok(history_points(h, subject, metric, from, end_of(size), &points, &n, &err),
                      err);
            free(points);
            if (clock_ns() - begun_ns > worst_ns)
                worst_ns = clock_ns() - begun_ns;
        }
        printf("query of %s: at most %.2f ms\n", queries[q].what, (double)worst_ns / 1e6);
    }
}

static void months_are_small_and_their_sums_right(void **state)
{
    const struct folder *f = *state;
    const struct size size = size_of_run();
    struct history *h;
    struct err err;
    struct stat st;

    assert_ok(history_open(f->path, HISTORY_WRITES, &h, NULL, &err), err);
    fill(h, size);
    for (int i = 0; i < size.n_nodes * METRICS; i++)
        assert_series(h, size, i);
    time_queries(h, size);
    history_close(h);
    assert_int_equal(stat(f->path, &st), 0);
    printf("%d nodes, %d days: %.1f MB\n", size.n_nodes, size.n_days, (double)st.st_size / 1e6);
    assert_true(st.st_size < FILE_MAX_BYTES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(months_are_small_and_their_sums_right, folder_make,
                                        folder_remove),
    };
    return cmocka_run_group_tests_name("history/long_history", tests, NULL, NULL);
}
