/* SPDX-License-Identifier: Apache-2.0 */
/* history/analysis.h - what a history says: availability, failures, budgets, trends, what came together.
 *
 * Pure: points and events come in, numbers go out.
 *
 * Threads  any
 */
#ifndef POMONA_HISTORY_ANALYSIS_H
#define POMONA_HISTORY_ANALYSIS_H

#include <stdbool.h>

#include "history/history.h"

/* Of one check of one subject in from <= t < to. */
struct outages {
    size_t n_failures; /* that began in this time, or were there at its start */
    int64_t down_s;
    bool is_down;  /* at the end */
    double mttr_s; /* mean time to repair, of failures that are over; NAN: none is */
    double mtbf_s; /* mean time between failures: up time for each failure; NAN: there was none */
};

/* events  [n] in order of time; those of other subjects and checks are passed over.  Down is what is "critical" */
void analysis_outages(const struct history_event *events, size_t n, const char *subject,
                      const char *check, int64_t from, int64_t to, struct outages *ret);

struct budget {
    double availability; /* 0..1 */
    double target;
    double left; /* share of the failures allowed that is left: 1 all, 0 none, less: overdrawn */
};

/* total   of samples that are 0 or 1, n > 0
 * target  < 1 */
void analysis_budget(const struct history_point *total, double target, struct budget *ret);

struct trend {
    double slope_per_day;
    double now;  /* the line's value at `now` */
    double fit;  /* r squared, 0..1: how much of what was is on the line */
    double days; /* until the line meets the threshold; NAN: it does not */
};

/* A line through the points' means, by least squares.
 * Returns  false: fewer than three points, or all at one time */
bool analysis_trend(const struct history_point *points, size_t n, int64_t now, double threshold,
                    struct trend *ret);

/* Of events, in order of time: those within `around_s` of events[at], of other subjects or checks; to become worse.
 * ret_at   [capacity] indices
 * Returns  how many; at most capacity */
size_t analysis_beside(const struct history_event *events, size_t n, size_t at, int64_t around_s,
                       size_t *ret_at, size_t capacity);

#endif
