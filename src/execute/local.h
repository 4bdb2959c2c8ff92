/* SPDX-License-Identifier: Apache-2.0 */
/* execute/local.h - a whole model in this process: what `run`, `chat` and `bench` use.
 *
 * Threads  one owner thread
 */
#ifndef POMONA_EXECUTE_LOCAL_H
#define POMONA_EXECUTE_LOCAL_H

#include "execute/driver.h"
#include "model/model.h"

struct local;

struct local_options {
    const char *engine;      /* NULL: the default */
    const char *kernels;     /* NULL: the best of this machine */
    unsigned n_threads;      /* 0: all cores */
    uint32_t context_tokens; /* 0: the model's, at most 8192 */
    uint32_t max_sequences;  /* 0: 1 */
    enum kv_format kv_format;
    enum activation_format activations; /* of the draft too */
    bool is_profiled;                   /* as struct engine_options has it */
    uint32_t max_rows;                  /* 0: 512 */
    const struct model *draft; /* borrowed, must outlive the local: guesses too; NULL: none does */
    bool without_guesses;      /* as struct generation has it, for all */
    driver_times_fn *on_times; /* as struct driver_options has it; may be NULL */
    void *times_arg;
    void (*on_progress)(void *arg, uint64_t done_bytes, uint64_t total_bytes); /* may be NULL */
    void *progress_arg;

    /* As engine_keep; may be NULL. */
    void (*on_lost)(void *arg, const struct err *why);
    void *lost_arg;
};

/* model  borrowed, must outlive the local */
enum status local_open(const struct model *model, const struct local_options *options,
                       struct local **ret_local, struct err *err);
void local_close(struct local *local); /* NULL is allowed */

struct driver *local_driver(struct local *local);      /* lent */
struct engine_shard *local_shard(struct local *local); /* lent; for bench: raw steps */
uint32_t local_page_tokens(const struct local *local);

#endif
