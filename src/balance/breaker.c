/* SPDX-License-Identifier: Apache-2.0 */
/* balance/breaker.c - a circuit breaker: a server that fails is not asked, then asked once, then as before. */
#include "balance/breaker.h"

#include "base/clock.h"

static void turn_window(struct breaker *b, uint64_t now_ns)
{
    if (b->window_ns != 0 && now_ns - b->window_ns <= BREAKER_WINDOW_MS * NS_PER_MS)
        return;
    b->window_ns = now_ns;
    b->n_failures = 0;
    b->n_successes = 0;
}

bool breaker_allows(struct breaker *b, uint64_t now_ns)
{
    if (b->state == BREAKER_OPEN && now_ns >= b->until_ns) {
        b->state = BREAKER_HALF_OPEN;
        b->n_successes = 0;
        b->is_probing = false;
    }
    return b->state == BREAKER_CLOSED || (b->state == BREAKER_HALF_OPEN && !b->is_probing);
}

void breaker_enter(struct breaker *b)
{
    b->is_probing = b->state == BREAKER_HALF_OPEN;
}

void breaker_leave(struct breaker *b)
{
    b->is_probing = false;
}

void breaker_succeeded(struct breaker *b, uint64_t now_ns)
{
    b->is_probing = false;
    if (b->state == BREAKER_OPEN) /* begun before it opened */
        return;
    if (b->state == BREAKER_CLOSED)
        turn_window(b, now_ns);
    b->n_successes++;
    if (b->state == BREAKER_CLOSED || b->n_successes < BREAKER_SUCCESSES)
        return;
    *b = (struct breaker){ .state = BREAKER_CLOSED };
}

/* Between half and the whole of the time, so that gateways do not come back together. */
static void open_it(struct breaker *b, uint64_t random, uint64_t now_ns)
{
    uint64_t ms = (uint64_t)BREAKER_OPEN_MS << (b->n_times < 8 ? b->n_times : 8);

    if (ms > BREAKER_OPEN_MS_MAX)
        ms = BREAKER_OPEN_MS_MAX;
    if (b->n_times < 8)
        b->n_times++;
    b->state = BREAKER_OPEN;
    b->until_ns = now_ns + (ms / 2 + random % (ms / 2 + 1)) * NS_PER_MS;
    b->window_ns = 0;
}

void breaker_failed(struct breaker *b, uint64_t random, uint64_t now_ns)
{
    b->is_probing = false;
    if (b->state == BREAKER_OPEN)
        return;
    if (b->state == BREAKER_HALF_OPEN) {
        open_it(b, random, now_ns);
        return;
    }
    turn_window(b, now_ns);
    b->n_failures++;
    if (b->n_failures >= BREAKER_FAILURES &&
        (b->n_failures + b->n_successes < BREAKER_SAMPLES || b->n_failures >= b->n_successes))
        open_it(b, random, now_ns);
}

const char *breaker_state_name(enum breaker_state state)
{
    static const char *const names[] = { "closed", "open", "half-open" };

    return names[state];
}
