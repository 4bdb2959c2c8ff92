/* SPDX-License-Identifier: Apache-2.0 */
/* engine/cpu/crew.c - persistent workers, a task counter and a barrier that watches, then sleeps.
 *
 * Two words are waited on: `generation`, which the last worker to arrive at a
 * barrier advances, and `run`, which the owner advances to start a run, and which says who is
 * present.  A worker that is not waits to be recalled, and joins the run it then finds.  A waiter
 * that has watched long enough takes the lock, counts itself in `n_asleep` and waits on the
 * condition; whoever advances a word looks at `n_asleep` afterwards.  Both sides
 * use sequentially consistent operations, so either the waiter sees the new value or
 * the other side sees the sleeper.
 */
#include "engine/cpu/crew.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#if defined(__APPLE__)
#include <pthread/qos.h>
#endif

#include "base/clock.h"
#include "engine/cpu/presence.h"

enum {
    CACHE_LINE = 64,
    WATCH_NS = 10000,   /* most waits at a barrier end within this */
    SHORT_NS = 200000,  /* YIELD_NS and the time it takes to wake */
    YIELD_NS = 100000,  /* and those between two steps of one stream within this */
    LOOKS_PER_TIME = 8, /* looks at the clock are rarer than looks at the word */
    RUN_NS = 3000,      /* a run of tasks lasts this at least: fifty times what taking it costs */
    RUN_MAX_NS = 200000,
    LOSS_NS = 500000, /* a run that takes so much longer than expected was interrupted */
    PRESENT_MAX = 1 << 16,
};

/* What is waited on. */
typedef atomic_ullong word;

/* Tasks that a worker has taken and not done, and how fast it is in this phase. */
struct share {
    _Alignas(CACHE_LINE) uint32_t next;
    uint32_t end;
    uint32_t n_timed;  /* tasks of the first run; 0 before it */
    uint64_t timed_ns; /* when it began; then how long it took */
    bool is_timed;
    uint64_t began_ns; /* the run at hand, of n_run tasks */
    uint32_t n_run;
};

struct crew {
    unsigned n_workers;
    unsigned n_threads; /* started: n_workers - 1 once complete */
    pthread_t *threads;
    struct share *shares; /* [n_workers] */
    crew_fn fn;
    void *arg;
    void (*on_run)(void *arg); /* NULL: nobody asked */
    void *on_run_arg;
    unsigned n_present; /* of the run at hand: workers 0 to n_present */
    struct presence presence;
    atomic_bool is_ending;

    pthread_mutex_t lock;
    pthread_cond_t advanced, recalled; /* for those present, and those who sit out */
    unsigned n_recalled;               /* workers that may wake; under the lock */
    atomic_ullong n_yields, n_sleeps, lost_ns;

    /* Each on a cache line of its own: all are written while others watch. */
    _Alignas(CACHE_LINE) word run; /* its number, times PRESENT_MAX, and how many are present */
    _Alignas(CACHE_LINE) word generation;
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

/* Watch the word; false where it did not change in time. */
static bool watch_while(struct crew *crew, word *at, uint64_t old)
{
    const uint64_t start_ns = clock_ns();
    uint64_t waited_ns = 0;

    while (waited_ns < YIELD_NS) {
        for (unsigned i = 0; i < LOOKS_PER_TIME; i++) {
            if (atomic_load_explicit(at, memory_order_acquire) != old)
                return true;
            relax();
        }
        waited_ns = clock_ns() - start_ns;
        if (waited_ns < WATCH_NS)
            continue;
        /* Whom we wait for may have lost its core to another thread: it may have ours. */
        atomic_fetch_add_explicit(&crew->n_yields, 1, memory_order_relaxed);
        sched_yield();
    }
    return false;
}

static void sleep_while(struct crew *crew, word *at, uint64_t old)
{
    pthread_mutex_lock(&crew->lock);
    atomic_fetch_add(&crew->n_asleep, 1);
    atomic_fetch_add_explicit(&crew->n_sleeps, 1, memory_order_relaxed);
    while (atomic_load(at) == old)
        pthread_cond_wait(&crew->advanced, &crew->lock);
    atomic_fetch_sub(&crew->n_asleep, 1);
    pthread_mutex_unlock(&crew->lock);
}

static void wait_while(struct crew *crew, word *at, uint64_t old)
{
    if (!watch_while(crew, at, old))
        sleep_while(crew, at, old);
}

static void advance(struct crew *crew, word *at, uint64_t to)
{
    atomic_store(at, to);
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

void crew_on_run(struct crew *crew, void (*fn)(void *arg), void *arg)
{
    crew->on_run = fn;
    crew->on_run_arg = arg;
}

struct crew_counts crew_counts(const struct crew *crew)
{
    return (struct crew_counts){ .n_yields = atomic_load(&crew->n_yields),
                                 .n_sleeps = atomic_load(&crew->n_sleeps),
                                 .n_asleep = atomic_load(&crew->n_asleep),
                                 .n_present = crew->presence.n_present };
}

/* How many of `left` tasks to take at once, by the time that the first ones took. */
static uint32_t run_of(const struct crew *crew, const struct share *share, uint32_t left)
{
    const uint64_t fair = left / crew->n_present;
    const uint64_t least = share->n_timed * (uint64_t)RUN_NS / share->timed_ns;
    const uint64_t most = share->n_timed * (uint64_t)RUN_MAX_NS / share->timed_ns;
    uint64_t n = fair < most ? fair : most;

    n = n > least ? n : least;
    n = n > 1 ? n : 1;
    return n < left ? (uint32_t)n : left;
}

static uint32_t next_run(const struct crew *crew, struct share *share, uint32_t left)
{
    if (share->n_timed == 0) { /* the first: one of few, more of many, and timed */
        const uint32_t n = left / (16 * crew->n_present);

        share->n_timed = n > 1 ? n : 1;
        return share->n_timed;
    }
    return run_of(crew, share, left);
}

/* The run at hand is done: the first one tells how fast this worker is, and later ones whether it
 * lost its core meanwhile. */
static void time_run(struct crew *crew, struct share *share)
{
    const uint64_t now_ns = clock_ns(), took_ns = now_ns - share->began_ns;

    if (share->n_run == 0) {
        share->began_ns = now_ns;
        return;
    }
    share->began_ns = now_ns;
    if (!share->is_timed) {
        share->timed_ns = took_ns > 0 ? took_ns : 1;
        share->is_timed = true;
        return;
    }
    const uint64_t expected_ns = share->n_run * share->timed_ns / share->n_timed;

    if (took_ns > 2 * expected_ns + LOSS_NS)
        atomic_fetch_add_explicit(&crew->lost_ns, took_ns - expected_ns, memory_order_relaxed);
}

/* More than there is may be counted as taken: the counter is set back at the barrier. */
static bool take_run(struct crew *crew, struct share *share, uint32_t n_tasks)
{
    const uint32_t seen = atomic_load_explicit(&crew->next_task, memory_order_relaxed);
    uint32_t n, first;

    time_run(crew, share);
    if (seen >= n_tasks)
        return false;
    n = next_run(crew, share, n_tasks - seen);
    first = atomic_fetch_add_explicit(&crew->next_task, n, memory_order_relaxed);
    if (first >= n_tasks)
        return false;
    share->next = first;
    share->end = n < n_tasks - first ? first + n : n_tasks;
    share->n_run = share->end - first;
    if (crew->on_run && share == crew->shares)
        crew->on_run(crew->on_run_arg);
    return true;
}

bool crew_take(struct crew *crew, unsigned worker, uint32_t n_tasks, uint32_t *ret_task)
{
    struct share *share = &crew->shares[worker];

    if (share->next == share->end && !take_run(crew, share, n_tasks)) {
        *share = (struct share){ 0 };
        return false;
    }
    *ret_task = share->next++;
    return true;
}

void crew_barrier(struct crew *crew)
{
    const unsigned n_present = crew->n_present; /* may change as soon as all have arrived */
    const uint64_t generation = atomic_load_explicit(&crew->generation, memory_order_relaxed);

    if (n_present == 1) {
        atomic_store_explicit(&crew->next_task, 0, memory_order_relaxed);
        return;
    }
    if (atomic_fetch_add(&crew->n_arrived, 1) + 1 < n_present) {
        wait_while(crew, &crew->generation, generation);
        return;
    }
    atomic_store_explicit(&crew->n_arrived, 0, memory_order_relaxed);
    atomic_store_explicit(&crew->next_task, 0, memory_order_relaxed);
    advance(crew, &crew->generation, generation + 1);
}

/* A run ends with a barrier, so the owner returns when every worker is done with `fn`. */
static void take_part(struct crew *crew, unsigned worker)
{
    crew->fn(crew->arg, worker);
    crew_barrier(crew);
}

/* What waited long the last time sleeps at once.  Returns whether this wait was short. */
static bool wait_for_run(struct crew *crew, uint64_t seen, bool is_short)
{
    const uint64_t start_ns = clock_ns();

    if (!is_short || !watch_while(crew, &crew->run, seen))
        sleep_while(crew, &crew->run, seen);
    return clock_ns() - start_ns < SHORT_NS;
}

/* Sleep through runs that go on without this worker. */
static void sit_out(struct crew *crew, unsigned worker)
{
    pthread_mutex_lock(&crew->lock);
    while (worker >= crew->n_recalled)
        pthread_cond_wait(&crew->recalled, &crew->lock);
    pthread_mutex_unlock(&crew->lock);
}

/* Let the first n workers take part; the owner, between runs. */
static void recall(struct crew *crew, unsigned n)
{
    if (n == crew->n_present)
        return;
    pthread_mutex_lock(&crew->lock);
    crew->n_recalled = n;
    if (n > crew->n_present)
        pthread_cond_broadcast(&crew->recalled);
    pthread_mutex_unlock(&crew->lock);
    crew->n_present = n;
}

static void become_a_worker(void)
{
#if defined(__APPLE__)
    (void)pthread_set_qos_class_self_np(QOS_CLASS_USER_INTERACTIVE, 0);
#endif
}

static void *worker_main(void *arg)
{
    struct recruit *recruit = arg;
    struct crew *crew = recruit->crew;
    const unsigned worker = recruit->worker;
    uint64_t seen = 0; /* threads start before the first run */
    bool is_short = false;

    free(recruit);
    become_a_worker();
    for (;;) {
        is_short = wait_for_run(crew, seen, is_short);
        if (atomic_load(&crew->is_ending))
            return NULL;
        seen = atomic_load(&crew->run);
        if (worker < seen % PRESENT_MAX)
            take_part(crew, worker);
        else
            sit_out(crew, worker);
    }
}

static void run_with(struct crew *crew, unsigned n_present, crew_fn fn, void *arg)
{
    recall(crew, n_present);
    crew->fn = fn;
    crew->arg = arg;
    if (n_present > 1)
        advance(crew, &crew->run,
                (atomic_load(&crew->run) / PRESENT_MAX + 1) * PRESENT_MAX + n_present);
    take_part(crew, 0);
}

void crew_run(struct crew *crew, crew_fn fn, void *arg)
{
    run_with(crew, crew->n_workers, fn, arg);
}

void crew_run_able(struct crew *crew, crew_fn fn, void *arg)
{
    const uint64_t start_ns = clock_ns();
    uint64_t now_ns;

    run_with(crew, crew->presence.n_present, fn, arg);
    now_ns = clock_ns();
    presence_note(&crew->presence, now_ns, now_ns - start_ns,
                  atomic_exchange_explicit(&crew->lost_ns, 0, memory_order_relaxed));
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
    *crew = (struct crew){ .n_workers = n_workers,
                           .n_present = n_workers,
                           .n_recalled = n_workers,
                           .presence = presence_of(n_workers) };
    pthread_mutex_init(&crew->lock, NULL);
    pthread_cond_init(&crew->advanced, NULL);
    pthread_cond_init(&crew->recalled, NULL);
    crew->threads = calloc(n_workers, sizeof(*crew->threads));
    crew->shares = aligned_alloc(CACHE_LINE, n_workers * sizeof(*crew->shares));
    if (crew->shares)
        memset(crew->shares, 0, n_workers * sizeof(*crew->shares));
    if (!crew->threads || !crew->shares)
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
    recall(crew, crew->n_workers);
    atomic_store(&crew->is_ending, true);
    advance(crew, &crew->run, atomic_load(&crew->run) + PRESENT_MAX);
    for (unsigned i = 0; i < crew->n_threads; i++)
        pthread_join(crew->threads[i], NULL);
    pthread_cond_destroy(&crew->advanced);
    pthread_cond_destroy(&crew->recalled);
    pthread_mutex_destroy(&crew->lock);
    free(crew->threads);
    free(crew->shares);
    free(crew);
}
