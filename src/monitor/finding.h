/* SPDX-License-Identifier: Apache-2.0 */
/* monitor/finding.h - the state of one check of one subject.
 *
 *            +------------- silent for stale_s ---------------+
 *            v                                                |
 *   unknown --a value--> ok <--better for clear_s-- warning <--> critical
 *      \                  \----- worse for for_s ----^-----------^
 *       \---- bad for for_s -------------------------/
 *
 * A value is worse at its threshold; to be better again it has to be HYSTERESIS beyond it, so one that stands at the
 * threshold does not make a state come and go.  What for_s asks for has to hold all the time: one value that is
 * not so bad begins anew.  Which states may follow one another is a table, and moving checks it.
 *
 * Pure: the clock is an argument.
 *
 * Threads  the owner's
 */
#ifndef POMONA_MONITOR_FINDING_H
#define POMONA_MONITOR_FINDING_H

#include <stdbool.h>
#include <stdint.h>

#include "monitor/check.h"

enum finding_state { FINDING_UNKNOWN, FINDING_OK, FINDING_WARNING, FINDING_CRITICAL };

#define FINDING_HYSTERESIS 0.05 /* of a threshold, by which a value has to be better */

struct finding {
    enum finding_state state, next; /* next: where it would go, once that held long enough */
    uint64_t since_ns, next_since_ns;
    uint64_t seen_ns; /* of the last value; 0: there was none */
    double value;
};

const char *finding_state_word(enum finding_state state);
bool finding_may_follow(enum finding_state from, enum finding_state to);

/* A value came.
 * Returns  true: the state changed; *ret_from is what it was */
bool finding_observe(struct finding *finding, const struct check *check, double value,
                     uint64_t now_ns, enum finding_state *ret_from);

/* No value came for stale_s: it is unknown.  As finding_observe(). */
bool finding_age(struct finding *finding, double stale_s, uint64_t now_ns,
                 enum finding_state *ret_from);

#endif
