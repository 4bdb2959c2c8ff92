/* SPDX-License-Identifier: Apache-2.0 */
/* execute/wire.c - generations as messages between a gateway and a driver. */
#include "execute/wire.h"

#include <stdlib.h>
#include <string.h>

#include "contract/trace_wire.h"

/* protobuf-c has no const: a message to be packed borrows what it does not change. */
static int32_t *borrow(const int32_t *items)
{
    return (int32_t *)(uintptr_t)items;
}

static char *borrow_text(const char *text)
{
    return (char *)(uintptr_t)text;
}

static void fill_sampling(const struct sampling *from, Wire__Sampling *to)
{
    to->temperature = from->temperature;
    to->top_p = from->top_p;
    to->min_p = from->min_p;
    to->top_k = from->top_k;
    to->repetition_penalty = from->repetition_penalty;
    to->presence_penalty = from->presence_penalty;
    to->frequency_penalty = from->frequency_penalty;
    to->seed = from->seed;
    to->wants_logprobs = from->wants_logprobs;
    to->n_top_logprobs = from->n_top_logprobs;
}

static void send_filled(const struct generation *g, uint64_t id, uint32_t sequence,
                        Wire__LogitBias **bias, wire_send_fn *send, void *arg)
{
    Wire__RunnerMessage message = WIRE__RUNNER_MESSAGE__INIT;
    Wire__Generate generate = WIRE__GENERATE__INIT;
    Wire__Sampling sampling = WIRE__SAMPLING__INIT;
    struct trace_context ids = g->trace;
    Wire__TraceIds trace;

    trace_to_wire(&ids, &trace);
    fill_sampling(&g->sampling, &sampling);
    sampling.logit_bias = bias;
    sampling.n_logit_bias = g->sampling.n_logit_bias;
    generate.id = id;
    generate.sequence = sequence;
    generate.prompt = borrow(g->prompt);
    generate.n_prompt = g->n_prompt;
    generate.n_prior = (uint32_t)g->n_prior;
    generate.max_tokens = g->max_tokens;
    generate.min_tokens = g->min_tokens;
    generate.ignores_eos = g->ignores_eos;
    generate.stop_tokens = borrow(g->stop_tokens);
    generate.n_stop_tokens = g->n_stop_tokens;
    generate.sampling = &sampling;
    generate.tenant = g->tenant;
    generate.priority = (uint32_t)g->priority;
    generate.pooling = (uint32_t)g->pooling;
    generate.scores_prompt = g->scores_prompt;
    if (trace_context_is_set(&ids))
        generate.trace = &trace;
    generate.request_id = borrow_text(g->request_id);
    generate.tells_progress = g->tells_progress;
    generate.cache_salt = g->cache_salt;
    if (g->grammar)
        generate.grammar = borrow_text(g->grammar);
    if (g->grammar_trigger)
        generate.grammar_trigger = borrow_text(g->grammar_trigger);
    message.body_case = WIRE__RUNNER_MESSAGE__BODY_GENERATE;
    message.generate = &generate;
    send(arg, &message.base);
}

enum status wire_send_generation(const struct generation *g, uint64_t id, uint32_t sequence,
                                 wire_send_fn *send, void *arg, struct err *err)
{
    const size_t n = g->sampling.n_logit_bias;
    Wire__LogitBias *items = calloc(n + 1, sizeof(*items));
    Wire__LogitBias **pointers = calloc(n + 1, sizeof(Wire__LogitBias *));
    enum status s = ST_OK;

    if (!items || !pointers) {
        s = err_set(err, ST_NOMEM, "a request to the driver");
        goto out;
    }
    for (size_t i = 0; i < n; i++) {
        wire__logit_bias__init(&items[i]);
        items[i].token = g->sampling.logit_bias[i].token;
        items[i].bias = g->sampling.logit_bias[i].bias;
        pointers[i] = &items[i];
    }
    send_filled(g, id, sequence, pointers, send, arg);

out:
    free(items);
    free(pointers);
    return s;
}

static int is_within(float value, float low, float high)
{
    return value >= low && value <= high; /* false for what is no number */
}

static enum status check_sampling(const Wire__Sampling *s, struct err *err)
{
    if (!is_within(s->temperature, 0, 100) || !is_within(s->top_p, 0, 1) ||
        !is_within(s->min_p, 0, 1) || !is_within(s->repetition_penalty, 1e-3f, 1e3f) ||
        !is_within(s->presence_penalty, -100, 100) || !is_within(s->frequency_penalty, -100, 100))
        return err_set(err, ST_RANGE, "a sampling setting is out of range");
    if (s->n_top_logprobs > REQUEST_TOP_LOGPROBS_MAX)
        return err_set(err, ST_RANGE, "%u top logprobs, at most %d are given", s->n_top_logprobs,
                       REQUEST_TOP_LOGPROBS_MAX);
    if (s->n_logit_bias > REQUEST_LOGIT_BIAS_MAX)
        return err_set(err, ST_RANGE, "a logit bias of %zu tokens", s->n_logit_bias);
    for (size_t i = 0; i < s->n_logit_bias; i++)
        if (!is_within(s->logit_bias[i]->bias, -1e6f, 1e6f))
            return err_set(err, ST_RANGE, "a logit bias is out of range");
    return ST_OK;
}

static enum status check_generate(const Wire__Generate *m, struct err *err)
{
    if (m->id == 0 || !m->sampling)
        return err_set(err, ST_RANGE, "a generation without id or sampling");
    if (m->n_prompt <= m->n_prior || (m->max_tokens <= m->n_prior && !m->scores_prompt))
        return err_set(err, ST_RANGE, "a generation needs a prompt and at least one token to make");
    if (m->pooling > POOLING_LAST || ((m->pooling || m->scores_prompt) && m->n_prior > 0))
        return err_set(err, ST_RANGE, "a generation of an unknown kind");
    if (m->n_stop_tokens > CLIENT_STOP_TOKENS_MAX)
        return err_set(err, ST_RANGE, "a generation with %zu stop tokens", m->n_stop_tokens);
    if (m->priority > PRIORITY_BATCH)
        return err_set(err, ST_RANGE, "a generation of priority %u", m->priority);
    if (strlen(m->grammar) > REQUEST_GRAMMAR_BYTES_MAX ||
        strlen(m->grammar_trigger) > REQUEST_TRIGGER_BYTES_MAX)
        return err_set(err, ST_RANGE, "a grammar of %zu bytes", strlen(m->grammar));
    return check_sampling(m->sampling, err);
}

static void read_sampling(const Wire__Sampling *from, struct sampling *to)
{
    *to = (struct sampling){
        .temperature = from->temperature,
        .top_p = from->top_p,
        .min_p = from->min_p,
        .top_k = from->top_k,
        .repetition_penalty = from->repetition_penalty,
        .presence_penalty = from->presence_penalty,
        .frequency_penalty = from->frequency_penalty,
        .seed = from->seed,
        .wants_logprobs = from->wants_logprobs != 0,
        .n_top_logprobs = from->n_top_logprobs,
    };
}

/* "" stands for what is not there. */
static enum status copy_grammar(const Wire__Generate *m, struct generation *g)
{
    if (m->grammar[0])
        g->grammar = strdup(m->grammar);
    if (m->grammar_trigger[0])
        g->grammar_trigger = strdup(m->grammar_trigger);
    return (m->grammar[0] && !g->grammar) || (m->grammar_trigger[0] && !g->grammar_trigger)
               ? ST_NOMEM
               : ST_OK;
}

enum status generation_read(const Wire__Generate *m, struct generation **ret_generation,
                            struct err *err)
{
    struct generation *g;
    struct logit_bias *bias;
    int32_t *prompt, *stops;
    enum status s;

    s = check_generate(m, err);
    if (s != ST_OK)
        return s;
    g = calloc(1, sizeof(*g));
    prompt = calloc(m->n_prompt, sizeof(*prompt));
    stops = calloc(m->n_stop_tokens + 1, sizeof(*stops));
    bias = calloc(m->sampling->n_logit_bias + 1, sizeof(*bias));
    if (!g || !prompt || !stops || !bias) {
        free(g);
        free(prompt);
        free(stops);
        free(bias);
        return err_set(err, ST_NOMEM, "a generation");
    }
    memcpy(prompt, m->prompt, m->n_prompt * sizeof(*prompt));
    for (size_t i = 0; i < m->n_stop_tokens; i++)
        stops[i] = m->stop_tokens[i];
    for (size_t i = 0; i < m->sampling->n_logit_bias; i++)
        bias[i] = (struct logit_bias){ m->sampling->logit_bias[i]->token,
                                       m->sampling->logit_bias[i]->bias };
    read_sampling(m->sampling, &g->sampling);
    g->sampling.logit_bias = bias;
    g->sampling.n_logit_bias = m->sampling->n_logit_bias;
    g->prompt = prompt;
    g->n_prompt = m->n_prompt;
    g->n_prior = m->n_prior;
    g->max_tokens = m->max_tokens;
    g->min_tokens = m->min_tokens;
    g->ignores_eos = m->ignores_eos != 0;
    g->stop_tokens = stops;
    g->n_stop_tokens = m->n_stop_tokens;
    g->tenant = m->tenant;
    g->priority = (enum priority)m->priority;
    g->pooling = (enum pooling)m->pooling;
    g->scores_prompt = m->scores_prompt != 0;
    trace_of_wire(m->trace, &g->trace);
    trace_take_request_id(m->request_id, g->request_id);
    g->tells_progress = m->tells_progress != 0;
    g->cache_salt = m->cache_salt;
    if (copy_grammar(m, g) != ST_OK) {
        generation_free(g);
        return err_set(err, ST_NOMEM, "a generation");
    }
    *ret_generation = g;
    return ST_OK;
}

void generation_free(struct generation *g)
{
    if (!g)
        return;
    free((void *)(uintptr_t)g->prompt); /* generation_read() allocated what it points to */
    free((void *)(uintptr_t)g->stop_tokens);
    free((void *)(uintptr_t)g->sampling.logit_bias);
    free(borrow_text(g->grammar));
    free(borrow_text(g->grammar_trigger));
    free(g);
}
