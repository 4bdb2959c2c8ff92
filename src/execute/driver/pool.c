/* SPDX-License-Identifier: Apache-2.0 */
/* execute/driver/pool.c - rows become vectors, and prompts are scored.
 *
 * Both look at the rows of a prompt, which else only fill pages.  A sequence that has to wait
 * again begins anew, so its sum does, too; tokens that were scored already are not told twice.
 */
#include "base/size.h"
#include "execute/driver/driver_priv.h"

static void finish_pool(struct sequence *q)
{
    const struct token_event event = {
        .sequence = q->tag,
        .token = -1,
        .vector = q->pool,
        .n_vector = q->n_pool,
        .finish = FINISH_STOP,
        .n_cached_tokens = q->n_cached_tokens,
        .admitted_ns = q->admitted_ns,
    };

    for (uint32_t i = 0; q->pooling == POOLING_MEAN && i < q->n_pool; i++)
        q->pool[i] /= (float)q->n_tokens;
    q->is_over = true;
    q->fn(q->arg, &event, NULL);
}

void driver_pool(struct driver *d, struct sequence *q, const struct engine_span *span)
{
    const float *rows = d->hidden + (size_t)span->first_row * q->n_pool;

    if (q->is_over)
        return;
    for (uint32_t r = 0; r < span->n_rows; r++, rows += q->n_pool) {
        for (uint32_t i = 0; i < q->n_pool; i++)
            q->pool[i] = q->pooling == POOLING_MEAN ? q->pool[i] + rows[i] : rows[i];
    }
    if (span->start + span->n_rows == q->n_tokens)
        finish_pool(q);
}

static bool tell_score(struct driver *d, struct sequence *q, uint32_t i, const float *logits)
{
    struct token_event event = {
        .sequence = q->tag, .token = q->tokens[i], .is_prompt = true, .admitted_ns = q->admitted_ns
    };
    struct sample sample;
    struct err why;

    if (sampler_score(d->sampler, logits, &q->sampling, q->tokens[i], &sample, &why) != ST_OK) {
        q->is_over = true;
        q->fn(q->arg, NULL, &why);
        return false;
    }
    event.logprob = sample.logprob;
    event.top = sample.top;
    event.n_top = sample.n_top;
    q->n_scored = i;
    q->fn(q->arg, &event, NULL);
    return !q->is_over;
}

/* Of a prompt alone nothing follows. */
static void finish_scores(struct sequence *q)
{
    const struct token_event event = {
        .sequence = q->tag, .token = -1, .finish = FINISH_LENGTH, .admitted_ns = q->admitted_ns
    };

    q->is_over = true;
    q->fn(q->arg, &event, NULL);
}

bool driver_score(struct driver *d, struct sequence *q, uint32_t start, uint32_t end,
                  const float *logits)
{
    for (uint32_t i = start; i < end && !q->is_over; i++, logits += d->o.n_vocab) {
        if (i + 1 > q->n_scored && !tell_score(d, q, i + 1, logits))
            break;
    }
    if (!q->is_over && end + 1 == q->n_prompt && q->makes_none)
        finish_scores(q);
    return !q->is_over;
}

void driver_cut_scored(struct driver *d)
{
    uint32_t left = d->o.max_logit_rows;

    for (size_t i = 0; i < d->n_sequences; i++) {
        const struct sequence *q = d->sequences[i];
        const uint32_t n = d->rows[i];

        if (n == 0)
            continue;
        left -= 1; /* each span may have one */
        if (!sequence_needs_every_row(q) && n > d->entries[i].n_pending)
            left -= n - d->entries[i].n_pending; /* guesses */
    }
    for (size_t i = 0; i < d->n_sequences; i++) {
        const struct sequence *q = d->sequences[i];

        if (d->rows[i] == 0 || !q->scores_prompt || q->n_tokens != q->n_prompt)
            continue;
        d->rows[i] = (uint32_t)size_min(d->rows[i], left + 1);
        left -= d->rows[i] - 1;
    }
}
