/* SPDX-License-Identifier: Apache-2.0 */
/* history/history.h - what was measured and what changed, kept in one SQLite file.
 *
 *   samples --history_add()--> raw --history_roll()--> minute --> hour
 *                               \--------------history_prune()------/  each kept for its own time
 *   changes of state --history_event()--> events
 *
 * A series is one metric of one subject ("node/studio-1", "disk.free").  Roll-ups have count, sum, least
 * and largest of their minute or hour, so a mean over any time is exact.  A sample that is older than what
 * was rolled up makes its minute and hour be rolled up anew; one older than the raw samples kept is refused.
 *
 * The file is in WAL mode and a commit is one transaction: after a power cut it has all or nothing of
 * it, and perhaps not the last ones (SQLite, "Write-Ahead Logging", section 2.1).  A file that is damaged is
 * set aside as PATH.corrupt-SECONDS, and a new one is begun.
 *
 * Times    seconds since 1970, UTC
 * Threads  one handle is used by one thread at a time; several handles at once, of which one writes
 */
#ifndef POMONA_HISTORY_HISTORY_H
#define POMONA_HISTORY_HISTORY_H

#include <stddef.h>
#include <stdint.h>

#include "base/paths.h"
#include "base/status.h"

enum {
    HISTORY_NAME_MAX = 160, /* of a subject, a metric, a state; NUL included */
    HISTORY_WORDS_MAX = 256,
    HISTORY_EVENTS_MAX = 10000, /* of one answer */
    HISTORY_POINTS_MAX = 10000,
};

struct history;

enum history_mode { HISTORY_READS, HISTORY_WRITES };

/* Open `path`; one that writes makes it where it is missing.
 * ret_aside  [PATH_MAX_BYTES] where a damaged file was moved to; "" otherwise; may be NULL
 * Errors     ST_NOTFOUND  there is none to read yet; ST_FORMAT  it is damaged (one that reads moves nothing), or
 *            of a newer Pomona; ST_IO, ST_NOMEM */
enum status history_open(const char *path, enum history_mode mode, struct history **ret_history,
                         char *ret_aside, struct err *err);
void history_close(struct history *history); /* NULL is allowed; what is not committed is lost */

/* What is between is written together, or not at all. */
enum status history_begin(struct history *history, struct err *err);
enum status history_commit(struct history *history, struct err *err);
void history_rollback(struct history *history);

/* The number of a series, made where it is new.
 * Errors  ST_RANGE  a name is empty or too long */
enum status history_series(struct history *history, const char *subject, const char *metric,
                           int64_t *ret_series, struct err *err);

/* One of the same time is replaced.
 * Errors  ST_RANGE  older than the raw samples that are kept, or not a finite number */
enum status history_add(struct history *history, int64_t series, int64_t t, double value,
                        struct err *err);

/* A change of a check's state. */
struct history_event {
    int64_t t;
    char subject[HISTORY_NAME_MAX], check[HISTORY_NAME_MAX];
    char from[16], to[16]; /* states */
    double value;          /* NAN: there was none */
    char words[HISTORY_WORDS_MAX];
};

enum status history_event(struct history *history, const struct history_event *event,
                          struct err *err);

/* Roll up every minute and hour that is over at `now`.  A transaction of its own. */
enum status history_roll(struct history *history, int64_t now, struct err *err);

struct history_retention {
    uint32_t raw_hours, minute_days, hour_days, event_days; /* >= 1 */
};

/* Forget what is older, and nothing that is not rolled up yet.  A transaction of its own. */
enum status history_prune(struct history *history, int64_t now,
                          const struct history_retention *retention, struct err *err);

/* Some of a series' samples: one where span_s is 0, else those of a minute or an hour. */
struct history_point {
    int64_t t; /* where it begins */
    uint32_t span_s;
    uint64_t n;
    double sum, min, max;
};

/* The points of from <= t < to in order of time: as fine as is kept where the time is short, else minutes, else
 * hours; what is not rolled up yet is always there.  A point belongs to where it begins.
 * ret_points  [HISTORY_POINTS_MAX] at most, given: free(); the oldest are left out beyond that
 * Errors      ST_NOTFOUND  there is no such series */
enum status history_points(struct history *history, const char *subject, const char *metric,
                           int64_t from, int64_t to, struct history_point **ret_points,
                           size_t *ret_n, struct err *err);

/* All of from <= t < to in one: n is 0 where there is none. */
enum status history_total(struct history *history, const char *subject, const char *metric,
                          int64_t from, int64_t to, struct history_point *ret_total,
                          struct err *err);

/* Changes of from <= t < to in order of time.
 * subject     NULL: of all
 * ret_events  given: free(); HISTORY_EVENTS_MAX at most, the latest */
enum status history_events(struct history *history, const char *subject, int64_t from, int64_t to,
                           struct history_event **ret_events, size_t *ret_n, struct err *err);

struct history_name {
    char subject[HISTORY_NAME_MAX], metric[HISTORY_NAME_MAX];
};

/* Every series there is, by name.  ret_names  given: free() */
enum status history_names(struct history *history, struct history_name **ret_names, size_t *ret_n,
                          struct err *err);

#endif
