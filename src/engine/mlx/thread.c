/* SPDX-License-Identifier: Apache-2.0 */
/* engine/mlx/thread.c - a lock, a condition, one task at a time. */
#include "engine/mlx/thread.h"

#include <string.h>

static void *thread_main(void *arg)
{
    struct mlx_thread *t = arg;

    pthread_mutex_lock(&t->lock);
    for (;;) {
        while (!t->task && !t->is_ending)
            pthread_cond_wait(&t->changed, &t->lock);
        if (t->is_ending)
            break;
        pthread_mutex_unlock(&t->lock);
        t->task(t->arg);
        pthread_mutex_lock(&t->lock);
        t->task = NULL;
        pthread_cond_broadcast(&t->changed);
    }
    pthread_mutex_unlock(&t->lock);
    return NULL;
}

enum status mlx_thread_init(struct mlx_thread *t, struct err *err)
{
    int code;

    *t = (struct mlx_thread){ 0 };
    pthread_mutex_init(&t->lock, NULL);
    pthread_cond_init(&t->changed, NULL);
    code = pthread_create(&t->id, NULL, thread_main, t);
    if (code == 0)
        return ST_OK;
    pthread_cond_destroy(&t->changed);
    pthread_mutex_destroy(&t->lock);
    return err_set(err, ST_NOMEM, "start a thread for MLX: %s", strerror(code));
}

void mlx_thread_release(struct mlx_thread *t)
{
    pthread_mutex_lock(&t->lock);
    t->is_ending = true;
    pthread_cond_broadcast(&t->changed);
    pthread_mutex_unlock(&t->lock);
    pthread_join(t->id, NULL);
    pthread_cond_destroy(&t->changed);
    pthread_mutex_destroy(&t->lock);
}

void mlx_thread_run(struct mlx_thread *t, void (*task)(void *arg), void *arg,
                    void (*on_event)(void *arg, uint64_t done_bytes, uint64_t total_bytes),
                    void *event_arg)
{
    pthread_mutex_lock(&t->lock);
    uint64_t n_heard = t->n_told;

    t->task = task;
    t->arg = arg;
    pthread_cond_broadcast(&t->changed);
    while (t->task || (on_event && n_heard != t->n_told)) { /* the last event is heard, too */
        if (on_event && n_heard != t->n_told) {
            const uint64_t done_bytes = t->done_bytes, total_bytes = t->total_bytes;

            n_heard = t->n_told;
            pthread_mutex_unlock(&t->lock);
            on_event(event_arg, done_bytes, total_bytes);
            pthread_mutex_lock(&t->lock);
            continue;
        }
        if (t->question) {
            void (*const question)(void *) = t->question;

            pthread_mutex_unlock(&t->lock);
            question(t->question_arg);
            pthread_mutex_lock(&t->lock);
            t->question = NULL;
            pthread_cond_broadcast(&t->changed);
            continue;
        }
        pthread_cond_wait(&t->changed, &t->lock);
    }
    pthread_mutex_unlock(&t->lock);
}

void mlx_thread_ask(struct mlx_thread *t, void (*question)(void *arg), void *arg)
{
    pthread_mutex_lock(&t->lock);
    t->question_arg = arg;
    t->question = question;
    pthread_cond_broadcast(&t->changed);
    while (t->question)
        pthread_cond_wait(&t->changed, &t->lock);
    pthread_mutex_unlock(&t->lock);
}

void mlx_thread_tell(struct mlx_thread *t, uint64_t done_bytes, uint64_t total_bytes)
{
    pthread_mutex_lock(&t->lock);
    t->n_told++;
    t->done_bytes = done_bytes;
    t->total_bytes = total_bytes;
    pthread_cond_broadcast(&t->changed);
    pthread_mutex_unlock(&t->lock);
}
