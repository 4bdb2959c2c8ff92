/* SPDX-License-Identifier: Apache-2.0 */
/* text/grammar/schema_refs.c - what a schema refers to: each target becomes one rule. */
#include <stdlib.h>
#include <string.h>

#include "text/grammar/schema_priv.h"

/* One step of a JSON pointer (RFC 6901): in place of the name, what it names. */
static const json_t *pointer_step(const json_t *at, const char *step, size_t n)
{
    char name[256];
    size_t k = 0;

    for (size_t i = 0; i < n && k + 1 < sizeof(name); i++) {
        char c = step[i];

        if (c == '~' && i + 1 < n && (step[i + 1] == '0' || step[i + 1] == '1'))
            c = step[++i] == '0' ? '~' : '/';
        name[k++] = c;
    }
    name[k] = '\0';
    return json_is_array(at) ? json_array_get(at, strtoul(name, NULL, 10))
                             : json_object_get(at, name);
}

static const json_t *follow(const struct lowering *l, const char *pointer)
{
    const json_t *at = l->root;

    if (pointer[0] != '#' || (pointer[1] != '/' && pointer[1] != '\0'))
        return NULL;
    for (const char *p = pointer + 1; at && *p == '/';) {
        const size_t n = strcspn(p + 1, "/");

        at = pointer_step(at, p + 1, n);
        p += 1 + n;
    }
    return at;
}

const json_t *schema_resolve(struct lowering *l, const json_t *schema)
{
    for (int i = 0; schema && i < SCHEMA_DEPTH_MAX; i++) {
        const char *pointer = json_string_value(json_object_get(schema, "$ref"));

        if (!pointer)
            return schema;
        schema = follow(l, pointer);
    }
    return NULL;
}

enum status schema_ref(struct lowering *l, const json_t *schema, struct rule_name *ret)
{
    const char *pointer = json_string_value(json_object_get(schema, "$ref"));
    const json_t *target = pointer ? follow(l, pointer) : NULL;
    unsigned i = 0;

    if (!target || !schema_resolve(l, target))
        return err_set(l->err, ST_FORMAT, "'$ref' %.64s leads nowhere in this schema",
                       pointer ? pointer : "");
    while (i < l->n_refs && l->refs[i].target != target)
        i++;
    if (i == REFS_MAX)
        return err_set(l->err, ST_RANGE, "the schema refers to more than %d others", REFS_MAX);
    if (i == l->n_refs)
        l->refs[l->n_refs++] = (struct schema_ref){ target, i };
    snprintf(ret->text, sizeof(ret->text), "%.64s-ref%u", l->name, i);
    return ST_OK;
}

enum status schema_write_refs(struct lowering *l)
{
    enum status s = ST_OK;

    for (; l->n_written < l->n_refs && s == ST_OK; l->n_written++) {
        struct rule_name name;

        s = schema_lower(l, l->refs[l->n_written].target, 0, &name);
        if (s == ST_OK)
            buf_printf(l->out, "%.64s-ref%u ::= %s\n", l->name, l->n_written, name.text);
    }
    return s;
}
