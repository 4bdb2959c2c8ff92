/* SPDX-License-Identifier: Apache-2.0 */
/* execute/driver.c - the rank that owns the output matrix drives its instance.
 *
 * One step: plan() asks the scheduler, build() lays the batch out, compute()
 * sends it around, deliver() samples and calls back.  Callbacks may submit
 * and cancel: sequences that end during a step are only marked, and sweep()
 * takes them out when nobody looks at the list.
 *
 * Invariant: a sequence holds all pages of its whole length while it is
 * running and none otherwise.
 */
#include "execute/driver.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/size.h"
#include "execute/sample/sample.h"
#include "execute/sched.h"
#include "execute/sequence.h"
#include "execute/shard/step.h"
#include "memory/pages.h"

/* Where steps have a time to keep: rows a step is never cut below, as smaller
 * ones gain no latency and lose speed, and rows until the speed is known. */
enum { MIN_ROW_BUDGET = 16, FIRST_ROW_BUDGET = 64 };

struct driver {
    struct driver_options o;
    struct pages *pages;
    struct sampler *sampler;
    struct step_wire *wire; /* NULL where there is no ring */
    bool is_broken, is_stepping;
    struct err broken;
    uint64_t next_id, next_step, n_generated;
    uint64_t ns_per_row; /* measured; 0: not yet */

    struct sequence **sequences; /* [n_sequences], oldest first; capacity n_capacity */
    size_t n_sequences, n_capacity;

    /* The step being made. */
    struct sched_entry *entries;  /* [n_capacity] */
    uint32_t *rows;               /* [n_capacity] */
    int32_t *tokens;              /* [max_rows] */
    struct engine_span *spans;    /* [max_sequences] */
    struct sequence **span_owner; /* [max_sequences] */
    uint32_t *logit_rows;         /* [max_sequences] */
    float *logits;                /* [max_sequences][n_vocab] */
};

static enum status check_options(const struct driver_options *o, struct err *err)
{
    if (o->n_ranks == 0 || (o->n_ranks > 1) != (o->ring != NULL))
        return err_set(err, ST_RANGE, "a driver of %u ranks needs a ring where they are several",
                       o->n_ranks);
    if (o->n_vocab == 0 || o->n_hidden == 0 || o->page_tokens == 0 || o->n_pages == 0 ||
        o->context_tokens < 2)
        return err_set(err, ST_RANGE, "a driver needs a vocabulary, a context and pages");
    if (o->max_sequences == 0 || o->max_sequences > o->max_rows)
        return err_set(err, ST_RANGE, "%u sequences do not fit steps of %u rows", o->max_sequences,
                       o->max_rows);
    return ST_OK;
}

static enum status make_wire(struct driver *d, struct err *err)
{
    const struct driver_options *o = &d->o;
    const struct step_limits limits = {
        .max_rows = o->max_rows,
        .max_spans = o->max_sequences,
        .context_tokens = o->context_tokens,
        .page_tokens = o->page_tokens,
        .n_pages = o->n_pages,
        .n_vocab = o->n_vocab,
        .n_hidden = o->n_hidden,
    };

    return o->ring ? step_wire_new(&limits, &d->wire, err) : ST_OK;
}

static enum status allocate(struct driver *d, struct err *err)
{
    const struct driver_options *o = &d->o;
    size_t n_logits;

    if (!size_mul(o->max_sequences, o->n_vocab, &n_logits))
        return err_set(err, ST_RANGE, "logits of %u sequences", o->max_sequences);
    d->n_capacity = (size_t)o->max_sequences + o->max_waiting;
    d->sequences = calloc(d->n_capacity, sizeof(struct sequence *));
    d->entries = calloc(d->n_capacity, sizeof(*d->entries));
    d->rows = calloc(d->n_capacity, sizeof(*d->rows));
    d->tokens = calloc(o->max_rows, sizeof(*d->tokens));
    d->spans = calloc(o->max_sequences, sizeof(*d->spans));
    d->span_owner = calloc(o->max_sequences, sizeof(struct sequence *));
    d->logit_rows = calloc(o->max_sequences, sizeof(*d->logit_rows));
    d->logits = calloc(n_logits, sizeof(*d->logits));
    if (!d->sequences || !d->entries || !d->rows || !d->tokens || !d->spans || !d->span_owner ||
        !d->logit_rows || !d->logits)
        return err_set(err, ST_NOMEM, "a driver of %u sequences", o->max_sequences);
    return ST_OK;
}

enum status driver_new(const struct driver_options *options, struct driver **ret_driver,
                       struct err *err)
{
    struct driver *d = NULL;
    enum status s;

    s = check_options(options, err);
    if (s != ST_OK)
        return s;
    d = calloc(1, sizeof(*d));
    if (!d)
        return err_set(err, ST_NOMEM, "a driver");
    d->o = *options;
    d->next_id = 1;
    s = allocate(d, err);
    if (s == ST_OK)
        s = pages_new(options->n_pages, &d->pages, err);
    if (s == ST_OK)
        s = sampler_new(options->n_vocab, &d->sampler, err);
    if (s == ST_OK)
        s = make_wire(d, err);
    if (s == ST_OK) {
        *ret_driver = d;
        d = NULL;
    }
    driver_free(d);
    return s;
}

void driver_free(struct driver *d)
{
    if (!d)
        return;
    for (size_t i = 0; i < d->n_sequences; i++)
        sequence_free(d->sequences[i]);
    free(d->sequences);
    free(d->entries);
    free(d->rows);
    free(d->tokens);
    free(d->spans);
    free(d->span_owner);
    free(d->logit_rows);
    free(d->logits);
    step_wire_free(d->wire);
    sampler_free(d->sampler);
    pages_free(d->pages);
    free(d);
}

static uint32_t pages_for(const struct driver *d, uint32_t n_tokens)
{
    return (n_tokens + d->o.page_tokens - 1) / d->o.page_tokens;
}

/* Tokens one sequence may have: the context, and what the pool can ever hold. */
static uint32_t longest_sequence(const struct driver *d)
{
    const uint64_t pool = (uint64_t)d->o.n_pages * d->o.page_tokens;

    return pool < d->o.context_tokens ? (uint32_t)pool : d->o.context_tokens;
}

static enum status check_generation(const struct driver *d, const struct generation *g,
                                    struct err *err)
{
    const uint32_t longest = longest_sequence(d);

    if (g->n_prompt == 0 || g->max_tokens == 0)
        return err_set(err, ST_RANGE, "a generation needs a prompt and at least one token to make");
    if (g->n_prompt >= longest)
        return err_set(err, ST_RANGE,
                       "the prompt has %zu tokens and the context is %u: no room for an answer",
                       g->n_prompt, longest);
    for (size_t i = 0; i < g->n_prompt; i++)
        if (g->prompt[i] < 0 || (uint32_t)g->prompt[i] >= d->o.n_vocab)
            return err_set(err, ST_RANGE, "token %d is not in the vocabulary of %u", g->prompt[i],
                           d->o.n_vocab);
    return ST_OK;
}

static size_t count_running(const struct driver *d)
{
    size_t n = 0;

    for (size_t i = 0; i < d->n_sequences; i++)
        n += d->sequences[i]->is_running ? 1 : 0;
    return n;
}

enum status driver_submit(struct driver *d, const struct generation *g, uint32_t tag,
                          token_stream_fn *fn, void *arg, uint64_t *ret_id, struct err *err)
{
    struct sequence *q;
    uint32_t room, n_limit;
    enum status s;

    if (d->is_broken)
        return err_set(err, ST_PEER, "the instance is broken: %s", d->broken.words);
    s = check_generation(d, g, err);
    if (s != ST_OK)
        return s;
    if (d->n_sequences == d->n_capacity)
        return err_set(err, ST_FULL, "%zu sequences are running or waiting; try again later",
                       d->n_sequences);

    room = longest_sequence(d) - (uint32_t)g->n_prompt;
    n_limit = (uint32_t)g->n_prompt + (g->max_tokens < room ? g->max_tokens : room);
    s = sequence_new(g, n_limit, pages_for(d, n_limit), &q, err);
    if (s != ST_OK)
        return s;
    q->id = d->next_id++;
    q->tag = tag;
    q->fn = fn;
    q->arg = arg;
    d->sequences[d->n_sequences++] = q;
    *ret_id = q->id;
    return ST_OK;
}

static void drop(struct driver *d, struct sequence *q)
{
    for (uint32_t i = 0; q->is_running && i < q->n_pages; i++)
        pages_release(d->pages, q->pages[i]);
    sequence_free(q);
}

/* Take out what is over, keeping the order of the rest. */
static void sweep(struct driver *d)
{
    size_t n_kept = 0;

    for (size_t i = 0; i < d->n_sequences; i++) {
        struct sequence *q = d->sequences[i];

        if (q->is_over)
            drop(d, q);
        else
            d->sequences[n_kept++] = q;
    }
    d->n_sequences = n_kept;
}

void driver_cancel(struct driver *d, uint64_t id)
{
    for (size_t i = 0; i < d->n_sequences; i++)
        if (d->sequences[i]->id == id)
            d->sequences[i]->is_over = true;
    if (!d->is_stepping)
        sweep(d);
}

static uint32_t row_budget(const struct driver *d)
{
    const uint64_t target_ns = d->o.step_target_ms * NS_PER_MS;
    uint64_t budget;

    if (target_ns == 0)
        return d->o.max_rows;
    budget = d->ns_per_row > 0 ? target_ns / d->ns_per_row : FIRST_ROW_BUDGET;
    budget = size_max(size_max(budget, MIN_ROW_BUDGET), d->o.max_sequences);
    return (uint32_t)size_min(budget, d->o.max_rows);
}

static uint32_t plan(struct driver *d)
{
    const struct sched_limits limits = {
        .max_rows = row_budget(d),
        .max_sequences = d->o.max_sequences,
        .n_free_pages = pages_n_free(d->pages),
    };

    for (size_t i = 0; i < d->n_sequences; i++) {
        const struct sequence *q = d->sequences[i];

        d->entries[i] = (struct sched_entry){
            .is_running = q->is_running,
            .n_pending = q->n_tokens - q->n_computed,
            .n_pages = q->n_pages,
        };
    }
    return sched_plan(d->entries, d->n_sequences, &limits, d->rows);
}

/* Lay out the planned rows; a sequence whose last known token is among them
 * gets a row of logits. */
static struct engine_batch build(struct driver *d)
{
    struct engine_batch b = {
        .tokens = d->tokens,
        .spans = d->spans,
        .logit_rows = d->logit_rows,
    };

    for (size_t i = 0; i < d->n_sequences; i++) {
        struct sequence *q = d->sequences[i];
        const uint32_t n = d->rows[i];

        if (n == 0)
            continue;
        if (!q->is_running) {
            (void)pages_take(d->pages, q->n_pages, q->pages); /* the plan counted them */
            q->is_running = true;
        }
        memcpy(d->tokens + b.n_rows, q->tokens + q->n_computed, n * sizeof(*d->tokens));
        d->span_owner[b.n_spans] = q;
        d->spans[b.n_spans++] = (struct engine_span){
            .first_row = b.n_rows,
            .n_rows = n,
            .start = q->n_computed,
            .pages = q->pages,
            .n_pages = pages_for(d, q->n_computed + n),
        };
        b.n_rows += n;
        if (q->n_computed + n == q->n_tokens)
            d->logit_rows[b.n_logit_rows++] = b.n_rows - 1;
    }
    return b;
}

/* The step through the ranks before this one: tokens out, hidden rows back. */
static enum status go_around(struct driver *d, const struct engine_batch *out,
                             struct engine_batch *ret_back, struct err *err)
{
    const uint64_t deadline_ns = deadline_after_ms(d->o.step_deadline_ms);
    const uint64_t number = d->next_step++;
    uint64_t back_number;
    enum status s;

    s = step_send(d->wire, d->o.ring, 0, number, out, deadline_ns, err);
    if (s == ST_OK)
        s = step_recv(d->wire, d->o.ring, d->o.n_ranks - 2, deadline_ns, d->o.step_deadline_ms,
                      &back_number, ret_back, err);
    if (s != ST_OK)
        return s;
    if (back_number != number || ret_back->n_rows != out->n_rows || !ret_back->hidden)
        return err_set(err, ST_FORMAT, "the ranks answered another step than was asked");
    return ST_OK;
}

static enum status compute(struct driver *d, const struct engine_batch *batch, struct err *err)
{
    struct engine_batch last = *batch, back;
    enum status s = ST_OK;

    if (d->o.ring) {
        s = go_around(d, batch, &back, err);
        if (s != ST_OK)
            return s;
        last.tokens = NULL;
        last.hidden = back.hidden;
    }
    return d->o.shard->type->step(d->o.shard, &last, NULL, d->logits, err);
}

/* A moving average: one slow step does not shrink the budget for long. */
static void learn_speed(struct driver *d, uint32_t n_rows, uint64_t elapsed_ns)
{
    const uint64_t per_row = elapsed_ns / n_rows + 1;

    if (n_rows >= MIN_ROW_BUDGET) /* small steps pay for reading the weights, not for rows */
        d->ns_per_row = d->ns_per_row == 0 ? per_row : (d->ns_per_row * 3 + per_row) / 4;
}

static void deliver_token(struct driver *d, struct sequence *q, const float *logits)
{
    const bool must_go_on = sequence_must_go_on(q);
    const struct sample_input in = {
        .logits = logits,
        .how = &q->sampling,
        .tokens = q->tokens,
        .n_prompt = q->n_prompt,
        .n_tokens = q->n_tokens,
        .banned = q->stop_tokens,
        .n_banned = must_go_on ? q->n_stop_tokens : 0,
    };
    struct token_event event = { .sequence = q->tag };
    struct sample sample;
    struct err why;

    if (sampler_choose(d->sampler, &in, &sample, &why) != ST_OK) {
        q->is_over = true;
        q->fn(q->arg, NULL, &why);
        return;
    }
    event.token = sample.token;
    event.logprob = sample.logprob;
    event.top = sample.top;
    event.n_top = sample.n_top;
    q->tokens[q->n_tokens++] = sample.token;
    d->n_generated++;
    event.finish = sequence_finish(q, sample.token);
    q->is_over = event.finish != FINISH_NONE;
    q->fn(q->arg, &event, NULL);
}

static void deliver(struct driver *d, const struct engine_batch *b)
{
    uint32_t n_logits = 0;

    for (uint32_t i = 0; i < b->n_spans; i++) {
        struct sequence *q = d->span_owner[i];
        const float *logits = d->logits + (size_t)n_logits * d->o.n_vocab;

        q->n_computed += b->spans[i].n_rows;
        if (q->n_computed < q->n_tokens)
            continue;
        n_logits++;
        if (!q->is_over) /* a callback of this step may have canceled it */
            deliver_token(d, q, logits);
    }
}

static void fail_all(struct driver *d, const struct err *why)
{
    d->is_broken = true;
    d->broken = *why;
    for (size_t i = 0; i < d->n_sequences; i++) {
        struct sequence *q = d->sequences[i];

        if (q->is_over)
            continue;
        q->is_over = true;
        q->fn(q->arg, NULL, why);
    }
}

enum status driver_step(struct driver *d, struct err *err)
{
    struct err why = { 0 };
    struct engine_batch batch;
    uint64_t start_ns;
    enum status s;

    if (d->is_broken)
        return err_set(err, d->broken.status, "%s", d->broken.words);
    if (plan(d) == 0)
        return ST_OK;

    d->is_stepping = true;
    batch = build(d);
    start_ns = clock_ns();
    s = compute(d, &batch, &why);
    if (s == ST_OK) {
        learn_speed(d, batch.n_rows, clock_ns() - start_ns);
        deliver(d, &batch);
    } else {
        why.status = s;
        fail_all(d, &why);
        (void)err_set(err, s, "%s", why.words);
    }
    d->is_stepping = false;
    sweep(d);
    return s;
}

struct driver_load driver_load(const struct driver *d)
{
    const size_t n_running = count_running(d);

    return (struct driver_load){
        .n_running = (uint32_t)n_running,
        .n_waiting = (uint32_t)(d->n_sequences - n_running),
        .kv_tokens_used = (uint64_t)pages_n_used(d->pages) * d->o.page_tokens,
        .n_generated_tokens = d->n_generated,
    };
}

bool driver_is_broken(const struct driver *d)
{
    return d->is_broken;
}

bool driver_has_work(const struct driver *d)
{
    return d->n_sequences > 0;
}
