/* SPDX-License-Identifier: Apache-2.0 */
/* flow/prompt.c - stage 1: the request's model, its prompts as tokens, the answer begun.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/random.h"
#include "flow/flow_priv.h"

static enum step invalid(struct flow *f, const char *param, const char *words)
{
    (void)api_error_set(&f->failure, API_INVALID_VALUE, param, "%s", words);
    f->has_failed = true;
    return STEP_FAIL;
}

static enum step find_model(struct flow *f)
{
    if (!service_find_model(f->service, f->request.model, &f->model)) {
        (void)api_error_set(&f->failure, API_MODEL_NOT_FOUND, "model",
                            "The model '%s' does not exist. GET /v1/models lists those that do.",
                            f->request.model);
        f->has_failed = true;
        return STEP_FAIL;
    }
    return STEP_NEXT;
}

static void on_text(void *arg)
{
    struct flow *f = arg;

    f->text = f->text_waiter.text;
    if (!f->text)
        (void)flow_fail(f, API_INTERNAL, &f->text_waiter.err);
    flow_wake(f);
}

static enum step get_text(struct flow *f)
{
    struct cluster_file file;
    struct err err;

    if (cluster_file(f->service->cluster, &f->model, &file, &err) != ST_OK) {
        (void)api_error_set(&f->failure, API_MODEL_NOT_FOUND, "model", "The model is gone: %s.",
                            err.words);
        f->has_failed = true;
        return STEP_FAIL;
    }
    f->text_waiter.fn = on_text;
    f->text_waiter.arg = f;
    if (text_cache_get(f->service->texts, &f->model, &file, &f->text_waiter, &err) != ST_OK)
        return flow_fail(f, API_OVERLOADED, &err);
    f->text = f->text_waiter.text;
    return f->text ? STEP_NEXT : STEP_WAIT;
}

static enum step check_tokens(struct flow *f)
{
    const size_t n_vocab = tokenizer_n_tokens(f->text->tokenizer);

    for (size_t i = 0; i < f->request.n_prompts; i++) {
        if (f->prompts[i].n == 0)
            return invalid(f, f->request.variables ? "messages" : "prompt",
                           "A prompt must not be empty.");
    }
    for (size_t i = 0; i < f->request.sampling.n_logit_bias; i++) {
        if ((size_t)f->request.logit_bias[i].token >= n_vocab)
            return invalid(f, "logit_bias", "A token of 'logit_bias' is not in the vocabulary.");
    }
    return STEP_NEXT;
}

/* Room for [n] more, where they are not too many; NULL otherwise. */
static struct logit_bias *more_biases(struct flow *f, size_t n)
{
    const size_t n_now = f->request.sampling.n_logit_bias;
    struct logit_bias *grown = NULL;

    if (n_now + n <= REQUEST_LOGIT_BIAS_MAX)
        grown = realloc(f->request.logit_bias, (n_now + n) * sizeof(*grown));
    if (!grown)
        return NULL;
    f->request.logit_bias = grown;
    f->request.sampling.logit_bias = grown;
    f->request.sampling.n_logit_bias = n_now + n;
    return grown + n_now;
}

/* Each token of each text. */
static enum step find_biased(struct flow *f)
{
    const json_t *pair;
    size_t i;

    json_array_foreach(f->request.bias_texts, i, pair)
    {
        const json_t *text = json_array_get(pair, 0);
        const float bias = (float)json_number_value(json_array_get(pair, 1));
        struct tokens tokens = { 0 };
        struct logit_bias *more;
        struct err err;

        if (tokenizer_encode(f->text->tokenizer, json_string_value(text), json_string_length(text),
                             NULL, &tokens, &err) != ST_OK)
            return flow_fail(f, API_OVERLOADED, &err);
        more = tokens.n > 0 ? more_biases(f, tokens.n) : NULL;
        for (size_t k = 0; more && k < tokens.n; k++)
            more[k] = (struct logit_bias){ tokens.ids[k], bias };
        tokens_release(&tokens);
        if (!more)
            return invalid(f, "logit_bias",
                           "A text of 'logit_bias' is empty, or they are too many.");
    }
    json_decref(f->request.bias_texts);
    f->request.bias_texts = NULL;
    return STEP_NEXT;
}

/* Now that its size is known: may it wait? */
static enum step admit(struct flow *f)
{
    const struct api_queue *queue = &reload_settings(f->service->reload)->queue;
    const struct admission_bounds bounds = { queue->requests, queue->prompt_tokens, queue->wait_s };
    struct admission_request request = { .tenant = f->request.tenant,
                                         .priority = f->request.priority };
    uint32_t retry_s;
    enum admission_verdict verdict;

    for (size_t i = 0; i < f->request.n_prompts; i++)
        request.n_tokens += f->prompts[i].n;
    verdict = admission_enter(&f->service->admission, &bounds, &request, random_u64(), clock_ns(),
                              &f->ticket, &retry_s);
    if (verdict == ADMISSION_OK)
        return STEP_NEXT;
    (void)api_error_set(
        &f->failure, verdict == ADMISSION_SHARE ? API_QUEUE_SHARE : API_OVERLOADED, NULL, "%s",
        verdict == ADMISSION_SHARE ? "Half of the queue are your requests, and others wait."
                                   : "More requests wait here than can be answered soon.");
    f->failure.retry_ms = retry_s * UINT64_C(1000);
    f->has_failed = true;
    return STEP_FAIL;
}

static enum step check_dims(struct flow *f)
{
    if (f->request.n_dims <= f->model.n_hidden)
        return STEP_NEXT;
    return invalid(f, "dimensions", "'dimensions' is more than the model's vectors have.");
}

enum step flow_prompt(struct flow *f)
{
    struct err err = { 0 };
    enum step step = STEP_NEXT;

    if (!f->model.name[0])
        step = find_model(f);
    if (step == STEP_NEXT && !f->text) {
        flow_trace_model(f);
        step = get_text(f);
    }
    if (step == STEP_NEXT)
        step = f->prompts ? STEP_NEXT : flow_encode(f);
    if (step == STEP_NEXT && f->request.task != TASK_GENERATE && f->request.task != TASK_EMBED) {
        flow_tell_prompt(f);
        return STEP_DONE;
    }
    if (step == STEP_NEXT)
        step = check_tokens(f);
    if (step == STEP_NEXT && f->request.bias_texts)
        step = find_biased(f);
    f->context_tokens = f->model.context_tokens; /* an instance may have less */
    if (step == STEP_NEXT)
        step = flow_check_context(f);
    if (step == STEP_NEXT)
        step = admit(f);
    if (step != STEP_NEXT)
        return step;
    if (f->request.task == TASK_EMBED)
        return check_dims(f);
    if (!f->request.has_seed)
        f->request.sampling.seed = random_u64();
    if (answer_new(&f->request, f->request.model[0] ? f->request.model : f->model.name,
                   clock_unix_s(), &f->answer, &err) != ST_OK)
        return flow_fail(f, API_OVERLOADED, &err);
    return STEP_NEXT;
}
