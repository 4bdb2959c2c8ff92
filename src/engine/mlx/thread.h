/* SPDX-License-Identifier: Apache-2.0 */
/* engine/mlx/thread.h - one thread that does what its owner waits for.
 *
 * The owner gives a task and waits; while it does, the task may tell of events, which the
 * owner's thread then hears of.
 *
 * Threads  one owner; mlx_thread_tell() is called by the task
 */
#ifndef POMONA_ENGINE_MLX_THREAD_H
#define POMONA_ENGINE_MLX_THREAD_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

struct mlx_thread {
    pthread_t id;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    void (*task)(void *arg); /* NULL: none */
    void *arg;
    void (*question)(void *arg); /* of the task, to the owner; NULL: none */
    void *question_arg;
    uint64_t n_told, done_bytes, total_bytes; /* the last event, and how many there were */
    bool is_ending;
};

/* Errors  ST_NOMEM  the system gives no thread */
enum status mlx_thread_init(struct mlx_thread *thread, struct err *err);
void mlx_thread_release(struct mlx_thread *thread); /* no task runs */

/* Run `task` on the thread and wait for its end.
 * on_event  may be NULL; called on the caller's thread, for the last of several events at once */
void mlx_thread_run(struct mlx_thread *thread, void (*task)(void *arg), void *arg,
                    void (*on_event)(void *arg, uint64_t done_bytes, uint64_t total_bytes),
                    void *event_arg);

/* Of the task: have the owner's thread call `question`, and wait until it did. */
void mlx_thread_ask(struct mlx_thread *thread, void (*question)(void *arg), void *arg);

void mlx_thread_tell(struct mlx_thread *thread, uint64_t done_bytes, uint64_t total_bytes);

#endif
