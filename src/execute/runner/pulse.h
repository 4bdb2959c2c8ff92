/* SPDX-License-Identifier: Apache-2.0 */
/* execute/runner/pulse.h - does the step that is being computed get on?
 *
 * The computing thread feels it, the event-loop thread tells the node with each beat.  A step
 * may take long, a large model's prompt on a slow machine say; one whose count does not change
 * from beat to beat is stuck, though the process answers.
 *
 * Threads  pulse_feel() the computing thread's; pulse_read() any
 */
#ifndef POMONA_EXECUTE_RUNNER_PULSE_H
#define POMONA_EXECUTE_RUNNER_PULSE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "engine/engine.h"

struct pulse {
    atomic_ullong n_felt;
    atomic_bool is_in_step;
};

/* Given to an engine as its on_pulse; arg is the struct pulse. */
static inline void pulse_feel(void *arg, enum engine_pulse what)
{
    struct pulse *p = arg;

    atomic_fetch_add_explicit(&p->n_felt, 1, memory_order_relaxed);
    if (what != PULSE_ON)
        atomic_store_explicit(&p->is_in_step, what == PULSE_BEGIN, memory_order_relaxed);
}

static inline uint64_t pulse_read(const struct pulse *p, bool *ret_is_in_step)
{
    *ret_is_in_step = atomic_load_explicit(&p->is_in_step, memory_order_relaxed);
    return atomic_load_explicit(&p->n_felt, memory_order_relaxed);
}

#endif
