/* SPDX-License-Identifier: Apache-2.0 */
/* flow/generate.c - stages 5 and 6: the instance computes, the text goes out.
 *
 * Every choice is a generation of its own; the driver finds their common
 * prompt in its cache.  The answer is complete when each choice is.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "flow/flow_priv.h"
#include "gateway/http/sse.h"

/* Keeps the seeds of a request's choices apart (Steele et al. 2014, SplitMix). */
static const uint64_t SEED_STEP = 0x9E3779B97F4A7C15u;

void flow_on_delta(void *arg, const struct reply_delta *delta)
{
    struct flow *f = arg;

    if (!f->request.streams) {
        answer_collect(f->answer, delta);
        return;
    }
    if (!f->is_streaming)
        sse_start(f->x);
    f->is_streaming = f->has_sent = true;
    f->last_sent_ns = clock_ns();
    buf_clear(&f->events);
    answer_events(f->answer, delta, &f->events);
    if (buf_status(&f->events) == ST_OK)
        sse_send(f->x, &f->events);
    else
        (void)flow_fail(f, API_OVERLOADED, &(struct err){ .words = "There is no memory." });
}

static void on_token(void *arg, const struct token_event *event, const struct err *failure)
{
    struct choice *c = arg;
    struct flow *f = c->flow;
    struct err err = { 0 };
    bool is_finished = false;

    if (failure) {
        c->generation = 0;
        if (!f->has_failed)
            f->may_retry = failure->status == ST_PEER;
        (void)flow_fail(f, failure->status == ST_FULL ? API_OVERLOADED : API_UPSTREAM, failure);
        flow_wake(f);
        return;
    }
    if (f->has_failed || c->is_finished)
        return;
    f->last_token_ns = clock_ns();
    if (event->n_cached_tokens > 0)
        c->n_cached_tokens = event->n_cached_tokens;
    if (aggregate_push(c->aggregate, event, &is_finished, &err) != ST_OK)
        (void)flow_fail(f, API_OVERLOADED, &err);
    if (event->finish != FINISH_NONE)
        c->generation = 0;
    if (f->has_failed) {
        flow_wake(f);
        return;
    }
    if (!is_finished)
        return;
    c->is_finished = true;
    if (c->generation) /* a stop string ended it: the driver does not know */
        client_cancel(client_of(f->client), c->generation);
    c->generation = 0;
    if (--f->n_running == 0)
        flow_wake(f);
}

static enum status start_choice(struct flow *f, size_t index, const int32_t *stops, size_t n_stops,
                                struct err *err)
{
    const struct tokens *prompt = &f->prompts[index / f->request.n];
    const uint32_t room = f->context_tokens - (uint32_t)prompt->n;
    const struct aggregate_options options = {
        .tokenizer = f->text->tokenizer,
        .stops = (const char *const *)f->request.stops,
        .n_stops = f->request.n_stops,
        .includes_stop = f->request.includes_stop,
        .wants_logprobs = f->request.sampling.wants_logprobs,
        .choice = (uint32_t)index,
    };
    struct generation g = {
        .prompt = prompt->ids,
        .n_prompt = prompt->n,
        .max_tokens = f->request.max_tokens,
        .min_tokens = f->request.min_tokens,
        .ignores_eos = f->request.ignores_eos && n_stops == 0,
        .stop_tokens = stops,
        .n_stop_tokens = n_stops,
        .sampling = f->request.sampling,
        .tenant = f->request.tenant,
        .priority = f->request.priority,
    };
    struct choice *c = &f->choices[index];
    enum status s;

    if (g.max_tokens == 0 || g.max_tokens > room)
        g.max_tokens = room;
    g.sampling.seed += index % f->request.n * SEED_STEP;
    c->flow = f;
    s = aggregate_new(&options, flow_on_delta, f, &c->aggregate, err);
    if (s == ST_OK)
        s = client_generate(client_of(f->client), &g, (uint32_t)index, on_token, c, &c->generation,
                            err);
    return s;
}

enum step flow_check_context(struct flow *f)
{
    for (size_t i = 0; i < f->request.n_prompts; i++) {
        const size_t n = f->prompts[i].n;

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

static enum step start(struct flow *f)
{
    int32_t stops[2 * STOP_TOKENS_MAX];
    const size_t n_stops = collect_stops(f, stops, 2 * STOP_TOKENS_MAX);
    struct err err = { 0 };
    enum status s;

    f->n_choices = f->request.n_prompts * f->request.n;
    f->n_running = f->n_choices;
    f->last_token_ns = clock_ns();
    f->choices = calloc(f->n_choices, sizeof(*f->choices));
    if (!f->choices)
        return flow_fail(f, API_OVERLOADED, &(struct err){ .words = "There is no memory." });
    s = clients_get(f->service->clients, &f->route, &f->client, &err);
    for (size_t i = 0; i < f->n_choices && s == ST_OK; i++)
        s = start_choice(f, i, stops, n_stops, &err);
    if (s == ST_OK)
        return STEP_WAIT;
    f->may_retry = s == ST_PEER;
    return flow_fail(f, s == ST_PEER ? API_UPSTREAM : API_OVERLOADED, &err);
}

enum step flow_execute(struct flow *f)
{
    if (f->choices)
        return f->n_running == 0 ? STEP_NEXT : STEP_WAIT;
    return flow_check_context(f) == STEP_NEXT ? start(f) : STEP_FAIL;
}

void flow_execute_release(struct flow *f)
{
    for (size_t i = 0; f->choices && i < f->n_choices; i++) {
        if (f->choices[i].generation)
            client_cancel(client_of(f->client), f->choices[i].generation);
        aggregate_free(f->choices[i].aggregate);
    }
    free(f->choices);
    f->choices = NULL;
    clients_put(f->service->clients, f->client);
    f->client = NULL;
}

static struct reply_usage count_usage(const struct flow *f)
{
    struct reply_usage usage = { 0 };

    for (size_t i = 0; i < f->request.n_prompts; i++)
        usage.prompt_tokens += f->prompts[i].n;
    for (size_t i = 0; i < f->n_choices; i++) {
        usage.completion_tokens += aggregate_n_tokens(f->choices[i].aggregate);
        if (i % f->request.n == 0) /* a prompt counts once, not for each of its choices */
            usage.cached_tokens += f->choices[i].n_cached_tokens;
    }
    return usage;
}

/* Never waits; the exchange is over afterwards. */
enum step flow_aggregate(struct flow *f)
{
    const struct reply_usage usage = count_usage(f);
    struct buf body = { 0 };

    log_info("request %s for %s: %" PRIu64 " prompt tokens, %" PRIu64 " completion tokens, %" PRIu64
             " ms",
             exchange_id(f->x), f->model.name, usage.prompt_tokens, usage.completion_tokens,
             (uint64_t)((clock_ns() - f->begun_ns) / NS_PER_MS));
    exchange_on_close(f->x, NULL, NULL);
    if (!f->request.streams) {
        answer_whole(f->answer, &usage, &body);
        exchange_reply(f->x, 200, "application/json", &body);
        return STEP_NEXT;
    }
    if (f->request.includes_usage)
        answer_usage_event(f->answer, &usage, &body);
    sse_send(f->x, &body);
    sse_finish(f->x);
    buf_release(&body);
    return STEP_NEXT;
}
