/* SPDX-License-Identifier: Apache-2.0 */
/* balance/retry_budget.h - how many requests may be tried again at one time.
 *
 * A fifth of those that run, and three: a server that fails is helped by asking another, a whole pool
 * that fails is not, and trying everything twice would be the storm that keeps it down.
 */
#ifndef POMONA_BALANCE_RETRY_BUDGET_H
#define POMONA_BALANCE_RETRY_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

enum {
    RETRIES_MAX = 2, /* of one request */
    RETRY_SHARE_PERCENT = 20,
    RETRY_FLOOR = 3,
    RETRY_WAIT_MS = 25, /* doubled each time; a random part of it is waited */
    RETRY_WAIT_MS_MAX = 1000,
};

struct retry_budget {
    uint32_t n_running;  /* requests */
    uint32_t n_retrying; /* those of them that are not at their first try */
};

/* May one more be tried again?  Then it is counted, until retry_budget_end(). */
bool retry_budget_take(struct retry_budget *b);

void retry_budget_begin(struct retry_budget *b);                 /* a request */
void retry_budget_end(struct retry_budget *b, bool is_retrying); /* it is over */

/* How long to wait before try `n` (1: the first that is no first). */
uint32_t retry_wait_ms(uint32_t n, uint64_t random);

#endif
