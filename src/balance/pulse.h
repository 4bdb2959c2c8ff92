/* SPDX-License-Identifier: Apache-2.0 */
/* balance/pulse.h - is a server up, by the answers to what it is asked every few seconds.
 *
 * PULSE_FAILURES in a row: it is down.  PULSE_SUCCESSES in a row: it is up again.  One that was not asked yet
 * is up: requests find out soon enough.
 */
#ifndef POMONA_BALANCE_PULSE_H
#define POMONA_BALANCE_PULSE_H

#include <stdbool.h>
#include <stdint.h>

enum {
    PULSE_FAILURES = 3,
    PULSE_SUCCESSES = 2,
    PULSE_MS = 3000,
    PULSE_WAIT_MS = 3000,
};

/* Zero is one that was not asked yet. */
struct pulse {
    bool is_down;
    uint32_t n;           /* answers in a row that say the opposite */
    uint64_t up_since_ns; /* 0: it was never down */
};

/* True: it went down, or up. */
bool pulse_answer(struct pulse *p, bool is_well, uint64_t now_ns);

#endif
