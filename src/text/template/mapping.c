/* SPDX-License-Identifier: Apache-2.0 */
/* text/template/mapping.c - filters and methods of mappings.
 *
 * Where Python gives a view these give a list.
 */
#include "text/template/eval.h"
#include "text/template/text.h"

static enum status pairs(struct interp *in, const struct entry *entries, size_t n,
                         struct value *ret)
{
    struct list *list;
    enum status s = tmpl_list_new(in, n, &list);

    for (size_t i = 0; s == ST_OK && i < n; i++) {
        struct list *pair;

        s = tmpl_list_new(in, 2, &pair);
        if (s != ST_OK)
            break;
        pair->items[0] = entries[i].key;
        pair->items[1] = entries[i].value;
        list->items[i] = value_list(VALUE_TUPLE, pair);
    }
    if (s == ST_OK)
        *ret = value_list(VALUE_LIST, list);
    return s;
}

static enum status filter_items(struct interp *in, const struct value *self,
                                const struct arguments *a, struct value *ret)
{
    (void)a;
    if (self->type == VALUE_UNDEFINED)
        return pairs(in, NULL, 0, ret);
    if (self->type != VALUE_DICT)
        return tmpl_error(in, ST_FORMAT, "%s has no items", tmpl_type_name(self));
    return pairs(in, self->dict->entries, self->dict->n, ret);
}

/* dictsort(case_sensitive=false, by='key', reverse=false) */
static enum status filter_dictsort(struct interp *in, const struct value *self,
                                   const struct arguments *a, struct value *ret)
{
    static const struct str by_key = { .bytes = "key", .n = 3 };
    static const struct str by_value = { .bytes = "value", .n = 5 };
    const struct str *by = a->at[1].type == VALUE_STRING ? a->at[1].string : &by_key;
    const bool case_sensitive = tmpl_arg_bool(&a->at[0], false);
    const bool value = tmpl_str_same(by, &by_value);
    struct value *keys;
    struct entry *sorted;
    size_t *order;
    enum status s = ST_OK;

    if (self->type != VALUE_DICT)
        return tmpl_error(in, ST_FORMAT, "%s has no items", tmpl_type_name(self));
    if (!value && !tmpl_str_same(by, &by_key))
        return tmpl_error(in, ST_FORMAT, "'dictsort' sorts by 'key' or by 'value'");
    keys = tmpl_alloc(in, self->dict->n * sizeof(*keys));
    sorted = tmpl_alloc(in, self->dict->n * sizeof(*sorted));
    if (!keys || !sorted)
        return tmpl_no_memory(in);
    for (size_t i = 0; s == ST_OK && i < self->dict->n; i++) {
        keys[i] = value ? self->dict->entries[i].value : self->dict->entries[i].key;
        if (!case_sensitive && keys[i].type == VALUE_STRING)
            s = tmpl_text_case(in, keys[i].string, CASING_LOWER, &keys[i]);
    }
    if (s == ST_OK)
        s = tmpl_sort(in, keys, self->dict->n, tmpl_arg_bool(&a->at[2], false), &order);
    if (s != ST_OK)
        return s;
    for (size_t i = 0; i < self->dict->n; i++)
        sorted[i] = self->dict->entries[order[i]];
    return pairs(in, sorted, self->dict->n, ret);
}

static enum status method_keys(struct interp *in, const struct value *self,
                               const struct arguments *a, struct value *ret)
{
    const struct list *list;
    enum status s = tmpl_iterate(in, self, &list);

    (void)a;
    if (s == ST_OK)
        *ret = value_list(VALUE_LIST, list);
    return s;
}

static enum status method_values(struct interp *in, const struct value *self,
                                 const struct arguments *a, struct value *ret)
{
    struct list *list;
    enum status s = tmpl_list_new(in, self->dict->n, &list);

    (void)a;
    if (s != ST_OK)
        return s;
    for (size_t i = 0; i < list->n; i++)
        list->items[i] = self->dict->entries[i].value;
    *ret = value_list(VALUE_LIST, list);
    return ST_OK;
}

/* get(key, default=none) */
static enum status method_get(struct interp *in, const struct value *self,
                              const struct arguments *a, struct value *ret)
{
    const struct value *found;
    enum status s = tmpl_dict_find(in, self->dict, &a->at[0], &found);

    if (s != ST_OK)
        return s;
    if (found)
        *ret = *found;
    else
        *ret = a->at[1].type == VALUE_ABSENT ? value_none() : a->at[1];
    return ST_OK;
}

const struct builtin tmpl_dict_filters[] = {
    { "items", filter_items, 0, { NULL } },
    { "dictsort", filter_dictsort, 0, { "case_sensitive", "by", "reverse" } },
    { 0 },
};

const struct builtin tmpl_dict_methods[] = {
    { "items", filter_items, 0, { NULL } },
    { "keys", method_keys, 0, { NULL } },
    { "values", method_values, 0, { NULL } },
    { "get", method_get, 1, { "key", "default" } },
    { 0 },
};
