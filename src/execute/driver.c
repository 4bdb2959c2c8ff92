/* SPDX-License-Identifier: Apache-2.0 */
/* execute/driver.c - the rank that owns the output matrix drives its instance.
 *
 * One call of driver_step(): while fewer flights than ranks are under way and
 * the scheduler finds rows, launch one; then land the oldest, compute the
 * driver's own layers and deliver.  With one rank a flight never leaves.
 * Callbacks may submit and cancel: sequences that end during a step are only
 * marked, and sweep() takes them out when nobody looks at the list.
 */
#include "execute/driver.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/size.h"
#include "execute/driver/driver_priv.h"

static enum status check_options(const struct driver_options *o, struct err *err)
{
    if (o->n_ranks == 0 || (o->n_ranks > 1) != (o->ring != NULL))
        return err_set(err, ST_RANGE, "a driver of %u ranks needs a ring where they are several",
                       o->n_ranks);
    if (o->n_vocab == 0 || o->n_hidden == 0 || o->page_tokens == 0 || o->n_pages == 0 ||
        o->context_tokens < 2)
        return err_set(err, ST_RANGE, "a driver needs a vocabulary, a context and pages");
    if (o->vocab && o->vocab->n_tokens != o->n_vocab)
        return err_set(err, ST_RANGE, "text of %u tokens for a vocabulary of %u",
                       o->vocab->n_tokens, o->n_vocab);
    if (o->max_sequences == 0 || o->max_sequences > o->max_rows)
        return err_set(err, ST_RANGE, "%u sequences do not fit steps of %u rows", o->max_sequences,
                       o->max_rows);
    if (o->max_logit_rows != 0 && o->max_logit_rows < o->max_sequences)
        return err_set(err, ST_RANGE, "%u sequences do not fit steps of %u rows of logits",
                       o->max_sequences, o->max_logit_rows);
    return ST_OK;
}

static enum status line_up(struct driver *d, struct err *err)
{
    const struct driver_options *o = &d->o;
    enum status s = ST_OK;

    if (o->lineup)
        d->lineup = *o->lineup;
    else
        s = lineup_init(&d->lineup, NULL, o->n_ranks, err);
    if (s != ST_OK)
        return s;
    if (lineup_n_ranks(&d->lineup) != o->n_ranks ||
        (lineup_size(&d->lineup, d->lineup.n_teams - 1) > 1) != (o->portions != NULL))
        return err_set(err, ST_RANGE, "the teams of a driver are not those of its %u ranks",
                       o->n_ranks);
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
        .max_logit_rows = d->gather ? o->max_logit_rows : 0,
    };

    return o->ring ? step_wire_new(&limits, &d->wire, err) : ST_OK;
}

static enum status allocate_flight(const struct driver_options *o, struct flight *f)
{
    f->tokens = calloc(o->max_rows, sizeof(*f->tokens));
    f->spans = calloc(o->max_sequences, sizeof(*f->spans));
    f->owners = calloc(o->max_sequences, sizeof(struct sequence *));
    f->logit_rows = calloc(o->max_logit_rows, sizeof(*f->logit_rows));
    f->logit_asks = calloc(o->max_logit_rows, sizeof(*f->logit_asks));
    f->slots = calloc(o->max_sequences, sizeof(*f->slots));
    f->marks = calloc(o->max_sequences, sizeof(*f->marks));
    return f->tokens && f->spans && f->owners && f->logit_rows && f->logit_asks && f->slots &&
                   f->marks
               ? ST_OK
               : ST_NOMEM;
}

static void release_flight(struct flight *f)
{
    free(f->tokens);
    free(f->spans);
    free(f->owners);
    free(f->logit_rows);
    free(f->logit_asks);
    free(f->slots);
    free(f->marks);
}

static enum status allocate(struct driver *d, struct err *err)
{
    const struct driver_options *o = &d->o;
    enum status s = ST_OK;
    size_t n_logits;

    if (!size_mul(o->max_logit_rows, o->n_vocab, &n_logits))
        return err_set(err, ST_RANGE, "%u rows of logits", o->max_logit_rows);
    d->n_capacity = (size_t)o->max_sequences + o->max_waiting;
    d->sequences = calloc(d->n_capacity, sizeof(struct sequence *));
    d->entries = calloc(d->n_capacity, sizeof(*d->entries));
    d->rows = calloc(d->n_capacity, sizeof(*d->rows));
    d->logits = calloc(n_logits, sizeof(*d->logits));
    d->hidden = calloc((size_t)o->max_rows * o->n_hidden, sizeof(*d->hidden));
    d->flights = calloc(d->lineup.n_teams, sizeof(*d->flights));
    d->asks = calloc(o->max_sequences, sizeof(*d->asks));
    d->asked = calloc(o->max_sequences, sizeof(*d->asked));
    d->slots = calloc(o->max_sequences, sizeof(*d->slots));
    if (!d->sequences || !d->entries || !d->rows || !d->logits || !d->hidden || !d->flights ||
        !d->asks || !d->asked || !d->slots)
        s = ST_NOMEM;
    for (uint32_t i = 0; s == ST_OK && i < d->lineup.n_teams; i++)
        s = allocate_flight(o, &d->flights[i]);
    return s == ST_OK ? s : err_set(err, s, "a driver of %u sequences", o->max_sequences);
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
    if (d->o.max_logit_rows == 0)
        d->o.max_logit_rows = d->o.max_sequences;
    d->next_id = 1;
    s = line_up(d, err);
    if (s == ST_OK)
        s = allocate(d, err);
    if (s == ST_OK && options->portions)
        s = gather_new(d, &d->gather, err);
    d->o.portions = NULL; /* were borrowed */
    if (s == ST_OK)
        s = prefix_new(options->n_pages, options->page_tokens, &d->prefix, err);
    if (s == ST_OK)
        s = fair_new((uint32_t)d->n_capacity, &d->fair, err);
    if (s == ST_OK)
        s = sampler_new(options->n_vocab, &d->sampler, err);
    if (s == ST_OK)
        s = make_wire(d, err);
    if (s == ST_OK && options->vocab)
        s = constrainer_new(options->vocab, &d->constrainer, err);
    if (s == ST_OK && options->max_guesses > 0)
        s = spec_new(options->max_sequences, options->draft, &d->spec, err);
    if (s == ST_OK) {
        *ret_driver = d;
        d = NULL;
    }
    driver_free(d);
    return s;
}

static void drop(struct driver *d, struct sequence *q)
{
    spec_leave(d->spec, &q->spec);
    constraint_leave(d->constrainer, &q->constraint);
    sequence_free(q);
}

void driver_free(struct driver *d)
{
    if (!d)
        return;
    for (size_t i = 0; i < d->n_sequences; i++)
        drop(d, d->sequences[i]);
    free(d->sequences);
    free(d->asks);
    free(d->asked);
    free(d->slots);
    spec_free(d->spec);
    constrainer_free(d->constrainer);
    free(d->entries);
    free(d->rows);
    free(d->logits);
    free(d->hidden);
    gather_free(d->gather);
    for (uint32_t i = 0; d->flights && i < d->lineup.n_teams; i++)
        release_flight(&d->flights[i]);
    free(d->flights);
    step_wire_free(d->wire);
    sampler_free(d->sampler);
    fair_free(d->fair);
    prefix_free(d->prefix);
    free(d);
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

    if (g->n_prompt <= g->n_prior || (g->max_tokens <= g->n_prior && !g->scores_prompt))
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

/* Not over: what is, and waits for its flight, is nobody's any more. */
static size_t count_open(const struct driver *d)
{
    size_t n = 0;

    for (size_t i = 0; i < d->n_sequences; i++)
        n += d->sequences[i]->is_over ? 0 : 1;
    return n;
}

enum status driver_submit(struct driver *d, const struct generation *g, uint32_t tag,
                          token_stream_fn *fn, void *arg, uint64_t *ret_id, struct err *err)
{
    struct sequence *q;
    const uint32_t n_prompt = (uint32_t)(g->n_prompt - g->n_prior);
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

    room = longest_sequence(d) - n_prompt;
    n_limit = n_prompt + (g->max_tokens < room ? g->max_tokens : room);
    n_limit += g->max_tokens == 0; /* every sequence has room for one token more */
    s = sequence_new(g, n_limit, driver_pages_for(d, n_limit), d->o.n_hidden, &q, err);
    if (s != ST_OK)
        return s;
    if (d->spec && !g->without_guesses && !g->pooling && !g->scores_prompt)
        s = spec_join(d->spec, n_limit, &q->spec, err);
    if (s == ST_OK && g->grammar)
        s = driver_constrain(d, q, g, err);
    if (s != ST_OK) {
        drop(d, q);
        return s;
    }
    q->id = d->next_id++;
    q->tag = tag;
    q->fn = fn;
    q->arg = arg;
    q->tenant = fair_join(d->fair, g->tenant);
    d->sequences[d->n_sequences++] = q;
    *ret_id = q->id;
    return ST_OK;
}

/* Take out what is over, keeping the order of the rest.  What a flight still
 * speaks of goes when that has landed; its pages go now. */
static void sweep(struct driver *d)
{
    size_t n_kept = 0;

    for (size_t i = 0; i < d->n_sequences; i++) {
        struct sequence *q = d->sequences[i];

        if (q->is_over)
            driver_give_back(d, q);
        if (q->is_over && q->n_flights == 0) {
            fair_leave(d->fair, q->tenant);
            drop(d, q);
        } else {
            d->sequences[n_kept++] = q;
        }
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

static uint64_t now(const struct driver *d)
{
    return d->o.clock ? d->o.clock(d->o.clock_arg) : clock_ns();
}

/* To every rank of the first team, but the driver where it is one of them. */
static enum status send(struct driver *d, struct flight *f, struct err *err)
{
    enum status s = ST_OK;

    f->number = d->next_step++;
    f->start_ns = now(d);
    f->deadline_ns = deadline_after_ms(d->o.step_deadline_ms);
    if (!d->o.ring)
        return ST_OK;
    step_set_trace(d->wire, &f->trace);
    for (uint32_t to = 0; s == ST_OK && to < d->lineup.first[1]; to++)
        if (to != d->o.ring->rank)
            s = step_send(d->wire, d->o.ring, to, f->number, &f->batch, f->deadline_ns, err);
    return s;
}

/* Launch until every team has a step, or nothing is left to compute. */
static enum status launch(struct driver *d, struct err *err)
{
    enum status s = ST_OK;
    double expected_ns;

    while (s == ST_OK && d->n_flights < d->lineup.n_teams && driver_plan(d, &expected_ns) > 0 &&
           driver_may_launch(d)) {
        struct flight *f = &d->flights[(d->first_flight + d->n_flights) % d->lineup.n_teams];

        driver_build(d, f);
        f->expected_ns = expected_ns;
        d->n_flights++;
        s = send(d, f, err);
    }
    return s;
}

/* Hidden rows of the oldest flight from the team before this one. */
static enum status receive(struct driver *d, const struct flight *f, struct engine_batch *batch,
                           struct err *err)
{
    struct engine_batch back;
    uint64_t number;
    enum status s;

    s = step_recv(d->wire, d->o.ring, lineup_source(&d->lineup, d->o.ring->rank), f->deadline_ns,
                  d->o.step_deadline_ms, &number, &back, err);
    if (s != ST_OK)
        return s;
    if (number != f->number || back.n_rows != f->batch.n_rows || !back.hidden)
        return err_set(err, ST_FORMAT, "the ranks answered another step than was asked");
    batch->tokens = NULL;
    batch->hidden = back.hidden;
    return ST_OK;
}

/* Where several steps are under way, one takes as long as it keeps the next from landing. */
static void learn_times(struct driver *d, const struct flight *f)
{
    const uint64_t from_ns = f->start_ns > d->landed_ns ? f->start_ns : d->landed_ns;
    const uint32_t n_rows = f->batch.n_rows;
    uint64_t elapsed_ns;

    d->landed_ns = now(d);
    elapsed_ns = d->landed_ns - from_ns;
    budget_learn(&d->budget, n_rows - f->n_prompt_rows, f->n_prompt_rows, elapsed_ns);
    if (d->spec)
        spec_learn(d->spec, n_rows, elapsed_ns, f->expected_ns);
}

static void tell_times(struct driver *d, const struct engine_batch *batch)
{
    if (!d->o.on_times)
        return;
    d->times.told_ns = clock_ns();
    d->times.n_rows = batch->n_rows;
    d->times.n_spans = batch->n_spans;
    d->o.on_times(d->o.times_arg, &d->times);
}

static enum status land(struct driver *d, struct err *err)
{
    const struct flight *f = &d->flights[d->first_flight];
    struct engine_batch batch = f->batch;
    enum status s = ST_OK;

    if (d->lineup.n_teams > 1)
        s = receive(d, f, &batch, err);
    d->times.arrived_ns = clock_ns();
    if (s == ST_OK)
        s = d->o.shard->type->step(d->o.shard, &batch, f->wants_hidden ? d->hidden : NULL,
                                   d->gather ? gather_own(d->gather) : d->logits, err);
    if (s == ST_OK && d->gather)
        s = gather_logits(d, &batch, f->deadline_ns, err);
    if (s != ST_OK)
        return s;
    d->times.computed_ns = clock_ns();
    d->first_flight = (d->first_flight + 1) % d->lineup.n_teams;
    d->n_flights--;
    driver_deliver(d, f);
    learn_times(d, f);
    tell_times(d, &batch);
    return ST_OK;
}

static void fail_all(struct driver *d, const struct err *why)
{
    d->is_broken = true;
    d->broken = *why;
    for (size_t i = 0; i < d->n_sequences; i++) {
        struct sequence *q = d->sequences[i];

        q->n_flights = 0;
        if (q->is_over)
            continue;
        q->is_over = true;
        q->fn(q->arg, NULL, why);
    }
}

/* The step that is to land is what a plan predicts for one stream. */
static bool is_alone(const struct driver *d)
{
    const struct flight *f = &d->flights[d->first_flight];

    return d->n_flights == 1 && f->batch.n_spans == 1 && f->n_prompt_rows == 0;
}

static void count_step(struct driver *d, bool was_alone, uint64_t n_tokens)
{
    const uint64_t took_ns = clock_ns() - d->times.begin_ns;

    d->step_ns += took_ns;
    d->n_steps++;
    if (was_alone) {
        d->alone_ns += took_ns;
        d->n_alone_tokens += n_tokens;
    }
}

enum status driver_step(struct driver *d, struct err *err)
{
    const uint64_t n_generated = d->n_generated;
    struct err why = { 0 };
    bool was_alone = false;
    enum status s;

    if (d->is_broken)
        return err_set(err, d->broken.status, "%s", d->broken.words);

    d->is_stepping = true;
    d->times.begin_ns = clock_ns();
    s = launch(d, &why);
    d->times.launched_ns = clock_ns();
    if (s == ST_OK && d->n_flights > 0) {
        was_alone = is_alone(d);
        s = land(d, &why);
    }
    if (s != ST_OK) {
        why.status = s;
        d->n_flights = 0;
        fail_all(d, &why);
        (void)err_set(err, s, "%s", why.words);
    }
    d->is_stepping = false;
    sweep(d);
    count_step(d, was_alone, d->n_generated - n_generated);
    return s;
}

struct driver_load driver_load(const struct driver *d)
{
    const size_t n_running = count_running(d);

    return (struct driver_load){
        .n_running = (uint32_t)n_running,
        .n_waiting = (uint32_t)(count_open(d) - n_running),
        .kv_tokens_used = (uint64_t)prefix_n_held(d->prefix) * d->o.page_tokens,
        .kv_tokens_cached = (uint64_t)prefix_n_cached(d->prefix) * d->o.page_tokens,
        .n_generated_tokens = d->n_generated,
        .n_preempted = d->n_preempted,
        .step_ns = d->step_ns,
        .n_steps = d->n_steps,
        .n_alone_tokens = d->n_alone_tokens,
        .alone_ns = d->alone_ns,
        .waited_ns = d->o.ring ? d->o.ring->waited_ns : 0,
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
