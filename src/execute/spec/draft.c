/* SPDX-License-Identifier: Apache-2.0 */
/* execute/spec/draft.c - a second, small model that drafts for the sequences of a driver.
 *
 * Drafting k tokens is k passes.  The first computes what the sequences became since
 * the last time, mostly a token or two each; every pass makes one token of each
 * sequence that still wants one, and the next pass computes that.
 */
#include "execute/spec/draft.h"

#include <stdlib.h>

#include "execute/sample/sample.h"
#include "memory/pages.h"

/* Rows of one step given to a sequence that is far behind, so that running ones do not wait long
 * for it; and how far behind is far. */
enum { CATCH_UP_ROWS = 64, FAR_BEHIND = 8 };

struct draft {
    struct draft_options o;
    struct pages *pages;
    struct sampler *sampler;
    int32_t *tokens;                 /* [max_rows] */
    struct engine_span *spans;       /* [max_sequences] */
    const struct draft_ask **askers; /* [max_sequences] of the spans */
    uint32_t *logit_rows;            /* [max_sequences] */
    float *logits;                   /* [max_sequences][n_vocab] */
};

static enum status allocate(struct draft *d, struct err *err)
{
    const struct draft_options *o = &d->o;

    d->tokens = calloc(o->max_rows, sizeof(*d->tokens));
    d->spans = calloc(o->max_sequences, sizeof(*d->spans));
    d->askers = calloc(o->max_sequences, sizeof(struct draft_ask *));
    d->logit_rows = calloc(o->max_sequences, sizeof(*d->logit_rows));
    d->logits = calloc((size_t)o->max_sequences * o->n_vocab, sizeof(*d->logits));
    if (!d->tokens || !d->spans || !d->askers || !d->logit_rows || !d->logits)
        return err_set(err, ST_NOMEM, "a draft model of %u sequences", o->max_sequences);
    return ST_OK;
}

enum status draft_new(const struct draft_options *options, struct draft **ret_draft,
                      struct err *err)
{
    struct draft *d;
    enum status s;

    if (options->max_sequences == 0 || options->max_rows < options->max_sequences * FAR_BEHIND)
        return err_set(err, ST_RANGE, "a draft model of %u sequences needs steps of %u rows",
                       options->max_sequences, options->max_sequences * FAR_BEHIND);
    d = calloc(1, sizeof(*d));
    if (!d)
        return err_set(err, ST_NOMEM, "a draft model");
    d->o = *options;
    s = allocate(d, err);
    if (s == ST_OK)
        s = pages_new(options->n_pages, &d->pages, err);
    if (s == ST_OK)
        s = sampler_new(options->n_vocab, &d->sampler, err);
    if (s == ST_OK) {
        *ret_draft = d;
        d = NULL;
    }
    draft_free(d);
    return s;
}

void draft_free(struct draft *d)
{
    if (!d)
        return;
    free(d->tokens);
    free(d->spans);
    free(d->askers);
    free(d->logit_rows);
    free(d->logits);
    sampler_free(d->sampler);
    pages_free(d->pages);
    free(d);
}

static uint32_t pages_for(const struct draft *d, uint32_t n_tokens)
{
    return (n_tokens + d->o.page_tokens - 1) / d->o.page_tokens;
}

enum status draft_join(const struct draft *d, uint32_t n_limit, struct draft_sequence *ret_sequence,
                       struct err *err)
{
    const uint32_t n = pages_for(d, n_limit < d->o.context_tokens ? n_limit : d->o.context_tokens);

    *ret_sequence = (struct draft_sequence){ .n_pages_max = n };
    ret_sequence->pages = calloc(n, sizeof(*ret_sequence->pages));
    return ret_sequence->pages ? ST_OK : err_set(err, ST_NOMEM, "drafts of %u tokens", n_limit);
}

void draft_leave(struct draft *d, struct draft_sequence *q)
{
    for (uint32_t i = 0; i < q->n_pages; i++)
        pages_release(d->pages, q->pages[i]);
    free(q->pages);
    *q = (struct draft_sequence){ 0 };
}

/* Keys and values stay as far as the sequence became what was drafted. */
static void forget(struct draft_sequence *q, const int32_t *tokens, uint32_t n_tokens)
{
    uint32_t n = 0;

    if (q->n_made == 0)
        return;
    while (n < q->n_made && q->made_at + n < n_tokens && q->made[n] == tokens[q->made_at + n])
        n++;
    if (q->n_computed > q->made_at + n)
        q->n_computed = q->made_at + n;
    q->n_made = 0;
}

static bool take_pages(struct draft *d, struct draft_sequence *q, uint32_t n_tokens)
{
    const uint32_t wanted = pages_for(d, n_tokens);

    if (wanted <= q->n_pages)
        return true;
    if (wanted > q->n_pages_max || n_tokens > d->o.context_tokens ||
        pages_take(d->pages, wanted - q->n_pages, q->pages + q->n_pages) != ST_OK)
        return false;
    q->n_pages = wanted;
    return true;
}

uint32_t draft_ready(struct draft *d, const struct draft_ask *ask, bool *ret_is_behind)
{
    struct draft_sequence *q = ask->sequence;

    *ret_is_behind = false;
    forget(q, ask->tokens, ask->n_tokens);
    if (ask->n_wanted == 0 || !take_pages(d, q, ask->n_tokens + ask->n_wanted))
        return 0;
    *ret_is_behind = ask->n_tokens - q->n_computed > FAR_BEHIND;
    return *ret_is_behind ? 0 : ask->n_wanted;
}

static void add_span(struct draft *d, struct engine_batch *b, const struct draft_ask *ask,
                     uint32_t n_rows)
{
    struct draft_sequence *q = ask->sequence;

    for (uint32_t i = 0; i < n_rows; i++)
        d->tokens[b->n_rows + i] = ask->tokens[q->n_computed + i];
    d->askers[b->n_spans] = ask;
    d->spans[b->n_spans++] = (struct engine_span){
        .first_row = b->n_rows,
        .n_rows = n_rows,
        .start = q->n_computed,
        .pages = q->pages,
        .n_pages = pages_for(d, q->n_computed + n_rows),
    };
    b->n_rows += n_rows;
    q->n_computed += n_rows;
}

static struct engine_batch batch_of(struct draft *d)
{
    return (
        struct engine_batch){ .tokens = d->tokens, .spans = d->spans, .logit_rows = d->logit_rows };
}

static enum status compute(struct draft *d, const struct engine_batch *b, struct err *err)
{
    return d->o.shard->type->step(d->o.shard, b, NULL, d->logits, err);
}

enum status draft_catch_up(struct draft *d, const struct draft_ask *ask, struct err *err)
{
    struct engine_batch b = batch_of(d);
    uint32_t n = ask->n_tokens - ask->sequence->n_computed;

    n = n < CATCH_UP_ROWS ? n : CATCH_UP_ROWS;
    n = n < d->o.max_rows ? n : d->o.max_rows;
    if (n == 0)
        return ST_OK;
    add_span(d, &b, ask, n);
    return compute(d, &b, err);
}

static enum status draw(struct draft *d, const struct draft_ask *ask, const float *logits,
                        struct err *err)
{
    struct draft_sequence *q = ask->sequence;
    const uint32_t n_tokens = ask->n_tokens + q->n_made;
    struct sampling how = *ask->how;
    const struct sample_input in = {
        .logits = logits,
        .how = &how,
        .tokens = ask->tokens,
        .n_prompt = ask->n_prompt,
        .n_tokens = n_tokens,
        .banned = ask->banned,
        .n_banned = n_tokens < ask->banned_until ? ask->n_banned : 0,
    };
    struct sample sample;
    enum status s;

    how.wants_logprobs = false;
    s = sampler_choose(d->sampler, &in, &sample, err);
    if (s != ST_OK)
        return s;
    ask->tokens[n_tokens] = sample.token;
    q->made[q->n_made++] = sample.token;
    return ST_OK;
}

/* One token more for each sequence that wants one. */
static enum status pass(struct draft *d, const struct draft_ask *asks, uint32_t n, struct err *err)
{
    struct engine_batch b = batch_of(d);
    enum status s;

    for (uint32_t i = 0; i < n; i++) {
        const struct draft_sequence *q = asks[i].sequence;

        if (q->n_made == asks[i].n_wanted)
            continue;
        add_span(d, &b, &asks[i], asks[i].n_tokens + q->n_made - q->n_computed);
        d->logit_rows[b.n_logit_rows++] = b.n_rows - 1;
    }
    s = compute(d, &b, err);
    for (uint32_t i = 0; s == ST_OK && i < b.n_spans; i++)
        s = draw(d, d->askers[i], d->logits + (size_t)i * d->o.n_vocab, err);
    return s;
}

enum status draft_make(struct draft *d, const struct draft_ask *asks, uint32_t n, struct err *err)
{
    uint32_t n_passes = 0;
    enum status s = ST_OK;

    for (uint32_t i = 0; i < n; i++) {
        asks[i].sequence->made_at = asks[i].n_tokens;
        asks[i].sequence->n_made = 0;
        n_passes = asks[i].n_wanted > n_passes ? asks[i].n_wanted : n_passes;
    }
    for (uint32_t i = 0; s == ST_OK && i < n_passes; i++)
        s = pass(d, asks, n, err);
    return s;
}
