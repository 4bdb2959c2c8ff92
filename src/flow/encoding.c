/* SPDX-License-Identifier: Apache-2.0 */
/* flow/encoding.c - a request's prompts become tokens, its functions a grammar; long ones on a thread of their own.
 *
 * An encoding owns what its job reads: the request's prompts are moved here
 * and back, and the text is held by the flow, or by the encoding once the
 * flow is gone.  The loop touches it again only after the job.
 */
#include "flow/encoding.h"

#include <stdlib.h>
#include <string.h>

#include "net/job.h"
#include "text/prompt.h"
#include "text/tokenizer/tokens.h"
#include "text/tool_grammar.h"
#include "text/tool_ids.h"
#include "text/tool_prompt.h"

/* What an answer's calls are held to, where they are. */
struct calls {
    bool are_held;
    enum tool_grammar_from from;
    json_t *functions; /* struct api_request.tools */
    char only[TOOL_NAME_MAX];
    bool once;
    char *grammar, *trigger; /* made here */
};

struct encoding {
    struct service *service;
    struct flow *flow; /* NULL: its client left */
    struct text *text;
    char model[MODEL_NAME_MAX];
    enum api_task task; /* as in struct api_request, as the following */
    bool adds_special, parses_special;
    char *suffix;
    json_t *variables;
    struct api_prompt *prompts;
    size_t n_prompts;
    struct calls calls;
    struct tokens *tokens; /* [n_prompts] */
    struct buf rendered;   /* TASK_TEMPLATE */
    bool has_failed;
    struct api_error failure;
};

static void fail(struct encoding *e, enum api_error_kind kind, const char *param, const char *words)
{
    (void)api_error_set(&e->failure, kind, param, "%s", words);
    e->has_failed = true;
}

static enum status render(struct encoding *e, const json_t *variables, struct err *err)
{
    struct rendered rendered = { 0 };
    const enum status s =
        prompt_render(e->text->template, e->text->trusted, variables, &rendered, err);

    if (s == ST_OK)
        buf_append(&e->rendered, buf_text(&rendered.text), rendered.text.len);
    rendered_release(&rendered);
    return s;
}

/* What the template is rendered with; given, NULL: no memory. */
static json_t *variables_of(struct encoding *e)
{
    if (json_object_get(e->variables, "tools") && !e->text->speech.has_tools)
        return tool_prompt(e->variables, e->text->speech.tools);
    if (e->text->speech.has_short_ids)
        return tool_ids_shorten(e->variables);
    return json_incref(e->variables);
}

static void encode_chat(struct encoding *e)
{
    const struct text *text = e->text;
    struct err err = { 0 };
    json_t *variables;
    enum status s;

    if (!text->template) {
        (void)api_error_set(&e->failure, API_UNSUPPORTED, "messages",
                            "The model '%s' cannot chat: %s. Use /v1/completions.", e->model,
                            text->template_err.words);
        e->has_failed = true;
        return;
    }
    variables = variables_of(e);
    if (!variables)
        s = err_set(&err, ST_NOMEM, "There is no memory.");
    else if (e->task == TASK_TEMPLATE)
        s = render(e, variables, &err);
    else
        s = prompt_chat(text->tokenizer, text->template, text->trusted, variables, &e->tokens[0],
                        &err);
    json_decref(variables);
    if (s == ST_OK)
        return;
    if (s == ST_NOMEM) {
        fail(e, API_OVERLOADED, NULL, err.words);
        return;
    }
    (void)api_error_set(&e->failure, API_INVALID_VALUE, "messages",
                        "The model's chat template refuses these messages: %s.", err.words);
    e->has_failed = true;
}

static enum status encode_text(const struct encoding *e, const struct api_prompt *prompt,
                               struct tokens *tokens, struct err *err)
{
    const struct tokenizer *tokenizer = e->text->tokenizer;
    uint8_t *trusted = NULL;
    enum status s;

    if (e->suffix)
        return prompt_infill(tokenizer, prompt->text, prompt->n_text, e->suffix, strlen(e->suffix),
                             tokens, err);
    if (e->task != TASK_TOKENIZE)
        return prompt_plain(tokenizer, prompt->text, prompt->n_text, tokens, err);
    if (e->adds_special && tokenizer_adds_bos(tokenizer)) {
        s = tokens_reserve(tokens, 1, err);
        if (s != ST_OK)
            return s;
        tokens->ids[tokens->n++] = tokenizer_bos(tokenizer);
    }
    if (e->parses_special) {
        trusted = malloc(prompt->n_text + 1);
        if (!trusted)
            return err_set(err, ST_NOMEM, "There is no memory.");
        memset(trusted, 1, prompt->n_text + 1);
    }
    s = tokenizer_encode(tokenizer, prompt->text, prompt->n_text, trusted, tokens, err);
    free(trusted);
    return s;
}

static void encode_prompt(struct encoding *e, struct api_prompt *prompt, struct tokens *tokens)
{
    const struct tokenizer *tokenizer = e->text->tokenizer;
    const size_t n_vocab = tokenizer_n_tokens(tokenizer);
    struct err err = { 0 };
    enum status s;

    if (prompt->tokens) {
        for (size_t i = 0; i < prompt->n_tokens; i++) {
            if ((size_t)prompt->tokens[i] < n_vocab)
                continue;
            fail(e, API_INVALID_VALUE, "prompt", "A token of the prompt is not in the vocabulary.");
            return;
        }
        *tokens = (struct tokens){ prompt->tokens, prompt->n_tokens, prompt->n_tokens };
        prompt->tokens = NULL;
        return;
    }
    s = encode_text(e, prompt, tokens, &err);
    if (s == ST_UNSUPPORTED) {
        (void)api_error_set(&e->failure, API_UNSUPPORTED, "suffix",
                            "The model '%s' cannot fill a gap: %s. Leave 'suffix' out.", e->model,
                            err.words);
        e->has_failed = true;
    } else if (s != ST_OK) {
        fail(e, API_OVERLOADED, NULL, err.words);
    }
}

static void hold_calls(struct encoding *e)
{
    const struct tool_format *format = e->text->speech.tools;
    struct calls *c = &e->calls;
    struct buf grammar = { 0 };
    struct err err = { 0 };
    enum status s = tool_grammar(format, c->functions, c->only[0] ? c->only : NULL, c->from,
                                 c->once, &grammar, &err);

    if (s == ST_OK)
        c->grammar = buf_take(&grammar);
    if (s == ST_OK && c->from == TOOL_GRAMMAR_AFTER_OPEN)
        c->trigger = strdup(format->open);
    if (s == ST_OK && (!c->grammar || (c->from == TOOL_GRAMMAR_AFTER_OPEN && !c->trigger)))
        s = err_set(&err, ST_NOMEM, "There is no memory.");
    buf_release(&grammar);
    if (s == ST_NOMEM)
        fail(e, API_OVERLOADED, NULL, err.words);
    else if (s != ST_OK)
        fail(e, API_INVALID_VALUE, "tools", err.words);
}

/* On the loop, or on a job's thread. */
static void encode(void *arg)
{
    struct encoding *e = arg;

    if (e->variables)
        encode_chat(e);
    if (!e->has_failed && e->calls.are_held)
        hold_calls(e);
    if (e->variables)
        return;
    for (size_t i = 0; i < e->n_prompts && !e->has_failed; i++)
        encode_prompt(e, &e->prompts[i], &e->tokens[i]);
}

static struct calls calls_of(struct flow *f)
{
    struct calls calls = { .once = f->request.calls_once };

    calls.are_held = flow_holds_calls(f, &calls.from);
    if (calls.are_held && f->request.tool_choice == TOOLS_NAMED)
        memcpy(calls.only, f->request.tool_name, sizeof(calls.only));
    return calls;
}

static struct encoding *encoding_new(struct flow *f, const struct calls *calls)
{
    struct encoding *e = calloc(1, sizeof(*e));
    struct tokens *tokens = calloc(f->request.n_prompts, sizeof(*tokens));

    if (!e || !tokens) {
        free(e);
        free(tokens);
        return NULL;
    }
    *e = (struct encoding){
        .service = f->service,
        .flow = f,
        .text = f->text,
        .task = f->request.task,
        .adds_special = f->request.adds_special,
        .parses_special = f->request.parses_special,
        .suffix = f->request.suffix,
        .variables = f->request.variables,
        .prompts = f->request.prompts,
        .n_prompts = f->request.n_prompts,
        .calls = *calls,
        .tokens = tokens,
    };
    e->calls.functions = f->request.tools;
    f->request.tools = NULL;
    memcpy(e->model, f->model.name, sizeof(e->model));
    f->request.variables = NULL;
    f->request.prompts = NULL;
    f->request.suffix = NULL;
    return e;
}

/* All goes back to the flow. */
static void hand_over(struct encoding *e)
{
    struct flow *f = e->flow;

    f->request.variables = e->variables;
    f->request.prompts = e->prompts;
    f->request.suffix = e->suffix;
    f->request.tools = e->calls.functions;
    if (e->calls.grammar) {
        f->request.grammar = e->calls.grammar;
        f->request.grammar_trigger = e->calls.trigger;
    }
    f->prompts = e->tokens;
    f->rendered = e->rendered;
    if (e->has_failed && !f->has_failed) {
        f->failure = e->failure;
        f->has_failed = true;
    }
    free(e);
}

static void encoding_free(struct encoding *e)
{
    struct api_request rest = {
        .variables = e->variables,
        .prompts = e->prompts,
        .n_prompts = e->n_prompts,
        .suffix = e->suffix,
        .tools = e->calls.functions,
        .grammar = e->calls.grammar,
        .grammar_trigger = e->calls.trigger,
    };

    for (size_t i = 0; i < e->n_prompts; i++)
        tokens_release(&e->tokens[i]);
    free(e->tokens);
    buf_release(&e->rendered);
    api_request_release(&rest);
    text_cache_put(e->service->texts, e->text);
    free(e);
}

static void done(void *arg)
{
    struct encoding *e = arg;
    struct flow *f = e->flow;

    e->service->n_encodings--;
    if (!f) {
        encoding_free(e);
        return;
    }
    f->encoding = NULL;
    hand_over(e);
    flow_wake(f);
}

static enum step start_job(struct flow *f, struct encoding *e)
{
    struct err err = { .words = "This node reads as many long requests as it can already." };

    if (f->service->n_encodings >= ENCODINGS_MAX ||
        job_start(f->service->loop, encode, done, NULL, e, &err) != ST_OK) {
        hand_over(e);
        return flow_fail(f, API_OVERLOADED, &err);
    }
    f->service->n_encodings++;
    f->encoding = e;
    return STEP_WAIT;
}

/* May it hold up the loop?  A reference is followed as often as it is met, so a short schema that has some can
 * stand for a long one; and "$ref" can be written with escapes. */
static bool takes_long(const char *body, size_t n, const struct calls *calls)
{
    if (n > ENCODE_INLINE_MAX)
        return true;
    return calls->are_held &&
           (n > CALLS_INLINE_MAX || memmem(body, n, "$ref", 4) || memmem(body, n, "\\u", 2));
}

enum step flow_encode(struct flow *f)
{
    const struct calls calls = calls_of(f);
    struct encoding *e;
    const char *body;
    size_t n_body;

    if (calls.are_held && f->request.grammar) {
        (void)api_error_set(&f->failure, API_INVALID_VALUE, "tool_choice",
                            "An answer cannot be a call and keep to another format.");
        f->has_failed = true;
        return STEP_FAIL;
    }
    e = encoding_new(f, &calls);
    if (!e)
        return flow_fail(f, API_OVERLOADED, &(struct err){ .words = "There is no memory." });
    body = exchange_body(f->x, &n_body);
    if (takes_long(body, n_body, &calls))
        return start_job(f, e);
    encode(e);
    hand_over(e);
    return f->has_failed ? STEP_FAIL : STEP_NEXT;
}

void encoding_leave(struct flow *f)
{
    if (!f->encoding)
        return;
    f->encoding->flow = NULL;
    f->encoding = NULL;
    f->text = NULL;
}
