/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/dialect/tools.c - functions that a model may call, and those that it called before.
 *
 * Source: OpenAI API reference, "Chat completions": tools, tool_choice, functions, function_call.
 */
#include "gateway/dialect/tools.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "gateway/dialect/call_texts.h"
#include "gateway/dialect/param.h"
#include "text/grammar/schema.h"
#include "text/json_whole.h"
#include "text/template/template.h"
#include "text/tool_grammar.h"

bool tool_name_is_valid(const char *name)
{
    size_t n = 0;

    for (; name[n]; n++) {
        if (!isalnum((unsigned char)name[n]) && !strchr("_-.", name[n]))
            return false;
    }
    return n > 0 && n < TOOL_NAME_MAX;
}

enum status tools_add(json_t *list, const char *name, json_t *description, json_t *parameters,
                      const char *param, struct api_error *e)
{
    json_t *function;

    if (!name || !tool_name_is_valid(name))
        return api_error_set(e, name ? API_INVALID_VALUE : API_MISSING, param,
                             "A function needs a name of at most %d letters, digits, '_', '-' or "
                             "'.'.",
                             TOOL_NAME_MAX - 1);
    if (description && !json_is_string(description))
        return param_wrong_type(param, "a string as description", description, e);
    if (parameters && !json_is_object(parameters))
        return param_wrong_type(param, "an object as parameters", parameters, e);
    if (json_array_size(list) >= TOOLS_MAX)
        return api_error_set(e, API_INVALID_VALUE, param, "At most %d tools are allowed.",
                             TOOLS_MAX);
    function = json_pack("{s:s,s:O*,s:o}", "name", name, "description", description, "parameters",
                         parameters ? json_incref(parameters)
                                    : json_pack("{s:s,s:{}}", "type", "object", "properties"));
    if (json_array_append_new(list,
                              json_pack("{s:s,s:o}", "type", "function", "function", function)))
        return param_no_memory(e);
    return ST_OK;
}

enum status tools_hold(const json_t *tool, const json_t *parameters, struct api_request *r,
                       const char *param, struct api_error *e)
{
    struct buf rules = { 0 };
    struct err why = { 0 };
    bool is_strict = false;
    enum status s = param_bool(tool, "strict", &is_strict, e);

    if (s != ST_OK || !is_strict)
        return s;
    r->holds_calls = true;
    s = parameters ? schema_rules(parameters, "args", &rules, &why) : ST_OK;
    buf_release(&rules);
    if (s == ST_OK || s == ST_RANGE) /* what is too long to be held is an object all the same */
        return ST_OK;
    if (s == ST_NOMEM)
        return param_no_memory(e);
    return api_error_set(e, API_SCHEMA, param, "'%s' is strict, and cannot be held: %s.", param,
                         why.words);
}

static bool is_offered(const json_t *list, const char *name)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *function = json_object_get(json_array_get(list, i), "function");

        if (strcmp(json_string_value(json_object_get(function, "name")), name) == 0)
            return true;
    }
    return false;
}

/* What a template is to see: the tools without what they are held to beside.  Given; NULL: no memory. */
static json_t *shown(const json_t *list)
{
    json_t *copy = json_whole_copy(list);

    for (size_t i = 0; i < json_array_size(copy); i++) {
        const json_t *tool = json_array_get(copy, i);
        json_t *without;

        if (!json_object_get(tool, TOOL_LARK))
            continue;
        without = json_whole_copy(tool);
        if (without)
            (void)json_object_del(without, TOOL_LARK); /* it is there */
        if (json_array_set_new(copy, i, without) != 0) {
            json_decref(copy);
            return NULL;
        }
    }
    return copy;
}

enum status tools_offer(json_t *list, struct api_request *r, struct api_error *e)
{
    const bool must_call = r->tool_choice == TOOLS_REQUIRED || r->tool_choice == TOOLS_NAMED;
    enum status s = ST_OK;

    if (must_call && json_array_size(list) == 0)
        s = api_error_set(e, API_INVALID_VALUE, "tool_choice",
                          "'tool_choice' wants a call, but there are no tools.");
    else if (r->tool_choice == TOOLS_NAMED && !is_offered(list, r->tool_name))
        s = api_error_set(e, API_INVALID_VALUE, "tool_choice",
                          "'tool_choice' names '%.128s', which is none of the tools.",
                          r->tool_name);
    else if (r->tool_choice != TOOLS_NONE && json_array_size(list) > 0) {
        r->tools = json_incref(list);
        if (json_object_set_new(r->variables, "tools", shown(list)) != 0)
            s = param_no_memory(e);
    }
    json_decref(list);
    return s;
}

static const char *name_of(const json_t *tool)
{
    static const char *const places[] = { "function", "custom" };
    const char *name = json_string_value(json_object_get(tool, "name"));

    for (size_t i = 0; !name && i < ARRAY_LEN(places); i++)
        name = json_string_value(json_object_get(json_object_get(tool, places[i]), "name"));
    return name;
}

enum status tools_keep(json_t *list, const json_t *allowed, const char *param, struct api_error *e)
{
    if (!json_is_array(allowed))
        return api_error_set(e, API_MISSING, param, "'%s' must list the tools.", param);
    for (size_t i = json_array_size(list); i-- > 0;) {
        const char *name = name_of(json_array_get(list, i));
        bool is_kept = false;

        for (size_t k = 0; k < json_array_size(allowed) && !is_kept; k++) {
            const char *its = name_of(json_array_get(allowed, k));

            is_kept = its && strcmp(its, name) == 0;
        }
        if (!is_kept)
            (void)json_array_remove(list, i);
    }
    return ST_OK;
}

static enum status parse_tool(const json_t *tool, json_t *list, json_t *names,
                              struct api_request *r, const char *param, struct api_error *e)
{
    const char *type = json_string_value(json_object_get(tool, "type"));
    const json_t *function = param_get(tool, "function");
    enum status s;

    if (!json_is_object(tool))
        return param_wrong_type(param, "an array of objects", tool, e);
    if (type && strcmp(type, "custom") == 0)
        return tools_add_custom(
            list, names, param_get(tool, "custom") ? param_get(tool, "custom") : tool, r, param, e);
    if (type && strcmp(type, "function") != 0)
        return api_error_set(e, API_UNSUPPORTED, param,
                             "Tools of type '%.32s' are not called here: send functions.", type);
    if (!function) /* as the Responses API has it */
        function = tool;
    s = tools_add(list, json_string_value(json_object_get(function, "name")),
                  param_get(function, "description"), param_get(function, "parameters"), param, e);
    return s == ST_OK ? tools_hold(function, param_get(function, "parameters"), r, param, e) : s;
}

static enum status parse_list(const json_t *tools, const char *name, json_t *list, json_t *names,
                              struct api_request *r, struct api_error *e)
{
    enum status s = ST_OK;

    if (!tools)
        return ST_OK;
    if (!json_is_array(tools))
        return param_wrong_type(name, "an array", tools, e);
    for (size_t i = 0; i < json_array_size(tools) && s == ST_OK; i++) {
        char path[PARAM_MAX];

        (void)snprintf(path, sizeof(path), "%s[%zu]", name, i);
        s = parse_tool(json_array_get(tools, i), list, names, r, path, e);
    }
    return s;
}

static enum status parse_name(const json_t *choice, const char *param, struct api_request *r,
                              struct api_error *e)
{
    const char *name = name_of(choice);

    if (!name || !tool_name_is_valid(name))
        return api_error_set(e, API_INVALID_VALUE, param, "'%s' must name a function.", param);
    r->tool_choice = TOOLS_NAMED;
    (void)snprintf(r->tool_name, sizeof(r->tool_name), "%s", name);
    return ST_OK;
}

static enum status parse_word(const char *word, const char *param, struct api_request *r,
                              struct api_error *e)
{
    static const struct {
        const char *word;
        enum tool_choice choice;
    } words[] = { { "auto", TOOLS_AUTO }, { "none", TOOLS_NONE }, { "required", TOOLS_REQUIRED } };

    for (size_t i = 0; word && i < ARRAY_LEN(words); i++) {
        if (strcmp(word, words[i].word) != 0)
            continue;
        r->tool_choice = words[i].choice;
        return ST_OK;
    }
    return api_error_set(e, API_INVALID_VALUE, param,
                         "'%s' must be 'auto', 'none', 'required' or name a function.", param);
}

enum status tools_choose(const json_t *choice, const char *param, json_t *list,
                         struct api_request *r, struct api_error *e)
{
    const char *type = json_string_value(json_object_get(choice, "type"));
    const json_t *allowed = param_get(choice, "allowed_tools");
    enum status s;

    if (!choice)
        return ST_OK;
    if (json_is_string(choice))
        return parse_word(json_string_value(choice), param, r, e);
    if (!json_is_object(choice))
        return param_wrong_type(param, "a string or an object", choice, e);
    if (!type || strcmp(type, "allowed_tools") != 0)
        return parse_name(choice, param, r, e);
    if (!allowed) /* as the Responses API has it */
        allowed = choice;
    s = parse_word(json_string_value(json_object_get(allowed, "mode")), param, r, e);
    return s == ST_OK ? tools_keep(list, json_object_get(allowed, "tools"), param, e) : s;
}

/* Both shapes, into lists of tools and of names of those of free text. */
static enum status parse_lists(const json_t *body, json_t *list, json_t *names,
                               struct api_request *r, struct api_error *e)
{
    bool in_parallel = true;
    enum status s = param_bool(body, "parallel_tool_calls", &in_parallel, e);

    r->calls_once = !in_parallel;
    r->answers_function = param_get(body, "functions") && !param_get(body, "tools");
    if (r->answers_function)
        r->calls_once = true; /* an answer in that shape has room for one */
    if (s == ST_OK)
        s = parse_list(param_get(body, "tools"), "tools", list, names, r, e);
    if (s == ST_OK && r->answers_function)
        s = parse_list(param_get(body, "functions"), "functions", list, names, r, e);
    return s;
}

enum status tools_parse(const json_t *body, struct api_request *r, struct api_error *e)
{
    json_t *list = json_array(), *names = json_array();
    enum status s = list && names ? parse_lists(body, list, names, r, e) : param_no_memory(e);

    if (s == ST_OK)
        s = tools_choose(param_get(body, "tool_choice"), "tool_choice", list, r, e);
    if (s == ST_OK)
        s = tools_choose(param_get(body, "function_call"), "function_call", list, r, e);
    if (s == ST_OK && json_array_size(names) > 0) {
        r->context = json_pack("{s:O}", "custom", names);
        s = r->context ? ST_OK : param_no_memory(e);
    }
    if (s == ST_OK)
        s = tools_offer(json_incref(list), r, e);
    json_decref(list);
    json_decref(names);
    return s;
}

json_t *tool_call_for_template(const char *id, const char *name, const char *arguments, size_t n)
{
    json_t *value = n ? json_loadb(arguments, n, 0, NULL) : json_object();

    if (!value && n > 0) /* no JSON, or no memory: then this succeeds, or the copy below fails */
        value = json_loadb(arguments, n, 0, NULL);
    if (!value && n == 0)
        return NULL;
    if (!json_is_object(value)) { /* a template shows what is no JSON as it is */
        json_decref(value);
        value = json_stringn(arguments, n);
    } else if (n > 0 &&
               json_object_set_new(value, TEMPLATE_WRITTEN, json_stringn(arguments, n)) != 0) {
        json_decref(value);
        return NULL;
    }
    return json_pack("{s:s,s:s,s:{s:s,s:o}}", "id", id, "type", "function", "function", "name",
                     name, "arguments", value);
}

json_t *tool_call_of_object(const struct api_request *r, const char *id, const char *name,
                            const json_t *arguments)
{
    char *written = call_texts_get(r->call_texts, r->owner, name, arguments);

    if (written) {
        json_t *call = tool_call_for_template(id, name, written, strlen(written));

        free(written);
        return call;
    }
    return json_pack("{s:s,s:s,s:{s:s,s:o}}", "id", id, "type", "function", "function", "name",
                     name, "arguments",
                     arguments ? json_incref((json_t *)(uintptr_t)arguments) : json_object());
}

/* {"name","input"} */
static enum status parse_custom(const struct api_request *r, const char *id, const json_t *custom,
                                json_t *list, const char *param, struct api_error *e)
{
    const char *name = json_string_value(json_object_get(custom, "name"));
    json_t *input = json_object_get(custom, "input"), *arguments;
    enum status s = ST_OK;

    if (!name || !json_is_string(input))
        return api_error_set(e, API_INVALID_VALUE, param,
                             "A custom call needs its tool's name and its input as text.");
    arguments = json_pack("{s:O}", "input", input);
    if (json_array_append_new(list, tool_call_of_object(r, id, name, arguments)) != 0)
        s = param_no_memory(e);
    json_decref(arguments);
    return s;
}

static enum status parse_call(const struct api_request *r, const json_t *call,
                              const json_t *function, json_t *list, const char *param,
                              struct api_error *e)
{
    const json_t *custom = param_get(call, "custom");
    const char *id = json_string_value(json_object_get(call, "id"));
    const char *name = json_string_value(json_object_get(function, "name"));
    const json_t *arguments = param_get(function, "arguments");

    if (custom)
        return parse_custom(r, id ? id : "", custom, list, param, e);
    if (!json_is_object(function) || !name)
        return api_error_set(e, API_INVALID_VALUE, param,
                             "A call needs its function's name and arguments.");
    if (arguments && !json_is_string(arguments))
        return param_wrong_type(param, "a string as arguments", arguments, e);
    if (json_array_append_new(
            list, tool_call_for_template(id ? id : "", name,
                                         arguments ? json_string_value(arguments) : "",
                                         arguments ? json_string_length(arguments) : 0)) != 0)
        return param_no_memory(e);
    return ST_OK;
}

enum status tool_calls_parse(const struct api_request *r, const json_t *message, json_t *made,
                             const char *param, struct api_error *e)
{
    const json_t *calls = param_get(message, "tool_calls");
    const json_t *older = param_get(message, "function_call");
    json_t *list = json_array();
    enum status s = ST_OK;

    if (calls && !json_is_array(calls))
        s = param_wrong_type(param, "an array", calls, e);
    else if (json_array_size(calls) > CALLS_MAX)
        s = api_error_set(e, API_INVALID_VALUE, param, "A message may hold at most %d calls.",
                          CALLS_MAX);
    for (size_t i = 0; i < json_array_size(calls) && s == ST_OK; i++) {
        const json_t *call = json_array_get(calls, i);

        s = parse_call(r, call, json_object_get(call, "function"), list, param, e);
    }
    if (s == ST_OK && older)
        s = parse_call(r, NULL, older, list, param, e);
    if (s == ST_OK && json_array_size(list) > 0 && json_object_set(made, "tool_calls", list) != 0)
        s = param_no_memory(e);
    json_decref(list);
    return s;
}
