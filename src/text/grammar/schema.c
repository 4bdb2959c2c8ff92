/* SPDX-License-Identifier: Apache-2.0 */
/* text/grammar/schema.c - which kinds of value a schema speaks of, and alternatives. */
#include "text/grammar/schema.h"

#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "text/grammar/schema_priv.h"
#include "text/json_whole.h"

enum type { OBJECT, ARRAY, STRING, NUMBER, INTEGER, BOOLEAN, NOTHING, N_TYPES };

static const char *const type_names[N_TYPES] = { "object",  "array",   "string", "number",
                                                 "integer", "boolean", "null" };

/* Keywords that are held, and of which type they speak; N_TYPES: of any. */
static const struct keyword {
    const char *name;
    enum type type;
} keywords[] = {
    { "type", N_TYPES },
    { "enum", N_TYPES },
    { "const", N_TYPES },
    { "$defs", N_TYPES },
    { "definitions", N_TYPES },
    { "properties", OBJECT },
    { "required", OBJECT },
    { "additionalProperties", OBJECT },
    { "patternProperties", OBJECT },
    { "minProperties", OBJECT },
    { "items", ARRAY },
    { "prefixItems", ARRAY },
    { "minItems", ARRAY },
    { "maxItems", ARRAY },
    { "minLength", STRING },
    { "maxLength", STRING },
    { "pattern", STRING },
    { "format", STRING },
    { "minimum", NUMBER },
    { "maximum", NUMBER },
    { "exclusiveMinimum", NUMBER },
    { "exclusiveMaximum", NUMBER },
    { "multipleOf", NUMBER },
};

bool schema_is_annotation(const char *keyword)
{
    static const char *const names[] = { "title",      "description",  "default",   "examples",
                                         "deprecated", "readOnly",     "writeOnly", "$comment",
                                         "$schema",    "$id",          "example",   "id",
                                         "$anchor",    "discriminator" };

    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (strcmp(keyword, names[i]) == 0)
            return true;
    return false;
}

enum status schema_refuse(struct lowering *l, const char *keyword, const char *why)
{
    return err_set(l->err, ST_UNSUPPORTED, "the schema keyword '%.64s' is not supported%s%s",
                   keyword, why[0] ? " " : "", why);
}

enum status schema_count(struct lowering *l, const json_t *schema, const char *keyword, long *ret)
{
    const json_t *value = json_object_get(schema, keyword);

    if (!value)
        return ST_OK;
    if (!json_is_integer(value) || json_integer_value(value) < 0)
        return err_set(l->err, ST_FORMAT, "'%s' is not a count", keyword);
    if (json_integer_value(value) > SCHEMA_COUNT_MAX)
        return err_set(l->err, ST_RANGE, "'%s' is more than %d", keyword, SCHEMA_COUNT_MAX);
    *ret = (long)json_integer_value(value);
    return ST_OK;
}

void schema_begin_rule(struct lowering *l, struct rule_name *ret)
{
    snprintf(ret->text, sizeof(ret->text), "%.64s-%u", l->name, ++l->n_rules);
    buf_printf(l->out, "%s ::= ", ret->text);
}

const json_t *schema_keep(struct lowering *l, json_t *taken)
{
    if (!taken || json_array_append_new(l->kept, taken) != 0)
        return NULL;
    return json_array_get(l->kept, json_array_size(l->kept) - 1);
}

enum status schema_literal(struct lowering *l, const json_t *value, struct buf *out)
{
    char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(17));

    if (!text)
        return err_set(l->err, ST_NOMEM, "a schema");
    grammar_literal(text, strlen(text), out);
    free(text);
    return ST_OK;
}

static bool is_of_type(const json_t *value, enum type type)
{
    switch (type) {
    case OBJECT: return json_is_object(value);
    case ARRAY: return json_is_array(value);
    case STRING: return json_is_string(value);
    case NUMBER: return json_is_number(value);
    case INTEGER: return json_is_integer(value);
    case BOOLEAN: return json_is_boolean(value);
    case NOTHING: return json_is_null(value);
    case N_TYPES: break;
    }
    return false;
}

static bool has_type(unsigned types, const json_t *value)
{
    for (unsigned i = 0; i < N_TYPES; i++)
        if (types >> i & 1 && is_of_type(value, (enum type)i))
            return true;
    return false;
}

static enum status add_type(struct lowering *l, const json_t *name, unsigned *types)
{
    for (unsigned i = 0; i < N_TYPES; i++) {
        if (json_is_string(name) && strcmp(json_string_value(name), type_names[i]) == 0) {
            *types |= 1u << i;
            return ST_OK;
        }
    }
    return err_set(l->err, ST_FORMAT, "'type' is not one of JSON's types");
}

/* The types that `type` names, as bits; without it those that other keywords speak of; 0: any. */
static enum status read_types(struct lowering *l, const json_t *schema, unsigned *ret)
{
    const json_t *type = json_object_get(schema, "type");
    enum status s = ST_OK;

    *ret = 0;
    if (json_is_array(type)) {
        for (size_t i = 0; i < json_array_size(type) && s == ST_OK; i++)
            s = add_type(l, json_array_get(type, i), ret);
        return json_array_size(type) > 0 ? s : err_set(l->err, ST_FORMAT, "'type' is empty");
    }
    if (type)
        return add_type(l, type, ret);
    if (json_object_get(schema, "enum") || json_object_get(schema, "const"))
        return ST_OK;
    for (size_t i = 0; i < ARRAY_LEN(keywords); i++)
        if (keywords[i].type != N_TYPES && json_object_get(schema, keywords[i].name))
            *ret |= 1u << keywords[i].type;
    return ST_OK;
}

/* Every keyword is one that is held. */
static enum status check_keywords(struct lowering *l, const json_t *schema)
{
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)(uintptr_t)schema, key, value)
    {
        bool is_known = schema_is_annotation(key) && (schema == l->root || strcmp(key, "$id") != 0);

        for (size_t i = 0; i < ARRAY_LEN(keywords) && !is_known; i++)
            is_known = strcmp(key, keywords[i].name) == 0;
        if (!is_known)
            return schema_refuse(l, key, "here");
    }
    return ST_OK;
}

/* Nothing stands beside an enum but its type: values were given, not conditions. */
static enum status check_beside_enum(struct lowering *l, const json_t *schema)
{
    for (size_t i = 0; i < ARRAY_LEN(keywords); i++)
        if (keywords[i].type != N_TYPES && json_object_get(schema, keywords[i].name))
            return schema_refuse(l, keywords[i].name, "beside 'enum' or 'const'");
    if (json_object_get(schema, "enum") && json_object_get(schema, "const"))
        return schema_refuse(l, "const", "beside 'enum'");
    return ST_OK;
}

static enum status lower_enum(struct lowering *l, const json_t *schema, unsigned types,
                              struct rule_name *ret)
{
    const json_t *values = json_object_get(schema, "enum");
    const json_t *only = json_object_get(schema, "const");
    const size_t n = only ? 1 : json_array_size(values);
    enum status s = check_beside_enum(l, schema);
    size_t n_kept = 0;

    if (s == ST_OK && !only && (!json_is_array(values) || n == 0))
        return err_set(l->err, ST_FORMAT, "'enum' is not a list of values");
    l->n_nodes += n > SCHEMA_NODES_MAX ? SCHEMA_NODES_MAX + 1u : (unsigned)n;
    if (l->n_nodes > SCHEMA_NODES_MAX)
        return err_set(l->err, ST_RANGE, "the schema has more than %d parts", SCHEMA_NODES_MAX);
    if (s != ST_OK)
        return s;
    schema_begin_rule(l, ret);
    for (size_t i = 0; i < n && s == ST_OK; i++) {
        const json_t *value = only ? only : json_array_get(values, i);

        if (types != 0 && !has_type(types, value))
            continue;
        if (n_kept++ > 0)
            buf_puts(l->out, " | ");
        s = schema_literal(l, value, l->out);
    }
    buf_putc(l->out, '\n');
    if (s == ST_OK && n_kept == 0)
        return err_set(l->err, ST_FORMAT, "no value of 'enum' is of its type");
    return s;
}

static enum status lower_type(struct lowering *l, const json_t *schema, enum type type,
                              unsigned depth, struct rule_name *ret)
{
    static const char *const plain[N_TYPES] = {
        [BOOLEAN] = "json-boolean", [NOTHING] = "json-null"
    };

    switch (type) {
    case OBJECT: return schema_object(l, schema, depth, ret);
    case ARRAY: return schema_array(l, schema, depth, ret);
    case STRING: return schema_string(l, schema, ret);
    case NUMBER: return schema_number(l, schema, false, ret);
    case INTEGER: return schema_number(l, schema, true, ret);
    case BOOLEAN:
    case NOTHING:
    case N_TYPES: break;
    }
    snprintf(ret->text, sizeof(ret->text), "%s", plain[type]);
    return ST_OK;
}

/* The rule that chooses among others. */
static void write_choice(struct lowering *l, const struct rule_name *names, size_t n,
                         struct rule_name *ret)
{
    if (n == 1) {
        *ret = names[0];
        return;
    }
    schema_begin_rule(l, ret);
    for (size_t i = 0; i < n; i++)
        buf_printf(l->out, i > 0 ? " | %s" : "%s", names[i].text);
    buf_putc(l->out, '\n');
}

static enum status lower_types(struct lowering *l, const json_t *schema, unsigned depth,
                               struct rule_name *ret)
{
    struct rule_name names[N_TYPES];
    enum status s = check_keywords(l, schema);
    unsigned types = 0;
    size_t n = 0;

    if (s == ST_OK)
        s = read_types(l, schema, &types);
    if (s != ST_OK)
        return s;
    if (json_object_get(schema, "enum") || json_object_get(schema, "const"))
        return lower_enum(l, schema, types, ret);
    if (types >> NUMBER & 1)
        types &= ~(1u << INTEGER);
    for (unsigned i = 0; i < N_TYPES && s == ST_OK; i++)
        if (types >> i & 1)
            s = lower_type(l, schema, (enum type)i, depth, &names[n++]);
    if (s == ST_OK && n == 0)
        snprintf(ret->text, sizeof(ret->text), "json-value");
    else if (s == ST_OK)
        write_choice(l, names, n, ret);
    return s;
}

/* `schema` without `keyword`; kept. */
static const json_t *without(struct lowering *l, const json_t *schema, const char *keyword)
{
    json_t *copy = json_whole_copy(schema);

    if (copy)
        (void)json_object_del(copy, keyword);
    return schema_keep(l, copy);
}

static enum status check_apart(struct lowering *l, const json_t *branches)
{
    const size_t n = json_array_size(branches);

    for (size_t i = 0; i < n; i++)
        for (size_t k = i + 1; k < n; k++)
            if (!schemas_are_apart(l, json_array_get(branches, i), json_array_get(branches, k), 0))
                return schema_refuse(l, "oneOf",
                                     "where two of its schemas may hold at once: say "
                                     "'anyOf', or give them different types or "
                                     "constants");
    return ST_OK;
}

static enum status lower_branches(struct lowering *l, const json_t *schema, const char *keyword,
                                  unsigned depth, struct rule_name *ret)
{
    const json_t *branches = json_object_get(schema, keyword);
    const json_t *rest = without(l, schema, keyword);
    const size_t n = json_array_size(branches);
    struct rule_name *names;
    enum status s = ST_OK;

    if (!json_is_array(branches) || n == 0 || n > SCHEMA_NODES_MAX)
        return err_set(l->err, ST_FORMAT, "'%s' is not a list of schemas", keyword);
    names = calloc(n, sizeof(*names));
    if (!names || !rest)
        s = err_set(l->err, ST_NOMEM, "a schema");
    if (s == ST_OK && strcmp(keyword, "oneOf") == 0)
        s = n > 256 ? schema_refuse(l, keyword, "with more than 256 schemas")
                    : check_apart(l, branches);
    for (size_t i = 0; i < n && s == ST_OK; i++) {
        const json_t *both = NULL;

        s = schema_merge(l, rest, json_array_get(branches, i), &both);
        if (s == ST_OK)
            s = schema_lower(l, both, depth + 1, &names[i]);
    }
    if (s == ST_OK)
        write_choice(l, names, n, ret);
    free(names);
    return s;
}

static enum status lower_all(struct lowering *l, const json_t *schema, unsigned depth,
                             struct rule_name *ret)
{
    const json_t *parts = json_object_get(schema, "allOf");
    const json_t *whole = without(l, schema, "allOf");
    enum status s = ST_OK;

    if (!json_is_array(parts) || json_array_size(parts) == 0)
        return err_set(l->err, ST_FORMAT, "'allOf' is not a list of schemas");
    if (!whole)
        return err_set(l->err, ST_NOMEM, "a schema");
    for (size_t i = 0; i < json_array_size(parts) && s == ST_OK; i++)
        s = schema_merge(l, whole, json_array_get(parts, i), &whole);
    return s == ST_OK ? schema_lower(l, whole, depth + 1, ret) : s;
}

static bool is_ref_alone(const json_t *schema)
{
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)(uintptr_t)schema, key, value)
    {
        if (strcmp(key, "$ref") != 0 && strcmp(key, "$defs") != 0 &&
            strcmp(key, "definitions") != 0 && !schema_is_annotation(key))
            return false;
    }
    return true;
}

static enum status lower_beside_ref(struct lowering *l, const json_t *schema, unsigned depth,
                                    struct rule_name *ret)
{
    const json_t *rest = without(l, schema, "$ref"), *both = NULL;
    json_t *ref = json_pack("{s:O}", "$ref", json_object_get(schema, "$ref"));
    const json_t *kept = schema_keep(l, ref);
    enum status s;

    if (!rest || !kept)
        return err_set(l->err, ST_NOMEM, "a schema");
    s = schema_merge(l, rest, kept, &both);
    return s == ST_OK ? schema_lower(l, both, depth + 1, ret) : s;
}

enum status schema_lower(struct lowering *l, const json_t *schema, unsigned depth,
                         struct rule_name *ret)
{
    if (++l->n_nodes > SCHEMA_NODES_MAX)
        return err_set(l->err, ST_RANGE, "the schema has more than %d parts", SCHEMA_NODES_MAX);
    if (depth > SCHEMA_DEPTH_MAX)
        return err_set(l->err, ST_RANGE, "the schema is more than %d deep", SCHEMA_DEPTH_MAX);
    if (json_is_true(schema)) {
        snprintf(ret->text, sizeof(ret->text), "json-value");
        return ST_OK;
    }
    if (json_is_false(schema))
        return schema_refuse(l, "false", "as a schema here");
    if (!json_is_object(schema))
        return err_set(l->err, ST_FORMAT, "a schema is an object, true or false");
    if (json_object_get(schema, "$ref"))
        return is_ref_alone(schema) ? schema_ref(l, schema, ret)
                                    : lower_beside_ref(l, schema, depth, ret);
    if (json_object_get(schema, "allOf"))
        return lower_all(l, schema, depth, ret);
    if (json_object_get(schema, "anyOf"))
        return lower_branches(l, schema, "anyOf", depth, ret);
    if (json_object_get(schema, "oneOf"))
        return lower_branches(l, schema, "oneOf", depth, ret);
    return lower_types(l, schema, depth, ret);
}

enum status schema_rules(const json_t *schema, const char *name, struct buf *out, struct err *err)
{
    struct lowering *l = calloc(1, sizeof(*l));
    struct rule_name of_root;
    const size_t n_before = out->len;
    enum status s = ST_NOMEM;

    if (l) {
        *l = (struct lowering){
            .root = schema, .name = name, .out = out, .kept = json_array(), .err = err
        };
        s = l->kept ? schema_lower(l, schema, 0, &of_root) : ST_NOMEM;
        if (s == ST_OK)
            s = schema_write_refs(l);
        if (s == ST_OK)
            buf_printf(out, "%s ::= %s\n", name, of_root.text);
        if (s == ST_OK)
            s = buf_status(out);
        json_decref(l->kept);
    }
    free(l);
    if (s == ST_NOMEM)
        (void)err_set(err, s, "a schema");
    if (s != ST_OK && out->data) {
        out->len = n_before;
        out->data[n_before] = '\0';
    }
    return s;
}
