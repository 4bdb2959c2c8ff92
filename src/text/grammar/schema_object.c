/* SPDX-License-Identifier: Apache-2.0 */
/* text/grammar/schema_object.c - objects and arrays as rules.
 *
 * Properties come in the schema's order, each at most once.  After a property that has to come,
 * each that follows brings its comma; before it, each leaves its comma behind.  Where none has
 * to come there is a rule for "from here on, something came".
 */
#include <stdlib.h>
#include <string.h>

#include "text/grammar/schema_priv.h"

#include "text/json_whole.h"

struct pair {
    struct rule_name rule; /* "name": value */
    bool is_required;
};

struct object {
    struct pair *pairs; /* [n] */
    size_t n;
    size_t first_required; /* n: none */
    bool has_more;         /* keys that are not declared may follow */
    struct rule_name more; /* such a pair */
    bool is_not_empty;     /* minProperties 1 */
};

static const char comma[] = "\",\" json-ws ";

static bool is_named(const json_t *list, const char *name)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *other = json_string_value(json_array_get(list, i));

        if (other && strcmp(other, name) == 0)
            return true;
    }
    return false;
}

static enum status write_pair(struct lowering *l, const char *key, const json_t *schema,
                              unsigned depth, struct rule_name *ret)
{
    struct rule_name value;
    json_t *name = json_string(key);
    enum status s = schema_lower(l, schema, depth + 1, &value);

    if (s == ST_OK) {
        schema_begin_rule(l, ret);
        s = name ? schema_literal(l, name, l->out) : err_set(l->err, ST_NOMEM, "a schema");
        buf_printf(l->out, " \":\" json-ws %s\n", value.text);
    }
    json_decref(name);
    return s;
}

static enum status add_pair(struct lowering *l, struct object *o, const char *key,
                            const json_t *schema, bool is_required, unsigned depth)
{
    struct pair *p = &o->pairs[o->n];

    p->is_required = is_required;
    if (is_required && o->first_required == SIZE_MAX)
        o->first_required = o->n;
    o->n++;
    return write_pair(l, key, schema, depth, &p->rule);
}

/* Names that are required and not declared are held to what is said of further ones. */
static enum status add_undeclared(struct lowering *l, struct object *o, const json_t *schema,
                                  unsigned depth)
{
    const json_t *required = json_object_get(schema, "required");
    const json_t *declared = json_object_get(schema, "properties");
    const json_t *more = json_object_get(schema, "additionalProperties");
    enum status s = ST_OK;

    for (size_t i = 0; i < json_array_size(required) && s == ST_OK; i++) {
        const char *key = json_string_value(json_array_get(required, i));

        if (!key)
            return err_set(l->err, ST_FORMAT, "'required' is not a list of names");
        if (json_object_get(declared, key))
            continue;
        if (json_object_get(schema, "patternProperties"))
            return schema_refuse(l, "required", "of names beside 'patternProperties'");
        if (json_is_false(more))
            return err_set(l->err, ST_FORMAT, "'%.64s' is required and may not be there", key);
        s = add_pair(l, o, key, more ? more : json_true(), true, depth);
    }
    return s;
}

static enum status add_declared(struct lowering *l, struct object *o, const json_t *schema,
                                unsigned depth)
{
    const json_t *declared = json_object_get(schema, "properties");
    const json_t *required = json_object_get(schema, "required");
    enum status s = ST_OK;
    const char *key;
    json_t *value;

    if ((declared && !json_is_object(declared)) || (required && !json_is_array(required)))
        return err_set(l->err, ST_FORMAT, "'properties' or 'required' has the wrong type");
    o->pairs =
        calloc(json_object_size(declared) + json_array_size(required) + 1, sizeof(*o->pairs));
    if (!o->pairs)
        return err_set(l->err, ST_NOMEM, "a schema");
    json_object_foreach((json_t *)(uintptr_t)declared, key, value)
    {
        if (json_is_false(value) && !is_named(required, key))
            continue; /* it may not be there */
        s = add_pair(l, o, key, value, is_named(required, key), depth);
        if (s != ST_OK)
            return s;
    }
    return add_undeclared(l, o, schema, depth);
}

static enum status add_pattern(struct lowering *l, struct object *o, const json_t *schema,
                               unsigned depth)
{
    const json_t *patterns = json_object_get(schema, "patternProperties");
    void *only = json_object_iter((json_t *)(uintptr_t)patterns);
    struct rule_name value;
    enum status s;

    if (json_object_size(json_object_get(schema, "properties")) > 0)
        return schema_refuse(l, "patternProperties", "beside 'properties'");
    if (json_object_size(patterns) != 1)
        return schema_refuse(l, "patternProperties", "with other than one pattern");
    s = schema_lower(l, json_object_iter_value(only), depth + 1, &value);
    if (s != ST_OK)
        return s;
    schema_begin_rule(l, &o->more);
    buf_puts(l->out, "\"\\\"\" (");
    s = regex_write(json_object_iter_key(only), true, l->out, l->err);
    buf_printf(l->out, ") \"\\\":\" json-ws %s\n", value.text);
    o->has_more = true;
    return s;
}

/* The keys that `schema` names, as the members of an object.  Given; NULL: no memory. */
static json_t *declared_keys(const json_t *schema)
{
    const json_t *declared = json_object_get(schema, "properties");
    const json_t *required = json_object_get(schema, "required");
    json_t *names = declared ? json_whole_copy(declared) : json_object();

    for (size_t i = 0; names && i < json_array_size(required); i++) {
        const char *name = json_string_value(json_array_get(required, i));

        if (json_object_set_new(names, name, json_null()) == 0)
            continue;
        json_decref(names);
        return NULL;
    }
    return names;
}

/* Keys beyond the declared ones: where the schema speaks of them, or declares none. */
static enum status add_more(struct lowering *l, struct object *o, const json_t *schema,
                            unsigned depth)
{
    const json_t *more = json_object_get(schema, "additionalProperties");
    const bool has_declared =
        json_object_size(json_object_get(schema, "properties")) > 0 || o->n > 0;
    struct rule_name key, value;
    enum status s;

    if (json_object_get(schema, "patternProperties"))
        return add_pattern(l, o, schema, depth);
    if (json_is_false(more) || (!more && has_declared))
        return ST_OK;
    s = schema_lower(l, more ? more : json_true(), depth + 1, &value);
    if (s == ST_OK && has_declared) {
        json_t *names = declared_keys(schema);

        s = names ? schema_other_keys(l, names, &key) : err_set(l->err, ST_NOMEM, "a schema");
        json_decref(names);
    } else if (s == ST_OK) {
        snprintf(key.text, sizeof(key.text), "json-string");
    }
    if (s != ST_OK)
        return s;
    schema_begin_rule(l, &o->more);
    buf_printf(l->out, "%s \":\" json-ws %s\n", key.text, value.text);
    o->has_more = true;
    return ST_OK;
}

/* Something has to come: pairs around the first required one. */
static void write_required(struct lowering *l, const struct object *o)
{
    for (size_t i = 0; i < o->n; i++) {
        const char *rule = o->pairs[i].rule.text;

        if (i < o->first_required)
            buf_printf(l->out, "(%s %s)? ", rule, comma);
        else if (i == o->first_required)
            buf_printf(l->out, "%s ", rule);
        else
            buf_printf(l->out, o->pairs[i].is_required ? "%s%s " : "(%s%s)? ", comma, rule);
    }
    if (o->has_more)
        buf_printf(l->out, "(%s%s)* ", comma, o->more.text);
}

/* Rules for what may come after pair i, the last first.  ret [n + 1]. */
static void write_rests(struct lowering *l, const struct object *o, struct rule_name *ret)
{
    schema_begin_rule(l, &ret[o->n]);
    if (o->has_more)
        buf_printf(l->out, "(%s%s)*\n", comma, o->more.text);
    else
        buf_puts(l->out, "\"\"\n");
    for (size_t i = o->n; i > 0; i--) {
        schema_begin_rule(l, &ret[i - 1]);
        buf_printf(l->out, "(%s%s)? %s\n", comma, o->pairs[i - 1].rule.text, ret[i].text);
    }
}

/* Nothing has to come, so anything may be the first. */
static void write_optional(struct lowering *l, const struct object *o,
                           const struct rule_name *rests)
{
    bool is_first = true;

    buf_putc(l->out, '(');
    for (size_t i = 0; i < o->n; i++, is_first = false)
        buf_printf(l->out, "%s%s %s", is_first ? "" : " | ", o->pairs[i].rule.text,
                   rests[i + 1].text);
    if (o->has_more)
        buf_printf(l->out, "%s%s %s", is_first ? "" : " | ", o->more.text, rests[o->n].text);
    buf_puts(l->out, o->is_not_empty ? ")" : ")?");
}

static enum status write_object(struct lowering *l, const struct object *o, struct rule_name *ret)
{
    struct rule_name *rests;

    if (o->first_required != SIZE_MAX) {
        schema_begin_rule(l, ret);
        buf_puts(l->out, "\"{\" json-ws ");
        write_required(l, o);
        buf_puts(l->out, "json-ws \"}\"\n");
        return ST_OK;
    }
    if (o->n == 0 && !o->has_more) {
        schema_begin_rule(l, ret);
        buf_puts(l->out, "\"{\" json-ws \"}\"\n");
        return o->is_not_empty ? err_set(l->err, ST_FORMAT, "'minProperties' of no properties")
                               : ST_OK;
    }
    rests = calloc(o->n + 1, sizeof(*rests));
    if (!rests)
        return err_set(l->err, ST_NOMEM, "a schema");
    write_rests(l, o, rests);
    schema_begin_rule(l, ret);
    buf_puts(l->out, "\"{\" json-ws ");
    write_optional(l, o, rests);
    buf_puts(l->out, " json-ws \"}\"\n");
    free(rests);
    return ST_OK;
}

enum status schema_object(struct lowering *l, const json_t *schema, unsigned depth,
                          struct rule_name *ret)
{
    struct object o = { .first_required = SIZE_MAX };
    long n_least = 0;
    enum status s = schema_count(l, schema, "minProperties", &n_least);

    o.is_not_empty = n_least > 0;
    if (s == ST_OK && n_least > 1)
        s = schema_refuse(l, "minProperties", "with more than 1");
    if (s == ST_OK)
        s = add_declared(l, &o, schema, depth);
    if (s == ST_OK)
        s = add_more(l, &o, schema, depth);
    if (s == ST_OK)
        s = write_object(l, &o, ret);
    free(o.pairs);
    return s;
}

/* What an array is made of. */
struct array {
    struct rule_name *first; /* [n_first] of prefixItems */
    size_t n_first;
    bool has_items;
    struct rule_name item;
    long min, max; /* max SCHEMA_COUNT_MAX + 1: any number */
};

static enum status read_array(struct lowering *l, const json_t *schema, unsigned depth,
                              struct array *a)
{
    const json_t *first = json_object_get(schema, "prefixItems");
    const json_t *items = json_object_get(schema, "items");
    enum status s = schema_count(l, schema, "minItems", &a->min);

    if (s == ST_OK)
        s = schema_count(l, schema, "maxItems", &a->max);
    if (s == ST_OK && (first ? !json_is_array(first) : json_is_array(items)))
        return schema_refuse(l, "items", "as a list: say 'prefixItems'");
    if (s != ST_OK)
        return s;
    a->first = calloc(json_array_size(first) + 1, sizeof(*a->first));
    if (!a->first)
        return err_set(l->err, ST_NOMEM, "a schema");
    for (; a->n_first < json_array_size(first) && (long)a->n_first < a->max && s == ST_OK;
         a->n_first++)
        s = schema_lower(l, json_array_get(first, a->n_first), depth + 1, &a->first[a->n_first]);
    a->has_items = !json_is_false(items) && a->max > (long)a->n_first;
    if (s == ST_OK && a->has_items)
        s = schema_lower(l, items ? items : json_true(), depth + 1, &a->item);
    if (s == ST_OK && (a->min > a->max || (!a->has_items && a->min > (long)a->n_first)))
        return err_set(l->err, ST_FORMAT, "'minItems' is more than the array may have");
    return s;
}

/* (item, comma between)  min to max times, max beyond bounds for any number. */
static void write_items(struct lowering *l, const struct array *a, long min, long max)
{
    const bool is_open = a->max > SCHEMA_COUNT_MAX;

    buf_printf(l->out, "(%s%s)", comma, a->item.text);
    if (is_open)
        buf_printf(l->out, "{%ld,}", min);
    else
        buf_printf(l->out, "{%ld,%ld}", min, max);
}

static void write_array(struct lowering *l, const struct array *a, struct rule_name *ret)
{
    const long n_first = (long)a->n_first;

    schema_begin_rule(l, ret);
    buf_puts(l->out, "\"[\" json-ws ");
    for (size_t i = 0; i < a->n_first; i++)
        buf_printf(l->out, "%s%s ", i > 0 ? comma : "", a->first[i].text);
    if (a->has_items && n_first > 0) {
        write_items(l, a, a->min > n_first ? a->min - n_first : 0, a->max - n_first);
    } else if (a->has_items) {
        buf_printf(l->out, "(%s ", a->item.text);
        if (a->max > 1)
            write_items(l, a, a->min > 1 ? a->min - 1 : 0, a->max - 1);
        buf_puts(l->out, a->min > 0 ? ")" : ")?");
    }
    buf_puts(l->out, " json-ws \"]\"\n");
}

enum status schema_array(struct lowering *l, const json_t *schema, unsigned depth,
                         struct rule_name *ret)
{
    struct array a = { .max = SCHEMA_COUNT_MAX + 1 };
    const enum status s = read_array(l, schema, depth, &a);

    if (s == ST_OK)
        write_array(l, &a, ret);
    free(a.first);
    return s;
}
