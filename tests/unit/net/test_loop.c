/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/net/test_loop.c - posted calls, timers, signals and jobs reach the loop's thread. */
#include "support/check.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include "net/job.h"
#include "net/loop.h"

enum { N_POSTS = 1000 };

struct fixture {
    struct loop *loop;
    pthread_t owner;
    int n_called, n_out_of_order, n_dropped;
    struct loop_timer *timer;
    int ran_on_owner;
};

static int set_up(void **state)
{
    static struct fixture f;
    struct err err;

    f = (struct fixture){ .owner = pthread_self() };
    *state = &f;
    return loop_new(&f.loop, &err) == ST_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    loop_timer_free(f->timer);
    loop_free(f->loop);
    return 0;
}

struct numbered {
    struct fixture *fixture;
    int number;
};

static void expect_in_order(void *arg)
{
    struct numbered *call = arg;
    struct fixture *f = call->fixture;

    f->n_out_of_order += call->number != f->n_called || !pthread_equal(pthread_self(), f->owner);
    if (++f->n_called == N_POSTS)
        loop_stop(f->loop);
}

static struct numbered calls[N_POSTS];

static void *post_all(void *arg)
{
    struct fixture *f = arg;

    for (int i = 0; i < N_POSTS; i++) {
        calls[i] = (struct numbered){ f, i };
        if (loop_post(f->loop, expect_in_order, &calls[i]) != ST_OK)
            return f;
    }
    return NULL;
}

static void calls_posted_by_a_thread_run_here_in_order(void **state)
{
    struct fixture *f = *state;
    pthread_t thread;
    struct err err;
    void *failed;

    assert_int_equal(pthread_create(&thread, NULL, post_all, f), 0);
    assert_ok(loop_run(f->loop, &err), err);
    assert_int_equal(pthread_join(thread, &failed), 0);
    assert_null(failed);
    assert_int_equal(f->n_called, N_POSTS);
    assert_int_equal(f->n_out_of_order, 0);
}

static void count_three(void *arg)
{
    struct fixture *f = arg;

    if (++f->n_called == 3)
        loop_stop(f->loop);
}

static void a_timer_repeats_until_stopped(void **state)
{
    struct fixture *f = *state;
    struct err err;

    assert_int_equal(loop_timer_new(f->loop, count_three, f, &f->timer), ST_OK);
    loop_timer_every(f->timer, 1);
    assert_ok(loop_run(f->loop, &err), err);
    assert_int_equal(f->n_called, 3);
}

static void stop_loop(void *arg)
{
    struct fixture *f = arg;

    f->n_called++;
    loop_stop(f->loop);
}

static void a_signal_is_an_event(void **state)
{
    struct fixture *f = *state;
    struct err err;

    assert_ok(loop_on_signal(f->loop, SIGUSR1, stop_loop, f, &err), err);
    assert_int_equal(kill(getpid(), SIGUSR1), 0);
    assert_ok(loop_run(f->loop, &err), err);
    assert_int_equal(f->n_called, 1);
}

static void work_elsewhere(void *arg)
{
    struct fixture *f = arg;

    f->ran_on_owner = pthread_equal(pthread_self(), f->owner);
}

static void a_job_works_elsewhere_and_is_done_here(void **state)
{
    struct fixture *f = *state;
    struct err err;

    f->ran_on_owner = 1;
    assert_ok(job_start(f->loop, work_elsewhere, stop_loop, NULL, f, &err), err);
    assert_ok(loop_run(f->loop, &err), err);
    assert_int_equal(f->ran_on_owner, 0);
}

static void count_drop(void *arg)
{
    struct fixture *f = arg;

    f->n_dropped++;
}

static void a_thread_may_outlive_its_loop(void **state)
{
    struct fixture *f = *state;
    struct loop *other = NULL;
    struct loop_hold *holds[3];
    struct err err;

    assert_ok(loop_new(&other, &err), err);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(loop_hold(other, &holds[i]), ST_OK);
    assert_int_equal(loop_hold_post(holds[1], stop_loop, count_drop, f), ST_OK);
    assert_int_equal(f->n_dropped, 0);
    loop_free(other);
    assert_int_equal(f->n_dropped, 1);
    assert_int_equal(loop_hold_post(holds[2], stop_loop, count_drop, f), ST_CANCELED);
    assert_int_equal(f->n_dropped, 2);
    loop_hold_free(holds[0]);
    assert_int_equal(f->n_called, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(calls_posted_by_a_thread_run_here_in_order, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_timer_repeats_until_stopped, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_signal_is_an_event, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_job_works_elsewhere_and_is_done_here, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_thread_may_outlive_its_loop, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("net/loop", tests, NULL, NULL);
}
