/* SPDX-License-Identifier: Apache-2.0 */
/* execute/local.c - a whole model in this process: what `run`, `chat` and `bench` use. */
#include "execute/local.h"

#include <stdlib.h>

#include "execute/spec/draft_model.h"
#include "model/keep.h"

enum {
    PAGE_TOKENS = 32,
    DEFAULT_CONTEXT_TOKENS = 8192,
    DEFAULT_MAX_ROWS = 512,
    MAX_WAITING = 256,
    MAX_GUESSES = 32, /* of one step */
};

struct local {
    struct shard_weights weights;
    const struct engine_type *engine;
    struct engine_shard *shard;
    struct driver *driver;
    struct draft_model *draft; /* NULL: none */
    uint32_t context_tokens, max_sequences, max_rows, max_logit_rows, n_pages;
};

static enum status choose_sizes(struct local *l, const struct model *model,
                                const struct local_options *o, struct err *err)
{
    const uint32_t trained = model_info(model)->context_tokens;
    uint64_t n_pages;

    l->context_tokens = o->context_tokens;
    if (l->context_tokens == 0)
        l->context_tokens = trained < DEFAULT_CONTEXT_TOKENS ? trained : DEFAULT_CONTEXT_TOKENS;
    if (l->context_tokens > trained)
        return err_set(err, ST_RANGE, "a context of %u tokens is more than the model's %u",
                       l->context_tokens, trained);
    l->max_sequences = o->max_sequences > 0 ? o->max_sequences : 1;
    l->max_rows = o->max_rows > 0 ? o->max_rows : DEFAULT_MAX_ROWS;
    if (l->max_rows < l->max_sequences)
        l->max_rows = l->max_sequences;
    l->max_logit_rows = l->max_sequences + (o->without_guesses ? 0 : MAX_GUESSES);
    if (l->max_logit_rows > l->max_rows)
        l->max_logit_rows = l->max_rows;
    n_pages = ((uint64_t)l->context_tokens + PAGE_TOKENS - 1) / PAGE_TOKENS * l->max_sequences;
    if (n_pages > UINT32_MAX)
        return err_set(err, ST_RANGE, "%u sequences of %u tokens are too many", l->max_sequences,
                       l->context_tokens);
    l->n_pages = (uint32_t)n_pages;
    return ST_OK;
}

static enum status open_engine(struct local *l, const struct model *model,
                               const struct local_options *o, struct err *err)
{
    struct model_keep keep;

    model_keep_init(&keep, model);
    keep.engine.on_lost = o->on_lost;
    keep.engine.arg = o->lost_arg;

    const struct engine_options options = {
        .page_tokens = PAGE_TOKENS,
        .n_pages = l->n_pages,
        .max_rows = l->max_rows,
        .max_logit_rows = l->max_logit_rows,
        .kv_format = o->kv_format,
        .activations = o->activations,
        .is_profiled = o->is_profiled,
        .n_threads = o->n_threads,
        .kernels = o->kernels,
        .keep = keep.engine,
        .on_progress = o->on_progress,
        .progress_arg = o->progress_arg,
    };

    l->engine = engine_find(o->engine);
    if (!l->engine)
        return err_set(err, ST_UNSUPPORTED, "there is no engine '%s'; there are: cpu, mlx",
                       o->engine ? o->engine : "");
    return l->engine->open(&l->weights, &options, &l->shard, err);
}

static enum status open_draft(struct local *l, const struct model *model,
                              const struct local_options *o, struct err *err)
{
    const struct draft_model_options options = {
        .of = model,
        .context_tokens = l->context_tokens,
        .max_sequences = l->max_sequences,
        .n_contexts = l->max_sequences,
        .activations = o->activations,
        .kernels = o->kernels,
        .n_threads = o->n_threads,
        .on_progress = o->on_progress,
        .progress_arg = o->progress_arg,
    };

    return o->draft ? draft_model_open(o->draft, &options, &l->draft, err) : ST_OK;
}

static enum status open_driver(struct local *l, const struct local_options *o, struct err *err)
{
    const struct driver_options options = {
        .shard = l->shard,
        .n_ranks = 1,
        .n_vocab = l->weights.shape.n_vocab,
        .n_hidden = l->weights.shape.n_hidden,
        .context_tokens = l->context_tokens,
        .page_tokens = PAGE_TOKENS,
        .n_pages = l->n_pages,
        .max_rows = l->max_rows,
        .max_sequences = l->max_sequences,
        .max_logit_rows = l->max_logit_rows,
        .max_guesses = o->without_guesses ? 0 : MAX_GUESSES,
        .draft = draft_model_draft(l->draft),
        .on_times = o->on_times,
        .times_arg = o->times_arg,
        .max_waiting = MAX_WAITING,
    };

    return driver_new(&options, &l->driver, err);
}

enum status local_open(const struct model *model, const struct local_options *options,
                       struct local **ret_local, struct err *err)
{
    struct local *l = calloc(1, sizeof(*l));
    enum status s;

    if (!l)
        return err_set(err, ST_NOMEM, "a local instance");
    s = choose_sizes(l, model, options, err);
    if (s == ST_OK)
        s = model_shard(model, 0, model_info(model)->n_layer, &l->weights, err);
    if (s == ST_OK)
        s = open_engine(l, model, options, err);
    if (s == ST_OK)
        s = open_draft(l, model, options, err);
    if (s == ST_OK)
        s = open_driver(l, options, err);
    if (s == ST_OK) {
        *ret_local = l;
        l = NULL;
    }
    local_close(l);
    return s;
}

void local_close(struct local *l)
{
    if (!l)
        return;
    driver_free(l->driver);
    draft_model_close(l->draft);
    if (l->shard)
        l->engine->close(l->shard);
    shard_weights_release(&l->weights);
    free(l);
}

struct driver *local_driver(struct local *l)
{
    return l->driver;
}

struct engine_shard *local_shard(struct local *l)
{
    return l->shard;
}

uint32_t local_page_tokens(const struct local *l)
{
    (void)l;
    return PAGE_TOKENS;
}
