/* SPDX-License-Identifier: Apache-2.0 */
/* text/grammar/schema_merge.c - two schemas as one that holds where both do. */
#include <string.h>

#include "text/grammar/schema_priv.h"

#include "text/json_whole.h"

static bool is_nothing(const json_t *schema)
{
    return json_is_true(schema) || (json_is_object(schema) && json_object_size(schema) == 0);
}

static bool is_number(const json_t *type)
{
    return json_is_string(type) && strcmp(json_string_value(type), "number") == 0;
}

static bool is_integer(const json_t *type)
{
    return json_is_string(type) && strcmp(json_string_value(type), "integer") == 0;
}

/* The one of two types that holds where both do; NULL: none does. */
static json_t *common_type(json_t *a, json_t *b)
{
    if (json_equal(a, b) || (is_integer(a) && is_number(b)))
        return a;
    return is_number(a) && is_integer(b) ? b : NULL;
}

static json_t *list_of(const json_t *types)
{
    return json_is_array(types) ? json_incref((json_t *)(uintptr_t)types) : json_pack("[O]", types);
}

/* Types that both allow.  Given; NULL: no memory. */
static json_t *common_types(const json_t *a, const json_t *b)
{
    json_t *list_a = list_of(a), *list_b = list_of(b), *both = json_array();
    bool is_whole = list_a && list_b && both;

    for (size_t i = 0; i < json_array_size(list_a); i++) {
        for (size_t k = 0; k < json_array_size(list_b); k++) {
            json_t *type = common_type(json_array_get(list_a, i), json_array_get(list_b, k));

            if (type)
                is_whole = json_array_append(both, type) == 0 && is_whole;
        }
    }
    json_decref(list_a);
    json_decref(list_b);
    if (is_whole)
        return both;
    json_decref(both);
    return NULL;
}

static enum status no_memory(struct lowering *l)
{
    return err_set(l->err, ST_NOMEM, "a schema");
}

/* value  borrowed */
static enum status set(struct lowering *l, json_t *into, const char *key, json_t *value)
{
    return json_object_set(into, key, value) == 0 ? ST_OK : no_memory(l);
}

/* value  taken; NULL: there was no memory for it */
static enum status set_new(struct lowering *l, json_t *into, const char *key, json_t *value)
{
    return json_object_set_new(into, key, value) == 0 ? ST_OK : no_memory(l);
}

static enum status merge_types(struct lowering *l, json_t *into, const json_t *old,
                               const json_t *value)
{
    json_t *types = common_types(old, value);

    if (types && json_array_size(types) == 0) {
        json_decref(types);
        return schema_refuse(l, "allOf", "of types that exclude each other");
    }
    return set_new(l, into, "type", types);
}

/* Schemas of the same properties are both to hold: an allOf says so. */
static enum status merge_properties(struct lowering *l, json_t *into, const json_t *old,
                                    const json_t *from)
{
    json_t *both = json_whole_copy(old);
    enum status s = both ? ST_OK : no_memory(l);
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)(uintptr_t)from, key, value)
    {
        json_t *its = json_object_get(both, key);

        if (s != ST_OK)
            break;
        s = !its || json_equal(its, value)
                ? set(l, both, key, value)
                : set_new(l, both, key, json_pack("{s:[O,O]}", "allOf", its, value));
    }
    if (s == ST_OK)
        return set_new(l, into, "properties", both);
    json_decref(both);
    return s;
}

static enum status merge_required(struct lowering *l, json_t *into, const json_t *old,
                                  const json_t *from)
{
    json_t *both = json_whole_copy(old);
    bool is_whole = both != NULL;

    for (size_t i = 0; i < json_array_size(from) && is_whole; i++) {
        json_t *value = json_array_get(from, i);
        bool is_there = false;

        for (size_t k = 0; k < json_array_size(both); k++)
            is_there |= json_equal(json_array_get(both, k), value);
        is_whole = is_there || json_array_append(both, value) == 0;
    }
    if (is_whole)
        return set_new(l, into, "required", both);
    json_decref(both);
    return no_memory(l);
}

static bool is_least(const char *key)
{
    return strcmp(key, "minimum") == 0 || strcmp(key, "exclusiveMinimum") == 0 ||
           strcmp(key, "minItems") == 0 || strcmp(key, "minLength") == 0 ||
           strcmp(key, "minProperties") == 0;
}

static bool is_most(const char *key)
{
    return strcmp(key, "maximum") == 0 || strcmp(key, "exclusiveMaximum") == 0 ||
           strcmp(key, "maxItems") == 0 || strcmp(key, "maxLength") == 0;
}

static enum status merge_keyword(struct lowering *l, json_t *into, const char *key, json_t *value)
{
    json_t *old = json_object_get(into, key);

    if (!old || schema_is_annotation(key) || json_equal(old, value))
        return set(l, into, key, value);
    if (strcmp(key, "type") == 0)
        return merge_types(l, into, old, value);
    if (strcmp(key, "properties") == 0 && json_is_object(old) && json_is_object(value))
        return merge_properties(l, into, old, value);
    if (strcmp(key, "required") == 0 && json_is_array(old) && json_is_array(value))
        return merge_required(l, into, old, value);
    if ((is_least(key) || is_most(key)) && json_is_number(old) && json_is_number(value)) {
        const bool is_tighter =
            (json_number_value(value) > json_number_value(old)) == is_least(key);

        return is_tighter ? set(l, into, key, value) : ST_OK;
    }
    if (strcmp(key, "$defs") != 0 && strcmp(key, "definitions") != 0)
        return schema_refuse(l, key, "with two meanings at once (allOf, or beside anyOf)");
    return ST_OK;
}

/* What a schema says of further properties is meant of its own list: two lists may not mix. */
static bool has_closed_list(const json_t *schema, const json_t *other)
{
    const json_t *more = json_object_get(schema, "additionalProperties");

    return more && !is_nothing(more) &&
           (json_object_get(other, "properties") || json_object_get(other, "patternProperties") ||
            json_object_get(other, "required")) &&
           !json_equal(json_object_get(schema, "properties"), json_object_get(other, "properties"));
}

/* The other adds names to a list, but all of them are in the closed one. */
static bool is_within(const json_t *schema, const json_t *other)
{
    const json_t *names = json_object_get(schema, "properties");
    const json_t *required = json_object_get(other, "required");
    const char *key;
    json_t *value;

    if (json_object_get(other, "patternProperties") || json_object_get(schema, "patternProperties"))
        return false;
    json_object_foreach(json_object_get(other, "properties"), key, value)
    {
        if (!json_object_get(names, key))
            return false;
    }
    for (size_t i = 0; i < json_array_size(required); i++) {
        const char *name = json_string_value(json_array_get(required, i));

        if (!name || !json_object_get(names, name))
            return false;
    }
    return true;
}

/* prefixItems and items, too, speak of each other. */
static bool has_prefix(const json_t *schema, const json_t *other)
{
    return json_object_get(schema, "prefixItems") && json_object_get(other, "items");
}

/* A reference beside other keywords is read where it leads; alternatives stay, unless both have
 * them. */
static enum status merge_into(struct lowering *l, json_t *into, const json_t *from)
{
    enum status s = ST_OK;
    const char *key;
    json_t *value;

    if ((has_closed_list(into, from) && !is_within(into, from)) ||
        (has_closed_list(from, into) && !is_within(from, into)))
        return schema_refuse(l, "additionalProperties",
                             "in one of several schemas that hold at once and name other "
                             "properties");
    if (has_prefix(into, from) || has_prefix(from, into))
        return schema_refuse(l, "prefixItems", "in one of several schemas that hold at once");
    json_object_foreach((json_t *)(uintptr_t)from, key, value)
    {
        s = merge_keyword(l, into, key, value);
        if (s != ST_OK)
            return s;
    }
    return s;
}

/* Without a reference at its top; kept.
 * Errors  ST_FORMAT it leads nowhere, and as merge_into() */
static enum status flat(struct lowering *l, const json_t *schema, const json_t **ret)
{
    const json_t *target;
    json_t *rest;
    enum status s = ST_OK;

    *ret = schema;
    if (!json_object_get(schema, "$ref"))
        return ST_OK;
    target = schema_resolve(l, schema);
    if (!target)
        return err_set(l->err, ST_FORMAT, "a '$ref' leads nowhere in this schema");
    if (!json_is_object(target) && !json_is_true(target))
        return schema_refuse(l, "false", "as a schema here");
    rest = json_whole_copy(schema);
    if (!rest)
        return no_memory(l);
    (void)json_object_del(rest, "$ref"); /* it is there */
    if (!is_nothing(target))
        s = merge_into(l, rest, target);
    if (s != ST_OK) {
        json_decref(rest);
        return s;
    }
    *ret = schema_keep(l, rest);
    return *ret ? ST_OK : no_memory(l);
}

enum status schema_merge(struct lowering *l, const json_t *a, const json_t *b, const json_t **ret)
{
    json_t *both;
    enum status s;

    if (++l->n_nodes > SCHEMA_NODES_MAX)
        return err_set(l->err, ST_RANGE, "the schema has more than %d parts", SCHEMA_NODES_MAX);
    if (is_nothing(a) || is_nothing(b)) {
        *ret = is_nothing(a) ? b : a;
        return ST_OK;
    }
    if (!json_is_object(a) || !json_is_object(b))
        return schema_refuse(l, "false", "as a schema here");
    s = flat(l, a, &a);
    if (s == ST_OK)
        s = flat(l, b, &b);
    if (s != ST_OK)
        return s;
    both = json_whole_copy(a);
    if (!both)
        return no_memory(l);
    s = merge_into(l, both, b);
    if (s != ST_OK) {
        json_decref(both);
        return s;
    }
    *ret = schema_keep(l, both);
    return *ret ? ST_OK : no_memory(l);
}
