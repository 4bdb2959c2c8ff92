/* SPDX-License-Identifier: Apache-2.0 */
/* history/history_priv.h - a handle, and what its files share. */
#ifndef POMONA_HISTORY_HISTORY_PRIV_H
#define POMONA_HISTORY_HISTORY_PRIV_H

#include <sqlite3.h>

#include "history/history.h"

enum { MINUTE_S = 60, HOUR_S = 3600, DAY_S = 86400 };

/* Statements that are prepared once and kept. */
enum statement {
    ADD_SAMPLE,
    FIND_SERIES,
    NEW_SERIES,
    ADD_EVENT,
    SET_MARK,
    ROLL_MINUTES,
    ROLL_HOURS,
    PRUNE_RAW,
    PRUNE_MINUTES,
    PRUNE_HOURS,
    PRUNE_EVENTS,
    GET_POINTS,
    GET_TOTAL,
    GET_EVENTS,
    GET_NAMES,
    N_STATEMENTS,
};

/* Where each kind of row begins or ends: the table `marks`. */
enum mark {
    MARK_RAW_FROM,    /* raw samples before it are forgotten; a multiple of MINUTE_S */
    MARK_MINUTE_FROM, /* minutes before it are; a multiple of HOUR_S */
    MARK_MINUTE_TO,   /* minutes before it are rolled up */
    MARK_HOUR_TO,
    N_MARKS,
};

struct history {
    sqlite3 *db;
    sqlite3_stmt *statements[N_STATEMENTS];
    int64_t marks[N_MARKS];
    enum history_mode mode;
    char path[PATH_MAX_BYTES];
};

/* The words of SQLite's last failure: "what 'path': ..."; ST_NOMEM, ST_FULL, ST_FORMAT or ST_IO. */
enum status history_failed(const struct history *history, const char *what, struct err *err);

/* Ready to be bound; lent. */
enum status history_statement(struct history *history, enum statement which,
                              sqlite3_stmt **ret_statement, struct err *err);

/* The number of a series.  Errors: ST_NOTFOUND */
enum status history_find_series(struct history *history, const char *subject, const char *metric,
                                int64_t *ret_series, struct err *err);

/* Run a statement that gives no row. */
enum status history_run(struct history *history, sqlite3_stmt *statement, const char *what,
                        struct err *err);

/* Remember it, on disk too. */
enum status history_mark(struct history *history, enum mark mark, int64_t t, struct err *err);

/* As another handle may have left them. */
enum status history_read_marks(struct history *history, struct err *err);

#endif
