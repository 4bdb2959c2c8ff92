/* SPDX-License-Identifier: Apache-2.0 */
/* text/grammar/schema_apart.c - can two schemas of a oneOf hold at once?  "No" is said only where it
 * is certain: their types, their values, or a property that both ask for, exclude each other. */
#include <string.h>

#include "base/size.h"
#include "text/grammar/schema_priv.h"

enum { APART_DEPTH_MAX = 4, COMPARED_MAX = 2000000 };

static bool lists(const json_t *types, const char *name)
{
    if (json_is_string(types))
        return strcmp(json_string_value(types), name) == 0;
    for (size_t i = 0; i < json_array_size(types); i++) {
        const char *type = json_string_value(json_array_get(types, i));

        if (type && strcmp(type, name) == 0)
            return true;
    }
    return false;
}

static bool has_type(const json_t *schema, const char *name)
{
    const json_t *types = json_object_get(schema, "type");

    return !types || lists(types, name) || (strcmp(name, "integer") == 0 && lists(types, "number"));
}

/* n more comparisons; false: it would take too long to tell. */
static bool may_compare(struct lowering *l, size_t n)
{
    l->n_compared += n;
    return l->n_compared <= COMPARED_MAX;
}

static bool types_are_apart(const json_t *a, const json_t *b)
{
    static const char *const names[] = { "object",  "array",   "string", "number",
                                         "integer", "boolean", "null" };

    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (has_type(a, names[i]) && has_type(b, names[i]))
            return false;
    return true;
}

/* Value i of an enum or a const; NULL: no more, or any value. */
static const json_t *value_of(const json_t *schema, size_t i)
{
    const json_t *only = json_object_get(schema, "const");

    if (only)
        return i == 0 ? only : NULL;
    return json_array_get(json_object_get(schema, "enum"), i);
}

static bool same(const json_t *a, const json_t *b)
{
    if (json_is_number(a) && json_is_number(b))
        return !(json_number_value(a) < json_number_value(b)) &&
               !(json_number_value(a) > json_number_value(b));
    return json_equal(a, b);
}

static bool values_are_apart(struct lowering *l, const json_t *a, const json_t *b)
{
    const json_t *x, *y;

    if (!value_of(a, 0) || !value_of(b, 0) || json_array_size(json_object_get(a, "enum")) > 1000 ||
        json_array_size(json_object_get(b, "enum")) > 1000)
        return false;
    for (size_t i = 0; (x = value_of(a, i)) != NULL; i++)
        for (size_t k = 0; (y = value_of(b, k)) != NULL; k++)
            if (!may_compare(l, 1) || same(x, y))
                return false;
    return true;
}

static bool is_required(const json_t *schema, const char *key)
{
    const json_t *required = json_object_get(schema, "required");

    for (size_t i = 0; i < json_array_size(required); i++) {
        const char *name = json_string_value(json_array_get(required, i));

        if (name && strcmp(name, key) == 0)
            return true;
    }
    return false;
}

static bool is_object_alone(const json_t *schema)
{
    const json_t *types = json_object_get(schema, "type");

    return json_is_string(types) && lists(types, "object");
}

/* A property that both ask for and whose schemas exclude each other. */
static bool properties_are_apart(struct lowering *l, const json_t *a, const json_t *b,
                                 unsigned depth)
{
    const char *key;
    json_t *value;

    if (!is_object_alone(a) || !is_object_alone(b))
        return false;
    json_object_foreach(json_object_get(a, "properties"), key, value)
    {
        const json_t *other = json_object_get(json_object_get(b, "properties"), key);

        if (!may_compare(l, 1 + json_array_size(json_object_get(a, "required")) +
                                json_array_size(json_object_get(b, "required"))))
            return false;
        if (other && is_required(a, key) && is_required(b, key) &&
            schemas_are_apart(l, value, other, depth + 1))
            return true;
        if (!other && is_required(a, key) &&
            json_is_false(json_object_get(b, "additionalProperties")) &&
            !json_object_get(b, "patternProperties"))
            return true;
    }
    return false;
}

bool schemas_are_apart(struct lowering *l, const json_t *a, const json_t *b, unsigned depth)
{
    if (depth > APART_DEPTH_MAX || !may_compare(l, 1 + json_array_size(json_object_get(a, "type")) +
                                                       json_array_size(json_object_get(b, "type"))))
        return false;
    if (json_object_get(a, "$ref"))
        a = schema_resolve(l, a);
    if (json_object_get(b, "$ref"))
        b = schema_resolve(l, b);
    return json_is_object(a) && json_is_object(b) &&
           (types_are_apart(a, b) || values_are_apart(l, a, b) ||
            properties_are_apart(l, a, b, depth) || properties_are_apart(l, b, a, depth));
}
