/* SPDX-License-Identifier: Apache-2.0 */
/* net/job.c - work that would block the loop, done on a thread of its own. */
#include "net/job.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

struct job {
    struct loop_hold *hold;
    loop_fn *run, *done, *drop;
    void *arg;
};

static void *job_thread(void *arg)
{
    struct job *job = arg;

    job->run(job->arg);
    if (loop_hold_post(job->hold, job->done, job->drop, job->arg) == ST_NOMEM)
        abort(); /* 16 bytes are not to be had: the waiting request could never end */
    free(job);
    return NULL;
}

enum status job_start(struct loop *loop, loop_fn *run, loop_fn *done, loop_fn *drop, void *arg,
                      struct err *err)
{
    struct job *job = malloc(sizeof(*job));
    pthread_t thread;
    sigset_t all, before;
    int failed;

    if (!job)
        return err_set(err, ST_NOMEM, "a background job");
    *job = (struct job){ NULL, run, done, drop, arg };
    if (loop_hold(loop, &job->hold) != ST_OK) {
        free(job);
        return err_set(err, ST_NOMEM, "a background job");
    }

    (void)sigfillset(&all); /* signals are the loop's business */
    (void)pthread_sigmask(SIG_BLOCK, &all, &before);
    failed = pthread_create(&thread, NULL, job_thread, job);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed) {
        loop_hold_free(job->hold);
        free(job);
        return err_set(err, ST_FULL, "start a thread: %s", strerror(failed));
    }
    (void)pthread_detach(thread);
    return ST_OK;
}
