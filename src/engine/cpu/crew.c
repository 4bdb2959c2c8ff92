/* SPDX-License-Identifier: Apache-2.0 */
/* engine/cpu/crew.c - persistent workers, a task counter and a barrier that spins, then sleeps.
 *
 * Two words are waited on: `generation`, which the last worker to arrive at a
 * barrier advances, and `run`, which the owner advances to start a run.  A waiter
 * that has spun long enough takes the lock, counts itself in `n_asleep` and waits on the
 * condition; whoever advances a word looks at `n_asleep` afterwards.  Both sides
 * use sequentially consistent operations, so either the waiter sees the new value or
 * the other side sees the sleeper.
 */
#include "engine/cpu/crew.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/clock.h"

enum {
    CACHE_LINE = 64,
    SPIN_NS = 200000,    /* longer than a phase and than the sampling between two steps */
    SPINS_PER_LOOK = 64, /* looks at the clock are rarer than looks at the word */
};

struct crew {
    unsigned n_workers;
    unsigned n_threads; /* started: n_workers - 1 once complete */
    pthread_t *threads;
    crew_fn fn;
    void *arg;
    atomic_bool is_ending;

    pthread_mutex_t lock;
    pthread_cond_t advanced;

    /* Each on a cache line of its own: all are written while others spin. */
    _Alignas(CACHE_LINE) atomic_uint run;
    _Alignas(CACHE_LINE) atomic_uint generation;
    _Alignas(CACHE_LINE) atomic_uint n_arrived;
    _Alignas(CACHE_LINE) atomic_uint next_task;
    _Alignas(CACHE_LINE) atomic_uint n_asleep;
};

struct recruit {
    struct crew *crew;
    unsigned worker;
};

static void relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb");
#endif
}

static bool spin_while(atomic_uint *word, unsigned old)
{
    uint64_t end = 0;

    for (;;) {
        for (unsigned i = 0; i < SPINS_PER_LOOK; i++) {
            if (atomic_load_explicit(word, memory_order_acquire) != old)
                return true;
            relax();
        }
        const uint64_t now = clock_ns();

        sched_yield(); /* whom we wait for may have lost its core to another process */
        if (end == 0)
            end = now + SPIN_NS;
        else if (now >= end)
            return false;
    }
}

static void wait_while(struct crew *crew, atomic_uint *word, unsigned old)
{
    if (spin_while(word, old))
        return;
    pthread_mutex_lock(&crew->lock);
    atomic_fetch_add(&crew->n_asleep, 1);
    while (atomic_load(word) == old)
        pthread_cond_wait(&crew->advanced, &crew->lock);
    atomic_fetch_sub(&crew->n_asleep, 1);
    pthread_mutex_unlock(&crew->lock);
}

static void advance(struct crew *crew, atomic_uint *word)
{
    atomic_fetch_add(word, 1);
    if (atomic_load(&crew->n_asleep) == 0)
        return;
    pthread_mutex_lock(&crew->lock);
    pthread_cond_broadcast(&crew->advanced);
    pthread_mutex_unlock(&crew->lock);
}

unsigned crew_size(const struct crew *crew)
{
    return crew->n_workers;
}

bool crew_take(struct crew *crew, uint32_t n_tasks, uint32_t *ret_task)
{
    const unsigned task = atomic_fetch_add_explicit(&crew->next_task, 1, memory_order_relaxed);

    *ret_task = task;
    return task < n_tasks;
}

void crew_barrier(struct crew *crew)
{
    const unsigned generation = atomic_load_explicit(&crew->generation, memory_order_relaxed);

    if (crew->n_workers == 1) {
        atomic_store_explicit(&crew->next_task, 0, memory_order_relaxed);
        return;
    }
    if (atomic_fetch_add(&crew->n_arrived, 1) + 1 < crew->n_workers) {
        wait_while(crew, &crew->generation, generation);
        return;
    }
    atomic_store_explicit(&crew->n_arrived, 0, memory_order_relaxed);
    atomic_store_explicit(&crew->next_task, 0, memory_order_relaxed);
    advance(crew, &crew->generation);
}

/* A run ends with a barrier, so the owner returns when every worker is done with `fn`. */
static void take_part(struct crew *crew, unsigned worker)
{
    crew->fn(crew->arg, worker);
    crew_barrier(crew);
}

static void *worker_main(void *arg)
{
    struct recruit *recruit = arg;
    struct crew *crew = recruit->crew;
    const unsigned worker = recruit->worker;
    unsigned seen = 0; /* threads start before the first run */

    free(recruit);
    for (;;) {
        wait_while(crew, &crew->run, seen++);
        if (atomic_load(&crew->is_ending))
            return NULL;
        take_part(crew, worker);
    }
}

void crew_run(struct crew *crew, crew_fn fn, void *arg)
{
    crew->fn = fn;
    crew->arg = arg;
    if (crew->n_workers > 1)
        advance(crew, &crew->run);
    take_part(crew, 0);
}

static enum status start_thread(struct crew *crew, unsigned worker, struct err *err)
{
    struct recruit *recruit = malloc(sizeof(*recruit));

    if (!recruit)
        return err_set(err, ST_NOMEM, "start compute thread %u: out of memory", worker);
    *recruit = (struct recruit){ crew, worker };
    if (pthread_create(&crew->threads[crew->n_threads], NULL, worker_main, recruit) != 0) {
        free(recruit);
        return err_set(err, ST_NOMEM, "start compute thread %u: the system has no room for it",
                       worker);
    }
    crew->n_threads++;
    return ST_OK;
}

enum status crew_new(unsigned n_workers, struct crew **ret_crew, struct err *err)
{
    struct crew *crew = aligned_alloc(CACHE_LINE, sizeof(*crew));
    enum status s = ST_OK;

    if (!crew)
        return err_set(err, ST_NOMEM, "start %u compute threads: out of memory", n_workers);
    *crew = (struct crew){ .n_workers = n_workers };
    pthread_mutex_init(&crew->lock, NULL);
    pthread_cond_init(&crew->advanced, NULL);
    crew->threads = calloc(n_workers, sizeof(*crew->threads));
    if (!crew->threads)
        s = err_set(err, ST_NOMEM, "start %u compute threads: out of memory", n_workers);
    for (unsigned i = 1; s == ST_OK && i < n_workers; i++)
        s = start_thread(crew, i, err);
    if (s != ST_OK) {
        crew_free(crew);
        return s;
    }
    *ret_crew = crew;
    return ST_OK;
}

void crew_free(struct crew *crew)
{
    if (!crew)
        return;
    atomic_store(&crew->is_ending, true);
    advance(crew, &crew->run);
    for (unsigned i = 0; i < crew->n_threads; i++)
        pthread_join(crew->threads[i], NULL);
    pthread_cond_destroy(&crew->advanced);
    pthread_mutex_destroy(&crew->lock);
    free(crew->threads);
    free(crew);
}
