/* SPDX-License-Identifier: Apache-2.0 */
/* flow/upstream/chat_request.c - a request of any dialect as a chat completion. */
#include "flow/upstream/chat_request.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "text/json_whole.h"
#include "text/template/template.h"

static const float NEUTRAL =
    1e-6f; /* closer to a default than any difference that somebody asks for */

bool chat_request_is_one(const struct api_request *r)
{
    return r->task == TASK_GENERATE || r->task == TASK_EMBED ||
           (r->task == TASK_COUNT && r->variables);
}

unsigned chat_request_needs(const struct api_request *r)
{
    unsigned needs = r->task == TASK_COUNT ? CHAT_COUNTS : 0;

    if (r->grammar)
        needs |= r->schema ? CHAT_SCHEMA : CHAT_GRAMMAR;
    if (r->n_stop_tokens > 0 || r->ignores_eos || r->min_tokens > 0 || r->includes_stop)
        needs |= CHAT_EXTRAS;
    return needs;
}

const char *chat_request_path(const struct api_request *r)
{
    if (r->task == TASK_EMBED)
        return "/v1/embeddings";
    if (r->task == TASK_COUNT)
        return "/v1/chat/completions/input_tokens";
    return r->variables ? "/v1/chat/completions" : "/v1/completions";
}

/* True where it is there afterwards; `value` is taken. */
static bool put(json_t *body, const char *name, json_t *value)
{
    return json_object_set_new(body, name, value) == 0;
}

static bool differs(float value, float from)
{
    return fabsf(value - from) > NEUTRAL;
}

/* As people wrote it: the float 0.7 is not the double 0.699999988. */
static json_t *real(float value)
{
    return json_real(round((double)value * 1e6) / 1e6);
}

static bool put_sampling(const struct sampling *s, unsigned can, json_t *body)
{
    bool is_whole = put(body, "temperature", real(s->temperature));

    if (differs(s->top_p, 1))
        is_whole &= put(body, "top_p", real(s->top_p));
    if (differs(s->presence_penalty, 0))
        is_whole &= put(body, "presence_penalty", real(s->presence_penalty));
    if (differs(s->frequency_penalty, 0))
        is_whole &= put(body, "frequency_penalty", real(s->frequency_penalty));
    if (!(can & CHAT_EXTRAS))
        return is_whole;
    if (s->top_k > 0)
        is_whole &= put(body, "top_k", json_integer(s->top_k));
    if (differs(s->min_p, 0))
        is_whole &= put(body, "min_p", real(s->min_p));
    if (differs(s->repetition_penalty, 1)) /* the second is llama-server's word */
        is_whole &= put(body, "repetition_penalty", real(s->repetition_penalty)) &&
                    put(body, "repeat_penalty", real(s->repetition_penalty));
    return is_whole;
}

static bool put_stops(const struct api_request *r, json_t *body)
{
    json_t *list = json_array();
    bool is_whole = list != NULL;

    for (size_t i = 0; i < r->n_stops; i++)
        is_whole &= json_array_append_new(list, json_string(r->stops[i])) == 0;
    return put(body, "stop", list) && is_whole;
}

static bool put_stop_tokens(const struct api_request *r, json_t *body)
{
    json_t *list = json_array();
    bool is_whole = list != NULL;

    for (size_t i = 0; i < r->n_stop_tokens; i++)
        is_whole &= json_array_append_new(list, json_integer(r->stop_tokens[i])) == 0;
    return put(body, "stop_token_ids", list) && is_whole;
}

static bool put_lengths(const struct api_request *r, unsigned can, json_t *body)
{
    bool is_whole = true;

    if (r->max_tokens > 0)
        is_whole &= put(body, "max_tokens", json_integer(r->max_tokens));
    if (r->n > 1)
        is_whole &= put(body, "n", json_integer(r->n));
    if (r->has_seed)
        is_whole &= put(body, "seed", json_integer((json_int_t)r->sampling.seed));
    if (r->n_stops > 0)
        is_whole &= put_stops(r, body);
    if (!(can & CHAT_EXTRAS))
        return is_whole;
    if (r->n_stop_tokens > 0)
        is_whole &= put_stop_tokens(r, body);
    if (r->includes_stop)
        is_whole &= put(body, "include_stop_str_in_output", json_true());
    if (r->ignores_eos)
        is_whole &= put(body, "ignore_eos", json_true());
    if (r->min_tokens > 0)
        is_whole &= put(body, "min_tokens", json_integer(r->min_tokens));
    if (r->thought_tokens_max > 0)
        is_whole &= put(body, "thinking_token_budget", json_integer(r->thought_tokens_max));
    return is_whole;
}

static bool put_form(const struct api_request *r, json_t *body)
{
    if (!r->grammar)
        return true;
    if (!r->schema)
        return put(body, "grammar", json_string(r->grammar));
    if (json_is_true(r->schema))
        return put(body, "response_format", json_pack("{s:s}", "type", "json_object"));
    return put(body, "response_format",
               json_pack("{s:s,s:{s:s,s:b,s:O}}", "type", "json_schema", "json_schema", "name",
                         "answer", "strict", 1, "schema", r->schema));
}

static bool put_tools(const struct api_request *r, json_t *body)
{
    static const char *const words[] = {
        [TOOLS_AUTO] = "auto",
        [TOOLS_NONE] = "none",
        [TOOLS_REQUIRED] = "required",
    };
    bool is_whole = put(body, "tools", json_incref(json_object_get(r->variables, "tools")));

    if (r->tool_choice == TOOLS_NAMED)
        is_whole &=
            put(body, "tool_choice",
                json_pack("{s:s,s:{s:s}}", "type", "function", "function", "name", r->tool_name));
    else if (r->tool_choice != TOOLS_AUTO)
        is_whole &= put(body, "tool_choice", json_string(words[r->tool_choice]));
    if (r->calls_once)
        is_whole &= put(body, "parallel_tool_calls", json_false());
    return is_whole;
}

/* As the model wrote them, where that is known. */
static char *text_of_arguments(const json_t *arguments)
{
    const json_t *written = json_object_get(arguments, TEMPLATE_WRITTEN);

    if (!written)
        written = arguments;
    return json_is_string(written) ? strdup(json_string_value(written))
                                   : json_dumps(written, JSON_COMPACT | JSON_ENCODE_ANY);
}

/* Arguments are text there, and an object where a template is rendered. */
static json_t *call_with_text(const json_t *call)
{
    const json_t *function = json_object_get(call, "function");
    char *text = text_of_arguments(json_object_get(function, "arguments"));
    json_t *made = text ? json_pack("{s:O,s:s,s:{s:O,s:s}}", "id", json_object_get(call, "id"),
                                    "type", "function", "function", "name",
                                    json_object_get(function, "name"), "arguments", text)
                        : NULL;

    free(text);
    return made;
}

/* The calls whose results follow: dialects without ids give results in the order of the calls. */
struct called {
    const json_t *calls;
    size_t n_answered;
};

static bool put_calls(const json_t *calls, json_t *message)
{
    json_t *list = json_array();
    bool is_whole = list != NULL;

    for (size_t i = 0; i < json_array_size(calls); i++)
        is_whole &= json_array_append_new(list, call_with_text(json_array_get(calls, i))) == 0;
    return put(message, "tool_calls", list) && is_whole;
}

static bool name_call(struct called *called, json_t *message)
{
    json_t *id = json_object_get(json_array_get(called->calls, called->n_answered), "id");

    called->n_answered++;
    if (json_object_get(message, "tool_call_id"))
        return true;
    return id ? put(message, "tool_call_id", json_incref(id))
              : put(message, "tool_call_id", json_string("call_0"));
}

static json_t *message_of(const json_t *from, unsigned can, struct called *called)
{
    const json_t *calls = json_object_get(from, "tool_calls");
    const char *role = json_string_value(json_object_get(from, "role"));
    json_t *message = json_whole_copy(from);
    bool is_whole = message != NULL;

    if (is_whole && json_array_size(calls) > 0) {
        *called = (struct called){ calls, 0 };
        is_whole = put_calls(calls, message);
    } else if (is_whole && role && strcmp(role, "tool") == 0) {
        is_whole = name_call(called, message);
    }
    if (is_whole && !(can & CHAT_EXTRAS))
        (void)json_object_del(message, "reasoning_content");
    if (is_whole)
        return message;
    json_decref(message);
    return NULL;
}

static bool put_messages(const struct api_request *r, unsigned can, json_t *body)
{
    const json_t *messages = json_object_get(r->variables, "messages");
    json_t *list = json_array();
    struct called called = { NULL, 0 };
    bool is_whole = list != NULL;

    for (size_t i = 0; i < json_array_size(messages) && is_whole; i++)
        is_whole =
            json_array_append_new(list, message_of(json_array_get(messages, i), can, &called)) == 0;
    return put(body, "messages", list) && is_whole;
}

/* What a template is told of thinking: with names of its own, and exo's beside them. */
static bool put_thinking(const struct api_request *r, unsigned can, json_t *body)
{
    static const char *const names[] = { "enable_thinking", "thinking", "reasoning_effort" };
    json_t *effort = json_object_get(r->variables, "reasoning_effort");
    json_t *thinks = json_object_get(r->variables, "enable_thinking");
    json_t *options = json_object();
    bool is_whole = options != NULL;

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        json_t *value = json_object_get(r->variables, names[i]);

        if (value)
            is_whole &= json_object_set(options, names[i], value) == 0;
    }
    if (effort)
        is_whole &= json_object_set(body, "reasoning_effort", effort) == 0;
    if (!(can & CHAT_EXTRAS) || json_object_size(options) == 0) {
        json_decref(options);
        return is_whole;
    }
    if (thinks)
        is_whole &= json_object_set(body, "enable_thinking", thinks) == 0;
    return put(body, "chat_template_kwargs", options) && is_whole;
}

static bool put_prompt(const struct api_request *r, json_t *body)
{
    const struct api_prompt *p = &r->prompts[0];
    bool is_whole = put(body, "prompt", json_stringn(p->text, p->n_text));

    if (r->suffix)
        is_whole &= put(body, "suffix", json_string(r->suffix));
    return is_whole;
}

static json_t *text_or_tokens(const struct api_prompt *p)
{
    json_t *list;

    if (!p->tokens)
        return json_stringn(p->text, p->n_text);
    list = json_array();
    for (size_t i = 0; i < p->n_tokens; i++)
        (void)json_array_append_new(list, json_integer(p->tokens[i]));
    return list;
}

static bool put_inputs(const struct api_request *r, json_t *body)
{
    json_t *list = json_array();
    bool is_whole = list != NULL;

    for (size_t i = 0; i < r->n_prompts; i++)
        is_whole &= json_array_append_new(list, text_or_tokens(&r->prompts[i])) == 0;
    if (r->n_dims > 0)
        is_whole &= put(body, "dimensions", json_integer(r->n_dims));
    return put(body, "input", list) && is_whole;
}

static bool put_answer(const struct api_request *r, unsigned can, json_t *body)
{
    const bool is_whole = put(body, "stream", json_true()) &&
                          put(body, "stream_options", json_pack("{s:b}", "include_usage", 1));

    return is_whole && put_sampling(&r->sampling, can, body) && put_lengths(r, can, body) &&
           put_form(r, body);
}

json_t *chat_request_body(const struct api_request *r, const char *model, unsigned can)
{
    json_t *body = json_pack("{s:s}", "model", model);
    bool is_whole = body != NULL;

    if (is_whole && r->task == TASK_EMBED)
        is_whole = put_inputs(r, body);
    else if (is_whole && r->variables)
        is_whole = put_messages(r, can, body) && put_thinking(r, can, body);
    else if (is_whole)
        is_whole = put_prompt(r, body);
    if (is_whole && json_array_size(r->tools) > 0)
        is_whole = put_tools(r, body);
    if (is_whole && r->task == TASK_GENERATE)
        is_whole = put_answer(r, can, body);
    if (is_whole)
        return body;
    json_decref(body);
    return NULL;
}
