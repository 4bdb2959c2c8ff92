/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/dialect/constraint.c - what a request says of the answer's form, as one grammar. */
#include "gateway/dialect/constraint.h"

#include <string.h>

#include "base/size.h"
#include "gateway/dialect/known_grammars.h"
#include "gateway/dialect/param.h"
#include "text/grammar/grammar.h"
#include "text/grammar/schema.h"

enum { CHOICES_MAX = 10000, SCHEMA_NAME_MAX = 64 };

typedef enum status part_fn(const json_t *value, const char *param, struct api_request *r,
                            struct api_error *e);

static enum status refuse(struct api_error *e, enum api_error_kind kind, const char *param,
                          const struct err *why)
{
    if (why->status == ST_NOMEM)
        return param_no_memory(e);
    return api_error_set(e, kind, param, "'%s' cannot be held: %s.", param, why->words);
}

enum status constraint_check(const struct buf *text, const char *param, enum api_error_kind kind,
                             const struct api_request *r, struct api_error *e)
{
    struct grammar *g = NULL;
    struct err why = { 0 };
    enum status s = buf_status(text);

    if (s != ST_OK)
        return param_no_memory(e);
    if (known_grammars_has(r->known_grammars, buf_text(text), text->len))
        return ST_OK;
    s = grammar_compile(buf_text(text), text->len, NULL, &g, &why);
    grammar_free(g);
    if (s == ST_OK) {
        known_grammars_add(r->known_grammars, buf_text(text), text->len);
        return ST_OK;
    }
    why.status = s;
    return refuse(e, kind, param, &why);
}

enum status constraint_take(struct buf *text, const char *param, enum api_error_kind kind,
                            struct api_request *r, struct api_error *e)
{
    enum status s;

    if (r->grammar && buf_status(text) == ST_OK)
        return api_error_set(e, API_INVALID_VALUE, param,
                             "'%s' is one of several constraints of the answer; send one.", param);
    s = constraint_check(text, param, kind, r, e);
    if (s != ST_OK)
        return s;
    r->grammar = buf_take(text);
    return r->grammar ? ST_OK : param_no_memory(e);
}

enum status constraint_of_schema(const json_t *schema, const char *param, struct api_request *r,
                                 struct api_error *e)
{
    struct buf text = { 0 };
    struct err why = { 0 };
    enum status s;

    grammar_json_rules(&text);
    s = schema_rules(schema, "root", &text, &why);
    if (s == ST_OK) {
        s = constraint_take(&text, param, API_SCHEMA, r, e);
        r->schema = s == ST_OK ? json_incref((json_t *)(uintptr_t)schema) : r->schema;
    } else {
        why.status = s;
        s = refuse(e, API_SCHEMA, param, &why);
    }
    buf_release(&text);
    return s;
}

enum status constraint_of_object(const char *param, struct api_request *r, struct api_error *e)
{
    struct buf text = { 0 };
    enum status s;

    grammar_json_rules(&text);
    buf_puts(&text, "root ::= json-object\n");
    s = constraint_take(&text, param, API_SCHEMA, r, e);
    if (s == ST_OK)
        r->schema = json_true();
    buf_release(&text);
    return s;
}

/* A schema, or its JSON as a string. */
static enum status parse_schema(const json_t *value, const char *param, struct api_request *r,
                                struct api_error *e)
{
    const char *text = json_string_value(value);
    json_t *parsed;
    enum status s;

    if (!text)
        return constraint_of_schema(value, param, r, e);
    parsed = json_loads(text, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, NULL);
    if (!parsed)
        return api_error_set(e, API_SCHEMA, param, "'%s' is a string that is no JSON.", param);
    s = constraint_of_schema(parsed, param, r, e);
    json_decref(parsed);
    return s;
}

static enum status parse_grammar(const json_t *value, const char *param, struct api_request *r,
                                 struct api_error *e)
{
    struct buf text = { 0 };
    enum status s;

    if (!json_is_string(value))
        return param_wrong_type(param, "a string", value, e);
    if (json_string_length(value) == 0)
        return ST_OK;
    buf_append(&text, json_string_value(value), json_string_length(value));
    s = constraint_take(&text, param, API_GRAMMAR, r, e);
    buf_release(&text);
    return s;
}

static enum status parse_regex(const json_t *value, const char *param, struct api_request *r,
                               struct api_error *e)
{
    struct buf text = { 0 };
    struct err why = { 0 };
    enum status s;

    if (!json_is_string(value))
        return param_wrong_type(param, "a string", value, e);
    s = regex_rules(json_string_value(value), "root", &text, &why);
    if (s == ST_OK) {
        s = constraint_take(&text, param, API_GRAMMAR, r, e);
    } else {
        why.status = s;
        s = refuse(e, API_GRAMMAR, param, &why);
    }
    buf_release(&text);
    return s;
}

static enum status parse_choice(const json_t *value, const char *param, struct api_request *r,
                                struct api_error *e)
{
    struct buf text = { 0 };
    enum status s;

    if (!json_is_array(value))
        return param_wrong_type(param, "an array of strings", value, e);
    if (json_array_size(value) == 0 || json_array_size(value) > CHOICES_MAX)
        return api_error_set(e, API_INVALID_VALUE, param, "'%s' must have 1 to %d strings.", param,
                             CHOICES_MAX);
    buf_puts(&text, "root ::= ");
    for (size_t i = 0; i < json_array_size(value); i++) {
        const json_t *choice = json_array_get(value, i);

        if (!json_is_string(choice)) {
            buf_release(&text);
            return param_wrong_type(param, "an array of strings", choice, e);
        }
        buf_puts(&text, i > 0 ? " | " : "");
        grammar_literal(json_string_value(choice), json_string_length(choice), &text);
    }
    s = constraint_take(&text, param, API_GRAMMAR, r, e);
    buf_release(&text);
    return s;
}

/* {"name", "schema", "strict", "description"}.  Strict or not: what is held is held. */
static enum status parse_named_schema(const json_t *named, struct api_request *r,
                                      struct api_error *e)
{
    static const char param[] = "response_format.json_schema";
    const json_t *name = param_get(named, "name"), *schema = param_get(named, "schema");
    bool is_strict = false;
    enum status s;

    if (!json_is_object(named))
        return api_error_set(e, API_MISSING, param, "'%s' must be an object.", param);
    if (!name)
        return api_error_set(e, API_MISSING, "response_format.json_schema.name",
                             "The schema needs a name.");
    if (!json_is_string(name) || json_string_length(name) > SCHEMA_NAME_MAX ||
        strspn(json_string_value(name), "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                        "0123456789_-") != json_string_length(name))
        return api_error_set(e, API_INVALID_VALUE, "response_format.json_schema.name",
                             "The schema's name must be at most %d letters, digits, '_' and '-'.",
                             SCHEMA_NAME_MAX);
    s = param_bool(named, "strict", &is_strict, e);
    if (s != ST_OK)
        return s;
    if (!schema)
        return api_error_set(e, API_MISSING, "response_format.json_schema.schema",
                             "The schema is missing.");
    return constraint_of_schema(schema, "response_format.json_schema.schema", r, e);
}

static enum status parse_format(const json_t *value, const char *param, struct api_request *r,
                                struct api_error *e)
{
    const char *type = json_string_value(param_get(value, "type"));
    const json_t *schema = param_get(value, "schema");

    if (!json_is_object(value))
        return param_wrong_type(param, "an object", value, e);
    if (!type)
        return api_error_set(e, API_MISSING, "response_format.type",
                             "'response_format' needs a type.");
    if (strcmp(type, "text") == 0)
        return ST_OK;
    if (strcmp(type, "json_schema") == 0)
        return parse_named_schema(param_get(value, "json_schema"), r, e);
    if (strcmp(type, "json_object") != 0)
        return api_error_set(e, API_INVALID_VALUE, "response_format.type",
                             "'response_format.type' must be 'text', 'json_object' or "
                             "'json_schema'.");
    return schema ? constraint_of_schema(schema, "response_format.schema", r, e)
                  : constraint_of_object(param, r, e);
}

static enum status parse_json_flag(const json_t *value, const char *param, struct api_request *r,
                                   struct api_error *e)
{
    if (!json_is_boolean(value))
        return param_wrong_type(param, "true or false", value, e);
    return json_is_true(value) ? constraint_of_object(param, r, e) : ST_OK;
}

static enum status parse_structured(const json_t *value, const char *param, struct api_request *r,
                                    struct api_error *e)
{
    static const struct {
        const char *key, *param;
        part_fn *parse;
    } parts[] = {
        { "json", "structured_outputs.json", parse_schema },
        { "regex", "structured_outputs.regex", parse_regex },
        { "choice", "structured_outputs.choice", parse_choice },
        { "grammar", "structured_outputs.grammar", parse_grammar },
        { "json_object", "structured_outputs.json_object", parse_json_flag },
    };
    size_t n_known = 0;
    enum status s = ST_OK;
    const char *key;
    json_t *part;

    if (!json_is_object(value))
        return param_wrong_type(param, "an object", value, e);
    for (size_t i = 0; i < ARRAY_LEN(parts) && s == ST_OK; i++) {
        n_known += json_object_get(value, parts[i].key) ? 1 : 0;
        if (param_get(value, parts[i].key))
            s = parts[i].parse(param_get(value, parts[i].key), parts[i].param, r, e);
    }
    if (s != ST_OK || n_known == json_object_size(value))
        return s;
    json_object_foreach((json_t *)(uintptr_t)value, key, part)
    {
        bool is_known = json_is_null(part);

        for (size_t i = 0; i < ARRAY_LEN(parts); i++)
            is_known |= strcmp(key, parts[i].key) == 0;
        if (!is_known)
            return api_error_set(e, API_UNSUPPORTED, param,
                                 "'structured_outputs.%.40s' is not supported.", key);
    }
    return ST_OK;
}

/* Has one of the tools, of free text, a grammar? */
static bool has_tool_grammar(const json_t *tools)
{
    for (size_t i = 0; i < json_array_size(tools); i++) {
        const json_t *tool = json_array_get(tools, i), *custom = param_get(tool, "custom");
        const json_t *format = param_get(custom ? custom : tool, "format");

        if (param_get(format, "grammar") || param_get(format, "definition"))
            return true;
    }
    return false;
}

bool constraint_is_asked(const json_t *body)
{
    static const char *const names[] = {
        "response_format",
        "grammar",
        "json_schema", /* llama.cpp's and OpenAI's */
        "guided_json",
        "guided_regex",
        "guided_choice",
        "guided_grammar",
        "structured_outputs", /* vLLM's */
        "format",             /* Ollama's */
        "output_config",
        "output_format", /* Anthropic's */
    };

    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (param_get(body, names[i]))
            return true;
    return has_tool_grammar(param_get(body, "tools")) ||
           param_get(param_get(body, "text"), "format") != NULL; /* of a response */
}

enum status constraint_parse(const json_t *body, struct api_request *r, struct api_error *e)
{
    static const struct {
        const char *name;
        part_fn *parse;
    } parts[] = {
        { "response_format", parse_format },
        { "grammar", parse_grammar },
        { "json_schema", parse_schema },
        { "guided_json", parse_schema },
        { "guided_regex", parse_regex },
        { "guided_choice", parse_choice },
        { "guided_grammar", parse_grammar },
        { "guided_json_object", parse_json_flag },
        { "structured_outputs", parse_structured },
    };
    enum status s = ST_OK;

    if (param_get(body, "guided_whitespace_pattern"))
        return api_error_set(e, API_UNSUPPORTED, "guided_whitespace_pattern",
                             "'guided_whitespace_pattern' is not supported. Leave it out.");
    for (size_t i = 0; i < ARRAY_LEN(parts) && s == ST_OK; i++) {
        const json_t *value = param_get(body, parts[i].name);

        if (value)
            s = parts[i].parse(value, parts[i].name, r, e);
    }
    return s;
}
