/* SPDX-License-Identifier: Apache-2.0 */
/* flow/generate.c - stages 5 and 6: the instance computes, the text goes out.
 *
 * Every choice is a generation of its own; the driver finds their common
 * prompt in its cache.  The answer is complete when each choice is.  A choice
 * that has tokens already is continued: they follow the prompt, and the driver is told that they
 * are no part of it.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/clock.h"
#include "base/log.h"
#include "flow/flow_priv.h"
#include "gateway/http/sse.h"
#include "text/tokenizer/tokens.h"

/* Keeps the seeds of a request's choices apart (Steele et al. 2014, SplitMix). */
static const uint64_t SEED_STEP = 0x9E3779B97F4A7C15u;

struct reply_usage flow_usage(const struct flow *f)
{
    struct reply_usage usage = { 0 };

    for (size_t i = 0; f->prompts && i < f->request.n_prompts; i++)
        usage.prompt_tokens += f->prompts[i].n;
    for (size_t i = 0; f->choices && i < f->n_choices; i++) {
        if (!f->choices[i].aggregate)
            continue;
        usage.completion_tokens += aggregate_n_tokens(f->choices[i].aggregate);
        usage.reasoning_tokens += aggregate_n_thought_tokens(f->choices[i].aggregate);
        if (i % f->request.n == 0) /* a prompt counts once, not for each of its choices */
            usage.cached_tokens += f->choices[i].n_cached_tokens;
    }
    return usage;
}

void flow_send_events(struct flow *f)
{
    f->last_sent_ns = clock_ns();
    if (buf_status(&f->events) == ST_OK)
        sse_send(f->x, &f->events);
    else
        (void)flow_fail(f, API_OVERLOADED, &(struct err){ .words = "There is no memory." });
}

void flow_on_delta(void *arg, const struct reply_delta *delta)
{
    struct flow *f = arg;
    const bool is_known =
        f->request.n_known_tokens > 0 && delta->n_tokens <= f->request.n_known_tokens;
    struct reply_delta sent = *delta;

    flow_count_finish(delta->finish);
    if (!f->request.streams) {
        answer_collect(f->answer, delta);
        return;
    }
    if (is_known)
        answer_skip(f->answer, delta);
    if (is_known && delta->finish == FINISH_NONE)
        return;
    if (is_known)
        sent.n_text = sent.n_logprobs = 0;
    buf_clear(&f->events);
    if (!f->is_streaming)
        flow_start_stream(f);
    answer_events(f->answer, &sent, &f->events);
    flow_send_events(f);
}

void flow_start_stream(struct flow *f)
{
    const struct reply_usage usage = flow_usage(f);

    if (f->request.dialect->content_type)
        exchange_stream_start(f->x, f->request.dialect->content_type);
    else
        sse_start(f->x);
    f->is_streaming = true;
    buf_clear(&f->events);
    answer_begin(f->answer, &usage, &f->events);
    if (buf_status(&f->events) != ST_OK)
        (void)flow_fail(f, API_OVERLOADED, &(struct err){ .words = "There is no memory." });
    else if (f->events.len > 0)
        sse_send(f->x, &f->events);
    buf_clear(&f->events);
}

/* What a driver says of a generation that it cannot go on with. */
static enum step fail_as_told(struct flow *f, const struct err *failure)
{
    const bool is_of_grammar = f->request.grammar && f->setback == SETBACK_NONE &&
                               (failure->status == ST_RANGE || failure->status == ST_FORMAT);

    if (!is_of_grammar)
        return flow_fail(f, failure->status == ST_FULL ? API_OVERLOADED : API_UPSTREAM, failure);
    (void)api_error_set(&f->failure, API_GRAMMAR, NULL, "The answer's form cannot be held: %s.",
                        failure->words);
    f->has_failed = true;
    return STEP_FAIL;
}

/* A connection that broke says that the instance is lost, unless somebody ended it on purpose. */
static enum setback setback_of(const struct flow *f, const struct err *failure)
{
    if (client_is_unreachable(client_of(f->client)))
        return SETBACK_LINK;
    if (client_is_broken(client_of(f->client)))
        return failure->status == ST_CANCELED ? SETBACK_NONE : SETBACK_LOSS;
    return failure->status == ST_FULL ? SETBACK_ROOM : SETBACK_NONE;
}

static void on_failure(struct choice *c, const struct err *failure)
{
    struct flow *f = c->flow;

    c->generation = 0;
    if (!f->has_failed)
        f->setback = setback_of(f, failure);
    (void)fail_as_told(f, failure);
    flow_wake(f);
}

enum { EMBED_OPEN_MAX = 32 }; /* texts of one request that the driver has at a time */

static void end_outage(struct flow *f)
{
    if (f->outage.begun_ns == 0)
        return;
    log_with(LOG_INFO, "a request goes on", log_text("request_id", exchange_id(f->x)),
             log_text("instance", f->route.instance_id),
             log_count("outage_ms", (f->last_token_ns - f->outage.begun_ns) / NS_PER_MS));
    metrics_resumed(f->last_token_ns - f->outage.begun_ns);
    if (f->outage.n_losses > 0)
        metrics_failed_over(true);
    outage_end(&f->outage);
}

static enum status take_token(struct choice *c, const struct token_event *event, bool *ret_finished,
                              struct err *err)
{
    const struct flow *f = c->flow;
    enum status s;

    if (f->request.task == TASK_EMBED) {
        *ret_finished = true;
        return flow_take_vector(c, event, err);
    }
    if (event->is_prompt)
        return flow_take_score(c, event, err);
    s = f->request.echoes && !c->has_echoed ? flow_echo(c, err) : ST_OK;
    if (s != ST_OK)
        return s;
    if (c->answer.n == 0 && event->n_cached_tokens > 0) /* later instances are not the client's */
        c->n_cached_tokens = event->n_cached_tokens;
    if (event->token >= 0) {
        s = tokens_reserve(&c->answer, 1, err);
        if (s != ST_OK)
            return s;
        c->answer.ids[c->answer.n++] = event->token;
    }
    return aggregate_push(c->aggregate, event, ret_finished, err);
}

static void on_token(void *arg, const struct token_event *event, const struct err *failure)
{
    struct choice *c = arg;
    struct flow *f = c->flow;
    struct err err = { 0 };
    bool is_finished = false;

    if (failure) {
        on_failure(c, failure);
        return;
    }
    if (f->has_failed || c->is_finished || c->ends_thoughts)
        return;
    if (event->token >= 0 && !event->is_prompt)
        flow_count_token(c);
    f->last_token_ns = clock_ns();
    if (event->n_computed > 0) {
        flow_tell_progress(c, event);
        if (f->has_failed)
            flow_wake(f);
        return;
    }
    flow_trace_token(f);
    admission_answered(&f->service->admission, &f->ticket, f->last_token_ns);
    end_outage(f);
    if (take_token(c, event, &is_finished, &err) != ST_OK)
        (void)flow_fail(f, API_OVERLOADED, &err);
    if (event->finish != FINISH_NONE)
        c->generation = 0;
    if (f->has_failed) {
        flow_wake(f);
        return;
    }
    if (!is_finished && flow_has_thought_enough(f, c->aggregate)) {
        c->ends_thoughts = true;
        flow_wake(f);
    }
    if (!is_finished)
        return;
    c->is_finished = true;
    if (c->generation) /* a stop string ended it: the driver does not know */
        client_cancel(client_of(f->client), c->generation);
    c->generation = 0;
    if (--f->n_running == 0 || f->request.task == TASK_EMBED) /* or the next texts are asked for */
        flow_wake(f);
}

static enum status make_choice(struct flow *f, size_t index, struct err *err)
{
    const uint32_t room = f->context_tokens - (uint32_t)f->prompts[index / f->request.n].n;
    struct aggregate_options options = {
        .tokenizer = f->text->tokenizer,
        .stops = (const char *const *)f->request.stops,
        .n_stops = f->request.n_stops,
        .includes_stop = f->request.includes_stop,
        .wants_logprobs = f->request.sampling.wants_logprobs,
        .scores_stop = f->request.echoes && f->request.sampling.wants_logprobs,
        .choice = (uint32_t)index,
    };
    struct choice *c = &f->choices[index];

    flow_speech(f, index, &options);
    c->flow = f;
    c->max_tokens =
        f->request.max_tokens == 0 || f->request.max_tokens > room ? room : f->request.max_tokens;
    if (f->request.task == TASK_EMBED)
        return ST_OK;
    return aggregate_new(&options, flow_on_delta, f, &c->aggregate, err);
}

/* Of prompt i, as far as they go; 0 before there are any. */
static size_t longest_answer(const struct flow *f, size_t i)
{
    size_t n = 0;

    for (size_t k = i * f->request.n; f->choices && k < (i + 1) * f->request.n; k++) {
        if (!f->choices[k].is_finished && f->choices[k].answer.n > n)
            n = f->choices[k].answer.n;
    }
    return n;
}

enum step flow_check_context(struct flow *f)
{
    for (size_t i = 0; i < f->request.n_prompts; i++) {
        const size_t n = f->prompts[i].n + longest_answer(f, i);

        if (n < f->context_tokens)
            continue;
        (void)api_error_set(&f->failure, API_CONTEXT_LENGTH,
                            f->request.variables ? "messages" : "prompt",
                            "This model's maximum context length is %u tokens. However, your "
                            "messages resulted in %zu tokens.",
                            f->context_tokens, n);
        f->failure.n_prompt_tokens = n;
        f->failure.n_context_tokens = f->context_tokens;
        f->has_failed = true;
        return STEP_FAIL;
    }
    return STEP_NEXT;
}

/* Tokens that end an answer: the model's own unless they are to be ignored, and the client's. */
static size_t collect_stops(const struct flow *f, int32_t *ret, size_t capacity)
{
    size_t n = 0;

    if (!f->request.ignores_eos)
        n = tokenizer_end_tokens(f->text->tokenizer, ret, capacity - STOP_TOKENS_MAX);
    memcpy(ret + n, f->request.stop_tokens, f->request.n_stop_tokens * sizeof(*ret));
    return n + f->request.n_stop_tokens;
}

static enum step make_choices(struct flow *f)
{
    struct err err = { 0 };

    f->n_choices = f->request.n_prompts * f->request.n;
    f->n_running = f->n_choices;
    f->choices = calloc(f->n_choices, sizeof(*f->choices));
    if (!f->choices)
        return flow_fail(f, API_OVERLOADED, &(struct err){ .words = "There is no memory." });
    for (size_t i = 0; i < f->n_choices; i++) {
        if (make_choice(f, i, &err) != ST_OK)
            return flow_fail(f, API_OVERLOADED, &err);
    }
    return STEP_NEXT;
}

/* Prompt and answer so far, in one array.  NULL: no memory. */
static int32_t *join_tokens(const struct tokens *prompt, const struct tokens *answer)
{
    int32_t *ids = calloc(prompt->n + answer->n, sizeof(*ids));

    if (!ids)
        return NULL;
    memcpy(ids, prompt->ids, prompt->n * sizeof(*ids));
    if (answer->n > 0)
        memcpy(ids + prompt->n, answer->ids, answer->n * sizeof(*ids));
    return ids;
}

/* Scores begin anew at another instance, unless they were all there. */
static bool scores_prompt(const struct flow *f)
{
    return f->request.echoes && (f->request.sampling.wants_logprobs || f->request.makes_none);
}

/* Thoughts are free: a grammar holds what follows them. */
static const char *grammar_trigger(const struct flow *f, size_t index)
{
    if (f->request.grammar && !f->request.grammar_trigger && flow_begins_in_thoughts(f, index))
        return f->text->speech.thoughts->close;
    return f->request.grammar_trigger;
}

/* Tenants do not share what is cached: by its time one could tell what another asked. */
static uint64_t cache_salt(const struct flow *f)
{
    const uint64_t parts[] = { f->request.owner, f->request.cache_salt };

    return parts[0] || parts[1] ? XXH3_64bits(parts, sizeof(parts)) : 0;
}

static enum status open_choice(struct flow *f, size_t index, const int32_t *stops, size_t n_stops,
                               struct err *err)
{
    const struct tokens *prompt = &f->prompts[index / f->request.n];
    struct choice *c = &f->choices[index];
    int32_t *ids = join_tokens(prompt, &c->answer);
    struct generation g = {
        .prompt = ids,
        .n_prompt = prompt->n + c->answer.n,
        .n_prior = c->answer.n,
        .max_tokens = f->request.makes_none ? 0 : c->max_tokens,
        .pooling = f->request.task == TASK_EMBED ? f->request.pooling : POOLING_NONE,
        .scores_prompt = scores_prompt(f) && c->answer.n == 0,
        .tells_progress = flow_tells_progress(c),
        .cache_salt = cache_salt(f),
        .min_tokens = f->request.min_tokens,
        .ignores_eos = f->request.ignores_eos && n_stops == 0,
        .stop_tokens = stops,
        .n_stop_tokens = n_stops,
        .sampling = f->request.sampling,
        .grammar = f->request.grammar,
        .grammar_trigger = grammar_trigger(f, index),
        .tenant = f->request.tenant,
        .priority = f->request.priority,
    };
    enum status s;

    if (!ids)
        return err_set(err, ST_NOMEM, "There is no memory.");
    pending_drop(&c->scores, c->scores.n);
    g.trace = *flow_trace_context(f);
    if (index >= REQUEST_CHOICES_MAX) /* of many prompts the first few tell */
        g.trace.is_sampled = false;
    (void)snprintf(g.request_id, sizeof(g.request_id), "%s", exchange_id(f->x));
    c->opened_ns = clock_ns();
    if (f->request.task == TASK_EMBED)
        g.max_tokens = 1;
    g.sampling.seed += index % f->request.n * SEED_STEP;
    s = client_generate(client_of(f->client), &g, (uint32_t)index, on_token, c, &c->generation,
                        err);
    free(ids);
    return s;
}

/* Ask the instance for every choice that is not finished. */
static enum step open_choices(struct flow *f)
{
    int32_t stops[2 * STOP_TOKENS_MAX];
    const size_t n_stops = collect_stops(f, stops, 2 * STOP_TOKENS_MAX);
    const size_t n_most = f->request.task == TASK_EMBED ? EMBED_OPEN_MAX : f->n_choices;
    size_t n_open = 0;
    struct err err = { 0 };
    enum status s;

    f->last_token_ns = clock_ns();
    flow_trace_asking(f);
    s = f->client ? ST_OK : clients_get(f->service->clients, &f->route, &f->client, &err);
    for (size_t i = 0; i < f->n_choices && s == ST_OK && n_open < n_most; i++) {
        if (f->choices[i].is_finished)
            continue;
        if (f->choices[i].generation == 0)
            s = open_choice(f, i, stops, n_stops, &err);
        n_open++;
    }
    if (s == ST_OK)
        return STEP_WAIT;
    f->setback = s == ST_NOMEM ? SETBACK_NONE : SETBACK_LOSS;
    return flow_fail(f, s == ST_NOMEM ? API_OVERLOADED : API_UPSTREAM, &err);
}

/* Say for the model that it has thought enough; it goes on behind that. */
static enum status end_thoughts(struct choice *c, struct err *err)
{
    struct tokens words = { 0 };
    enum status s = flow_end_of_thoughts(c->flow, &words, err);

    for (size_t i = 0; i < words.n && s == ST_OK && !c->is_finished; i++) {
        struct token_event event = { .token = words.ids[i] };

        if (c->answer.n + 1 >= c->max_tokens)
            event = (struct token_event){ .token = -1, .finish = FINISH_LENGTH };
        s = take_token(c, &event, &c->is_finished, err);
    }
    tokens_release(&words);
    if (c->is_finished)
        c->flow->n_running--;
    return s;
}

static enum step answer_after_thoughts(struct flow *f)
{
    int32_t stops[2 * STOP_TOKENS_MAX];
    const size_t n_stops = collect_stops(f, stops, 2 * STOP_TOKENS_MAX);
    struct err err = { 0 };

    for (size_t i = 0; i < f->n_choices; i++) {
        struct choice *c = &f->choices[i];
        enum status s;

        if (!c->ends_thoughts)
            continue;
        if (c->generation)
            client_cancel(client_of(f->client), c->generation);
        c->generation = 0;
        c->ends_thoughts = false;
        s = end_thoughts(c, &err);
        if (s == ST_OK && !c->is_finished)
            s = open_choice(f, i, stops, n_stops, &err);
        if (s != ST_OK)
            return flow_fail(f, s == ST_NOMEM ? API_OVERLOADED : API_UPSTREAM, &err);
    }
    return f->n_running == 0 ? STEP_NEXT : STEP_WAIT;
}

enum step flow_execute(struct flow *f)
{
    if (f->client && f->n_running == 0)
        return STEP_NEXT;
    if (f->client)
        return f->request.task == TASK_EMBED ? open_choices(f) : answer_after_thoughts(f);
    if (flow_check_context(f) != STEP_NEXT)
        return STEP_FAIL;
    if (!f->choices && make_choices(f) != STEP_NEXT)
        return STEP_FAIL;
    return open_choices(f);
}

void flow_execute_suspend(struct flow *f)
{
    for (size_t i = 0; f->choices && i < f->n_choices; i++) {
        if (f->choices[i].generation)
            client_cancel(client_of(f->client), f->choices[i].generation);
        f->choices[i].generation = 0;
    }
    clients_put(f->service->clients, f->client);
    f->client = NULL;
    flow_trace_asked(f);
}

void flow_execute_release(struct flow *f)
{
    flow_execute_suspend(f);
    for (size_t i = 0; f->choices && i < f->n_choices; i++) {
        aggregate_free(f->choices[i].aggregate);
        tokens_release(&f->choices[i].answer);
        pending_release(&f->choices[i].scores);
    }
    free(f->choices);
    f->choices = NULL;
}

/* Never waits; the exchange is over afterwards. */
enum step flow_aggregate(struct flow *f)
{
    const struct reply_usage usage = flow_usage(f);
    struct buf body = { 0 };

    log_with(LOG_INFO, "a request is done", log_text("request_id", exchange_id(f->x)),
             log_text("model", f->model.name), log_text("instance", f->route.instance_id),
             log_count("prompt_tokens", usage.prompt_tokens),
             log_count("completion_tokens", usage.completion_tokens),
             log_count("ms", (clock_ns() - f->begun_ns) / NS_PER_MS));
    flow_trace_asked(f);
    flow_count_end(&usage, f->begun_ns);
    exchange_note_tokens(f->x, usage.prompt_tokens, usage.completion_tokens);
    exchange_on_close(f->x, NULL, NULL);
    if (f->request.task == TASK_EMBED) {
        flow_tell_vectors(f, usage.prompt_tokens);
        return STEP_NEXT;
    }
    if (!f->request.streams) {
        answer_whole(f->answer, &usage, &body);
        exchange_reply(f->x, 200, "application/json", &body);
        return STEP_NEXT;
    }
    answer_end(f->answer, &usage, &body);
    if (buf_status(&body) != ST_OK) { /* a stream without its end would pass for cut */
        buf_release(&body);
        return flow_fail(f, API_OVERLOADED, &(struct err){ .words = "There is no memory." });
    }
    sse_send(f->x, &body);
    if (f->request.dialect->end)
        exchange_stream_end(f->x);
    else
        sse_finish(f->x);
    buf_release(&body);
    return STEP_NEXT;
}
