/* SPDX-License-Identifier: Apache-2.0 */
/* balance/retry_budget.c - how many requests may be tried again at one time. */
#include "balance/retry_budget.h"

void retry_budget_begin(struct retry_budget *b)
{
    b->n_running++;
}

void retry_budget_end(struct retry_budget *b, bool is_retrying)
{
    b->n_running--;
    if (is_retrying)
        b->n_retrying--;
}

bool retry_budget_take(struct retry_budget *b)
{
    const uint64_t share = (uint64_t)b->n_running * RETRY_SHARE_PERCENT / 100;

    if (b->n_retrying >= (share > RETRY_FLOOR ? share : RETRY_FLOOR))
        return false;
    b->n_retrying++;
    return true;
}

uint32_t retry_wait_ms(uint32_t n, uint64_t random)
{
    uint64_t ms = (uint64_t)RETRY_WAIT_MS << (n < 16 ? n : 16);

    if (ms > RETRY_WAIT_MS_MAX)
        ms = RETRY_WAIT_MS_MAX;
    return (uint32_t)(random % (ms + 1));
}
