/* SPDX-License-Identifier: Apache-2.0 */
/* execute/sequence.c - one generation inside a driver: its tokens and its pages. */
#include "execute/sequence.h"

#include <stdlib.h>
#include <string.h>

static void *copy_of(const void *items, size_t n, size_t item_bytes)
{
    void *copy = calloc(n > 0 ? n : 1, item_bytes);

    if (copy && n > 0)
        memcpy(copy, items, n * item_bytes);
    return copy;
}

enum status sequence_new(const struct generation *g, uint32_t n_limit, uint32_t n_pages,
                         uint32_t n_hidden, struct sequence **ret_sequence, struct err *err)
{
    struct sequence *q = calloc(1, sizeof(*q));

    if (q) {
        q->sampling = g->sampling;
        q->sampling.logit_bias = copy_of(g->sampling.logit_bias, g->sampling.n_logit_bias,
                                         sizeof(*g->sampling.logit_bias));
        q->stop_tokens = copy_of(g->stop_tokens, g->n_stop_tokens, sizeof(*g->stop_tokens));
        q->tokens = calloc(n_limit, sizeof(*q->tokens));
        q->pages = calloc(n_pages, sizeof(*q->pages));
        q->n_pool = g->pooling ? n_hidden : 0;
        q->pool = calloc((size_t)q->n_pool + 1, sizeof(*q->pool));
    }
    if (!q || !q->sampling.logit_bias || !q->stop_tokens || !q->tokens || !q->pages || !q->pool) {
        sequence_free(q);
        return err_set(err, ST_NOMEM, "a sequence of %u tokens", n_limit);
    }
    memcpy(q->tokens, g->prompt, g->n_prompt * sizeof(*q->tokens));
    q->n_given = q->n_tokens = (uint32_t)g->n_prompt;
    q->n_prompt = (uint32_t)(g->n_prompt - g->n_prior);
    q->n_stop_tokens = g->n_stop_tokens;
    q->min_tokens = g->min_tokens;
    q->ignores_eos = g->ignores_eos;
    q->pooling = g->pooling;
    q->scores_prompt = g->scores_prompt;
    q->tells_progress = g->tells_progress;
    q->cache_salt = g->cache_salt;
    q->makes_none = g->max_tokens == 0;
    q->n_limit = n_limit;
    q->priority = g->priority;
    q->trace = g->trace;
    memcpy(q->request_id, g->request_id, sizeof(q->request_id));
    *ret_sequence = q;
    return ST_OK;
}

void sequence_free(struct sequence *q)
{
    if (!q)
        return;
    free((void *)(uintptr_t)q->sampling.logit_bias);
    free(q->stop_tokens);
    free(q->tokens);
    free(q->pages);
    free(q->pool);
    free(q);
}

enum finish_reason sequence_finish(const struct sequence *q, int32_t token)
{
    for (size_t i = 0; !q->ignores_eos && i < q->n_stop_tokens; i++)
        if (q->stop_tokens[i] == token)
            return FINISH_STOP;
    return q->n_tokens == q->n_limit ? FINISH_LENGTH : FINISH_NONE;
}

bool sequence_is_decoding(const struct sequence *q)
{
    return q->n_sent + 1 >= q->n_tokens; /* guesses may be sent beyond the known tokens */
}

bool sequence_needs_every_row(const struct sequence *q)
{
    return q->scores_prompt || q->pooling == POOLING_MEAN;
}

uint32_t sequence_logit_rows(const struct sequence *q, uint32_t start, uint32_t end)
{
    if (q->pooling)
        return 0;
    if (q->scores_prompt && q->n_tokens == q->n_prompt)
        return end - start;
    return end < q->n_tokens ? 0 : end - q->n_tokens + 1;
}

bool sequence_must_go_on(const struct sequence *q)
{
    return q->n_tokens - q->n_prompt < q->min_tokens;
}
