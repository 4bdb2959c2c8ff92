/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/engine/test_crew.c - tasks are given once, phases follow each other, idle workers sleep. */
#include "support/check.h"

#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "engine/cpu/crew.h"

enum { N_TASKS = 100, N_PHASES = 50 };

struct work {
    struct crew *crew;
    unsigned taken[N_PHASES][N_TASKS];
    atomic_uint n_early; /* tasks of a phase begun before the phase before it was over */
    atomic_uint n_done;
};

static void work_through_phases(void *arg, unsigned worker)
{
    struct work *work = arg;

    for (unsigned phase = 0; phase < N_PHASES; phase++) {
        for (uint32_t task; crew_take(work->crew, worker, N_TASKS, &task);) {
            if (atomic_load(&work->n_done) < phase * N_TASKS)
                atomic_fetch_add(&work->n_early, 1);
            work->taken[phase][task]++;
            atomic_fetch_add(&work->n_done, 1);
        }
        crew_barrier(work->crew);
    }
}

static void check_size(unsigned n_workers)
{
    static struct work work;
    struct err err = { 0 };

    memset(&work, 0, sizeof(work));
    assert_ok(crew_new(n_workers, &work.crew, &err), err);
    assert_int_equal(crew_size(work.crew), n_workers);
    for (unsigned run = 1; run <= 3; run++) {
        atomic_store(&work.n_done, 0);
        crew_run(work.crew, work_through_phases, &work);
        for (unsigned phase = 0; phase < N_PHASES; phase++)
            for (unsigned task = 0; task < N_TASKS; task++)
                assert_int_equal(work.taken[phase][task], run);
        assert_int_equal(atomic_load(&work.n_early), 0);
    }
    crew_free(work.crew);
}

static void every_task_is_taken_once_and_phases_do_not_overlap(void **state)
{
    (void)state;
    check_size(1);
    check_size(2);
    check_size(5);
}

/* Worker 1 keeps its first task until all other tasks are done. */
struct holding {
    struct crew *crew;
    atomic_uint n_done;
    bool is_late;
};

enum { N_HELD = 30 }; /* so few that one at a time is taken */

static void hold_one_task(void *arg, unsigned worker)
{
    struct holding *holding = arg;
    const uint64_t deadline_ns = deadline_after_ms(60000);

    for (uint32_t task; crew_take(holding->crew, worker, N_HELD, &task);) {
        while (worker == 1 && atomic_load(&holding->n_done) < N_HELD - 1 && !holding->is_late)
            holding->is_late = clock_ns() > deadline_ns;
        atomic_fetch_add(&holding->n_done, 1);
    }
    crew_barrier(holding->crew);
}

static void a_slow_worker_leaves_the_tasks_to_the_others(void **state)
{
    struct holding holding = { 0 };
    struct err err = { 0 };

    (void)state;
    assert_ok(crew_new(2, &holding.crew, &err), err);
    crew_run(holding.crew, hold_one_task, &holding);
    assert_false(holding.is_late);
    assert_int_equal(atomic_load(&holding.n_done), N_HELD);
    crew_free(holding.crew);
}

/* Workers but the first lose their core for a while, now and then. */
struct losing {
    struct crew *crew;
    bool loses;
};

static void wait_ns(uint64_t ns)
{
    const uint64_t end_ns = clock_ns() + ns;

    while (clock_ns() < end_ns)
        ;
}

static void lose_a_core(void *arg, unsigned worker)
{
    const struct losing *losing = arg;

    for (uint32_t task; crew_take(losing->crew, worker, 64, &task);)
        wait_ns(worker > 0 && losing->loses && task > 32 ? 4 * NS_PER_MS : NS_PER_MS / 50);
    crew_barrier(losing->crew);
}

static void run_until_present(struct losing *losing, unsigned n)
{
    const uint64_t deadline_ns = deadline_after_ms(60000);

    while (crew_counts(losing->crew).n_present != n) {
        crew_run_able(losing->crew, lose_a_core, losing);
        assert_true(clock_ns() < deadline_ns);
    }
}

static void a_worker_that_holds_up_the_others_sits_out_for_a_while(void **state)
{
    struct losing losing = { .loses = true };
    static struct work work;
    struct err err = { 0 };

    (void)state;
    assert_ok(crew_new(2, &losing.crew, &err), err);
    run_until_present(&losing, 1);
    memset(&work, 0, sizeof(work));
    work.crew = losing.crew;
    crew_run(work.crew, work_through_phases, &work); /* which everybody takes part in */
    assert_int_equal(atomic_load(&work.n_done), N_PHASES * N_TASKS);
    crew_run_able(losing.crew, lose_a_core, &losing);
    losing.loses = false;
    run_until_present(&losing, 2);
    crew_free(losing.crew);
}

static uint64_t cpu_ns(void)
{
    struct timespec t;

    assert_int_equal(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t), 0);
    return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

/* A worker that still wakes from the last barrier counts as asleep, too: so until nothing changes. */
static struct crew_counts wait_until_asleep(const struct crew *crew, unsigned n)
{
    const struct timespec pause = { .tv_nsec = 20 * (long)NS_PER_MS };
    const uint64_t deadline_ns = deadline_after_ms(60000);
    struct crew_counts before, after = crew_counts(crew);

    do {
        before = after;
        assert_true(clock_ns() < deadline_ns);
        assert_int_equal(nanosleep(&pause, NULL), 0);
        after = crew_counts(crew);
    } while (after.n_asleep < n || memcmp(&before, &after, sizeof(after)) != 0);
    return after;
}

static void idle_workers_use_no_processor(void **state)
{
    const struct timespec rest = { .tv_nsec = 200 * (long)NS_PER_MS };
    static struct work work;
    struct crew_counts before, after;
    struct err err = { 0 };
    uint64_t start_ns;

    (void)state;
    memset(&work, 0, sizeof(work));
    assert_ok(crew_new(4, &work.crew, &err), err);
    crew_run(work.crew, work_through_phases, &work);
    before = wait_until_asleep(work.crew, 3);
    start_ns = cpu_ns();
    assert_int_equal(nanosleep(&rest, NULL), 0); /* what is measured is what they do meanwhile */
    assert_true(cpu_ns() - start_ns < 50 * NS_PER_MS);
    after = crew_counts(work.crew);
    assert_memory_equal(&after, &before, sizeof(after)); /* nobody woke to look */
    atomic_store(&work.n_done, 0);
    crew_run(work.crew, work_through_phases, &work); /* and they wake again */
    assert_int_equal(atomic_load(&work.n_done), N_PHASES * N_TASKS);
    crew_free(work.crew);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_task_is_taken_once_and_phases_do_not_overlap),
        cmocka_unit_test(a_slow_worker_leaves_the_tasks_to_the_others),
        cmocka_unit_test(a_worker_that_holds_up_the_others_sits_out_for_a_while),
        cmocka_unit_test(idle_workers_use_no_processor),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
