/* SPDX-License-Identifier: Apache-2.0 */
/* base/log_repeat.h - a line that comes again and again is told now and then.
 *
 * Of equal lines LOG_REPEAT_MOST in LOG_REPEAT_WINDOW_NS are told.  The next that is told after the window
 * says how many were not.  The last LOG_REPEAT_SLOTS different lines are remembered, as hashes.
 *
 * Threads  the caller's lock
 */
#ifndef POMONA_BASE_LOG_REPEAT_H
#define POMONA_BASE_LOG_REPEAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/log_event.h"

enum { LOG_REPEAT_MOST = 20, LOG_REPEAT_SLOTS = 64 };
#define LOG_REPEAT_WINDOW_NS UINT64_C(10000000000)

struct log_repeat {
    struct log_repeat_slot {
        uint64_t hash, begun_ns, used_ns; /* used_ns 0: free */
        uint32_t n_told, n_left_out;
    } slots[LOG_REPEAT_SLOTS];
};

/* What makes lines equal: all but their time. */
uint64_t log_repeat_hash(const struct log_event *event);

/* Whether the line is told.
 * now_ns          above 0
 * ret_n_left_out  0 where it is not the first of a new window: how many were left out before it */
bool log_repeat_allows(struct log_repeat *repeat, uint64_t hash, uint64_t now_ns,
                       uint32_t *ret_n_left_out);

#endif
