/* SPDX-License-Identifier: Apache-2.0 */
/* engine/cpu/crew.h - the threads that run one step together.
 *
 * crew_run() starts one function on every worker, the caller being worker 0, and
 * returns when all have left it.  Within it, work comes in phases: each worker
 * takes task numbers until there are none, then waits at the barrier.
 *
 *     for (uint32_t task; crew_take(crew, worker, n_tasks, &task);)
 *         work on task
 *     crew_barrier(crew);
 *
 * Tasks are given in runs of consecutive numbers: guided self-scheduling (Polychronopoulos and
 * Kuck 1987, IEEE Transactions on Computers C-36, 12), a run being a share of what is left, so
 * that runs shrink towards the end and no worker is waited for long.  The time a worker's first
 * tasks of a phase took bounds its runs from both sides: long enough that the counter is not
 * fought over, and never more than a fraction of a millisecond, however slow this core is
 * now.  A core that is busy with something else takes fewer tasks, and the others more.
 *
 * A waiting worker first watches for some microseconds, because phases last tens of them, then
 * offers its core to others between looks, then sleeps.  Before a run it does not watch at all where
 * the last wait was long: so an idle crew uses no processor, and one that works in turns with other
 * processes of this machine, as the ranks of a pipeline do, leaves them the cores.  A crew of one
 * has no threads and nothing to wait for.
 *
 * A worker that loses its core for milliseconds with tasks in its hands holds up all others; where
 * that happens often it sits out for a while (presence.h).
 *
 * Workers are not bound to cores.  What only one worker uses is first written by that worker, so
 * the system places it near it; what all use, weights and pages, is not placed.  On macOS workers
 * ask for the quality of service that runs on performance cores.
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

/* Let `fn` be called on the owner's thread with every run of tasks that it takes; between crew_run()s. */
void crew_on_run(struct crew *crew, void (*fn)(void *arg), void *arg);
void crew_run(struct crew *crew, crew_fn fn, void *arg);

/* The same with those workers that help now (presence.h), worker 0 always: for work that is
 * shared by crew_take() alone. */
void crew_run_able(struct crew *crew, crew_fn fn, void *arg);

/* The next number of 0..n_tasks, each given to one worker; false when none is left, which every
 * worker must see before the barrier.  worker  the caller */
bool crew_take(struct crew *crew, unsigned worker, uint32_t n_tasks, uint32_t *ret_task);

/* Returns when every worker has arrived; what they wrote before is visible after. */
void crew_barrier(struct crew *crew);

/* What a crew asked of the system so far. */
struct crew_counts {
    uint64_t n_yields;  /* offers of a core, while watching */
    uint64_t n_sleeps;  /* waits that slept */
    uint64_t n_asleep;  /* now */
    uint64_t n_present; /* workers of the next crew_run_able() */
};
struct crew_counts crew_counts(const struct crew *crew);

#endif
