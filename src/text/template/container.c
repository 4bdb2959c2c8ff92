/* SPDX-License-Identifier: Apache-2.0 */
/* text/template/container.c - lists and mappings. */
#include "text/template/container.h"

#include <string.h>

#include "base/size.h"
#include "base/utf8.h"

enum { DICT_FIRST = 4 };

enum status tmpl_list_new(struct interp *in, size_t n, struct list **ret)
{
    struct list *list = tmpl_alloc(in, sizeof(*list));
    size_t n_bytes;

    if (!list)
        return tmpl_no_memory(in);
    if (!size_mul(n, sizeof(*list->items), &n_bytes))
        return tmpl_error(in, ST_RANGE, "a list of %zu items is too long", n);
    list->items = tmpl_alloc(in, n_bytes);
    if (!list->items)
        return tmpl_no_memory(in);
    list->n = n;
    *ret = list;
    return ST_OK;
}

static enum status characters(struct interp *in, const struct str *s, struct list **ret)
{
    struct list *list;
    size_t at = 0;
    enum status st = tmpl_list_new(in, utf8_count(s->bytes, s->n), &list);

    for (size_t i = 0; st == ST_OK && i < list->n; i++) {
        const size_t end = tmpl_utf8_skip(s, at, 1);

        st = tmpl_str_part(in, s, at, end - at, &list->items[i]);
        at = end;
    }
    if (st == ST_OK)
        *ret = list;
    return st;
}

static enum status keys(struct interp *in, const struct dict *dict, struct list **ret)
{
    struct list *list;
    enum status s = tmpl_list_new(in, dict->n, &list);

    if (s != ST_OK)
        return s;
    for (size_t i = 0; i < dict->n; i++)
        list->items[i] = dict->entries[i].key;
    *ret = list;
    return ST_OK;
}

enum status tmpl_iterate(struct interp *in, const struct value *v, const struct list **ret)
{
    static const struct list none;
    struct list *list = NULL;
    enum status s;

    if (v->type == VALUE_LIST || v->type == VALUE_TUPLE) {
        *ret = v->list;
        return ST_OK;
    }
    if (v->type == VALUE_UNDEFINED) {
        *ret = &none;
        return ST_OK;
    }
    if (v->type == VALUE_STRING)
        s = characters(in, v->string, &list);
    else if (v->type == VALUE_DICT)
        s = keys(in, v->dict, &list);
    else
        s = tmpl_error(in, ST_FORMAT, "%s cannot be iterated over", tmpl_type_name(v));
    if (s == ST_OK)
        *ret = list;
    return s;
}

enum status tmpl_dict_new(struct interp *in, struct dict **ret)
{
    struct dict *dict = tmpl_arena_zalloc(&in->arena, sizeof(*dict));

    if (!dict)
        return tmpl_no_memory(in);
    *ret = dict;
    return ST_OK;
}

/* Python's hashable types, as far as there are any here. */
static enum status check_key(struct interp *in, const struct value *key)
{
    if (key->type == VALUE_LIST || key->type == VALUE_DICT)
        return tmpl_error(in, ST_FORMAT, "%s cannot be a key", tmpl_type_name(key));
    return ST_OK;
}

/* *ret_i SIZE_MAX where there is no such key. */
static enum status find(struct interp *in, const struct dict *dict, const struct value *key,
                        size_t *ret_i)
{
    enum status s = check_key(in, key);

    if (s == ST_OK)
        s = tmpl_charge(in, dict->n * sizeof(struct entry));
    *ret_i = SIZE_MAX;
    for (size_t i = 0; s == ST_OK && i < dict->n; i++) {
        const struct value *k = &dict->entries[i].key;
        bool same = false;

        if (key->type == VALUE_STRING && k->type == VALUE_STRING)
            same = tmpl_str_same(key->string, k->string);
        else if (key->type != VALUE_STRING && k->type != VALUE_STRING)
            s = tmpl_equal(in, k, key, &same);
        if (!same)
            continue;
        *ret_i = i;
        break;
    }
    return s;
}

enum status tmpl_dict_find(struct interp *in, const struct dict *dict, const struct value *key,
                           const struct value **ret)
{
    size_t i;
    enum status s = find(in, dict, key, &i);

    if (s == ST_OK)
        *ret = i == SIZE_MAX ? NULL : &dict->entries[i].value;
    return s;
}

enum status tmpl_dict_find_name(struct interp *in, const struct dict *dict, const char *name,
                                const struct value **ret)
{
    const struct str text = { .bytes = name, .n = strlen(name), .trusted = true };
    const struct value key = value_string(&text);

    return tmpl_dict_find(in, dict, &key, ret);
}

enum status tmpl_dict_append(struct interp *in, struct dict *dict, const struct value *key,
                             const struct value *value)
{
    if (dict->n == dict->capacity) {
        const size_t capacity = dict->capacity ? dict->capacity * 2 : DICT_FIRST;
        struct entry *entries = tmpl_arena_grow(
            &in->arena, dict->entries, dict->n * sizeof(*entries), capacity * sizeof(*entries));

        if (!entries)
            return tmpl_no_memory(in);
        dict->entries = entries;
        dict->capacity = capacity;
    }
    dict->entries[dict->n++] = (struct entry){ .key = *key, .value = *value };
    return ST_OK;
}

enum status tmpl_dict_put(struct interp *in, struct dict *dict, const struct value *key,
                          const struct value *value)
{
    size_t i;
    enum status s = find(in, dict, key, &i);

    if (s != ST_OK)
        return s;
    if (i == SIZE_MAX)
        return tmpl_dict_append(in, dict, key, value);
    dict->entries[i].value = *value;
    return ST_OK;
}
