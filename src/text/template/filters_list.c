/* SPDX-License-Identifier: Apache-2.0 */
/* text/template/filters_list.c - filters whose subject is iterated over.
 *
 * Where Jinja gives a generator these give a list.
 *
 * Source  Jinja 3.1 template designer documentation, "List of Builtin Filters"
 */
#include <string.h>

#include "base/utf8.h"
#include "text/template/eval.h"
#include "text/template/print.h"
#include "text/template/text.h"

static enum status filter_length(struct interp *in, const struct value *self,
                                 const struct arguments *a, struct value *ret)
{
    size_t n = 0;
    enum status s = ST_OK;

    (void)a;
    if (self->type == VALUE_STRING) {
        n = utf8_count(self->string->bytes, self->string->n);
        s = tmpl_charge(in, self->string->n);
    } else if (self->type == VALUE_LIST || self->type == VALUE_TUPLE) {
        n = self->list->n;
    } else if (self->type == VALUE_DICT) {
        n = self->dict->n;
    } else if (self->type != VALUE_UNDEFINED) {
        s = tmpl_error(in, ST_FORMAT, "%s has no length", tmpl_type_name(self));
    }
    if (s == ST_OK)
        *ret = value_int((int64_t)n, false);
    return s;
}

static enum status filter_first(struct interp *in, const struct value *self,
                                const struct arguments *a, struct value *ret)
{
    const struct list *list;
    enum status s = tmpl_iterate(in, self, &list);

    (void)a;
    if (s == ST_OK)
        *ret = list->n > 0 ? list->items[0] : value_undefined("first");
    return s;
}

static enum status filter_last(struct interp *in, const struct value *self,
                               const struct arguments *a, struct value *ret)
{
    const struct list *list;
    enum status s = tmpl_iterate(in, self, &list);

    (void)a;
    if (s == ST_OK)
        *ret = list->n > 0 ? list->items[list->n - 1] : value_undefined("last");
    return s;
}

static enum status filter_list(struct interp *in, const struct value *self,
                               const struct arguments *a, struct value *ret)
{
    const struct list *list;
    enum status s = tmpl_iterate(in, self, &list);

    (void)a;
    if (s == ST_OK)
        *ret = value_list(VALUE_LIST, list);
    return s;
}

static enum status filter_reverse(struct interp *in, const struct value *self,
                                  const struct arguments *a, struct value *ret)
{
    const struct value backwards[3] = { [2] = value_int(-1, true) };
    struct value list;
    enum status s;

    if (self->type == VALUE_STRING)
        return tmpl_slice(in, self, backwards, ret);
    s = filter_list(in, self, a, &list);
    return s == ST_OK ? tmpl_slice(in, &list, backwards, ret) : s;
}

static enum status filter_join(struct interp *in, const struct value *self,
                               const struct arguments *a, struct value *ret)
{
    const struct str *separator, *text;
    const struct list *list;
    struct builder b;
    enum status s = tmpl_iterate(in, self, &list);

    if (s == ST_OK)
        s = tmpl_to_str(in, &a->at[0], &separator);
    tmpl_build(&b, in);
    for (size_t i = 0; s == ST_OK && i < list->n; i++) {
        struct value item;

        s = tmpl_item_attribute(in, &list->items[i], &a->at[1], &item);
        if (s == ST_OK)
            s = tmpl_to_str(in, &item, &text);
        if (s != ST_OK)
            break;
        if (i > 0)
            tmpl_build_str(&b, separator);
        tmpl_build_str(&b, text);
        s = tmpl_step(in);
    }
    return s == ST_OK ? tmpl_build_finish(&b, ret) : s;
}

/* What a filter compares items by: an attribute, with case folded unless asked
 * otherwise. */
static enum status sort_key(struct interp *in, const struct value *item, const struct value *path,
                            bool case_sensitive, struct value *ret)
{
    enum status s = tmpl_item_attribute(in, item, path, ret);

    if (s == ST_OK && ret->type == VALUE_STRING && !case_sensitive)
        s = tmpl_text_case(in, ret->string, CASING_LOWER, ret);
    return s;
}

static enum status sort_keys(struct interp *in, const struct list *list, const struct value *path,
                             bool case_sensitive, struct value **ret)
{
    struct value *keys = tmpl_alloc(in, list->n * sizeof(*keys));
    enum status s = keys ? ST_OK : tmpl_no_memory(in);

    for (size_t i = 0; s == ST_OK && i < list->n; i++)
        s = sort_key(in, &list->items[i], path, case_sensitive, &keys[i]);
    if (s == ST_OK)
        *ret = keys;
    return s;
}

/* sort(reverse=false, case_sensitive=false, attribute=none) */
static enum status filter_sort(struct interp *in, const struct value *self,
                               const struct arguments *a, struct value *ret)
{
    const struct list *list;
    struct list *sorted;
    struct value *keys;
    size_t *order;
    enum status s = tmpl_iterate(in, self, &list);

    if (s == ST_OK)
        s = sort_keys(in, list, &a->at[2], tmpl_arg_bool(&a->at[1], false), &keys);
    if (s == ST_OK)
        s = tmpl_sort(in, keys, list->n, tmpl_arg_bool(&a->at[0], false), &order);
    if (s == ST_OK)
        s = tmpl_list_new(in, list->n, &sorted);
    if (s != ST_OK)
        return s;
    for (size_t i = 0; i < list->n; i++)
        sorted->items[i] = list->items[order[i]];
    *ret = value_list(VALUE_LIST, sorted);
    return ST_OK;
}

/* unique(case_sensitive=false, attribute=none): the first of each. */
static enum status filter_unique(struct interp *in, const struct value *self,
                                 const struct arguments *a, struct value *ret)
{
    const struct list *list;
    struct list *kept;
    struct value *keys;
    size_t n = 0;
    enum status s = tmpl_iterate(in, self, &list);

    if (s == ST_OK)
        s = sort_keys(in, list, &a->at[1], tmpl_arg_bool(&a->at[0], false), &keys);
    if (s == ST_OK)
        s = tmpl_list_new(in, list->n, &kept);
    for (size_t i = 0; s == ST_OK && i < list->n; i++) {
        bool seen = false;

        for (size_t k = 0; s == ST_OK && !seen && k < n; k++)
            s = tmpl_equal(in, &keys[k], &keys[i], &seen);
        if (seen)
            continue;
        keys[n] = keys[i];
        kept->items[n++] = list->items[i];
    }
    if (s != ST_OK)
        return s;
    kept->n = n;
    *ret = value_list(VALUE_LIST, kept);
    return ST_OK;
}

static enum status extreme(struct interp *in, const struct value *self, const struct arguments *a,
                           int wanted, struct value *ret)
{
    const struct list *list;
    struct value *keys;
    size_t best = 0;
    enum status s = tmpl_iterate(in, self, &list);

    if (s == ST_OK)
        s = sort_keys(in, list, &a->at[1], tmpl_arg_bool(&a->at[0], false), &keys);
    for (size_t i = 1; s == ST_OK && i < list->n; i++) {
        int order;

        s = tmpl_compare(in, &keys[i], &keys[best], &order);
        if (s == ST_OK && (order < 0 ? -1 : order > 0) == wanted)
            best = i;
    }
    if (s == ST_OK)
        *ret = list->n > 0 ? list->items[best] : value_undefined("item");
    return s;
}

static enum status filter_min(struct interp *in, const struct value *self,
                              const struct arguments *a, struct value *ret)
{
    return extreme(in, self, a, -1, ret);
}

static enum status filter_max(struct interp *in, const struct value *self,
                              const struct arguments *a, struct value *ret)
{
    return extreme(in, self, a, 1, ret);
}

/* sum(attribute=none, start=0) */
static enum status filter_sum(struct interp *in, const struct value *self,
                              const struct arguments *a, struct value *ret)
{
    const struct list *list;
    struct value sum = a->at[1].type == VALUE_ABSENT ? value_int(0, true) : a->at[1];
    enum status s = tmpl_iterate(in, self, &list);

    for (size_t i = 0; s == ST_OK && i < list->n; i++) {
        struct value item;

        s = tmpl_item_attribute(in, &list->items[i], &a->at[0], &item);
        if (s == ST_OK)
            s = tmpl_operate(in, OPERATOR_ADD, &sum, &item, &sum);
    }
    if (s == ST_OK)
        *ret = sum;
    return s;
}

const struct builtin tmpl_list_filters[] = {
    { "length", filter_length, 0, { NULL } },
    { "count", filter_length, 0, { NULL } },
    { "first", filter_first, 0, { NULL } },
    { "last", filter_last, 0, { NULL } },
    { "list", filter_list, 0, { NULL } },
    { "reverse", filter_reverse, 0, { NULL } },
    { "join", filter_join, 0, { "d", "attribute" } },
    { "sort", filter_sort, 0, { "reverse", "case_sensitive", "attribute" } },
    { "unique", filter_unique, 0, { "case_sensitive", "attribute" } },
    { "min", filter_min, 0, { "case_sensitive", "attribute" } },
    { "max", filter_max, 0, { "case_sensitive", "attribute" } },
    { "sum", filter_sum, 0, { "attribute", "start" } },
    { 0 },
};
