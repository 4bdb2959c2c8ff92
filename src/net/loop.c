/* SPDX-License-Identifier: Apache-2.0 */
/* net/loop.c - one event loop, its timers and its signals. */
#include "net/loop.h"

#include <event2/thread.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

struct signal_watch {
    struct event *event;
    loop_fn *fn;
    void *arg;
    struct signal_watch *next;
};

/* Threads that will post yet.  The loop takes itself out before it goes. */
struct loop_hold {
    struct loop *loop;            /* NULL: it is gone */
    struct loop_hold *next, **at; /* among the loop's */
};

struct loop {
    struct event_base *base;
    struct loop_hold *holds;
    struct signal_watch *signals;
    bool is_ending; /* what was posted is not run any more */
};

struct loop_timer {
    struct event *event;
    loop_fn *fn;
    void *arg;
};

static pthread_mutex_t holds_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t threads_once = PTHREAD_ONCE_INIT;

static void use_threads(void)
{
    (void)evthread_use_pthreads(); /* loop_post() needs it; a failure shows in event_base_new() */
}

enum status loop_new(struct loop **ret_loop, struct err *err)
{
    struct loop *loop = calloc(1, sizeof(*loop));

    pthread_once(&threads_once, use_threads);
    if (loop)
        loop->base = event_base_new();
    if (!loop || !loop->base) {
        free(loop);
        return err_set(err, ST_NOMEM, "an event loop could not be made");
    }
    *ret_loop = loop;
    return ST_OK;
}

static void let_go_all(struct loop *loop)
{
    pthread_mutex_lock(&holds_lock);
    for (struct loop_hold *h = loop->holds; h; h = h->next)
        h->loop = NULL;
    pthread_mutex_unlock(&holds_lock);
}

void loop_free(struct loop *loop)
{
    if (!loop)
        return;
    let_go_all(loop);
    while (loop->signals) {
        struct signal_watch *w = loop->signals;

        loop->signals = w->next;
        event_free(w->event);
        free(w);
    }
    /* a buffer that was freed keeps its connection until callbacks it had deferred have been due */
    loop->is_ending = true;
    (void)event_base_loop(loop->base, EVLOOP_NONBLOCK);
    event_base_free(loop->base);
    free(loop);
}

struct event_base *loop_base(struct loop *loop)
{
    return loop->base;
}

enum status loop_run(struct loop *loop, struct err *err)
{
    if (event_base_loop(loop->base, EVLOOP_NO_EXIT_ON_EMPTY) < 0)
        return err_set(err, ST_IO, "the event loop failed");
    return ST_OK;
}

void loop_stop(struct loop *loop)
{
    (void)event_base_loopbreak(loop->base);
}

struct posted {
    const struct loop *loop;
    loop_fn *fn, *drop;
    void *arg;
};

static void run_posted(evutil_socket_t fd, short what, void *arg)
{
    struct posted *p = arg;
    const struct posted call = *p;

    (void)fd;
    (void)what;
    free(p);
    if (!call.loop->is_ending)
        call.fn(call.arg);
    else if (call.drop)
        call.drop(call.arg);
}

static enum status post(struct loop *loop, loop_fn *fn, loop_fn *drop, void *arg)
{
    struct posted *p = malloc(sizeof(*p));

    if (!p)
        return ST_NOMEM;
    *p = (struct posted){ loop, fn, drop, arg };
    if (event_base_once(loop->base, -1, EV_TIMEOUT, run_posted, p, NULL) != 0) {
        free(p);
        return ST_NOMEM;
    }
    return ST_OK;
}

enum status loop_post(struct loop *loop, loop_fn *fn, void *arg)
{
    return post(loop, fn, NULL, arg);
}

enum status loop_hold(struct loop *loop, struct loop_hold **ret_hold)
{
    struct loop_hold *h = malloc(sizeof(*h));

    if (!h)
        return ST_NOMEM;
    pthread_mutex_lock(&holds_lock);
    *h = (struct loop_hold){ loop, loop->holds, &loop->holds };
    if (h->next)
        h->next->at = &h->next;
    loop->holds = h;
    pthread_mutex_unlock(&holds_lock);
    *ret_hold = h;
    return ST_OK;
}

/* With the lock. */
static void unlink_hold(struct loop_hold *h)
{
    if (!h->loop)
        return; /* so are the others of its list, and nobody walks it any more */
    *h->at = h->next;
    if (h->next)
        h->next->at = h->at;
}

enum status loop_hold_post(struct loop_hold *h, loop_fn *fn, loop_fn *drop, void *arg)
{
    enum status s = ST_CANCELED;

    pthread_mutex_lock(&holds_lock); /* the loop stays until the post is done */
    if (h->loop)
        s = post(h->loop, fn, drop, arg);
    unlink_hold(h);
    pthread_mutex_unlock(&holds_lock);
    free(h);
    if (s == ST_CANCELED && drop)
        drop(arg);
    return s;
}

void loop_hold_free(struct loop_hold *h)
{
    pthread_mutex_lock(&holds_lock);
    unlink_hold(h);
    pthread_mutex_unlock(&holds_lock);
    free(h);
}

static void run_timer(evutil_socket_t fd, short what, void *arg)
{
    struct loop_timer *timer = arg;

    (void)fd;
    (void)what;
    timer->fn(timer->arg);
}

enum status loop_timer_new(struct loop *loop, loop_fn *fn, void *arg, struct loop_timer **ret_timer)
{
    struct loop_timer *timer = calloc(1, sizeof(*timer));

    if (!timer)
        return ST_NOMEM;
    timer->fn = fn;
    timer->arg = arg;
    timer->event = event_new(loop->base, -1, 0, run_timer, timer);
    if (!timer->event) {
        free(timer);
        return ST_NOMEM;
    }
    *ret_timer = timer;
    return ST_OK;
}

static void timer_arm(struct loop_timer *timer, uint64_t ms, short flags)
{
    const struct timeval wait = { (time_t)(ms / 1000), (suseconds_t)(ms % 1000 * 1000) };

    (void)event_del(timer->event);
    (void)event_assign(timer->event, event_get_base(timer->event), -1, flags, run_timer, timer);
    (void)event_add(timer->event, &wait);
}

void loop_timer_once(struct loop_timer *timer, uint64_t ms)
{
    timer_arm(timer, ms, 0);
}

void loop_timer_every(struct loop_timer *timer, uint64_t ms)
{
    timer_arm(timer, ms, EV_PERSIST);
}

bool loop_timer_is_set(const struct loop_timer *timer)
{
    return event_pending(timer->event, EV_TIMEOUT, NULL) != 0;
}

void loop_timer_stop(struct loop_timer *timer)
{
    (void)event_del(timer->event);
}

void loop_timer_free(struct loop_timer *timer)
{
    if (!timer)
        return;
    event_free(timer->event);
    free(timer);
}

static void run_signal(evutil_socket_t fd, short what, void *arg)
{
    struct signal_watch *w = arg;

    (void)fd;
    (void)what;
    w->fn(w->arg);
}

enum status loop_on_signal(struct loop *loop, int number, loop_fn *fn, void *arg, struct err *err)
{
    struct signal_watch *w = calloc(1, sizeof(*w));

    if (!w)
        return err_set(err, ST_NOMEM, "watch of signal %d", number);
    w->fn = fn;
    w->arg = arg;
    w->event = evsignal_new(loop->base, number, run_signal, w);
    if (!w->event || event_add(w->event, NULL) != 0) {
        if (w->event)
            event_free(w->event);
        free(w);
        return err_set(err, ST_NOMEM, "watch of signal %d", number);
    }
    w->next = loop->signals;
    loop->signals = w;
    return ST_OK;
}
