/* SPDX-License-Identifier: Apache-2.0 */
/* execute/driver/deliver.c - logits become tokens, tokens are told.
 *
 * Guessed tokens are verified here: each row of logits gives the token that
 * follows it, chosen as if nothing had been guessed.  Where it is the guess,
 * the next row holds too; where it is not, the rows after it were computed
 * in vain and are computed anew.  So guesses change how many tokens a step
 * makes, never which.
 *
 * Source  Leviathan et al. 2023, arXiv:2211.17192, for guesses made without chance
 */
#include "execute/driver/driver_priv.h"

#include "base/size.h"

/* The grammar ended the answer: an event without a token says so. */
static void tell_end(struct sequence *q)
{
    const struct token_event event = {
        .sequence = q->tag, .token = -1, .finish = FINISH_STOP, .admitted_ns = q->admitted_ns
    };

    q->is_over = true;
    q->fn(q->arg, &event, NULL);
}

/* The token that follows, chosen, kept and told; -1 where none could be. */
static int32_t deliver_token(struct driver *d, struct sequence *q, uint32_t logit_row)
{
    struct token_event event = { .sequence = q->tag, .admitted_ns = q->admitted_ns };
    struct sample sample;
    struct err why;

    if (driver_must_end(d, q)) {
        tell_end(q);
        return -1;
    }
    if (driver_choose(d, q, logit_row, &sample, &why) != ST_OK) {
        q->is_over = true;
        q->fn(q->arg, NULL, &why);
        return -1;
    }
    event.token = sample.token;
    event.logprob = sample.logprob;
    event.top = sample.top;
    event.n_top = sample.n_top;
    event.n_cached_tokens = q->n_tokens == q->n_given ? q->n_cached_tokens : 0;
    q->tokens[q->n_tokens++] = sample.token;
    d->n_generated++;
    event.finish = sequence_finish(q, sample.token);
    q->is_over = event.finish != FINISH_NONE;
    q->fn(q->arg, &event, NULL);
    if (!q->is_over && driver_must_end(d, q))
        tell_end(q);
    return sample.token;
}

static void deliver_rows(struct driver *d, struct sequence *q, uint32_t first_logit_row,
                         uint32_t n_logit_rows)
{
    for (uint32_t i = 0; i < n_logit_rows && !q->is_over; i++) {
        /* Read before the token chosen takes its place. */
        const int32_t guess = i + 1 < n_logit_rows ? q->tokens[q->n_tokens] : -1;
        const int32_t token = deliver_token(d, q, first_logit_row + i);

        if (token != guess)
            break;
    }
}

/* What comes again, of a sequence that gave its pages away, was told before. */
static void tell_progress(struct sequence *q, uint32_t n_computed)
{
    const struct token_event event = {
        .sequence = q->tag,
        .token = -1,
        .n_computed = n_computed,
        .n_cached_tokens = q->n_cached_tokens,
    };

    if (!q->tells_progress || n_computed <= q->n_told || n_computed > q->n_given)
        return;
    q->n_told = n_computed;
    q->fn(q->arg, &event, NULL);
}

static void deliver_span(struct driver *d, struct sequence *q, const struct engine_span *span,
                         uint32_t first_logit_row, uint32_t n_logit_rows)
{
    const uint32_t n_known = q->n_tokens, end = span->start + span->n_rows;

    tell_progress(q, end);
    if (n_logit_rows == span->n_rows && q->scores_prompt && n_known == q->n_prompt) {
        const uint32_t n_scored = end < n_known ? span->n_rows : span->n_rows - 1;

        if (!driver_score(d, q, span->start, span->start + n_scored,
                          d->logits + (size_t)first_logit_row * d->o.n_vocab))
            n_logit_rows = n_scored;
        first_logit_row += n_scored;
        n_logit_rows -= n_scored;
    }

    deliver_rows(d, q, first_logit_row,
                 n_logit_rows); /* nothing where a callback has canceled it */
    q->n_computed = (uint32_t)size_min(end, q->n_tokens - 1);
    if (d->spec && n_logit_rows > 1 && q->n_tokens > n_known)
        spec_settle(d->spec, &q->spec, n_logit_rows - 1, q->n_tokens - n_known - 1);
    if (n_logit_rows > 0) {
        q->n_sent = q->n_computed;
        q->n_drafts = 0;
    }
    driver_keep(d, q);
}

void driver_deliver(struct driver *d, const struct flight *f)
{
    uint32_t n_logits = 0;

    for (uint32_t i = 0; i < f->batch.n_spans; i++) {
        const struct engine_span *span = &f->spans[i];
        const uint32_t end = span->start + span->n_rows;
        struct sequence *q = f->owners[i];
        const uint32_t n_logit_rows = sequence_logit_rows(q, span->start, end);

        q->n_flights--;
        if (q->is_running && q->pooling)
            driver_pool(d, q, span);
        if (q->is_running) /* it was not canceled while it was under way */
            deliver_span(d, q, span, n_logits, n_logit_rows);
        n_logits += n_logit_rows;
    }
}
