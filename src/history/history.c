/* SPDX-License-Identifier: Apache-2.0 */
/* history/history.c - statements, marks, and what is added. */
#include "history/history.h"

#include <math.h>
#include <string.h>

#include "base/size.h"
#include "history/history_priv.h"

/* CROSS JOIN keeps SQLite's order: one look into the key for each series, not a walk over every sample. */
/* clang-format off */
static const char *const sql[N_STATEMENTS] = {
    [ADD_SAMPLE] = "INSERT OR REPLACE INTO raw VALUES(?1, ?2, ?3)",
    [FIND_SERIES] = "SELECT id FROM series WHERE subject = ?1 AND metric = ?2",
    [NEW_SERIES] = "INSERT INTO series(subject, metric) VALUES(?1, ?2)",
    [ADD_EVENT] = "INSERT INTO events(t, subject, name, was, became, value, words) "
                  "VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    [SET_MARK] = "INSERT OR REPLACE INTO marks VALUES(?1, ?2)",
    [ROLL_MINUTES] = "INSERT OR REPLACE INTO minute "
                     "SELECT r.series, r.t / 60 * 60, count(*), sum(r.value), min(r.value), max(r.value) "
                     "FROM series s CROSS JOIN raw r ON r.series = s.id AND r.t >= ?1 AND r.t < ?2 "
                     "GROUP BY r.series, r.t / 60",
    [ROLL_HOURS] = "INSERT OR REPLACE INTO hour "
                   "SELECT m.series, m.t / 3600 * 3600, sum(m.n), sum(m.sum), min(m.min), max(m.max) "
                   "FROM series s CROSS JOIN minute m ON m.series = s.id AND m.t >= ?1 AND m.t < ?2 "
                   "GROUP BY m.series, m.t / 3600",
    [PRUNE_RAW] = "DELETE FROM raw WHERE (series, t) IN (SELECT r.series, r.t FROM series s "
                  "CROSS JOIN raw r ON r.series = s.id AND r.t < ?1)",
    [PRUNE_MINUTES] = "DELETE FROM minute WHERE (series, t) IN (SELECT m.series, m.t FROM series s "
                      "CROSS JOIN minute m ON m.series = s.id AND m.t < ?1)",
    [PRUNE_HOURS] = "DELETE FROM hour WHERE (series, t) IN (SELECT h.series, h.t FROM series s "
                    "CROSS JOIN hour h ON h.series = s.id AND h.t < ?1)",
    [PRUNE_EVENTS] = "DELETE FROM events WHERE t < ?1",
    /* ?1 series, ?2 from, ?3 to, ?4 hours before, ?5 minutes before, ?6 how many */
    [GET_POINTS] = "SELECT * FROM ("
                   "SELECT t, 3600, n, sum, min, max FROM hour WHERE series = ?1 AND t >= ?2 AND t < min(?3, ?4) "
                   "UNION ALL SELECT t, 60, n, sum, min, max FROM minute "
                   "WHERE series = ?1 AND t >= max(?2, ?4) AND t < min(?3, ?5) "
                   "UNION ALL SELECT t, 0, 1, value, value, value FROM raw "
                   "WHERE series = ?1 AND t >= max(?2, ?5) AND t < ?3 ORDER BY 1 DESC LIMIT ?6) ORDER BY 1",
    [GET_TOTAL] = "SELECT min(t), sum(n), sum(sum), min(min), max(max) FROM ("
                  "SELECT t, n, sum, min, max FROM hour WHERE series = ?1 AND t >= ?2 AND t < min(?3, ?4) "
                  "UNION ALL SELECT t, n, sum, min, max FROM minute "
                  "WHERE series = ?1 AND t >= max(?2, ?4) AND t < min(?3, ?5) "
                  "UNION ALL SELECT t, 1, value, value, value FROM raw "
                  "WHERE series = ?1 AND t >= max(?2, ?5) AND t < ?3)",
    [GET_EVENTS] = "SELECT * FROM (SELECT id, t, subject, name, was, became, value, words FROM events "
                   "WHERE t >= ?1 AND t < ?2 AND (?3 IS NULL OR subject = ?3) ORDER BY t DESC, id DESC LIMIT ?4) "
                   "ORDER BY t, id",
    [GET_NAMES] = "SELECT subject, metric FROM series ORDER BY subject, metric",
};
/* clang-format on */

enum status history_failed(const struct history *h, const char *what, struct err *err)
{
    const int code = h->db ? sqlite3_errcode(h->db) & 0xff : SQLITE_NOMEM;
    enum status s = ST_IO;

    switch (code) {
    case SQLITE_NOMEM: s = ST_NOMEM; break;
    case SQLITE_FULL: s = ST_FULL; break;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB: s = ST_FORMAT; break;
    default: break;
    }
    return err_set(err, s, "%s the history '%s': %s", what, h->path,
                   h->db ? sqlite3_errmsg(h->db) : "out of memory");
}

enum status history_statement(struct history *h, enum statement which, sqlite3_stmt **ret_statement,
                              struct err *err)
{
    sqlite3_stmt **at = &h->statements[which];

    if (!*at &&
        sqlite3_prepare_v3(h->db, sql[which], -1, SQLITE_PREPARE_PERSISTENT, at, NULL) != SQLITE_OK)
        return history_failed(h, "use", err);
    (void)sqlite3_reset(*at);
    (void)sqlite3_clear_bindings(*at);
    *ret_statement = *at;
    return ST_OK;
}

enum status history_run(struct history *h, sqlite3_stmt *statement, const char *what,
                        struct err *err)
{
    const int code = sqlite3_step(statement);
    const enum status s = code == SQLITE_DONE ? ST_OK : history_failed(h, what, err);

    (void)sqlite3_reset(statement);
    return s;
}

enum status history_mark(struct history *h, enum mark mark, int64_t t, struct err *err)
{
    sqlite3_stmt *statement;
    enum status s = history_statement(h, SET_MARK, &statement, err);

    if (s != ST_OK)
        return s;
    (void)sqlite3_bind_int(statement, 1, (int)mark);
    (void)sqlite3_bind_int64(statement, 2, t);
    s = history_run(h, statement, "write", err);
    if (s == ST_OK)
        h->marks[mark] = t;
    return s;
}

enum status history_read_marks(struct history *h, struct err *err)
{
    sqlite3_stmt *statement = NULL;
    int code;

    if (sqlite3_prepare_v2(h->db, "SELECT id, t FROM marks", -1, &statement, NULL) != SQLITE_OK)
        return history_failed(h, "read", err);
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
        const int id = sqlite3_column_int(statement, 0);

        if (id >= 0 && id < N_MARKS)
            h->marks[id] = sqlite3_column_int64(statement, 1);
    }
    (void)sqlite3_finalize(statement);
    return code == SQLITE_DONE ? ST_OK : history_failed(h, "read", err);
}

static enum status execute(struct history *h, const char *what, const char *words, struct err *err)
{
    return sqlite3_exec(h->db, what, NULL, NULL, NULL) == SQLITE_OK ? ST_OK
                                                                    : history_failed(h, words, err);
}

enum status history_begin(struct history *h, struct err *err)
{
    return execute(h, "BEGIN IMMEDIATE", "write", err);
}

enum status history_commit(struct history *h, struct err *err)
{
    return execute(h, "COMMIT", "write", err);
}

void history_rollback(struct history *h)
{
    if (!sqlite3_get_autocommit(h->db))
        (void)sqlite3_exec(h->db, "ROLLBACK", NULL, NULL, NULL);
    (void)history_read_marks(h, NULL);
}

static bool is_name(const char *name)
{
    const size_t n = strlen(name);

    return n > 0 && n < HISTORY_NAME_MAX;
}

/* Its number, or 0. */
static enum status find_series(struct history *h, const char *subject, const char *metric,
                               int64_t *ret_series, struct err *err)
{
    sqlite3_stmt *statement;
    enum status s = history_statement(h, FIND_SERIES, &statement, err);
    int code;

    if (s != ST_OK)
        return s;
    (void)sqlite3_bind_text(statement, 1, subject, -1, SQLITE_STATIC);
    (void)sqlite3_bind_text(statement, 2, metric, -1, SQLITE_STATIC);
    code = sqlite3_step(statement);
    *ret_series = code == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : 0;
    if (code != SQLITE_ROW && code != SQLITE_DONE)
        s = history_failed(h, "read", err);
    (void)sqlite3_reset(statement);
    return s;
}

enum status history_find_series(struct history *h, const char *subject, const char *metric,
                                int64_t *ret_series, struct err *err)
{
    const enum status s = find_series(h, subject, metric, ret_series, err);

    if (s == ST_OK && *ret_series == 0)
        return err_set(err, ST_NOTFOUND, "nothing is known of '%s' of '%s'", metric, subject);
    return s;
}

enum status history_series(struct history *h, const char *subject, const char *metric,
                           int64_t *ret_series, struct err *err)
{
    sqlite3_stmt *statement;
    int64_t series = 0;
    enum status s;

    if (!is_name(subject) || !is_name(metric))
        return err_set(err, ST_RANGE, "a series' names have 1 to %d bytes", HISTORY_NAME_MAX - 1);
    s = find_series(h, subject, metric, &series, err);
    if (s == ST_OK && series == 0) {
        s = history_statement(h, NEW_SERIES, &statement, err);
        if (s != ST_OK)
            return s;
        (void)sqlite3_bind_text(statement, 1, subject, -1, SQLITE_STATIC);
        (void)sqlite3_bind_text(statement, 2, metric, -1, SQLITE_STATIC);
        s = history_run(h, statement, "write", err);
        series = sqlite3_last_insert_rowid(h->db);
    }
    if (s == ST_OK)
        *ret_series = series;
    return s;
}

enum status history_add(struct history *h, int64_t series, int64_t t, double value, struct err *err)
{
    sqlite3_stmt *statement;
    enum status s;

    if (!isfinite(value) || t < h->marks[MARK_RAW_FROM])
        return err_set(err, ST_RANGE, "a sample is too old to be kept, or no number");
    s = history_statement(h, ADD_SAMPLE, &statement, err);
    if (s != ST_OK)
        return s;
    (void)sqlite3_bind_int64(statement, 1, series);
    (void)sqlite3_bind_int64(statement, 2, t);
    (void)sqlite3_bind_double(statement, 3, value);
    s = history_run(h, statement, "write", err);
    if (s == ST_OK && t < h->marks[MARK_MINUTE_TO]) /* a clock was set back */
        s = history_mark(h, MARK_MINUTE_TO, t / MINUTE_S * MINUTE_S, err);
    if (s == ST_OK && t < h->marks[MARK_HOUR_TO])
        s = history_mark(h, MARK_HOUR_TO, t / HOUR_S * HOUR_S, err);
    return s;
}

enum status history_event(struct history *h, const struct history_event *e, struct err *err)
{
    sqlite3_stmt *statement;
    const enum status s = history_statement(h, ADD_EVENT, &statement, err);

    if (s != ST_OK)
        return s;
    (void)sqlite3_bind_int64(statement, 1, e->t);
    (void)sqlite3_bind_text(statement, 2, e->subject, -1, SQLITE_STATIC);
    (void)sqlite3_bind_text(statement, 3, e->check, -1, SQLITE_STATIC);
    (void)sqlite3_bind_text(statement, 4, e->from, -1, SQLITE_STATIC);
    (void)sqlite3_bind_text(statement, 5, e->to, -1, SQLITE_STATIC);
    if (isfinite(e->value))
        (void)sqlite3_bind_double(statement, 6, e->value);
    (void)sqlite3_bind_text(statement, 7, e->words, -1, SQLITE_STATIC);
    return history_run(h, statement, "write", err);
}
