/* SPDX-License-Identifier: Apache-2.0 */
/* execute/sample/sample.c - choosing a token from logits. */
#include "execute/sample/sample.h"

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "execute/sample/best.h"
#include "execute/sample/philox.h"
#include "execute/sample/sample_priv.h"
#include "execute/sample/weights.h"

struct sampler {
    uint32_t n_vocab;
    float *logits;                /* [n_vocab] after bias and penalties */
    float *weights;               /* [n_vocab] */
    struct candidate *candidates; /* [n_vocab] */
    uint32_t *n_seen;             /* [n_vocab] all zero between calls */
    struct token_logprob top[REQUEST_TOP_LOGPROBS_MAX];
};

enum status sampler_new(uint32_t n_vocab, struct sampler **ret_sampler, struct err *err)
{
    struct sampler *s = calloc(1, sizeof(*s));

    if (s) {
        s->n_vocab = n_vocab;
        s->logits = calloc(n_vocab, sizeof(*s->logits));
        s->weights = calloc(n_vocab, sizeof(*s->weights));
        s->candidates = calloc(n_vocab, sizeof(*s->candidates));
        s->n_seen = calloc(n_vocab, sizeof(*s->n_seen));
    }
    if (!s || !s->logits || !s->weights || !s->candidates || !s->n_seen) {
        sampler_free(s);
        return err_set(err, ST_NOMEM, "a sampler for %u tokens", n_vocab);
    }
    *ret_sampler = s;
    return ST_OK;
}

void sampler_free(struct sampler *s)
{
    if (!s)
        return;
    free(s->logits);
    free(s->weights);
    free(s->candidates);
    free(s->n_seen);
    free(s);
}

static bool differs(float a, float b)
{
    return a < b || a > b;
}

static void apply_bias(const struct sampler *s, const struct sampling *how)
{
    for (size_t i = 0; i < how->n_logit_bias; i++) {
        const int32_t token = how->logit_bias[i].token;

        if (token >= 0 && (uint32_t)token < s->n_vocab)
            s->logits[token] += how->logit_bias[i].bias;
    }
}

typedef void penalty_fn(float *logit, uint32_t n_occurrences, const struct sampling *how);

/* Once for each distinct token: n_seen counts them, and is zero again afterwards. */
static void apply_to_distinct(struct sampler *s, const int32_t *tokens, size_t n,
                              penalty_fn *penalty, const struct sampling *how)
{
    for (size_t i = 0; i < n; i++)
        s->n_seen[tokens[i]]++;
    for (size_t i = 0; i < n; i++) {
        const int32_t token = tokens[i];

        if (s->n_seen[token] == 0)
            continue;
        penalty(&s->logits[token], s->n_seen[token], how);
        s->n_seen[token] = 0;
    }
}

static void penalise_repetition(float *logit, uint32_t n, const struct sampling *how)
{
    (void)n;
    *logit = *logit > 0 ? *logit / how->repetition_penalty : *logit * how->repetition_penalty;
}

static void penalise_presence(float *logit, uint32_t n, const struct sampling *how)
{
    *logit -= how->presence_penalty + how->frequency_penalty * (float)n;
}

static void apply_mask(const struct sampler *s, const uint32_t *allowed)
{
    for (uint32_t i = 0; i < s->n_vocab; i++)
        s->logits[i] = allowed[i / 32] >> i % 32 & 1 ? s->logits[i] : -INFINITY;
}

/* s->logits as this request wants them, but for its grammar. */
static void adjust(struct sampler *s, const struct sample_input *in)
{
    const struct sampling *how = in->how;

    apply_bias(s, how);
    if (differs(how->repetition_penalty, 1))
        apply_to_distinct(s, in->tokens, in->n_tokens, penalise_repetition, how);
    if (differs(how->presence_penalty, 0) || differs(how->frequency_penalty, 0))
        apply_to_distinct(s, in->tokens + in->n_prompt, in->n_tokens - in->n_prompt,
                          penalise_presence, how);
    for (size_t i = 0; i < in->n_banned; i++) {
        if (in->banned[i] >= 0 && (uint32_t)in->banned[i] < s->n_vocab)
            s->logits[in->banned[i]] = -INFINITY;
    }
}

/* Logits as this request wants them: those of the model where nothing changes
 * them, otherwise a changed copy in the sampler. */
static const float *adjusted_logits(struct sampler *s, const struct sample_input *in)
{
    const struct sampling *how = in->how;

    if (how->n_logit_bias == 0 && in->n_banned == 0 && !in->allowed &&
        !differs(how->repetition_penalty, 1) && !differs(how->presence_penalty, 0) &&
        !differs(how->frequency_penalty, 0))
        return in->logits;

    memcpy(s->logits, in->logits, s->n_vocab * sizeof(*s->logits));
    adjust(s, in);
    if (in->allowed)
        apply_mask(s, in->allowed);
    return s->logits;
}

/* The largest finite logit, the lowest id among equals; -1 where none is finite. */
static int32_t largest(const float *logits, uint32_t n)
{
    float top = -INFINITY;
    int32_t best = -1;

    for (uint32_t i = 0; i < n; i++) {
        if (logits[i] > top && logits[i] <= FLT_MAX) { /* false for what is no number */
            top = logits[i];
            best = (int32_t)i;
        }
    }
    return best;
}

/* -1 where no token may be chosen. */
static int32_t choose_token(struct sampler *s, const struct sample_input *in)
{
    const float *logits = adjusted_logits(s, in);
    const int32_t best = largest(logits, s->n_vocab);
    float top, scale;
    double total;

    if (best < 0 || !(in->how->temperature >= SAMPLE_GREEDY_BELOW))
        return best;
    top = logits[best];
    scale = 1.0f / in->how->temperature;
    total = sample_weights(s->weights, logits, s->n_vocab, top, scale);
    return draw_token(s->weights, logits, s->n_vocab, total, in->how,
                      philox_uniform(in->how->seed, in->n_tokens), s->candidates);
}

/* The logits of in->best as this request wants them, adjusted in their places among all: the others
 * there mean nothing. */
static uint32_t adjusted_candidates(struct sampler *s, const struct sample_input *in)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < in->best->n; i++)
        s->logits[in->best->entries[i].token] = in->best->entries[i].logit;
    adjust(s, in);
    for (uint32_t i = 0; i < in->best->n; i++) {
        const int32_t token = in->best->entries[i].token;

        if (isfinite(s->logits[token]))
            s->candidates[n++] = (struct candidate){ s->logits[token], 0, token };
    }
    return n;
}

/* -1 where no token may be chosen. */
static int32_t choose_of_best(struct sampler *s, const struct sample_input *in)
{
    const uint32_t n = adjusted_candidates(s, in);
    struct candidate best = { -INFINITY, 0, -1 };
    uint32_t n_kept = 0;

    for (uint32_t i = 0; i < n; i++) {
        const struct candidate c = s->candidates[i];

        if (best.token < 0 || c.logit > best.logit ||
            (!(c.logit < best.logit) && c.token < best.token))
            best = c;
        s->logits[i] = c.logit;
    }
    if (best.token < 0 || !(in->how->temperature >= SAMPLE_GREEDY_BELOW))
        return best.token;
    (void)sample_weights(s->weights, s->logits, n, best.logit, 1.0f / in->how->temperature);
    for (uint32_t i = 0; i < n; i++) {
        s->candidates[n_kept] = s->candidates[i];
        s->candidates[n_kept].weight = s->weights[i];
        n_kept += s->weights[i] > 0;
    }
    return draw_candidate(s->candidates, n_kept, in->how,
                          philox_uniform(in->how->seed, in->n_tokens));
}

/* Insert into the falling list top[0..n]; the lower id goes first among equals. */
static size_t insert_top(struct token_logprob *top, size_t n, size_t n_max, int32_t token,
                         float logit)
{
    size_t i = n < n_max ? n : n_max - 1;

    if (n == n_max && !(logit > top[n - 1].logprob))
        return n;
    for (; i > 0 && logit > top[i - 1].logprob; i--)
        top[i] = top[i - 1];
    top[i] = (struct token_logprob){ token, logit };
    return n < n_max ? n + 1 : n_max;
}

/* log softmax of the model's logits: x - max - log(sum exp(x - max)). */
static void add_logprobs(struct sampler *s, const struct sample_input *in, struct sample *sample)
{
    const float max = in->logits[largest(in->logits, s->n_vocab)];
    const size_t n_max = in->how->n_top_logprobs < REQUEST_TOP_LOGPROBS_MAX
                             ? in->how->n_top_logprobs
                             : REQUEST_TOP_LOGPROBS_MAX;
    const float log_sum = (float)log(sample_weights(s->weights, in->logits, s->n_vocab, max, 1.0f));
    size_t n = 0;

    for (uint32_t i = 0; n_max > 0 && i < s->n_vocab; i++)
        if (isfinite(in->logits[i]))
            n = insert_top(s->top, n, n_max, (int32_t)i, in->logits[i]);
    for (size_t i = 0; i < n; i++)
        s->top[i].logprob = s->top[i].logprob - max - log_sum;
    sample->logprob = in->logits[sample->token] - max - log_sum;
    sample->top = s->top;
    sample->n_top = n;
}

/* The same of in->best, which holds what is told. */
static void add_logprobs_of_best(struct sampler *s, const struct sample_input *in,
                                 struct sample *sample)
{
    const struct best_list *best = in->best;
    const float max = (float)best->max, log_sum = (float)log(best->sum);

    sample->n_top = size_min(size_min(in->how->n_top_logprobs, REQUEST_TOP_LOGPROBS_MAX), best->n);
    for (size_t i = 0; i < sample->n_top; i++)
        s->top[i] = (struct token_logprob){ best->entries[i].token,
                                            best->entries[i].logit - max - log_sum };
    for (uint32_t i = 0; i < best->n; i++)
        if (best->entries[i].token == sample->token)
            sample->logprob = best->entries[i].logit - max - log_sum;
    sample->top = s->top;
}

enum status sampler_choose(struct sampler *s, const struct sample_input *in,
                           struct sample *ret_sample, struct err *err)
{
    struct sample sample = { .token = in->best ? choose_of_best(s, in) : choose_token(s, in) };

    if (sample.token < 0)
        return err_set(err, ST_RANGE,
                       "the model computed no finite number for any token that is allowed; its "
                       "file may be damaged");
    if (in->how->wants_logprobs)
        (in->best ? add_logprobs_of_best : add_logprobs)(s, in, &sample);
    *ret_sample = sample;
    return ST_OK;
}

enum status sampler_score(struct sampler *s, const float *logits, const struct sampling *how,
                          int32_t token, struct sample *ret_sample, struct err *err)
{
    const struct sample_input in = { .logits = logits, .how = how };
    struct sample sample = { .token = token };

    if (largest(logits, s->n_vocab) < 0)
        return err_set(
            err, ST_RANGE,
            "the model computed no finite number for any token; its file may be damaged");
    add_logprobs(s, &in, &sample);
    *ret_sample = sample;
    return ST_OK;
}
