/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/dialect/tools_custom.c - tools of free text: for the model, functions of one string.
 *
 * Source: OpenAI API reference, "Chat completions" and "Responses": custom tools
 */
#include "gateway/dialect/tools.h"

#include <string.h>

#include "gateway/dialect/param.h"
#include "text/grammar/schema.h"

static const char *text_of(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

/* A regular expression that is one. */
static enum status check_regex(const char *regex, const char *param, struct api_error *e)
{
    struct buf rules = { 0 };
    struct err why = { 0 };
    const enum status s = regex_rules(regex, "root", &rules, &why);

    buf_release(&rules);
    if (s == ST_OK)
        return ST_OK;
    if (s == ST_NOMEM)
        return param_no_memory(e);
    return api_error_set(e, API_GRAMMAR, param, "'%s' cannot be held: %s.", param, why.words);
}

/* What the input has to look like: into its schema, and into the words that the model reads. */
static enum status read_format(const json_t *format, json_t *input, struct buf *words,
                               const char *param, struct api_error *e)
{
    const json_t *grammar = param_get(format, "grammar");
    const char *type = text_of(format, "type");
    const char *syntax = text_of(grammar ? grammar : format, "syntax");
    const char *definition = text_of(grammar ? grammar : format, "definition");
    struct buf pattern = { 0 };
    enum status s = ST_OK;

    if (!format || (type && strcmp(type, "text") == 0))
        return ST_OK;
    if (!type || strcmp(type, "grammar") != 0 || !definition || !syntax ||
        (strcmp(syntax, "regex") != 0 && strcmp(syntax, "lark") != 0))
        return api_error_set(e, API_INVALID_VALUE, param,
                             "A custom tool's format is 'text', or a 'grammar' with a 'definition' "
                             "and the 'syntax' 'regex' or 'lark'.");
    buf_printf(words, "%sThe input keeps to this %s:\n%s", words->len ? "\n\n" : "",
               strcmp(syntax, "lark") == 0 ? "Lark grammar" : "regular expression", definition);
    if (strcmp(syntax, "lark") == 0)
        return ST_OK;
    s = check_regex(definition, param, e);
    if (s != ST_OK)
        return s;
    buf_printf(&pattern, "^(?:%s)$", definition);
    if (json_object_set_new(input, "pattern", json_string(buf_text(&pattern))) != 0)
        s = param_no_memory(e);
    buf_release(&pattern);
    return s;
}

enum status tools_add_custom(json_t *list, json_t *names, const json_t *tool, struct api_request *r,
                             const char *param, struct api_error *e)
{
    json_t *input = json_pack("{s:s}", "type", "string");
    json_t *parameters = json_pack("{s:s,s:{s:O},s:[s],s:b}", "type", "object", "properties",
                                   "input", input, "required", "input", "additionalProperties", 0);
    const json_t *given = param_get(tool, "description");
    json_t *name = json_object_get(tool, "name"), *description = NULL;
    struct buf words = { 0 };
    enum status s;

    if (given && !json_is_string(given))
        s = param_wrong_type(param, "a string as description", given, e);
    else
        s = ST_OK;
    if (given && s == ST_OK)
        buf_puts(&words, json_string_value(given));
    if (s == ST_OK)
        s = read_format(param_get(tool, "format"), input, &words, param, e);
    if (s == ST_OK && words.len > 0)
        description = json_stringn(words.data, words.len);
    if (s == ST_OK)
        s = tools_add(list, json_string_value(name), description, parameters, param, e);
    if (s == ST_OK && json_array_append(names, name) != 0)
        s = param_no_memory(e);
    r->holds_calls = r->holds_calls || json_object_get(input, "pattern");
    json_decref(input);
    json_decref(parameters);
    json_decref(description);
    buf_release(&words);
    return s;
}

bool tools_is_custom(const json_t *context, const char *name)
{
    const json_t *names = json_object_get(context, "custom");

    for (size_t i = 0; i < json_array_size(names); i++) {
        if (strcmp(json_string_value(json_array_get(names, i)), name) == 0)
            return true;
    }
    return false;
}

json_t *tools_custom_input(const char *arguments, size_t n)
{
    json_t *object = json_loadb(arguments, n, 0, NULL);
    json_t *input = json_incref(json_object_get(object, "input"));

    json_decref(object);
    if (json_is_string(input))
        return input;
    json_decref(input);
    return json_stringn(arguments, n); /* the model did not keep to the one string */
}
