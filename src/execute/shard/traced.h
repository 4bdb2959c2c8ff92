/* SPDX-License-Identifier: Apache-2.0 */
/* execute/shard/traced.h - what a rank that drives nothing does for requests that are traced.
 *
 *   slot: unknown --mark--> known --step with rows of it--> open --TRACED_IDLE_MS without one, or another mark--> told
 *                             ^------------------------------------------------------------------------------------/
 *
 * Nobody says when a request ends: a sequence that pauses for longer, preempted say, is told in two pieces.
 *
 * Threads  traced_step() the computing thread's, traced_sweep() any
 * Memory   nothing is allocated for a step, but where something is told
 */
#ifndef POMONA_EXECUTE_SHARD_TRACED_H
#define POMONA_EXECUTE_SHARD_TRACED_H

#include "execute/shard/step.h"

enum { TRACED_IDLE_MS = 1000 };

struct traced;

/* tell  called with a work_span that lives during the call, from either thread; arg's
 * Errors  ST_NOMEM */
enum status traced_new(uint32_t n_slots, void (*tell)(void *arg, const struct work_span *work),
                       void *arg, struct traced **ret_traced, struct err *err);
void traced_free(struct traced *traced); /* what is open is not told; NULL is allowed */

void traced_set_rank(struct traced *traced, uint32_t rank);

/* A step was computed, from begin_ns to end_ns. */
void traced_step(struct traced *traced, const struct step_trace *trace,
                 const struct engine_batch *batch, uint64_t begin_ns, uint64_t end_ns);

/* Tell what had no step since idle_ns before now_ns. */
void traced_sweep(struct traced *traced, uint64_t now_ns, uint64_t idle_ns);

#endif
