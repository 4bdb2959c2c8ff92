/* SPDX-License-Identifier: Apache-2.0 */
/* balance/breaker.h - a circuit breaker: a server that fails is not asked, then asked once, then as before.
 *
 *   closed --BREAKER_FAILURES, or half of BREAKER_SAMPLES and more, in a window--> open
 *   open --BREAKER_OPEN_MS, doubled each time, with jitter--> half open
 *   half open --a failure--> open;  --BREAKER_SUCCESSES--> closed
 *
 * While it is half open one request at a time is let through.  There is one for each upstream and model.
 *
 * Pure: the clock and random numbers are arguments.
 */
#ifndef POMONA_BALANCE_BREAKER_H
#define POMONA_BALANCE_BREAKER_H

#include <stdbool.h>
#include <stdint.h>

enum {
    BREAKER_FAILURES = 5,
    BREAKER_SAMPLES = 10,
    BREAKER_WINDOW_MS = 60000,
    BREAKER_OPEN_MS = 30000,
    BREAKER_OPEN_MS_MAX = 300000,
    BREAKER_SUCCESSES = 2,
};

enum breaker_state { BREAKER_CLOSED = 0, BREAKER_OPEN, BREAKER_HALF_OPEN };

/* Zero is closed. */
struct breaker {
    enum breaker_state state;
    uint32_t n_failures, n_successes; /* of the window; half open: successes so far */
    uint32_t n_times;                 /* it opened in a row */
    uint64_t window_ns;               /* when the window began */
    uint64_t until_ns;                /* open until then */
    bool is_probing;                  /* half open: a request is on its way */
};

/* May a request go there now?  Asking changes nothing but an open breaker whose time has come. */
bool breaker_allows(struct breaker *b, uint64_t now_ns);

/* A request goes there. */
void breaker_enter(struct breaker *b);

/* It came back, or, with neither called, was given up by its client: breaker_leave(). */
void breaker_succeeded(struct breaker *b, uint64_t now_ns);
void breaker_failed(struct breaker *b, uint64_t random, uint64_t now_ns);
void breaker_leave(struct breaker *b);

const char *breaker_state_name(enum breaker_state state);

#endif
