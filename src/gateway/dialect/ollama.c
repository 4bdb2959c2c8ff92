/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/dialect/ollama.c - Ollama's requests, translated to OpenAI's and read as those are.
 *
 * Defaults are Ollama's (temperature 0.8, top_k 40, top_p 0.9); options that say how to compute
 * rather than what (num_gpu, num_thread, num_batch, num_ctx) are left to the cluster, those that would
 * change the answer in a way not done here are refused.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "gateway/dialect/call_texts.h"
#include "gateway/dialect/dialect.h"
#include "gateway/dialect/messages.h"
#include "gateway/dialect/ollama.h"
#include "gateway/dialect/ollama_priv.h"
#include "gateway/dialect/param.h"
#include "gateway/dialect/vectors.h"
#include "gateway/http/json_out.h"

static const char *const same_options[] = {
    "temperature",
    "top_k",
    "top_p",
    "min_p",
    "seed",
    "stop",
    "repeat_penalty",
    "presence_penalty",
    "frequency_penalty",
};

static enum status refuse_option(const json_t *options, const char *name, double harmless,
                                 struct api_error *e)
{
    const json_t *value = param_get(options, name);
    const double number = json_number_value(value);

    if (!value || (json_is_number(value) && !(number < harmless) && !(number > harmless)))
        return ST_OK;
    return api_error_set(e, API_UNSUPPORTED, name, "the option '%s' is not supported", name);
}

static enum status translate_options(const json_t *body, json_t *to, struct api_error *e)
{
    const json_t *options = param_get(body, "options");
    int64_t n_predict = -1;
    enum status s = ST_OK;

    if (options && !json_is_object(options))
        return param_wrong_type("options", "an object", options, e);
    if (json_object_set_new(to, "temperature", json_real(0.8)) != 0 ||
        json_object_set_new(to, "top_k", json_integer(40)) != 0 ||
        json_object_set_new(to, "top_p", json_real(0.9)) != 0)
        return param_no_memory(e);
    for (size_t i = 0; i < ARRAY_LEN(same_options); i++) {
        json_t *value = param_get(options, same_options[i]);

        if (value && json_object_set(to, same_options[i], value) != 0)
            return param_no_memory(e);
    }
    s = param_int(options, "num_predict", -2, 1 << 30, &n_predict, e);
    if (s == ST_OK && json_object_set_new(to, "n_predict", json_integer(n_predict)) != 0)
        s = param_no_memory(e);
    if (s == ST_OK)
        s = refuse_option(options, "mirostat", 0, e);
    return s == ST_OK ? refuse_option(options, "typical_p", 1, e) : s;
}

/* "" is none, "json" any object, an object a schema. */
static enum status translate_format(const json_t *body, json_t *to, struct api_error *e)
{
    json_t *format = param_get(body, "format"), *made = NULL;

    if (!format || (json_is_string(format) && json_string_length(format) == 0))
        return ST_OK;
    if (json_is_string(format) && strcmp(json_string_value(format), "json") == 0)
        made = json_pack("{s:s}", "type", "json_object");
    else if (json_is_object(format))
        made = json_pack("{s:s,s:{s:s,s:O}}", "type", "json_schema", "json_schema", "name",
                         "format", "schema", format);
    else
        return api_error_set(e, API_INVALID_VALUE, "format",
                             "'format' must be \"json\" or a JSON schema");
    return json_object_set_new(to, "response_format", made) == 0 ? ST_OK : param_no_memory(e);
}

static bool is_level(const char *word)
{
    static const char *const levels[] = { "low", "medium", "high", "max" };

    for (size_t i = 0; word && i < ARRAY_LEN(levels); i++) {
        if (strcmp(word, levels[i]) == 0)
            return true;
    }
    return false;
}

static enum status translate_think(const json_t *body, json_t *to, struct api_error *e)
{
    json_t *think = param_get(body, "think"), *made;

    if (!think)
        return ST_OK;
    if (!json_is_boolean(think) && !is_level(json_string_value(think)))
        return api_error_set(e, API_INVALID_VALUE, "think",
                             "'think' must be true, false, \"low\", \"medium\" or \"high\"");
    if (json_is_string(think) && json_object_set(to, "reasoning_effort", think) != 0)
        return param_no_memory(e);
    made = json_pack("{s:b,s:b}", "enable_thinking", !json_is_false(think), "thinking",
                     !json_is_false(think));
    return json_object_set_new(to, "chat_template_kwargs", made) == 0 ? ST_OK : param_no_memory(e);
}

/* Of a chat and of a prompt with its template. */
static enum status translate_logprobs(const json_t *body, json_t *to, struct api_error *e)
{
    static const char *const names[] = { "logprobs", "top_logprobs" };

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        json_t *value = param_get(body, names[i]);

        if (value && json_object_set(to, names[i], value) != 0)
            return param_no_memory(e);
    }
    return ST_OK;
}

/* What both requests have.  ret_to given; json_decref() */
static enum status translate(const json_t *body, json_t **ret_to, struct api_request *r,
                             struct api_error *e)
{
    struct ollama_name name;
    enum status s = ollama_name_parse(body, &name, e);
    json_t *to;

    if (s != ST_OK)
        return s;
    to = json_pack("{s:s,s:b}", "model", name.model, "stream", name.streams);
    if (!to)
        return param_no_memory(e);
    r->streams = name.streams;
    s = translate_options(body, to, e);
    if (s == ST_OK)
        s = translate_format(body, to, e);
    if (s == ST_OK)
        s = translate_think(body, to, e);
    if (s != ST_OK) {
        json_decref(to);
        return s;
    }
    *ret_to = to;
    return ST_OK;
}

/* Arguments are an object here, and text there: the model's own, where it is known. */
static json_t *translate_call(const struct api_request *r, const json_t *call, size_t i)
{
    const json_t *function = json_object_get(call, "function");
    const json_t *arguments = json_object_get(function, "arguments");
    const char *name = json_string_value(json_object_get(function, "name"));
    const char *given = json_string_value(json_object_get(call, "id"));
    char *text = call_texts_get(r->call_texts, r->owner, name ? name : "", arguments);
    struct buf written = { 0 };
    char id[32];
    json_t *made = NULL;

    (void)snprintf(id, sizeof(id), "call_%zu", i);
    if (!given)
        given = id;
    if (text)
        buf_puts(&written, text);
    else if (arguments)
        json_out_value(&written, arguments);
    else
        buf_puts(&written, "{}");
    if (buf_status(&written) == ST_OK)
        made = json_pack("{s:s,s:s,s:{s:s,s:s}}", "id", given, "type", "function", "function",
                         "name", name ? name : "", "arguments", buf_text(&written));
    buf_release(&written);
    free(text);
    return made;
}

static enum status translate_message(const struct api_request *r, const json_t *message,
                                     json_t *list, struct api_error *e)
{
    static const char *const names[][2] = {
        { "role", "role" },
        { "content", "content" },
        { "thinking", "reasoning_content" },
        { "tool_name", "name" },
        { "tool_call_id", "tool_call_id" },
    };
    const json_t *calls = param_get(message, "tool_calls");
    json_t *made = json_object();
    bool is_whole = made != NULL;

    if (json_array_size(param_get(message, "images")) > 0) {
        json_decref(made);
        return api_error_set(e, API_UNSUPPORTED, "images", "this model does not read images");
    }
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        json_t *value = param_get(message, names[i][0]);

        is_whole = is_whole && (!value || json_object_set(made, names[i][1], value) == 0);
    }
    if (json_array_size(calls) > 0) {
        json_t *given = json_array();

        for (size_t i = 0; i < json_array_size(calls); i++)
            is_whole = is_whole && json_array_append_new(
                                       given, translate_call(r, json_array_get(calls, i), i)) == 0;
        is_whole = is_whole && json_object_set(made, "tool_calls", given) == 0;
        json_decref(given);
    }
    is_whole = is_whole && json_array_append(list, made) == 0;
    json_decref(made);
    return is_whole ? ST_OK : param_no_memory(e);
}

/* A result without an id is that of the call at its place. */
static enum status name_results(json_t *list, struct api_error *e)
{
    const json_t *calls = NULL;
    size_t n_results = 0;

    for (size_t i = 0; i < json_array_size(list); i++) {
        json_t *message = json_array_get(list, i);
        const char *role = json_string_value(json_object_get(message, "role"));
        json_t *id;

        if (!role || strcmp(role, "tool") != 0) {
            calls = json_object_get(message, "tool_calls");
            n_results = 0;
            continue;
        }
        id = json_object_get(json_array_get(calls, n_results++), "id");
        if (id && !json_object_get(message, "tool_call_id") &&
            json_object_set(message, "tool_call_id", id) != 0)
            return param_no_memory(e);
    }
    return ST_OK;
}

static enum status translate_messages(const struct api_request *r, const json_t *body, json_t *to,
                                      struct api_error *e)
{
    const json_t *messages = param_get(body, "messages");
    json_t *tools = param_get(body, "tools"), *list = json_array();
    enum status s =
        list && json_object_set_new(to, "messages", list) == 0 ? ST_OK : param_no_memory(e);

    for (size_t i = 0; s == ST_OK && i < json_array_size(messages); i++)
        s = translate_message(r, json_array_get(messages, i), list, e);
    if (s == ST_OK)
        s = name_results(list, e);
    if (s == ST_OK && messages_end_in_words(list) &&
        json_object_set_new(to, "continue_final_message", json_true()) != 0)
        s = param_no_memory(e);
    if (s == ST_OK && json_array_size(tools) > 0 && json_object_set(to, "tools", tools) != 0)
        s = param_no_memory(e);
    return s;
}

/* Nothing is asked of the model: it is to be there, or to go. */
static enum status ask_to_load(const json_t *body, struct api_request *r, struct api_error *e)
{
    const json_t *keep = param_get(body, "keep_alive");
    struct ollama_name name;
    const enum status s = ollama_name_parse(body, &name, e);

    if (s != ST_OK)
        return s;
    memcpy(r->model, name.model, sizeof(r->model));
    r->task = TASK_LOAD;
    r->makes_none = json_is_integer(keep) && json_integer_value(keep) == 0;
    r->prompts = calloc(1, sizeof(*r->prompts));
    if (r->prompts)
        r->prompts[0].text = strdup(" ");
    return r->prompts && r->prompts[0].text ? ST_OK : param_no_memory(e);
}

enum status ollama_parse_chat(const json_t *body, struct api_request *r, struct api_error *e)
{
    json_t *to = NULL;
    enum status s;

    if (json_array_size(param_get(body, "messages")) == 0)
        return ask_to_load(body, r, e);
    s = translate(body, &to, r, e);
    if (s == ST_OK)
        s = translate_messages(r, body, to, e);
    if (s == ST_OK)
        s = translate_logprobs(body, to, e);
    if (s == ST_OK)
        s = openai_chat.parse(to, r, e);
    json_decref(to);
    return s;
}

static enum status add_prompt_messages(const json_t *body, json_t *to, struct api_error *e)
{
    json_t *system = param_get(body, "system"), *list = json_array();

    bool is_whole = list != NULL;

    if (is_whole && json_string_length(system) > 0)
        is_whole = json_array_append_new(
                       list, json_pack("{s:s,s:O}", "role", "system", "content", system)) == 0;
    if (is_whole &&
        json_array_append_new(list, json_pack("{s:s,s:O}", "role", "user", "content",
                                              param_get(body, "prompt"))) == 0 &&
        json_object_set(to, "messages", list) == 0) {
        json_decref(list);
        return ST_OK;
    }
    json_decref(list);
    return param_no_memory(e);
}

static enum status parse_raw(const json_t *body, json_t *to, struct api_request *r,
                             struct api_error *e)
{
    json_t *suffix = param_get(body, "suffix");
    const bool is_bounded = json_integer_value(json_object_get(to, "n_predict")) > 0;
    enum status s;

    if (json_object_set(to, "prompt", param_get(body, "prompt")) != 0 ||
        (suffix && json_object_set(to, "suffix", suffix) != 0))
        return param_no_memory(e);
    if (json_is_true(param_get(body, "logprobs"))) {
        const json_t *n_top = param_get(body, "top_logprobs");

        if (json_object_set_new(to, "logprobs", json_integer(json_integer_value(n_top))) != 0)
            return param_no_memory(e);
    }
    s = openai_completions.parse(to, r, e);
    if (s == ST_OK && !is_bounded)
        r->max_tokens = 0;
    return s;
}

static bool is_set(const json_t *value)
{
    return value && !(json_is_string(value) && json_string_length(value) == 0) &&
           !(json_is_array(value) && json_array_size(value) == 0);
}

enum status ollama_parse_generate(const json_t *body, struct api_request *r, struct api_error *e)
{
    static const char *const refused[] = { "template", "context", "images" };
    bool is_raw = false;
    json_t *to = NULL;
    enum status s = param_bool(body, "raw", &is_raw, e);

    if (s != ST_OK)
        return s;
    if (!is_set(param_get(body, "prompt")))
        return ask_to_load(body, r, e);
    if (!json_is_string(param_get(body, "prompt")))
        return param_wrong_type("prompt", "a string", param_get(body, "prompt"), e);
    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        if (is_set(param_get(body, refused[i])))
            return api_error_set(e, API_UNSUPPORTED, refused[i], "'%s' is not supported",
                                 refused[i]);
    }
    s = translate(body, &to, r, e);
    if (s == ST_OK && (is_raw || is_set(param_get(body, "suffix")))) {
        s = parse_raw(body, to, r, e);
    } else if (s == ST_OK) {
        s = add_prompt_messages(body, to, e);
        if (s == ST_OK)
            s = translate_logprobs(body, to, e);
        if (s == ST_OK)
            s = openai_chat.parse(to, r, e);
    }
    json_decref(to);
    return s;
}

enum status ollama_parse_embed(const json_t *body, struct api_request *r, struct api_error *e)
{
    const enum status s = inputs_parse(body, param_get(body, "input") ? "input" : "prompt", r, e);

    ollama_strip_tag(r->model);
    return s;
}
