/* SPDX-License-Identifier: Apache-2.0 */
/* engine/cpu/crew.h - the threads that run one step together.
 *
 * crew_run() starts one function on every worker, the caller being worker 0, and
 * returns when all have left it.  Within it, work comes in phases: each worker
 * takes task numbers from a shared counter until there are none, then waits at
 * the barrier, which also resets the counter.
 *
 *     for (uint32_t task; crew_take(crew, n_tasks, &task);)
 *         work on task
 *     crew_barrier(crew);
 *
 * A waiting worker spins for SPIN_NS, because phases last tens of microseconds, then
 * sleeps, because the next step may be hours away.  A crew of one has no threads and
 * no atomics to wait on.
 *
 * Threads  crew_run() from one owner thread; crew_take() and crew_barrier() by every
 *          worker of a run, in the same order
 */
#ifndef POMONA_ENGINE_CPU_CREW_H
#define POMONA_ENGINE_CPU_CREW_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

struct crew;

typedef void (*crew_fn)(void *arg, unsigned worker);

/* ret_crew  given; release with crew_free().  ST_NOMEM where a thread cannot start. */
enum status crew_new(unsigned n_workers, struct crew **ret_crew, struct err *err);
void crew_free(struct crew *crew); /* NULL is allowed; ends and joins the threads */

unsigned crew_size(const struct crew *crew);
void crew_run(struct crew *crew, crew_fn fn, void *arg);

/* The next number of 0..n_tasks, each given to one worker; false when none is left. */
bool crew_take(struct crew *crew, uint32_t n_tasks, uint32_t *ret_task);

/* Returns when every worker has arrived; what they wrote before is visible after. */
void crew_barrier(struct crew *crew);

#endif
