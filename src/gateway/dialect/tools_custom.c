/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/dialect/tools_custom.c - tools of free text: for the model, functions of one string.
 *
 * Source: OpenAI API reference, "Chat completions" and "Responses": custom tools
 */
#include "gateway/dialect/tools.h"

#include <string.h>

#include "gateway/dialect/constraint.h"
#include "gateway/dialect/param.h"
#include "text/grammar/lark.h"
#include "text/grammar/schema.h"
#include "text/tool_grammar.h"

static const char *text_of(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

/* What a custom tool says of its input, from {"type","syntax","definition"} or with "grammar" around the
 * last two. */
struct input_format {
    const char *definition; /* lent; NULL: any text */
    size_t n;
    bool is_lark; /* else a regular expression */
};

static enum status read_format(const json_t *format, const char *param, struct input_format *ret,
                               struct api_error *e)
{
    const json_t *grammar = param_get(format, "grammar");
    const json_t *definition = json_object_get(grammar ? grammar : format, "definition");
    const char *type = text_of(format, "type");
    const char *syntax = text_of(grammar ? grammar : format, "syntax");

    *ret = (struct input_format){ 0 };
    if (!format || (type && strcmp(type, "text") == 0))
        return ST_OK;
    if (!type || strcmp(type, "grammar") != 0 || !json_is_string(definition) || !syntax ||
        (strcmp(syntax, "regex") != 0 && strcmp(syntax, "lark") != 0))
        return api_error_set(e, API_INVALID_VALUE, param,
                             "A custom tool's format is 'text', or a 'grammar' with a 'definition' "
                             "and the 'syntax' 'regex' or 'lark'.");
    *ret = (struct input_format){ .definition = json_string_value(definition),
                                  .n = json_string_length(definition),
                                  .is_lark = strcmp(syntax, "lark") == 0 };
    return ST_OK;
}

/* Can the input be held to it? */
static enum status check_format(const struct input_format *f, const char *param,
                                const struct api_request *r, struct api_error *e)
{
    struct buf rules = { 0 };
    struct err why = { 0 };
    enum status s = f->is_lark ? lark_rules(f->definition, f->n, "root", LARK_IN_JSON, &rules, &why)
                               : regex_rules(f->definition, "root", &rules, &why);

    if (s == ST_OK)
        s = constraint_check(&rules, param, API_GRAMMAR, r, e);
    else if (s == ST_NOMEM)
        s = param_no_memory(e);
    else
        s = api_error_set(e, API_GRAMMAR, param, "'%s' cannot be held: %s.", param, why.words);
    buf_release(&rules);
    return s;
}

/* Into the words that the model reads, and an expression into the input's schema. */
static enum status tell_format(const struct input_format *f, json_t *input, struct buf *words,
                               struct api_error *e)
{
    struct buf pattern = { 0 };
    enum status s = ST_OK;

    buf_printf(words, "%sThe input keeps to this %s:\n%s", words->len ? "\n\n" : "",
               f->is_lark ? "Lark grammar" : "regular expression", f->definition);
    if (f->is_lark)
        return ST_OK;
    buf_printf(&pattern, "^(?:%s)$", f->definition);
    if (json_object_set_new(input, "pattern", json_string(buf_text(&pattern))) != 0)
        s = param_no_memory(e);
    buf_release(&pattern);
    return s;
}

/* The tool that was added last is held to it. */
static enum status hold_to_lark(json_t *list, const struct input_format *f, struct api_error *e)
{
    json_t *tool = json_array_get(list, json_array_size(list) - 1);

    return json_object_set_new(tool, TOOL_LARK, json_stringn(f->definition, f->n)) == 0
               ? ST_OK
               : param_no_memory(e);
}

enum status tools_add_custom(json_t *list, json_t *names, const json_t *tool, struct api_request *r,
                             const char *param, struct api_error *e)
{
    json_t *input = json_pack("{s:s}", "type", "string");
    json_t *parameters = json_pack("{s:s,s:{s:O},s:[s],s:b}", "type", "object", "properties",
                                   "input", input, "required", "input", "additionalProperties", 0);
    const json_t *given = param_get(tool, "description");
    json_t *name = json_object_get(tool, "name"), *description = NULL;
    struct input_format format = { 0 };
    struct buf words = { 0 };
    enum status s;

    if (given && !json_is_string(given))
        s = param_wrong_type(param, "a string as description", given, e);
    else
        s = ST_OK;
    if (given && s == ST_OK)
        buf_puts(&words, json_string_value(given));
    if (s == ST_OK)
        s = read_format(param_get(tool, "format"), param, &format, e);
    if (s == ST_OK && format.definition)
        s = check_format(&format, param, r, e);
    if (s == ST_OK && format.definition)
        s = tell_format(&format, input, &words, e);
    if (s == ST_OK && words.len > 0)
        description = json_stringn(words.data, words.len);
    if (s == ST_OK)
        s = tools_add(list, json_string_value(name), description, parameters, param, e);
    if (s == ST_OK && format.is_lark)
        s = hold_to_lark(list, &format, e);
    if (s == ST_OK && json_array_append(names, name) != 0)
        s = param_no_memory(e);
    r->holds_calls = r->holds_calls || format.definition;
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
