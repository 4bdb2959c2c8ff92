/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/history/test_history.c - what is kept, rolled up and forgotten. */
#include "support/check.h"

#include <math.h>

#include "folder.h"
#include "history/history.h"

static const int64_t T0 = 1700000000 / 86400 * 86400; /* a midnight */
static const struct history_retention KEEP = { 2, 2, 90, 90 };

static struct history *open_at(const struct folder *f)
{
    struct history *h = NULL;
    struct err err;

    assert_ok(history_open(f->path, HISTORY_WRITES, &h, NULL, &err), err);
    return h;
}

static int64_t series_of(struct history *h, const char *subject)
{
    struct err err;
    int64_t id = 0;

    assert_ok(history_series(h, subject, "cpu", &id, &err), err);
    return id;
}

/* A value that binary numbers have exactly: sums are the same in every order. */
static double value_at(int64_t t)
{
    return (double)(t * 2654435761u % 4096) / 64;
}

static void fill(struct history *h, const char *subject, int64_t from, int64_t to, int64_t every)
{
    struct err err;
    const int64_t id = series_of(h, subject);

    assert_ok(history_begin(h, &err), err);
    for (int64_t t = from; t < to; t += every)
        assert_ok(history_add(h, id, t, value_at(t), &err), err);
    assert_ok(history_commit(h, &err), err);
}

static struct history_point recompute(int64_t from, int64_t to, int64_t every)
{
    struct history_point p = { .t = from, .min = 1e9, .max = -1e9 };

    for (int64_t t = from; t < to; t += every) {
        p.n++;
        p.sum += value_at(t);
        p.min = fmin(p.min, value_at(t));
        p.max = fmax(p.max, value_at(t));
    }
    return p;
}

static void assert_same(const struct history_point *a, const struct history_point *b)
{
    assert_int_equal(a->t, b->t);
    assert_int_equal(a->n, b->n);
    assert_true(a->sum == b->sum && a->min == b->min && a->max == b->max);
}

static void assert_points(struct history *h, int64_t from, int64_t to, uint32_t span_s, size_t n)
{
    struct history_point *points;
    struct err err;
    size_t got;

    assert_ok(history_points(h, "node/a", "cpu", from, to, &points, &got, &err), err);
    assert_int_equal(got, n);
    for (size_t i = 0; i < n; i++) {
        const struct history_point want =
            recompute(points[i].t, points[i].t + (span_s ? span_s : 1), span_s ? 10 : 1);

        assert_int_equal(points[i].span_s, span_s);
        assert_same(&points[i], &want);
    }
    free(points);
}

static void roll_ups_equal_recomputation(void **state)
{
    struct history *h = open_at(*state);
    struct err err;

    fill(h, "node/a", T0, T0 + 5 * 3600, 10);
    fill(h, "node/b", T0 + 7, T0 + 3600, 60);
    assert_ok(history_roll(h, T0 + 5 * 3600, &err), err);
    assert_points(h, T0, T0 + 3600, 0, 360);
    assert_points(h, T0, T0 + 5 * 3600, 60, 300);
    assert_points(h, T0, T0 + 5 * 86400, 3600, 5);
    history_close(h);
}

static void rolling_up_often_is_rolling_up_once(void **state)
{
    struct history *h = open_at(*state);
    struct err err;

    for (int64_t t = T0; t < T0 + 3 * 3600; t += 50) {
        fill(h, "node/a", t, t + 50, 10);
        assert_ok(history_roll(h, t, &err), err);
    }
    assert_ok(history_roll(h, T0 + 3 * 3600, &err), err);
    assert_points(h, T0, T0 + 3 * 3600, 60, 180);
    assert_points(h, T0, T0 + 3 * 86400, 3600, 3);
    history_close(h);
}

static void what_is_not_rolled_up_yet_is_counted(void **state)
{
    struct history *h = open_at(*state);
    const struct history_point want = recompute(T0, T0 + 5000, 10);
    struct history_point total;
    struct err err;

    fill(h, "node/a", T0, T0 + 5000, 10);
    assert_ok(history_roll(h, T0 + 4000, &err), err);
    assert_ok(history_total(h, "node/a", "cpu", T0, T0 + 30 * 86400, &total, &err), err);
    assert_same(&total, &want);
    history_close(h);
}

static void a_sample_that_comes_late_is_rolled_up_too(void **state)
{
    struct history *h = open_at(*state);
    struct history_point want = recompute(T0, T0 + 7200, 10), total;
    struct err err;

    fill(h, "node/a", T0, T0 + 7200, 10);
    assert_ok(history_roll(h, T0 + 7200, &err), err);
    assert_ok(history_add(h, series_of(h, "node/a"), T0 + 1805, 4096, &err), err);
    assert_ok(history_roll(h, T0 + 7200, &err), err);
    assert_ok(history_total(h, "node/a", "cpu", T0, T0 + 30 * 86400, &total, &err), err);
    want.n++;
    want.sum += 4096;
    want.max = 4096;
    assert_same(&total, &want);
    history_close(h);
}

static void what_is_old_is_forgotten_and_its_roll_up_stays(void **state)
{
    struct history *h = open_at(*state);
    const int64_t now = T0 + 4 * 86400;
    const struct history_point want = recompute(T0, now, 10);
    struct history_point total;
    struct err err;

    fill(h, "node/a", T0, now, 10);
    assert_ok(history_prune(h, now, &KEEP, &err), err); /* nothing is rolled up: nothing goes */
    assert_points(h, T0, T0 + 3600, 0, 360);
    assert_ok(history_roll(h, now, &err), err);
    assert_ok(history_prune(h, now, &KEEP, &err), err);
    assert_points(h, now - 3600, now, 0, 360);
    assert_points(h, T0, T0 + 7200, 3600, 2); /* neither samples nor minutes of it are left */
    assert_ok(history_total(h, "node/a", "cpu", T0, now, &total, &err), err);
    assert_same(&total, &want);
    assert_int_equal(history_add(h, series_of(h, "node/a"), T0, 1, &err), ST_RANGE);
    assert_ok(history_roll(h, now + 60, &err), err);
    assert_ok(history_total(h, "node/a", "cpu", T0, now, &total, &err), err);
    assert_same(&total, &want);
    history_close(h);
}

static void hours_and_events_are_forgotten_in_the_end(void **state)
{
    struct history *h = open_at(*state);
    const struct history_event event = { T0, "node/a", "node.up", "ok", "critical", NAN, "words" };
    struct history_event *events;
    struct history_point total;
    struct err err;
    size_t n;

    fill(h, "node/a", T0, T0 + 3600, 10);
    assert_ok(history_event(h, &event, &err), err);
    assert_ok(history_roll(h, T0 + 89 * 86400, &err), err);
    assert_ok(history_prune(h, T0 + 89 * 86400, &KEEP, &err), err);
    assert_ok(history_events(h, "node/a", T0, T0 + 1, &events, &n, &err), err);
    assert_int_equal(n, 1);
    assert_string_equal(events[0].to, "critical");
    assert_true(isnan(events[0].value));
    free(events);
    assert_ok(history_prune(h, T0 + 91 * 86400, &KEEP, &err), err);
    assert_ok(history_total(h, "node/a", "cpu", T0, T0 + 86400, &total, &err), err);
    assert_int_equal(total.n, 0);
    assert_ok(history_events(h, NULL, T0, T0 + 1, &events, &n, &err), err);
    assert_int_equal(n, 0);
    free(events);
    history_close(h);
}

static void a_reader_sees_what_a_writer_committed(void **state)
{
    struct history *h = open_at(*state), *reader = NULL;
    const struct folder *f = *state;
    struct history_name *names;
    struct err err;
    size_t n;

    fill(h, "node/a", T0, T0 + 7200, 10);
    assert_ok(history_open(f->path, HISTORY_READS, &reader, NULL, &err), err);
    assert_ok(history_roll(h, T0 + 7200, &err), err);
    assert_ok(history_prune(h, T0 + 7200 * 3, &KEEP, &err), err);
    assert_points(reader, T0, T0 + 86400, 60, 120);
    assert_ok(history_names(reader, &names, &n, &err), err);
    assert_int_equal(n, 1);
    assert_string_equal(names[0].subject, "node/a");
    free(names);
    history_close(reader);
    history_close(h);
}

static void a_file_that_is_only_begun_has_no_history_yet(void **state)
{
    const struct folder *f = *state;
    FILE *file = fopen(f->path, "wb");
    struct history *h = NULL;
    struct err err;

    assert_non_null(file);
    fclose(file);
    assert_int_equal(history_open(f->path, HISTORY_READS, &h, NULL, &err), ST_NOTFOUND);
    h = open_at(f);
    history_close(h);
    assert_ok(history_open(f->path, HISTORY_READS, &h, NULL, &err), err);
    history_close(h);
}

static void what_makes_no_sense_is_refused(void **state)
{
    struct history *h = open_at(*state), *other = NULL;
    struct history_point total;
    char long_name[HISTORY_NAME_MAX + 1];
    struct err err;
    int64_t id;

    memset(long_name, 'x', sizeof(long_name) - 1);
    long_name[sizeof(long_name) - 1] = '\0';
    assert_int_equal(history_series(h, long_name, "cpu", &id, &err), ST_RANGE);
    assert_int_equal(history_series(h, "node/a", "", &id, &err), ST_RANGE);
    assert_int_equal(history_add(h, series_of(h, "node/a"), T0, NAN, &err), ST_RANGE);
    assert_int_equal(history_total(h, "node/x", "cpu", 0, T0, &total, &err), ST_NOTFOUND);
    assert_int_equal(history_open("/nowhere/health.db", HISTORY_READS, &other, NULL, &err),
                     ST_NOTFOUND);
    assert_int_equal(history_open("/nowhere/health.db", HISTORY_WRITES, &other, NULL, &err), ST_IO);
    assert_null(other);
    history_close(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define IN_A_FOLDER(test) cmocka_unit_test_setup_teardown(test, folder_make, folder_remove)
        IN_A_FOLDER(roll_ups_equal_recomputation),
        IN_A_FOLDER(rolling_up_often_is_rolling_up_once),
        IN_A_FOLDER(what_is_not_rolled_up_yet_is_counted),
        IN_A_FOLDER(a_sample_that_comes_late_is_rolled_up_too),
        IN_A_FOLDER(what_is_old_is_forgotten_and_its_roll_up_stays),
        IN_A_FOLDER(hours_and_events_are_forgotten_in_the_end),
        IN_A_FOLDER(a_reader_sees_what_a_writer_committed),
        IN_A_FOLDER(a_file_that_is_only_begun_has_no_history_yet),
        IN_A_FOLDER(what_makes_no_sense_is_refused),
    };
    return cmocka_run_group_tests_name("history/history", tests, NULL, NULL);
}
