/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/dialect/responses.c - OpenAI's Responses: the request.
 *
 * Tools that run at the provider are left out, with a line in the log: agents name them always, and
 * do without them. A custom tool takes free text; the model is shown a function of one string.
 *
 * Source: OpenAI API reference, "Responses"; what openai-python and Codex send
 */
#include "gateway/dialect/responses.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/size.h"
#include "gateway/dialect/common.h"
#include "gateway/dialect/constraint.h"
#include "gateway/dialect/logprobs.h"
#include "gateway/dialect/responses_store.h"
#include "gateway/dialect/tools.h"

enum { TOKENS_MAX = 1 << 30 };

static const struct refused_param refused[] = {
    { "background", is_false_value, "Wait for the answer, or stream it." },
    { "conversation", is_never_value, "Send the items, or previous_response_id." },
    { "prompt", is_never_value, "Prompts are not kept here: send instructions and input." },
    { "messages", is_never_value, "Send 'input'." },
    { "n", is_one_value, "A response is one answer." },
    { "max_tokens", is_never_value, "Send 'max_output_tokens'." },
    { "max_completion_tokens", is_never_value, "Send 'max_output_tokens'." },
    { "logprobs", is_false_value, "Send include: [\"message.output_text.logprobs\"]." },
};

static bool is_type(const json_t *tool, const char *want)
{
    const char *type = json_string_value(json_object_get(tool, "type"));

    return type && strcmp(type, want) == 0;
}

static enum status parse_tool(const json_t *tool, json_t *list, json_t *names,
                              struct api_request *r, const char *path, struct api_error *e)
{
    const json_t *parameters = param_get(tool, "parameters");
    enum status s;

    if (!json_is_object(tool))
        return param_wrong_type(path, "an object", tool, e);
    if (is_type(tool, "custom"))
        return tools_add_custom(list, names, tool, r, path, e);
    if (!is_type(tool, "function")) {
        log_info("a request offers a tool that is not called here (%s): it is left out", path);
        return ST_OK;
    }
    s = tools_add(list, json_string_value(json_object_get(tool, "name")),
                  param_get(tool, "description"), param_get(tool, "parameters"), path, e);
    return s == ST_OK ? tools_hold(tool, parameters, r, path, e) : s;
}

static enum status parse_tools(const json_t *body, json_t *list, json_t *names,
                               struct api_request *r, struct api_error *e)
{
    const json_t *tools = param_get(body, "tools");
    enum status s = ST_OK;

    if (tools && !json_is_array(tools))
        return param_wrong_type("tools", "an array", tools, e);
    for (size_t i = 0; i < json_array_size(tools) && s == ST_OK; i++) {
        char path[PARAM_MAX];

        (void)snprintf(path, sizeof(path), "tools[%zu]", i);
        s = parse_tool(json_array_get(tools, i), list, names, r, path, e);
    }
    return s;
}

static enum status parse_format(const json_t *body, struct api_request *r, struct api_error *e)
{
    const json_t *format = param_get(param_get(body, "text"), "format");
    const json_t *schema = param_get(format, "schema");

    if (!format || is_type(format, "text"))
        return ST_OK;
    if (is_type(format, "json_object"))
        return constraint_of_object("text.format", r, e);
    if (!is_type(format, "json_schema"))
        return api_error_set(e, API_INVALID_VALUE, "text.format.type",
                             "'text.format.type' must be 'text', 'json_object' or "
                             "'json_schema'.");
    if (!schema)
        return api_error_set(e, API_MISSING, "text.format.schema", "The schema is missing.");
    return constraint_of_schema(schema, "text.format.schema", r, e);
}

/* Of what may be included, other things are hints, or of tools that are not called here. */
static enum status parse_logprobs(const json_t *body, struct api_request *r, struct api_error *e)
{
    const json_t *include = param_get(body, "include");

    if (include && !json_is_array(include))
        return param_wrong_type("include", "an array", include, e);
    for (size_t i = 0; i < json_array_size(include); i++) {
        const char *what = json_string_value(json_array_get(include, i));

        if (what && strcmp(what, "message.output_text.logprobs") == 0)
            r->sampling.wants_logprobs = true;
    }
    if (param_u32(body, "top_logprobs", 0, REQUEST_TOP_LOGPROBS_MAX, &r->sampling.n_top_logprobs,
                  e) != ST_OK)
        return ST_FORMAT;
    if (r->sampling.n_top_logprobs > 0)
        r->sampling.wants_logprobs = true;
    return ST_OK;
}

static enum status parse_effort(const json_t *body, struct api_request *r, struct api_error *e)
{
    const json_t *reasoning = param_get(body, "reasoning");
    json_t *effort = param_get(reasoning, "effort");
    const char *word = json_string_value(effort);
    const bool thinks = !word || (strcmp(word, "none") != 0 && strcmp(word, "minimal") != 0);

    if (effort && !word)
        return param_wrong_type("reasoning.effort", "a string", effort, e);
    if (word && (json_object_set(r->variables, "reasoning_effort", effort) != 0 ||
                 json_object_set_new(r->variables, "enable_thinking", json_boolean(thinks)) != 0))
        return param_no_memory(e);
    return ST_OK;
}

/* What was said up to the response `id`.  Given; NULL: it is not kept, or somebody else's.  Where the
 * guard knows nobody, the end user is all that tells people apart. */
static json_t *kept_turns(const struct api_request *r, const char *id)
{
    json_t *record = r->store ? responses_store_get(r->store, r->owner, id) : NULL;
    const json_int_t user = json_integer_value(json_object_get(record, "user"));
    json_t *turns = NULL;

    if (r->owner != 0 || user == (json_int_t)r->tenant)
        turns = json_incref(json_object_get(record, "turns"));
    json_decref(record);
    return turns;
}

/* What was said in the answer before, and this input: the turns, without instructions. */
static enum status parse_turns(const json_t *body, struct api_request *r, json_t **ret_turns,
                               struct api_error *e)
{
    static const char name[] = "previous_response_id";
    const json_t *input = param_get(body, "input");
    char id[REQUEST_ID_MAX] = "";
    json_t *turns = NULL;
    enum status s = param_text(body, name, id, sizeof(id), e);

    if (s == ST_OK && id[0]) {
        turns = kept_turns(r, id);
        if (!turns)
            s = api_error_set(e, API_INVALID_VALUE, name,
                              "The response '%s' is not kept here: send its items as input.", id);
    } else if (s == ST_OK) {
        turns = json_array();
    }
    if (s == ST_OK && !input)
        s = api_error_set(e, API_MISSING, "input", "You must provide an input parameter.");
    if (s == ST_OK)
        s = responses_input(r, input, turns, e);
    if (s == ST_OK && json_array_size(turns) == 0)
        s = api_error_set(e, API_INVALID_VALUE, "input", "'input' must not be empty.");
    if (s == ST_OK)
        *ret_turns = turns;
    else
        json_decref(turns);
    return s;
}

/* Templates know one system message at the front: instructions, and what else the first turns say
 * as the system. */
static enum status make_messages(const json_t *body, const json_t *turns, json_t *list,
                                 struct api_error *e)
{
    const json_t *instructions = param_get(body, "instructions");
    struct buf text = { 0 };
    size_t first = 0;
    enum status s = ST_OK;

    if (instructions && !json_is_string(instructions))
        return param_wrong_type("instructions", "a string", instructions, e);
    if (instructions)
        buf_puts(&text, json_string_value(instructions));
    for (; first < json_array_size(turns); first++) {
        const json_t *turn = json_array_get(turns, first);
        const char *role = json_string_value(json_object_get(turn, "role"));

        if (!role || strcmp(role, "system") != 0)
            break;
        buf_puts(&text, text.len ? "\n\n" : "");
        buf_puts(&text, json_string_value(json_object_get(turn, "content")));
    }
    if (buf_status(&text) != ST_OK)
        s = param_no_memory(e);
    else if (text.len > 0 && json_array_append_new(list, json_pack("{s:s,s:s%}", "role", "system",
                                                                   "content", text.data, text.len)))
        s = param_no_memory(e);
    for (size_t i = first; i < json_array_size(turns) && s == ST_OK; i++) {
        if (json_array_append(list, json_array_get(turns, i)) != 0)
            s = param_no_memory(e);
    }
    buf_release(&text);
    return s;
}

/* What an answer repeats of its request. */
static json_t *repeated(const json_t *body)
{
    static const char *const names[] = {
        "instructions",
        "max_output_tokens",
        "metadata",
        "previous_response_id",
        "reasoning",
        "temperature",
        "text",
        "tool_choice",
        "tools",
        "top_p",
        "truncation",
        "user",
        "parallel_tool_calls",
        "prompt_cache_key",
        "safety_identifier",
        "service_tier",
        "top_logprobs",
    };
    json_t *object = json_pack("{s:{},s:s,s:[],s:b,s:s,s:{s:{s:s}}}", "metadata", "tool_choice",
                               "auto", "tools", "parallel_tool_calls", 1, "truncation", "disabled",
                               "text", "format", "type", "text");

    for (size_t i = 0; object && i < ARRAY_LEN(names); i++) {
        json_t *value = param_get(body, names[i]);

        if ((value && json_object_set(object, names[i], value) != 0) ||
            (!value && !json_object_get(object, names[i]) &&
             json_object_set_new(object, names[i], json_null()) != 0)) {
            json_decref(object);
            return NULL;
        }
    }
    return object;
}

static enum status parse_prompt(const json_t *body, struct api_request *r, struct api_error *e)
{
    json_t *list = json_array(), *names = json_array(), *tools = json_array(), *turns = NULL;
    bool in_parallel = true, stores = true;
    enum status s = ST_OK;

    r->variables = json_pack("{s:O,s:b}", "messages", list, "add_generation_prompt", 1);
    if (s == ST_OK && !r->variables)
        s = param_no_memory(e);
    if (s == ST_OK)
        s = param_bool(body, "parallel_tool_calls", &in_parallel, e);
    if (s == ST_OK)
        s = param_bool(body, "store", &stores, e);
    r->calls_once = !in_parallel;
    if (s == ST_OK)
        s = parse_turns(body, r, &turns, e);
    if (s == ST_OK)
        s = make_messages(body, turns, list, e);
    if (s == ST_OK)
        s = parse_tools(body, tools, names, r, e);
    if (s == ST_OK)
        s = tools_choose(param_get(body, "tool_choice"), "tool_choice", tools, r, e);
    if (s == ST_OK)
        s = tools_offer(json_incref(tools), r, e);
    if (s == ST_OK)
        r->context =
            json_pack("{s:o,s:O,s:O,s:o,s:I,s:b}", "response", repeated(body), "custom", names,
                      "turns", turns, "input", responses_input_items(param_get(body, "input")),
                      "user", (json_int_t)r->tenant, "stores", stores);
    if (s == ST_OK && !r->context)
        s = param_no_memory(e);
    json_decref(tools);
    json_decref(turns);
    json_decref(names);
    json_decref(list);
    return s;
}

static enum status parse(const json_t *body, struct api_request *r, struct api_error *e)
{
    enum status s = refuse_params(body, refused, ARRAY_LEN(refused), e);

    if (s == ST_OK)
        s = common_parse(body, r, e);
    if (s == ST_OK)
        s = param_u32(body, "max_output_tokens", 1, TOKENS_MAX, &r->max_tokens, e);
    if (s == ST_OK)
        s = parse_format(body, r, e);
    if (s == ST_OK)
        s = parse_logprobs(body, r, e);
    if (s == ST_OK)
        s = parse_prompt(body, r, e);
    return s == ST_OK ? parse_effort(body, r, e) : s;
}

static enum status parse_count(const json_t *body, struct api_request *r, struct api_error *e)
{
    const enum status s = parse(body, r, e);

    r->task = TASK_COUNT;
    return s;
}

const struct dialect openai_responses = {
    .name = "openai responses",
    .id_prefix = "resp_",
    .parse = parse,
    .whole = responses_whole,
    .begin = responses_begin,
    .events = responses_events,
    .end = responses_end,
    .fail = responses_fail,
    .collect = logprobs_collect,
    .keeps_text = true,
};

const struct dialect responses_count = { .name = "responses input_tokens",
                                         .object = "response.input_tokens",
                                         .parse = parse_count };
