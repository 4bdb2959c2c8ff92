/* SPDX-License-Identifier: Apache-2.0 */
/* history/roll.c - minutes from samples, hours from minutes, and what is forgotten.
 *
 *   marks   MINUTE_FROM            RAW_FROM         HOUR_TO      MINUTE_TO    now
 *   hours   ....====================================|
 *   minutes     ====================================.=============|
 *   raw                             ================.=============.============
 *
 * Invariant  RAW_FROM <= MINUTE_TO and MINUTE_FROM <= HOUR_TO: nothing is forgotten that is not rolled up.
 * A minute is rolled up from raw samples that are all there: rolling up begins at RAW_FROM at the earliest.
 */
#include "history/history_priv.h"

static enum status roll(struct history *h, enum statement which, int64_t from, int64_t to,
                        struct err *err)
{
    sqlite3_stmt *statement;
    const enum status s = history_statement(h, which, &statement, err);

    if (s != ST_OK)
        return s;
    (void)sqlite3_bind_int64(statement, 1, from);
    (void)sqlite3_bind_int64(statement, 2, to);
    return history_run(h, statement, "roll up", err);
}

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Both together, as hours are made of minutes. */
static enum status roll_all(struct history *h, int64_t now, struct err *err)
{
    const int64_t minute_to = now / MINUTE_S * MINUTE_S, hour_to = now / HOUR_S * HOUR_S;
    const int64_t minute_from = later(h->marks[MARK_MINUTE_TO], h->marks[MARK_RAW_FROM]);
    const int64_t hour_from = later(h->marks[MARK_HOUR_TO], h->marks[MARK_MINUTE_FROM]);
    enum status s = ST_OK;

    if (minute_from < minute_to) {
        s = roll(h, ROLL_MINUTES, minute_from, minute_to, err);
        if (s == ST_OK)
            s = history_mark(h, MARK_MINUTE_TO, minute_to, err);
    }
    if (s == ST_OK && hour_from < hour_to) {
        s = roll(h, ROLL_HOURS, hour_from, hour_to, err);
        if (s == ST_OK)
            s = history_mark(h, MARK_HOUR_TO, hour_to, err);
    }
    return s;
}

static enum status forget(struct history *h, enum statement which, int64_t before, struct err *err)
{
    sqlite3_stmt *statement;
    const enum status s = history_statement(h, which, &statement, err);

    if (s != ST_OK)
        return s;
    (void)sqlite3_bind_int64(statement, 1, before);
    return history_run(h, statement, "forget what is old in", err);
}

static enum status prune_all(struct history *h, int64_t now, const struct history_retention *r,
                             struct err *err)
{
    const int64_t raw = earlier((now - (int64_t)r->raw_hours * HOUR_S) / MINUTE_S * MINUTE_S,
                                h->marks[MARK_MINUTE_TO]);
    const int64_t minute =
        earlier((now - (int64_t)r->minute_days * DAY_S) / HOUR_S * HOUR_S, h->marks[MARK_HOUR_TO]);
    enum status s = ST_OK;

    if (raw > h->marks[MARK_RAW_FROM]) {
        s = forget(h, PRUNE_RAW, raw, err);
        if (s == ST_OK)
            s = history_mark(h, MARK_RAW_FROM, raw, err);
    }
    if (s == ST_OK && minute > h->marks[MARK_MINUTE_FROM]) {
        s = forget(h, PRUNE_MINUTES, minute, err);
        if (s == ST_OK)
            s = history_mark(h, MARK_MINUTE_FROM, minute, err);
    }
    if (s == ST_OK)
        s = forget(h, PRUNE_HOURS, now - (int64_t)r->hour_days * DAY_S, err);
    return s == ST_OK ? forget(h, PRUNE_EVENTS, now - (int64_t)r->event_days * DAY_S, err) : s;
}

static enum status end(struct history *h, enum status s, struct err *err)
{
    if (s == ST_OK)
        s = history_commit(h, err);
    if (s != ST_OK)
        history_rollback(h);
    return s;
}

enum status history_roll(struct history *h, int64_t now, struct err *err)
{
    enum status s = history_begin(h, err);

    return s == ST_OK ? end(h, roll_all(h, now, err), err) : s;
}

enum status history_prune(struct history *h, int64_t now, const struct history_retention *retention,
                          struct err *err)
{
    enum status s = history_begin(h, err);

    return s == ST_OK ? end(h, prune_all(h, now, retention, err), err) : s;
}
