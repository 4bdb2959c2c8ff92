/* SPDX-License-Identifier: Apache-2.0 */
/* history/query.c - what was: points of a series, changes, names. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "history/history_priv.h"

enum {
    FINE_MAX_S = 2 * HOUR_S,   /* up to here samples are shown */
    MINUTES_MAX_S = 2 * DAY_S, /* and up to here minutes */
};

static int64_t up_to(int64_t t, int64_t unit)
{
    return (t + unit - 1) / unit * unit;
}

/* Where hours end and where minutes do, for a time this long: what is finer begins there. */
static void choose(const struct history *h, int64_t from, int64_t to, int64_t *ret_hours_to,
                   int64_t *ret_minutes_to)
{
    const int64_t length = to - from;

    *ret_hours_to = h->marks[MARK_HOUR_TO];
    *ret_minutes_to = h->marks[MARK_MINUTE_TO];
    if (length <= MINUTES_MAX_S && h->marks[MARK_MINUTE_FROM] < *ret_hours_to)
        *ret_hours_to = h->marks[MARK_MINUTE_FROM];
    if (length <= FINE_MAX_S && h->marks[MARK_RAW_FROM] < *ret_minutes_to)
        *ret_minutes_to = h->marks[MARK_RAW_FROM];
    if (*ret_hours_to > *ret_minutes_to)
        *ret_minutes_to = up_to(*ret_hours_to, MINUTE_S);
}

static enum status bind(struct history *h, enum statement which, const char *subject,
                        const char *metric, int64_t from, int64_t to, sqlite3_stmt **ret,
                        struct err *err)
{
    int64_t series, hours_to, minutes_to;
    enum status s = history_read_marks(h, err); /* another handle may have rolled up since */

    if (s == ST_OK)
        s = history_find_series(h, subject, metric, &series, err);
    if (s == ST_OK)
        s = history_statement(h, which, ret, err);
    if (s != ST_OK)
        return s;
    choose(h, from, to, &hours_to, &minutes_to);
    (void)sqlite3_bind_int64(*ret, 1, series);
    (void)sqlite3_bind_int64(*ret, 2, from);
    (void)sqlite3_bind_int64(*ret, 3, to);
    (void)sqlite3_bind_int64(*ret, 4, hours_to);
    (void)sqlite3_bind_int64(*ret, 5, minutes_to);
    return ST_OK;
}

/* Room for `n` items of `size` bytes, doubled as they come. */
static void *grown(void *items, size_t n, size_t size)
{
    if (n > 0 && (n < 16 || (n & (n - 1)) != 0))
        return items;
    return realloc(items, (n < 16 ? 16 : 2 * n) * size);
}

/* Take every row with `take` into *ret [*ret_n] of `size` bytes each. */
static enum status collect(struct history *h, sqlite3_stmt *statement,
                           void (*take)(sqlite3_stmt *statement, void *item), size_t size,
                           void **ret, size_t *ret_n, struct err *err)
{
    char *items = NULL;
    enum status s = ST_OK;
    size_t n = 0;
    int code;

    while (s == ST_OK && (code = sqlite3_step(statement)) != SQLITE_DONE) {
        char *more = code == SQLITE_ROW ? grown(items, n, size) : NULL;

        if (code != SQLITE_ROW) {
            s = history_failed(h, "read", err);
        } else if (!more) {
            s = err_set(err, ST_NOMEM, "an answer of the history");
        } else {
            items = more;
            memset(items + n * size, 0, size);
            take(statement, items + n++ * size);
        }
    }
    (void)sqlite3_reset(statement);
    if (s != ST_OK) {
        free(items);
        return s;
    }
    *ret = items;
    *ret_n = n;
    return ST_OK;
}

static void take_point(sqlite3_stmt *statement, void *item)
{
    struct history_point *p = item;

    p->t = sqlite3_column_int64(statement, 0);
    p->span_s = (uint32_t)sqlite3_column_int(statement, 1);
    p->n = (uint64_t)sqlite3_column_int64(statement, 2);
    p->sum = sqlite3_column_double(statement, 3);
    p->min = sqlite3_column_double(statement, 4);
    p->max = sqlite3_column_double(statement, 5);
}

enum status history_points(struct history *h, const char *subject, const char *metric, int64_t from,
                           int64_t to, struct history_point **ret_points, size_t *ret_n,
                           struct err *err)
{
    sqlite3_stmt *statement;
    void *points = NULL;
    enum status s = bind(h, GET_POINTS, subject, metric, from, to, &statement, err);

    if (s != ST_OK)
        return s;
    (void)sqlite3_bind_int(statement, 6, HISTORY_POINTS_MAX);
    s = collect(h, statement, take_point, sizeof(struct history_point), &points, ret_n, err);
    if (s == ST_OK)
        *ret_points = points;
    return s;
}

enum status history_total(struct history *h, const char *subject, const char *metric, int64_t from,
                          int64_t to, struct history_point *ret_total, struct err *err)
{
    sqlite3_stmt *statement;
    enum status s = bind(h, GET_TOTAL, subject, metric, from, to, &statement, err);

    if (s != ST_OK)
        return s;
    if (sqlite3_step(statement) != SQLITE_ROW) {
        s = history_failed(h, "read", err);
    } else {
        *ret_total = (struct history_point){
            .t = sqlite3_column_int64(statement, 0),
            .n = (uint64_t)sqlite3_column_int64(statement, 1),
            .sum = sqlite3_column_double(statement, 2),
            .min = sqlite3_column_double(statement, 3),
            .max = sqlite3_column_double(statement, 4),
        };
    }
    (void)sqlite3_reset(statement);
    return s;
}

static void take_text(sqlite3_stmt *statement, int column, char *ret, size_t capacity)
{
    const char *text = (const char *)sqlite3_column_text(statement, column);

    (void)snprintf(ret, capacity, "%s", text ? text : "");
}

static void take_event(sqlite3_stmt *statement, void *item)
{
    struct history_event *e = item;

    e->t = sqlite3_column_int64(statement, 1);
    take_text(statement, 2, e->subject, sizeof(e->subject));
    take_text(statement, 3, e->check, sizeof(e->check));
    take_text(statement, 4, e->from, sizeof(e->from));
    take_text(statement, 5, e->to, sizeof(e->to));
    e->value = sqlite3_column_type(statement, 6) == SQLITE_NULL
                   ? (double)NAN
                   : sqlite3_column_double(statement, 6);
    take_text(statement, 7, e->words, sizeof(e->words));
}

enum status history_events(struct history *h, const char *subject, int64_t from, int64_t to,
                           struct history_event **ret_events, size_t *ret_n, struct err *err)
{
    sqlite3_stmt *statement;
    void *events = NULL;
    enum status s = history_statement(h, GET_EVENTS, &statement, err);

    if (s != ST_OK)
        return s;
    (void)sqlite3_bind_int64(statement, 1, from);
    (void)sqlite3_bind_int64(statement, 2, to);
    if (subject)
        (void)sqlite3_bind_text(statement, 3, subject, -1, SQLITE_STATIC);
    (void)sqlite3_bind_int(statement, 4, HISTORY_EVENTS_MAX);
    s = collect(h, statement, take_event, sizeof(struct history_event), &events, ret_n, err);
    if (s == ST_OK)
        *ret_events = events;
    return s;
}

static void take_name(sqlite3_stmt *statement, void *item)
{
    struct history_name *name = item;

    take_text(statement, 0, name->subject, sizeof(name->subject));
    take_text(statement, 1, name->metric, sizeof(name->metric));
}

enum status history_names(struct history *h, struct history_name **ret_names, size_t *ret_n,
                          struct err *err)
{
    sqlite3_stmt *statement;
    void *names = NULL;
    enum status s = history_statement(h, GET_NAMES, &statement, err);

    if (s != ST_OK)
        return s;
    s = collect(h, statement, take_name, sizeof(struct history_name), &names, ret_n, err);
    if (s == ST_OK)
        *ret_names = names;
    return s;
}
