/* SPDX-License-Identifier: Apache-2.0 */
/* execute/spec/draft_model.c - a model file becomes the draft model of another, in this process. */
#include "execute/spec/draft_model.h"

#include <stdlib.h>

#include "base/size.h"
#include "model/keep.h"

enum { PAGE_TOKENS = 32, ROWS_EACH = 16, ROWS_MIN = 128 };

struct draft_model {
    struct shard_weights weights;
    const struct engine_type *engine;
    struct engine_shard *shard;
    struct draft *draft;
};

static enum status check_sizes(const struct draft_options *o, struct err *err)
{
    if (o->n_pages == 0)
        return err_set(err, ST_RANGE, "a draft model for no or too many contexts of %u tokens",
                       o->context_tokens);
    return ST_OK;
}

static struct draft_options sizes_of(const struct model *model,
                                     const struct draft_model_options *options)
{
    const uint32_t trained = model_info(model)->context_tokens;
    struct draft_options o = {
        .n_vocab = model_info(model)->n_vocab,
        .context_tokens = (uint32_t)size_min(options->context_tokens, trained),
        .page_tokens = PAGE_TOKENS,
        .max_sequences = options->max_sequences,
        .max_rows = (uint32_t)size_max((size_t)options->max_sequences * ROWS_EACH, ROWS_MIN),
    };
    const uint64_t n_pages = (uint64_t)(o.context_tokens / PAGE_TOKENS + 1) * options->n_contexts;

    o.n_pages = n_pages <= UINT32_MAX ? (uint32_t)n_pages : 0;
    return o;
}

static enum status open_engine(struct draft_model *m, const struct model *model,
                               const struct draft_model_options *options,
                               struct draft_options *sizes, struct err *err)
{
    struct model_keep keep;

    model_keep_init(&keep, model);

    const struct engine_options o = {
        .page_tokens = sizes->page_tokens,
        .n_pages = sizes->n_pages,
        .max_rows = sizes->max_rows,
        .max_logit_rows = sizes->max_sequences,
        .activations = options->activations,
        .n_threads = options->n_threads,
        .kernels = options->kernels,
        .keep = keep.engine,
        .on_progress = options->on_progress,
        .progress_arg = options->progress_arg,
    };
    enum status s;

    m->engine = engine_find(NULL);
    if (!m->engine)
        return err_set(err, ST_UNSUPPORTED, "this build has no engine");
    s = m->engine->open(&m->weights, &o, &m->shard, err);
    sizes->shard = m->shard;
    return s;
}

enum status draft_model_open(const struct model *model, const struct draft_model_options *options,
                             struct draft_model **ret_model, struct err *err)
{
    struct draft_options sizes = sizes_of(model, options);
    struct draft_model *m;
    enum status s;

    s = model_same_vocabulary(model, options->of, err);
    if (s == ST_OK)
        s = check_sizes(&sizes, err);
    if (s != ST_OK)
        return s;
    m = calloc(1, sizeof(*m));
    if (!m)
        return err_set(err, ST_NOMEM, "a draft model");
    s = model_shard(model, 0, model_info(model)->n_layer, &m->weights, err);
    if (s == ST_OK)
        s = open_engine(m, model, options, &sizes, err);
    if (s == ST_OK)
        s = draft_new(&sizes, &m->draft, err);
    if (s == ST_OK) {
        *ret_model = m;
        m = NULL;
    }
    draft_model_close(m);
    return s;
}

void draft_model_close(struct draft_model *m)
{
    if (!m)
        return;
    draft_free(m->draft);
    if (m->shard)
        m->engine->close(m->shard);
    shard_weights_release(&m->weights);
    free(m);
}

struct draft *draft_model_draft(struct draft_model *m)
{
    return m ? m->draft : NULL;
}
