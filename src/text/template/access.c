/* SPDX-License-Identifier: Apache-2.0 */
/* text/template/access.c - attributes, subscripts and slices.
 *
 * x.name prefers a method to a key of that name, x['name'] the key to the
 * method.  Positions in a string count characters, not bytes.
 *
 * Source  Jinja 3.1 template designer documentation, "Variables"
 */
#include <string.h>

#include "base/utf8.h"
#include "text/template/eval.h"

static enum status bind_method(struct interp *in, const struct builtin *method,
                               const struct value *self, struct value *ret)
{
    struct bound *bound = tmpl_alloc(in, sizeof(*bound));

    if (!bound)
        return tmpl_no_memory(in);
    *bound = (struct bound){ .builtin = method, .self = *self };
    *ret = (struct value){ .type = VALUE_BUILTIN, .bound = bound };
    return ST_OK;
}

/* The loop's numbers are the template's own: a request cannot choose them. */
static bool loop_number(const struct loop *loop, const char *name, struct value *ret)
{
    const struct {
        const char *name;
        size_t number;
    } numbers[] = {
        { "index", loop->i + 1 },
        { "index0", loop->i },
        { "revindex", loop->list->n - loop->i },
        { "revindex0", loop->list->n - loop->i - 1 },
        { "length", loop->list->n },
        { "depth", loop->depth },
        { "depth0", loop->depth - 1 },
    };

    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        if (strcmp(name, numbers[i].name) != 0)
            continue;
        *ret = value_int((int64_t)numbers[i].number, true);
        return true;
    }
    return false;
}

static struct value loop_attribute(const struct loop *loop, const char *name)
{
    const struct list *list = loop->list;
    struct value number;

    if (loop_number(loop, name, &number))
        return number;
    if (strcmp(name, "first") == 0)
        return value_bool(loop->i == 0, true);
    if (strcmp(name, "last") == 0)
        return value_bool(loop->i + 1 == list->n, true);
    if (strcmp(name, "previtem") == 0 && loop->i > 0)
        return list->items[loop->i - 1];
    if (strcmp(name, "nextitem") == 0 && loop->i + 1 < list->n)
        return list->items[loop->i + 1];
    return value_undefined(name);
}

static enum status from_dict(struct interp *in, const struct dict *dict, const char *name,
                             struct value *ret)
{
    const struct value *found;
    enum status s = tmpl_dict_find_name(in, dict, name, &found);

    if (s == ST_OK)
        *ret = found ? *found : value_undefined(name);
    return s;
}

static enum status fail_undefined(struct interp *in, const struct value *v)
{
    return tmpl_error(in, ST_FORMAT, "'%s' is undefined", v->hint ? v->hint : "value");
}

enum status tmpl_attribute(struct interp *in, const struct value *v, const char *name,
                           struct value *ret)
{
    const struct builtin *method = tmpl_method_find(v, name);

    if (v->type == VALUE_UNDEFINED)
        return fail_undefined(in, v);
    if (method)
        return bind_method(in, method, v, ret);
    if (v->type == VALUE_DICT || v->type == VALUE_NAMESPACE)
        return from_dict(in, v->dict, name, ret);
    if (v->type == VALUE_LOOP)
        *ret = loop_attribute(v->loop, name);
    else
        *ret = value_undefined(name);
    return ST_OK;
}

/* A Python index into `n` things; false where it is outside. */
static bool resolve_index(int64_t index, size_t n, size_t *ret)
{
    if (index < 0)
        index += (int64_t)n;
    if (index < 0 || (uint64_t)index >= n)
        return false;
    *ret = (size_t)index;
    return true;
}

static enum status at_index(struct interp *in, const struct value *v, int64_t index,
                            struct value *ret)
{
    const struct str *s;
    size_t i, from, end;
    enum status st;

    if (v->type == VALUE_LIST || v->type == VALUE_TUPLE) {
        *ret = resolve_index(index, v->list->n, &i) ? v->list->items[i] : value_undefined(NULL);
        return ST_OK;
    }
    s = v->string;
    st = tmpl_charge(in, s->n);
    if (st != ST_OK)
        return st;
    *ret = value_undefined(NULL);
    if (!resolve_index(index, utf8_count(s->bytes, s->n), &i))
        return ST_OK;
    from = tmpl_utf8_skip(s, 0, i);
    end = tmpl_utf8_skip(s, from, 1);
    return tmpl_str_part(in, s, from, end - from, ret);
}

/* x['name'] where there is no such key: an attribute of that name. */
static enum status as_attribute(struct interp *in, const struct value *v, const struct str *key,
                                struct value *ret)
{
    char *name = tmpl_alloc(in, key->n + 1);
    enum status s;

    if (!name)
        return tmpl_no_memory(in);
    memcpy(name, key->bytes, key->n);
    name[key->n] = '\0';
    s = tmpl_attribute(in, v, name, ret);
    if (s == ST_OK && ret->type == VALUE_UNDEFINED && !tmpl_str_is_trusted(key))
        ret->hint = NULL; /* a message must not show what a request contains */
    return s;
}

enum status tmpl_subscript(struct interp *in, const struct value *v, const struct value *key,
                           struct value *ret)
{
    const struct value *found;
    enum status s;

    if (v->type == VALUE_UNDEFINED)
        return fail_undefined(in, v);
    if (v->type == VALUE_DICT && key->type != VALUE_LIST && key->type != VALUE_DICT) {
        s = tmpl_dict_find(in, v->dict, key, &found);
        if (s != ST_OK)
            return s;
        if (found) {
            *ret = *found;
            return ST_OK;
        }
    }
    if (key->type == VALUE_STRING)
        return as_attribute(in, v, key->string, ret);
    if (value_is_integral(key) &&
        (v->type == VALUE_LIST || v->type == VALUE_TUPLE || v->type == VALUE_STRING))
        return at_index(in, v, value_integer(key), ret);
    *ret = value_undefined(NULL);
    return ST_OK;
}

struct range {
    int64_t start, stop, step;
    size_t n; /* how many positions */
};

static enum status bound(struct interp *in, const struct value *v, int64_t if_absent, int64_t *ret)
{
    if (v->type == VALUE_ABSENT || v->type == VALUE_NONE) {
        *ret = if_absent;
        return ST_OK;
    }
    if (!value_is_integral(v))
        return tmpl_error(in, ST_FORMAT, "a slice needs integers but has %s", tmpl_type_name(v));
    *ret = value_integer(v);
    return ST_OK;
}

static int64_t clamp(int64_t x, int64_t low, int64_t high)
{
    return x < low ? low : x > high ? high : x;
}

/* Bounds outside are moved to the ends; a negative one counts from the end. */
static enum status resolve_range(struct interp *in, const struct value bounds[3], size_t n_things,
                                 struct range *ret)
{
    const int64_t n = (int64_t)n_things;
    const int64_t step_max = INT64_C(1) << 40; /* beyond any n: keeps the sums below in range */
    struct range r;
    int64_t low, high;
    enum status s = bound(in, &bounds[2], 1, &r.step);

    if (s == ST_OK && r.step == 0)
        s = tmpl_error(in, ST_FORMAT, "a slice's step is zero");
    if (s != ST_OK)
        return s;
    r.step = clamp(r.step, -step_max, step_max);
    low = r.step < 0 ? -1 : 0;
    high = r.step < 0 ? n - 1 : n;
    s = bound(in, &bounds[0], r.step < 0 ? INT64_MAX : 0, &r.start);
    if (s == ST_OK)
        s = bound(in, &bounds[1], r.step < 0 ? INT64_MIN : INT64_MAX, &r.stop);
    if (s != ST_OK)
        return s;
    r.start = clamp(r.start < 0 ? r.start + n : r.start, low, high);
    r.stop = clamp(r.stop < 0 ? r.stop + n : r.stop, low, high);
    if (r.step > 0)
        r.n = r.start < r.stop ? (size_t)((r.stop - r.start + r.step - 1) / r.step) : 0;
    else
        r.n = r.stop < r.start ? (size_t)((r.start - r.stop - r.step - 1) / -r.step) : 0;
    *ret = r;
    return ST_OK;
}

static enum status slice_list(struct interp *in, const struct value *v,
                              const struct value bounds[3], struct value *ret)
{
    struct range r;
    struct list *list;
    enum status s = resolve_range(in, bounds, v->list->n, &r);

    if (s == ST_OK)
        s = tmpl_list_new(in, r.n, &list);
    if (s != ST_OK)
        return s;
    for (size_t i = 0; i < r.n; i++)
        list->items[i] = v->list->items[r.start + (int64_t)i * r.step];
    *ret = value_list(v->type, list);
    return ST_OK;
}

static enum status slice_string(struct interp *in, const struct str *s,
                                const struct value bounds[3], struct value *ret)
{
    struct range r;
    struct builder b;
    size_t at, end;
    enum status st = tmpl_charge(in, s->n);

    if (st == ST_OK)
        st = resolve_range(in, bounds, utf8_count(s->bytes, s->n), &r);
    if (st != ST_OK)
        return st;
    at = tmpl_utf8_skip(s, 0, r.n > 0 ? (size_t)r.start : 0);
    if (r.step == 1) {
        end = tmpl_utf8_skip(s, at, r.n);
        return tmpl_str_part(in, s, at, end - at, ret);
    }
    tmpl_build(&b, in);
    for (size_t i = 0; i < r.n; i++) {
        end = tmpl_utf8_skip(s, at, 1);
        tmpl_build_part(&b, s, at, end - at);
        if (i + 1 == r.n)
            break;
        for (int64_t k = r.step; k < 0; k++)
            at = tmpl_utf8_before(s, at);
        if (r.step > 0)
            at = tmpl_utf8_skip(s, at, (size_t)r.step);
    }
    return tmpl_build_finish(&b, ret);
}

enum status tmpl_slice(struct interp *in, const struct value *v, const struct value bounds[3],
                       struct value *ret)
{
    if (v->type == VALUE_LIST || v->type == VALUE_TUPLE)
        return slice_list(in, v, bounds, ret);
    if (v->type == VALUE_STRING)
        return slice_string(in, v->string, bounds, ret);
    if (v->type == VALUE_UNDEFINED)
        return fail_undefined(in, v);
    return tmpl_error(in, ST_FORMAT, "%s cannot be sliced", tmpl_type_name(v));
}
