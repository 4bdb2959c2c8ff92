/* SPDX-License-Identifier: Apache-2.0 */
/* monitor/report.h - what the history says of a time, as JSON.
 *
 *   { "from", "to", "target",
 *     "subjects": [ { "subject", "check", "availability", "budget_left", "failures", "down_s", "is_down",
 *                     "mttr_s", "mtbf_s", "timeline": [ 0..1 or null, ... ] } ],
 *     "trends":   [ { "subject", "check", "now", "per_day", "threshold", "days", "fit" } ],
 *     "events":   [ { "t", "subject", "check", "from", "to", "value", "words", "beside": [ "CHECK of SUBJECT" ] } ] }
 *
 * What is not known is null.  Where no history is begun yet, the lists are empty.
 *
 * Threads  any: it opens the history for itself
 */
#ifndef POMONA_MONITOR_REPORT_H
#define POMONA_MONITOR_REPORT_H

#include "base/buf.h"
#include "monitor/check.h"

enum { REPORT_TIMELINE = 48, REPORT_EVENTS_MAX = 200, REPORT_BESIDE_S = 60, REPORT_BESIDE_MAX = 8 };

struct report_query {
    int64_t from, to;           /* seconds since 1970 */
    char node[CONFIG_NAME_MAX]; /* "": all */
    double target;              /* of availability */
};

/* checks    [N_CHECKS], whose thresholds trends are held against
 * ret_json  appended to
 * Errors    as history_open() and the queries of history/history.h */
enum status report_make(const char *history_path, const struct report_query *query,
                        const struct check *checks, struct buf *ret_json, struct err *err);

#endif
