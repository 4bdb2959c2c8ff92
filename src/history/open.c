/* SPDX-License-Identifier: Apache-2.0 */
/* history/open.c - open the file, make its tables, and set a damaged one aside.
 *
 * A file of another kind, or one that SQLite's own check finds fault with, is moved away with its log:
 * who watches a cluster must not stop watching because of what was.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/size.h"
#include "history/history_priv.h"

enum { VERSION = 1, BUSY_MS = 5000 };

/* Rows lie by series and time, and without a second key beside: what is asked for is one series over a time. */
static const char *const tables =
    "CREATE TABLE series(id INTEGER PRIMARY KEY, subject TEXT NOT NULL, metric TEXT NOT NULL,"
    " UNIQUE(subject, metric));"
    "CREATE TABLE raw(series INTEGER NOT NULL, t INTEGER NOT NULL, value REAL NOT NULL,"
    " PRIMARY KEY(series, t)) WITHOUT ROWID;"
    "CREATE TABLE minute(series INTEGER NOT NULL, t INTEGER NOT NULL, n INTEGER NOT NULL,"
    " sum REAL NOT NULL, min REAL NOT NULL, max REAL NOT NULL, PRIMARY KEY(series, t)) WITHOUT "
    "ROWID;"
    "CREATE TABLE hour(series INTEGER NOT NULL, t INTEGER NOT NULL, n INTEGER NOT NULL,"
    " sum REAL NOT NULL, min REAL NOT NULL, max REAL NOT NULL, PRIMARY KEY(series, t)) WITHOUT "
    "ROWID;"
    "CREATE TABLE events(id INTEGER PRIMARY KEY, t INTEGER NOT NULL, subject TEXT NOT NULL,"
    " name TEXT NOT NULL, was TEXT NOT NULL, became TEXT NOT NULL, value REAL, words TEXT NOT "
    "NULL);"
    "CREATE INDEX events_by_time ON events(t);"
    "CREATE TABLE marks(id INTEGER PRIMARY KEY, t INTEGER NOT NULL);"
    "PRAGMA user_version = 1;";

static enum status execute(struct history *h, const char *sql, const char *what, struct err *err)
{
    return sqlite3_exec(h->db, sql, NULL, NULL, NULL) == SQLITE_OK ? ST_OK
                                                                   : history_failed(h, what, err);
}

/* The first column of the first row as a number; as text where ret_text, [n], is not NULL. */
static enum status ask(struct history *h, const char *sql, int64_t *ret, char *ret_text, size_t n,
                       struct err *err)
{
    sqlite3_stmt *statement = NULL;
    enum status s = ST_OK;

    if (sqlite3_prepare_v2(h->db, sql, -1, &statement, NULL) != SQLITE_OK ||
        sqlite3_step(statement) != SQLITE_ROW) {
        s = history_failed(h, "read", err);
    } else if (ret_text) {
        (void)snprintf(ret_text, n, "%s", (const char *)sqlite3_column_text(statement, 0));
    } else {
        *ret = sqlite3_column_int64(statement, 0);
    }
    (void)sqlite3_finalize(statement);
    return s;
}

/* quick_check and not integrity_check, which reads every index against its table: minutes where this
 * takes a second. */
static enum status check(struct history *h, struct err *err)
{
    char words[HISTORY_WORDS_MAX] = "";
    enum status s = ask(h, "PRAGMA quick_check(1)", NULL, words, sizeof(words), err);

    if (s == ST_OK && strcmp(words, "ok") != 0)
        s = err_set(err, ST_FORMAT, "the history '%s' is damaged: %s", h->path, words);
    return s;
}

/* In this order, as tables and version are written together: who reads while another writes them sees a
 * version where it sees tables. */
static enum status prepare_tables(struct history *h, struct err *err)
{
    int64_t version = 0, n_tables = 0;
    enum status s = ask(h, "SELECT count(*) FROM sqlite_master", &n_tables, NULL, 0, err);

    if (s == ST_OK)
        s = ask(h, "PRAGMA user_version", &version, NULL, 0, err);
    if (s != ST_OK)
        return s;
    if (version > VERSION)
        return err_set(err, ST_UNSUPPORTED,
                       "the history '%s' was written by a newer Pomona (its version is %lld, this "
                       "one knows %d)",
                       h->path, (long long)version, VERSION);
    if (version == VERSION)
        return ST_OK;
    if (n_tables == 0 && h->mode == HISTORY_READS)
        return err_set(err, ST_NOTFOUND, "there is no history at '%s' yet", h->path);
    if (n_tables > 0)
        return err_set(err, ST_FORMAT, "'%s' is no history of Pomona's", h->path);
    s = execute(h, "BEGIN IMMEDIATE", "begin", err);
    if (s == ST_OK)
        s = execute(h, tables, "make the tables of", err);
    return s == ST_OK ? execute(h, "COMMIT", "make the tables of", err) : s;
}

static enum status open_once(const char *path, enum history_mode mode, struct history **ret,
                             struct err *err)
{
    struct history *h = calloc(1, sizeof(*h));
    const int flags = (mode == HISTORY_WRITES ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE
                                              : SQLITE_OPEN_READONLY) |
                      SQLITE_OPEN_NOMUTEX;
    enum status s = ST_OK;

    if (!h)
        return err_set(err, ST_NOMEM, "the history");
    h->mode = mode;
    (void)snprintf(h->path, sizeof(h->path), "%s", path);
    if (sqlite3_open_v2(path, &h->db, flags, NULL) != SQLITE_OK)
        s = history_failed(h, "open", err);
    if (s == ST_OK)
        (void)sqlite3_busy_timeout(h->db, BUSY_MS);
    if (s == ST_OK && mode == HISTORY_WRITES)
        s = execute(h, "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;", "open", err);
    if (s == ST_OK && mode == HISTORY_WRITES)
        s = check(h, err);
    if (s == ST_OK)
        s = prepare_tables(h, err);
    if (s == ST_OK)
        s = history_read_marks(h, err);
    if (s != ST_OK) {
        history_close(h);
        return s;
    }
    *ret = h;
    return ST_OK;
}

static void move(const char *path, const char *to, const char *suffix)
{
    char from[PATH_MAX_BYTES + 8], there[PATH_MAX_BYTES + 8];

    (void)snprintf(from, sizeof(from), "%s%s", path, suffix);
    (void)snprintf(there, sizeof(there), "%s%s", to, suffix);
    (void)rename(from, there); /* a log may not be there */
}

static enum status set_aside(const char *path, char *ret_aside, struct err *err)
{
    char aside[PATH_MAX_BYTES];
    const int n =
        snprintf(aside, sizeof(aside), "%s.corrupt-%lld", path, (long long)clock_unix_s());

    if (n < 0 || (size_t)n >= sizeof(aside))
        return err_set(err, ST_RANGE, "the path of the history is too long");
    if (rename(path, aside) != 0)
        return err_errno(err, "the damaged history '%s' could not be moved away", path);
    move(path, aside, "-wal");
    move(path, aside, "-shm");
    memcpy(ret_aside, aside, (size_t)n + 1);
    return ST_OK;
}

enum status history_open(const char *path, enum history_mode mode, struct history **ret_history,
                         char *ret_aside, struct err *err)
{
    char aside[PATH_MAX_BYTES] = "";
    enum status s;

    if (strlen(path) + 32 >= PATH_MAX_BYTES)
        return err_set(err, ST_RANGE, "the path of the history is too long");
    if (mode == HISTORY_READS && access(path, F_OK) != 0)
        return err_set(err, ST_NOTFOUND, "there is no history at '%s' yet", path);
    s = open_once(path, mode, ret_history, err);
    if (s == ST_FORMAT && mode == HISTORY_WRITES) {
        s = set_aside(path, aside, err);
        if (s == ST_OK)
            s = open_once(path, mode, ret_history, err);
    }
    if (ret_aside && s == ST_OK)
        memcpy(ret_aside, aside, sizeof(aside));
    return s;
}

void history_close(struct history *h)
{
    if (!h)
        return;
    for (size_t i = 0; i < N_STATEMENTS; i++)
        (void)sqlite3_finalize(h->statements[i]);
    (void)sqlite3_close(h->db);
    free(h);
}
