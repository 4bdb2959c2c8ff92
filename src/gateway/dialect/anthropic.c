/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/dialect/anthropic.c - Anthropic's Messages: the request.
 *
 * `cache_control` may stand anywhere and says nothing here: prefixes are cached without being asked.
 *
 * Source: Anthropic API reference, "Messages", "Count tokens"; what anthropic-python and Claude Code
 *         send.
 */
#include "gateway/dialect/anthropic.h"

#include <stdio.h>
#include <string.h>
#include <xxhash.h>

#include "base/size.h"
#include "gateway/dialect/common.h"
#include "gateway/dialect/constraint.h"
#include "gateway/dialect/messages.h"
#include "gateway/dialect/param.h"
#include "gateway/dialect/tools.h"

enum { TOKENS_MAX = 1 << 30 };

/* Those of other APIs would be looked for in vain in the answer. */
static const struct refused_param refused[] = {
    { "mcp_servers", is_empty_value, "Tools are not called here: leave it out." },
    { "stop", is_never_value, "Send 'stop_sequences'." },
    { "n", is_never_value, "A message is one answer." },
    { "logprobs", is_false_value, "Log probabilities are given by /v1/chat/completions." },
    { "response_format", is_never_value, "Send 'output_config.format'." },
    { "logit_bias", is_empty_value, "It is taken by /v1/chat/completions." },
    { "seed", is_never_value, "It is taken by /v1/chat/completions." },
    { "frequency_penalty", is_never_value, "It is taken by /v1/chat/completions." },
    { "presence_penalty", is_never_value, "It is taken by /v1/chat/completions." },
    { "max_completion_tokens", is_never_value, "Send 'max_tokens'." },
};

static enum status parse_sampling(const json_t *body, struct api_request *r, struct api_error *e)
{
    enum status s = param_float(body, "temperature", 0, 1, &r->sampling.temperature, e);

    if (s == ST_OK)
        s = param_float(body, "top_p", 0, 1, &r->sampling.top_p, e);
    return s == ST_OK ? param_u32(body, "top_k", 0, INT32_MAX, &r->sampling.top_k, e) : s;
}

static enum status parse_stops(const json_t *body, struct api_request *r, struct api_error *e)
{
    static const char name[] = "stop_sequences";
    const json_t *stops = param_get(body, name);

    if (stops && !json_is_array(stops))
        return param_wrong_type(name, "an array of strings", stops, e);
    for (size_t i = 0; i < json_array_size(stops); i++) {
        const json_t *stop = json_array_get(stops, i);
        const size_t n = json_string_length(stop);

        if (!json_is_string(stop))
            return param_wrong_type(name, "an array of strings", stop, e);
        if (n == 0 || n > REQUEST_STOP_BYTES_MAX || r->n_stops == REQUEST_STOPS_MAX)
            return api_error_set(e, API_INVALID_VALUE, name,
                                 "'%s' may hold %d strings of 1 to %d bytes.", name,
                                 REQUEST_STOPS_MAX, REQUEST_STOP_BYTES_MAX);
        r->stops[r->n_stops] = strdup(json_string_value(stop));
        if (!r->stops[r->n_stops])
            return param_no_memory(e);
        r->n_stops++;
    }
    return ST_OK;
}

/* Tools that run at the provider, or that its models know without a schema, are left out: the model
 * here was told of none. */
static enum status parse_tools(const json_t *body, json_t *list, struct api_request *r,
                               struct api_error *e)
{
    const json_t *tools = param_get(body, "tools");
    enum status s = ST_OK;

    if (tools && !json_is_array(tools))
        return param_wrong_type("tools", "an array", tools, e);
    for (size_t i = 0; i < json_array_size(tools) && s == ST_OK; i++) {
        const json_t *tool = json_array_get(tools, i);
        const char *type = json_string_value(json_object_get(tool, "type"));
        char path[PARAM_MAX];

        (void)snprintf(path, sizeof(path), "tools[%zu]", i);
        if (!json_is_object(tool))
            return param_wrong_type(path, "an object", tool, e);
        if (type && strcmp(type, "custom") != 0)
            continue;
        s = tools_add(list, json_string_value(json_object_get(tool, "name")),
                      param_get(tool, "description"), param_get(tool, "input_schema"), path, e);
        if (s == ST_OK)
            s = tools_hold(tool, param_get(tool, "input_schema"), r, path, e);
    }
    return s;
}

static enum status parse_choice(const json_t *body, struct api_request *r, struct api_error *e)
{
    static const struct {
        const char *word;
        enum tool_choice choice;
    } words[] = {
        { "auto", TOOLS_AUTO },
        { "any", TOOLS_REQUIRED },
        { "tool", TOOLS_NAMED },
        { "none", TOOLS_NONE },
    };
    const json_t *choice = param_get(body, "tool_choice");
    const char *type = json_string_value(json_object_get(choice, "type"));

    if (!choice)
        return ST_OK;
    for (size_t i = 0; type && i < ARRAY_LEN(words); i++) {
        if (strcmp(type, words[i].word) != 0)
            continue;
        r->tool_choice = words[i].choice;
        if (r->tool_choice == TOOLS_NAMED && !param_get(choice, "name"))
            return api_error_set(e, API_MISSING, "tool_choice", "'tool_choice' must name a tool.");
        if (param_text(choice, "name", r->tool_name, sizeof(r->tool_name), e) != ST_OK)
            return ST_FORMAT;
        return param_bool(choice, "disable_parallel_tool_use", &r->calls_once, e);
    }
    return api_error_set(e, API_INVALID_VALUE, "tool_choice",
                         "'tool_choice' must be of type 'auto', 'any', 'tool' or 'none'.");
}

/* The older place of the format, and the newer. */
static enum status parse_format(const json_t *body, struct api_request *r, struct api_error *e)
{
    const json_t *output = param_get(body, "output_config");
    const bool is_older = !param_get(output, "format");
    const json_t *format =
        is_older ? param_get(body, "output_format") : param_get(output, "format");
    const char *type = json_string_value(json_object_get(format, "type"));
    const char *name = is_older ? "output_format" : "output_config.format";

    if (!format)
        return ST_OK;
    if (!type || strcmp(type, "json_schema") != 0)
        return api_error_set(e, API_INVALID_VALUE, name, "'%s' must be of type 'json_schema'.",
                             name);
    if (!param_get(format, "schema"))
        return api_error_set(e, API_MISSING, name, "'%s' needs its schema.", name);
    return constraint_of_schema(param_get(format, "schema"), name, r, e);
}

/* Not asked for, there are no thoughts. */
static enum status parse_thinking(const json_t *body, struct api_request *r, struct api_error *e)
{
    const json_t *thinking = param_get(body, "thinking");
    const char *type = json_string_value(json_object_get(thinking, "type"));
    const json_t *output = param_get(body, "output_config");
    json_t *effort = param_get(output, "effort");
    const bool is_on = type && strcmp(type, "disabled") != 0;

    if (thinking && !type)
        return api_error_set(e, API_INVALID_VALUE, "thinking",
                             "'thinking' must be of type 'enabled', 'adaptive' or 'disabled'.");
    if (json_object_set_new(r->variables, "enable_thinking", json_boolean(is_on)) != 0)
        return param_no_memory(e);
    if (json_is_string(effort) && json_object_set(r->variables, "reasoning_effort", effort) != 0)
        return param_no_memory(e);
    return is_on ? param_u32(thinking, "budget_tokens", 1, TOKENS_MAX, &r->thought_tokens_max, e)
                 : ST_OK;
}

static enum status parse_rest(const json_t *body, struct api_request *r, struct api_error *e)
{
    static enum status (*const parts[])(const json_t *, struct api_request *,
                                        struct api_error *) = {
        parse_sampling, parse_stops, parse_thinking, parse_format, parse_choice,
    };
    const char *user = json_string_value(json_object_get(param_get(body, "metadata"), "user_id"));
    json_t *tools;
    enum status s = param_bool(body, "stream", &r->streams, e);

    if (user)
        r->tenant = XXH3_64bits(user, strlen(user));
    for (size_t i = 0; i < ARRAY_LEN(parts) && s == ST_OK; i++)
        s = parts[i](body, r, e);
    if (s != ST_OK)
        return s;
    tools = json_array();
    s = parse_tools(body, tools, r, e);
    if (s == ST_OK)
        return tools_offer(tools, r, e);
    json_decref(tools);
    return s;
}

static enum status parse_prompt(const json_t *body, struct api_request *r, struct api_error *e)
{
    json_t *list = json_array();
    enum status s = refuse_params(body, refused, ARRAY_LEN(refused), e);

    if (s == ST_OK)
        s = param_text(body, "model", r->model, sizeof(r->model), e);

    r->variables = json_pack("{s:o,s:b}", "messages", list, "add_generation_prompt", 1);
    if (!r->variables)
        return param_no_memory(e);
    if (s == ST_OK && !param_get(body, "model"))
        s = api_error_set(e, API_MISSING, "model", "model: Field required");
    if (s == ST_OK)
        s = anthropic_conversation(r, body, list, e);
    if (s == ST_OK && messages_end_in_words(list)) /* what the client put into the model's mouth */
        s = messages_continue(r, "messages", e);
    return s == ST_OK ? parse_rest(body, r, e) : s;
}

static enum status parse(const json_t *body, struct api_request *r, struct api_error *e)
{
    const enum status s = parse_prompt(body, r, e);

    if (s != ST_OK)
        return s;
    if (!param_get(body, "max_tokens"))
        return api_error_set(e, API_MISSING, "max_tokens", "max_tokens: Field required");
    return param_u32(body, "max_tokens", 1, TOKENS_MAX, &r->max_tokens, e);
}

static enum status parse_count(const json_t *body, struct api_request *r, struct api_error *e)
{
    r->task = TASK_COUNT;
    return parse_prompt(body, r, e);
}

const struct dialect anthropic_messages = {
    .name = "anthropic messages",
    .id_prefix = "msg_",
    .call_prefix = "toolu_",
    .keep_alive = "event: ping\ndata: {\"type\":\"ping\"}\n\n",
    .parse = parse,
    .whole = anthropic_whole,
    .begin = anthropic_begin,
    .events = anthropic_events,
    .end = anthropic_end,
    .fail = anthropic_fail,
};

const struct dialect anthropic_count = { .name = "anthropic count_tokens", .parse = parse_count };
