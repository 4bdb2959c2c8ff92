/* SPDX-License-Identifier: Apache-2.0 */
/* text/template/compare.c - equality, order, membership and sorting.
 *
 * Source  The Python Language Reference, "Value comparisons" and
 *         "Membership test operations"
 */
#include <string.h>

#include "base/size.h"
#include "text/template/container.h"

static int order_of(int64_t a, int64_t b)
{
    return (a > b) - (a < b);
}

/* NaN is unordered; calling it greater than all keeps a sort total. */
static int compare_numbers(const struct value *a, const struct value *b)
{
    double x, y;

    if (value_is_integral(a) && value_is_integral(b))
        return order_of(value_integer(a), value_integer(b));
    x = value_real(a);
    y = value_real(b);
    if (x == y)
        return 0;
    return x < y ? -1 : 1;
}

static int compare_strings(const struct str *a, const struct str *b)
{
    const size_t n = size_min(a->n, b->n);
    const int order = n > 0 ? memcmp(a->bytes, b->bytes, n) : 0;

    /* UTF-8 keeps the order of code points */
    return order != 0 ? order : order_of((int64_t)a->n, (int64_t)b->n);
}

static enum status equal_lists(struct interp *in, const struct list *a, const struct list *b,
                               bool *ret)
{
    bool same = a->n == b->n;
    enum status s = ST_OK;

    for (size_t i = 0; s == ST_OK && same && i < a->n; i++)
        s = tmpl_equal(in, &a->items[i], &b->items[i], &same);
    *ret = same;
    return s;
}

static enum status equal_dicts(struct interp *in, const struct dict *a, const struct dict *b,
                               bool *ret)
{
    bool same = a->n == b->n;
    enum status s = ST_OK;

    for (size_t i = 0; s == ST_OK && same && i < a->n; i++) {
        const struct value *other;

        s = tmpl_dict_find(in, b, &a->entries[i].key, &other);
        if (s == ST_OK && other)
            s = tmpl_equal(in, &a->entries[i].value, other, &same);
        same = same && s == ST_OK && other;
    }
    *ret = same;
    return s;
}

static enum status equal(struct interp *in, const struct value *a, const struct value *b, bool *ret)
{
    *ret = false;
    if (value_is_number(a) && value_is_number(b)) {
        *ret = compare_numbers(a, b) == 0;
        return ST_OK;
    }
    if (a->type != b->type)
        return ST_OK;
    switch (a->type) {
    case VALUE_ABSENT:
    case VALUE_UNDEFINED:
    case VALUE_NONE: *ret = true; return ST_OK;
    case VALUE_BOOL:
    case VALUE_INT:
    case VALUE_FLOAT: return ST_OK; /* were numbers */
    case VALUE_STRING:
        *ret = tmpl_str_same(a->string, b->string);
        return tmpl_charge(in, size_min(a->string->n, b->string->n));
    case VALUE_LIST:
    case VALUE_TUPLE: return equal_lists(in, a->list, b->list, ret);
    case VALUE_DICT: return equal_dicts(in, a->dict, b->dict, ret);
    case VALUE_NAMESPACE: *ret = a->dict == b->dict; return ST_OK;
    case VALUE_LOOP: *ret = a->loop == b->loop; return ST_OK;
    case VALUE_MACRO: *ret = a->macro == b->macro; return ST_OK;
    case VALUE_BUILTIN: *ret = a->bound == b->bound; return ST_OK;
    }
    return ST_OK;
}

enum status tmpl_equal(struct interp *in, const struct value *a, const struct value *b, bool *ret)
{
    enum status s = tmpl_enter(in);

    if (s != ST_OK)
        return s;
    s = equal(in, a, b, ret);
    tmpl_leave(in);
    return s;
}

static enum status compare_lists(struct interp *in, const struct list *a, const struct list *b,
                                 int *ret)
{
    for (size_t i = 0; i < a->n && i < b->n; i++) {
        enum status s = tmpl_compare(in, &a->items[i], &b->items[i], ret);

        if (s != ST_OK || *ret != 0)
            return s;
    }
    *ret = order_of((int64_t)a->n, (int64_t)b->n);
    return ST_OK;
}

enum status tmpl_compare(struct interp *in, const struct value *a, const struct value *b,
                         int *ret_order)
{
    enum status s = tmpl_enter(in);

    if (s != ST_OK)
        return s;
    if (value_is_number(a) && value_is_number(b)) {
        *ret_order = compare_numbers(a, b);
    } else if (a->type == VALUE_STRING && b->type == VALUE_STRING) {
        *ret_order = compare_strings(a->string, b->string);
        s = tmpl_charge(in, size_min(a->string->n, b->string->n));
    } else if (a->type == b->type && (a->type == VALUE_LIST || a->type == VALUE_TUPLE)) {
        s = compare_lists(in, a->list, b->list, ret_order);
    } else {
        s = tmpl_error(in, ST_FORMAT, "%s and %s have no order", tmpl_type_name(a),
                       tmpl_type_name(b));
    }
    tmpl_leave(in);
    return s;
}

enum status tmpl_contains(struct interp *in, const struct value *container,
                          const struct value *item, bool *ret)
{
    const struct value *found;
    const struct list *list;
    size_t at;
    enum status s;

    *ret = false;
    if (container->type == VALUE_STRING) {
        if (item->type != VALUE_STRING)
            return tmpl_error(in, ST_FORMAT, "a string cannot contain %s", tmpl_type_name(item));
        s = tmpl_str_find(in, container->string, 0, item->string, &at);
        *ret = s == ST_OK && at != SIZE_MAX;
        return s;
    }
    if (container->type == VALUE_DICT) {
        s = tmpl_dict_find(in, container->dict, item, &found);
        *ret = s == ST_OK && found;
        return s;
    }
    s = tmpl_iterate(in, container, &list);
    for (size_t i = 0; s == ST_OK && !*ret && i < list->n; i++)
        s = tmpl_equal(in, &list->items[i], item, ret);
    return s;
}

/* Merge two sorted runs of `from`, [a, b) and [b, end), into `to`. */
static enum status merge(struct interp *in, const struct value *keys, bool descending,
                         const size_t *from, size_t *to, const size_t bounds[3])
{
    size_t a = bounds[0], b = bounds[1];

    for (size_t i = bounds[0]; i < bounds[2]; i++) {
        int order = 0;
        enum status s;

        if (a < bounds[1] && b < bounds[2]) {
            s = tmpl_compare(in, &keys[from[b]], &keys[from[a]], &order);
            if (s != ST_OK)
                return s;
        }
        if (descending)
            order = -order;
        if (a < bounds[1] && (b >= bounds[2] || order >= 0))
            to[i] = from[a++];
        else
            to[i] = from[b++];
    }
    return ST_OK;
}

enum status tmpl_sort(struct interp *in, const struct value *keys, size_t n, bool descending,
                      size_t **ret_order)
{
    size_t *from = tmpl_alloc(in, n * sizeof(*from)), *to = tmpl_alloc(in, n * sizeof(*to));
    enum status s = ST_OK;

    if (!from || !to)
        return tmpl_no_memory(in);
    for (size_t i = 0; i < n; i++)
        from[i] = i;
    for (size_t width = 1; s == ST_OK && width < n; width *= 2) {
        size_t *other = to;

        for (size_t i = 0; s == ST_OK && i < n; i += 2 * width) {
            const size_t bounds[3] = { i, size_min(i + width, n), size_min(i + 2 * width, n) };

            s = merge(in, keys, descending, from, to, bounds);
        }
        to = from;
        from = other;
    }
    if (s == ST_OK)
        *ret_order = from;
    return s;
}

enum status tmpl_entries_sorted(struct interp *in, const struct dict *dict,
                                const struct entry **ret)
{
    struct value *keys = tmpl_alloc(in, dict->n * sizeof(*keys));
    struct entry *sorted = tmpl_alloc(in, dict->n * sizeof(*sorted));
    size_t *order;
    enum status s;

    if (!keys || !sorted)
        return tmpl_no_memory(in);
    for (size_t i = 0; i < dict->n; i++)
        keys[i] = dict->entries[i].key;
    s = tmpl_sort(in, keys, dict->n, false, &order);
    if (s != ST_OK)
        return s;
    for (size_t i = 0; i < dict->n; i++)
        sorted[i] = dict->entries[order[i]];
    *ret = sorted;
    return ST_OK;
}
