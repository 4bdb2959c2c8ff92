/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/reading.c - bodies that take long to read are read beside the loop. */
#include "gateway/reading.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#if defined(__GLIBC__)
#include <malloc.h>
#endif

#include "base/clock.h"
#include "base/size.h"
#include "gateway/dialect/constraint.h"
#include "gateway/http/json_in.h"

enum lane { LANE_SHORT, LANE_LONG, N_LANES };

/* One body on its way. */
struct read_job {
    struct exchange *x; /* NULL: the client left; the loop's */
    struct readers *readers;
    struct read_lane *lane;
    struct buf text;
    struct reading reading;
    struct read_job *next;
};

struct read_lane {
    struct readers *readers;
    pthread_t thread;
    bool is_running;               /* there is a thread */
    pthread_cond_t changed;        /* of the two below */
    struct read_job *first, *last; /* that wait */
    struct read_job *over;         /* to be freed: a tree of a million values takes its time, too */
    bool ends;
};

struct readers {
    struct loop *loop;
    void (*done)(void *arg, struct exchange *x, struct reading *r);
    void *arg;
    pthread_mutex_t lock; /* of the lanes' queues and of what is read */
    struct read_lane lanes[N_LANES];
    struct read_job *read; /* newest first; the loop was told */
    size_t n_open;         /* the loop's: asked for and not yet done */
};

static void job_free(struct read_job *job)
{
    json_decref(job->reading.body);
    api_request_release(&job->reading.request);
    buf_release(&job->text);
    free(job);
}

static void free_list(struct read_job *job)
{
    while (job) {
        struct read_job *next = job->next;

        job_free(job);
        job = next;
    }
}

static struct read_lane *lane_of(struct readers *all, size_t n_bytes)
{
    return &all->lanes[n_bytes > READ_LONG ? LANE_LONG : LANE_SHORT];
}

/* Done with: its lane frees it. */
static void give_back(struct read_job *job)
{
    struct read_lane *lane = job->lane;

    pthread_mutex_lock(&job->readers->lock);
    job->next = lane->over;
    lane->over = job;
    pthread_cond_signal(&lane->changed);
    pthread_mutex_unlock(&job->readers->lock);
}

static void read_body(struct read_job *job)
{
    struct reading *r = &job->reading;

    if (!r->body)
        r->status = json_in_object(buf_text(&job->text), job->text.len, &r->body, &r->failure);
    if (r->status != ST_OK)
        return;
    if (!r->dialect)
        r->dialect = r->choose(r->body);
    r->request.dialect = r->dialect;
    r->status = r->dialect->parse(r->body, &r->request, &r->failure);
}

static void on_closed(void *arg)
{
    struct read_job *job = arg;

    job->x = NULL;
}

static void deliver(void *arg)
{
    struct readers *all = arg;
    struct read_job *job, *oldest = NULL;

    pthread_mutex_lock(&all->lock);
    job = all->read;
    all->read = NULL;
    pthread_mutex_unlock(&all->lock);
    while (job) { /* turn them around */
        struct read_job *next = job->next;

        job->next = oldest;
        oldest = job;
        job = next;
    }
    while (oldest) {
        job = oldest;
        oldest = job->next;
        all->n_open--;
        if (job->x) {
            exchange_on_close(job->x, NULL, NULL);
            exchange_swap_body(job->x, &job->text);
            all->done(all->arg, job->x, &job->reading);
        }
        give_back(job);
    }
}

/* With the lock held, which is let go meanwhile. */
static void free_what_is_over(struct read_lane *lane)
{
    struct read_job *over = lane->over;

    if (!over)
        return;
    lane->over = NULL;
    pthread_mutex_unlock(&lane->readers->lock);
    free_list(over);
#if defined(__GLIBC__)
    if (lane == &lane->readers->lanes[LANE_LONG])
        (void)malloc_trim(
            0); /* else each thread's heap stays as large as its largest body made it */
#endif
    pthread_mutex_lock(&lane->readers->lock);
}

static struct read_job *next_job(struct read_lane *lane)
{
    struct read_job *job;

    free_what_is_over(lane);
    while (!lane->first && !lane->ends) {
        pthread_cond_wait(&lane->changed, &lane->readers->lock);
        free_what_is_over(lane);
    }
    job = lane->ends ? NULL : lane->first;
    if (job)
        lane->first = job->next;
    return job;
}

/* With the lock held.  Without memory for 16 bytes it is tried again until there is: the request cannot end
 * otherwise. */
static void tell_loop(struct readers *all)
{
    const struct timespec pause = { .tv_nsec = 10 * NS_PER_MS };

    while (loop_post(all->loop, deliver, all) != ST_OK) {
        pthread_mutex_unlock(&all->lock);
        (void)nanosleep(&pause, NULL);
        pthread_mutex_lock(&all->lock);
    }
}

static void *lane_thread(void *arg)
{
    struct read_lane *lane = arg;
    struct readers *all = lane->readers;
    struct read_job *job;

    pthread_mutex_lock(&all->lock);
    while ((job = next_job(lane)) != NULL) {
        bool is_first;

        pthread_mutex_unlock(&all->lock);
        read_body(job);
        pthread_mutex_lock(&all->lock);
        is_first = all->read == NULL;
        job->next = all->read;
        all->read = job;
        if (is_first)
            tell_loop(all);
    }
    pthread_mutex_unlock(&all->lock);
    return NULL;
}

/* A lane's thread begins with its first body. */
static bool begin_lane(struct read_lane *lane)
{
    sigset_t every, before;

    if (lane->is_running)
        return true;
    (void)sigfillset(&every); /* signals are the loop's business */
    (void)pthread_sigmask(SIG_BLOCK, &every, &before);
    lane->is_running = pthread_create(&lane->thread, NULL, lane_thread, lane) == 0;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return lane->is_running;
}

static void refuse(struct exchange *x, struct read_job *job)
{
    struct api_error e;

    (void)api_error_set(&e, API_OVERLOADED, NULL,
                        "There is no memory to read the body. Try again later.");
    if (job)
        job_free(job);
    exchange_fail(x, &e);
}

bool reading_takes_long(size_t n_bytes, const json_t *body)
{
    return n_bytes > READ_ON_LOOP_MAX || (body && constraint_is_asked(body));
}

void readers_read(struct readers *all, struct exchange *x, const struct reading *how)
{
    struct read_job *job = calloc(1, sizeof(*job));
    struct read_lane *lane;

    if (!job) {
        struct reading given = *how;

        json_decref(given.body);
        api_request_release(&given.request);
        refuse(x, NULL);
        return;
    }
    *job = (struct read_job){ .x = x, .readers = all, .reading = *how };
    exchange_swap_body(x, &job->text);
    job->lane = lane = lane_of(all, job->text.len);
    if (!begin_lane(lane)) {
        refuse(x, job);
        return;
    }
    exchange_on_close(x, on_closed, job);
    all->n_open++;
    pthread_mutex_lock(&all->lock);
    if (lane->first)
        lane->last->next = job;
    else
        lane->first = job;
    lane->last = job;
    pthread_cond_signal(&lane->changed);
    pthread_mutex_unlock(&all->lock);
}

bool readers_are_idle(const struct readers *all)
{
    return all->n_open == 0;
}

enum status readers_new(struct loop *loop,
                        void (*done)(void *arg, struct exchange *x, struct reading *r), void *arg,
                        struct readers **ret_readers, struct err *err)
{
    struct readers *all = calloc(1, sizeof(*all));

    if (!all)
        return err_set(err, ST_NOMEM, "the readers of bodies");
    *all = (struct readers){ .loop = loop, .done = done, .arg = arg };
    (void)pthread_mutex_init(&all->lock, NULL);
    for (size_t i = 0; i < N_LANES; i++) {
        all->lanes[i].readers = all;
        (void)pthread_cond_init(&all->lanes[i].changed, NULL);
    }
    *ret_readers = all;
    return ST_OK;
}

void readers_free(struct readers *all)
{
    if (!all)
        return;
    pthread_mutex_lock(&all->lock);
    for (size_t i = 0; i < N_LANES; i++) {
        all->lanes[i].ends = true;
        pthread_cond_signal(&all->lanes[i].changed);
    }
    pthread_mutex_unlock(&all->lock);
    for (size_t i = 0; i < N_LANES; i++) {
        if (all->lanes[i].is_running)
            (void)pthread_join(all->lanes[i].thread, NULL);
        free_list(all->lanes[i].first);
        free_list(all->lanes[i].over);
        (void)pthread_cond_destroy(&all->lanes[i].changed);
    }
    free_list(all->read);
    (void)pthread_mutex_destroy(&all->lock);
    free(all);
}
