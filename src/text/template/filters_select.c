/* SPDX-License-Identifier: Apache-2.0 */
/* text/template/filters_select.c - filters that apply a filter, a test or a path to each item.
 *
 * Source  Jinja 3.1 template designer documentation, "List of Builtin Filters"
 */
#include <string.h>

#include "text/template/eval.h"

enum status tmpl_item_attribute(struct interp *in, const struct value *item,
                                const struct value *path, struct value *ret)
{
    const struct str *s;
    struct value v = *item;
    size_t from = 0;
    enum status st;

    *ret = v;
    if (path->type == VALUE_ABSENT || path->type == VALUE_NONE)
        return ST_OK;
    if (path->type == VALUE_INT)
        return tmpl_subscript(in, item, path, ret);
    st = tmpl_arg_str(in, path, &s);
    while (st == ST_OK && from <= s->n) {
        const char *dot = from < s->n ? memchr(s->bytes + from, '.', s->n - from) : NULL;
        const size_t end = dot ? (size_t)(dot - s->bytes) : s->n;
        struct value key;

        st = tmpl_str_part(in, s, from, end - from, &key);
        if (st == ST_OK && end == from + 1 && s->bytes[from] >= '0' && s->bytes[from] <= '9')
            key = value_int(s->bytes[from] - '0', true);
        if (st == ST_OK)
            st = tmpl_subscript(in, &v, &key, &v);
        from = end + 1;
    }
    if (st == ST_OK)
        *ret = v;
    return st;
}

/* The filter or test that the first argument names, and the arguments behind it. */
static enum status named_builtin(struct interp *in, const struct arguments *a, const char *kind,
                                 const struct builtin *(*find)(const char *, size_t),
                                 const struct builtin **ret, struct arguments *ret_rest)
{
    const struct str *name;
    enum status s = tmpl_arg_str(in, &a->at[0], &name);

    if (s != ST_OK)
        return s;
    *ret = find(name->bytes, name->n);
    if (!*ret)
        return tmpl_error(in, ST_UNSUPPORTED, "no %s '%.*s'", kind,
                          (int)(name->n < 64 ? name->n : 64), name->bytes);
    *ret_rest = *a;
    ret_rest->at++;
    ret_rest->n--;
    return ST_OK;
}

/* map(attribute=path, default=value) */
static enum status map_attribute(struct interp *in, const struct list *list,
                                 const struct arguments *a, struct list *mapped)
{
    struct value path = { 0 }, if_undefined = { 0 };
    enum status s = ST_OK;

    for (size_t i = 0; i < a->n_named; i++) {
        if (strcmp(a->named[i].name, "attribute") == 0)
            path = a->named[i].value;
        else if (strcmp(a->named[i].name, "default") == 0)
            if_undefined = a->named[i].value;
        else
            return tmpl_error(in, ST_UNSUPPORTED, "'map' has no argument '%s'", a->named[i].name);
    }
    if (path.type == VALUE_ABSENT)
        return tmpl_error(in, ST_FORMAT, "'map' needs a filter or an attribute");
    for (size_t i = 0; s == ST_OK && i < list->n; i++) {
        s = tmpl_item_attribute(in, &list->items[i], &path, &mapped->items[i]);
        if (s == ST_OK && mapped->items[i].type == VALUE_UNDEFINED &&
            if_undefined.type != VALUE_ABSENT)
            mapped->items[i] = if_undefined;
    }
    return s;
}

static enum status map_filter(struct interp *in, const struct list *list, const struct arguments *a,
                              struct list *mapped)
{
    const struct builtin *filter;
    struct arguments rest;
    enum status s = named_builtin(in, a, "filter", tmpl_filter_find, &filter, &rest);

    for (size_t i = 0; s == ST_OK && i < list->n; i++)
        s = tmpl_builtin_run(in, filter, &list->items[i], &rest, &mapped->items[i]);
    return s;
}

static enum status filter_map(struct interp *in, const struct value *self,
                              const struct arguments *a, struct value *ret)
{
    const struct list *list;
    struct list *mapped;
    enum status s = tmpl_enter(in); /* map('map', 'map', ...) recurses */

    if (s != ST_OK)
        return s;
    s = tmpl_iterate(in, self, &list);
    if (s == ST_OK)
        s = tmpl_list_new(in, list->n, &mapped);
    if (s == ST_OK)
        s = a->n > 0 ? map_filter(in, list, a, mapped) : map_attribute(in, list, a, mapped);
    tmpl_leave(in);
    if (s == ST_OK)
        *ret = value_list(VALUE_LIST, mapped);
    return s;
}

/* Keep the items whose `path` passes the test that `a` names, or is true where
 * it names none; with `wanted` false the others. */
static enum status keep(struct interp *in, const struct value *self, const struct value *path,
                        const struct arguments *a, bool wanted, struct value *ret)
{
    const struct builtin *test = NULL;
    const struct list *list;
    struct arguments rest;
    struct list *kept;
    size_t n = 0;
    enum status s = tmpl_iterate(in, self, &list);

    if (s == ST_OK && a->n > 0)
        s = named_builtin(in, a, "test", tmpl_test_find, &test, &rest);
    if (s == ST_OK)
        s = tmpl_list_new(in, list->n, &kept);
    for (size_t i = 0; s == ST_OK && i < list->n; i++) {
        struct value v;

        s = tmpl_item_attribute(in, &list->items[i], path, &v);
        if (s == ST_OK && test)
            s = tmpl_builtin_run(in, test, &v, &rest, &v);
        if (s == ST_OK && tmpl_truthy(&v) == wanted)
            kept->items[n++] = list->items[i];
    }
    if (s != ST_OK)
        return s;
    kept->n = n;
    *ret = value_list(VALUE_LIST, kept);
    return ST_OK;
}

static enum status keep_by_attribute(struct interp *in, const struct value *self,
                                     const struct arguments *a, bool wanted, struct value *ret)
{
    struct arguments test = *a;

    if (a->n == 0)
        return tmpl_error(in, ST_FORMAT, "'selectattr' and 'rejectattr' need an attribute");
    test.at++;
    test.n--;
    return keep(in, self, &a->at[0], &test, wanted, ret);
}

static enum status filter_select(struct interp *in, const struct value *self,
                                 const struct arguments *a, struct value *ret)
{
    return keep(in, self, &(struct value){ 0 }, a, true, ret);
}

static enum status filter_reject(struct interp *in, const struct value *self,
                                 const struct arguments *a, struct value *ret)
{
    return keep(in, self, &(struct value){ 0 }, a, false, ret);
}

static enum status filter_selectattr(struct interp *in, const struct value *self,
                                     const struct arguments *a, struct value *ret)
{
    return keep_by_attribute(in, self, a, true, ret);
}

static enum status filter_rejectattr(struct interp *in, const struct value *self,
                                     const struct arguments *a, struct value *ret)
{
    return keep_by_attribute(in, self, a, false, ret);
}

const struct builtin tmpl_select_filters[] = {
    { "map", filter_map, 0, { "*" } },
    { "select", filter_select, 0, { "*" } },
    { "reject", filter_reject, 0, { "*" } },
    { "selectattr", filter_selectattr, 0, { "*" } },
    { "rejectattr", filter_rejectattr, 0, { "*" } },
    { 0 },
};
