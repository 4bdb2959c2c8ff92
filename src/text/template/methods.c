/* SPDX-License-Identifier: Apache-2.0 */
/* text/template/methods.c - methods of strings and of the loop variable.
 *
 * Source  https://docs.python.org/3/library/stdtypes.html#string-methods
 */
#include "base/utf8.h"
#include "text/template/builtin.h"
#include "text/template/container.h"
#include "text/template/print.h"
#include "text/template/text.h"

static enum status strip(struct interp *in, const struct value *self, const struct arguments *a,
                         enum side side, struct value *ret)
{
    const struct str *chars = NULL;
    enum status s = ST_OK;

    if (a->at[0].type != VALUE_ABSENT && a->at[0].type != VALUE_NONE)
        s = tmpl_arg_str(in, &a->at[0], &chars);
    return s == ST_OK ? tmpl_text_strip(in, self->string, chars, side, ret) : s;
}

static enum status method_strip(struct interp *in, const struct value *self,
                                const struct arguments *a, struct value *ret)
{
    return strip(in, self, a, SIDE_BOTH, ret);
}

static enum status method_lstrip(struct interp *in, const struct value *self,
                                 const struct arguments *a, struct value *ret)
{
    return strip(in, self, a, SIDE_LEFT, ret);
}

static enum status method_rstrip(struct interp *in, const struct value *self,
                                 const struct arguments *a, struct value *ret)
{
    return strip(in, self, a, SIDE_RIGHT, ret);
}

static enum status method_upper(struct interp *in, const struct value *self,
                                const struct arguments *a, struct value *ret)
{
    (void)a;
    return tmpl_text_case(in, self->string, CASING_UPPER, ret);
}

static enum status method_lower(struct interp *in, const struct value *self,
                                const struct arguments *a, struct value *ret)
{
    (void)a;
    return tmpl_text_case(in, self->string, CASING_LOWER, ret);
}

static enum status method_capitalize(struct interp *in, const struct value *self,
                                     const struct arguments *a, struct value *ret)
{
    (void)a;
    return tmpl_text_case(in, self->string, CASING_CAPITALIZE, ret);
}

static enum status method_title(struct interp *in, const struct value *self,
                                const struct arguments *a, struct value *ret)
{
    (void)a;
    return tmpl_text_case(in, self->string, CASING_TITLE_LETTERS, ret);
}

static enum status method_replace(struct interp *in, const struct value *self,
                                  const struct arguments *a, struct value *ret)
{
    const struct str *old, *new;
    int64_t count;
    enum status s = tmpl_arg_str(in, &a->at[0], &old);

    if (s == ST_OK)
        s = tmpl_arg_str(in, &a->at[1], &new);
    if (s == ST_OK)
        s = tmpl_arg_int(in, &a->at[2], -1, &count);
    return s == ST_OK ? tmpl_text_replace(in, self->string, old, new, count, ret) : s;
}

/* A growing list of strings. */
struct pieces {
    struct interp *in;
    struct value *items;
    size_t n, capacity;
};

static enum status add_piece(struct pieces *p, const struct str *s, size_t from, size_t end)
{
    if (p->n == p->capacity) {
        const size_t capacity = p->capacity ? p->capacity * 2 : 8;
        struct value *items = tmpl_arena_grow(&p->in->arena, p->items, p->n * sizeof(*items),
                                              capacity * sizeof(*items));

        if (!items)
            return tmpl_no_memory(p->in);
        p->items = items;
        p->capacity = capacity;
    }
    return tmpl_str_part(p->in, s, from, end - from, &p->items[p->n++]);
}

static enum status finish_pieces(struct pieces *p, struct value *ret)
{
    struct list *list = tmpl_alloc(p->in, sizeof(*list));

    if (!list)
        return tmpl_no_memory(p->in);
    *list = (struct list){ .items = p->items, .n = p->n };
    *ret = value_list(VALUE_LIST, list);
    return ST_OK;
}

static enum status split_at(struct pieces *p, const struct str *s, const struct str *separator,
                            int64_t max)
{
    size_t from = 0, at;
    enum status st = ST_OK;

    if (separator->n == 0)
        return tmpl_error(p->in, ST_FORMAT, "a string cannot be split at an empty separator");
    for (; st == ST_OK && max != 0; max--) {
        st = tmpl_str_find(p->in, s, from, separator, &at);
        if (st != ST_OK || at == SIZE_MAX)
            break;
        st = add_piece(p, s, from, at);
        from = at + separator->n;
    }
    return st == ST_OK ? add_piece(p, s, from, s->n) : st;
}

static size_t skip(const struct str *s, size_t at, bool spaces)
{
    size_t n;

    for (; at < s->n; at += n)
        if (tmpl_is_space(tmpl_utf8_at(s, at, &n)) != spaces)
            break;
    return at;
}

/* Runs of white space separate, and none is at either end. */
static enum status split_words(struct pieces *p, const struct str *s, int64_t max)
{
    size_t at = skip(s, 0, true);
    enum status st = ST_OK;

    for (; st == ST_OK && at < s->n && max != 0; max--) {
        const size_t end = skip(s, at, false);

        st = add_piece(p, s, at, end);
        at = skip(s, end, true);
    }
    return st == ST_OK && at < s->n ? add_piece(p, s, at, s->n) : st;
}

/* split(sep=none, maxsplit=-1) */
static enum status method_split(struct interp *in, const struct value *self,
                                const struct arguments *a, struct value *ret)
{
    struct pieces p = { .in = in };
    const struct str *separator;
    int64_t max;
    enum status s = tmpl_arg_int(in, &a->at[1], -1, &max);

    if (s == ST_OK)
        s = tmpl_charge(in, self->string->n);
    if (s == ST_OK && (a->at[0].type == VALUE_ABSENT || a->at[0].type == VALUE_NONE)) {
        s = split_words(&p, self->string, max);
    } else if (s == ST_OK) {
        s = tmpl_arg_str(in, &a->at[0], &separator);
        if (s == ST_OK)
            s = split_at(&p, self->string, separator, max);
    }
    return s == ST_OK ? finish_pieces(&p, ret) : s;
}

static enum status method_splitlines(struct interp *in, const struct value *self,
                                     const struct arguments *a, struct value *ret)
{
    (void)a;
    return tmpl_text_lines(in, self->string, ret);
}

static bool ends_match(const struct str *s, const struct str *part, enum side side)
{
    struct str end = *s;

    if (part->n > s->n)
        return false;
    end.bytes += side == SIDE_RIGHT ? s->n - part->n : 0;
    end.n = part->n;
    return tmpl_str_same(&end, part);
}

/* One string, or a tuple of which any may match. */
static enum status matches(struct interp *in, const struct value *self, const struct arguments *a,
                           enum side side, struct value *ret)
{
    const struct value *what = &a->at[0];
    const struct str *part;
    bool yes = false;
    enum status s = ST_OK;

    if (what->type == VALUE_TUPLE) {
        for (size_t i = 0; s == ST_OK && i < what->list->n; i++) {
            s = tmpl_arg_str(in, &what->list->items[i], &part);
            if (s == ST_OK)
                s = tmpl_charge(in, part->n);
            yes = yes || (s == ST_OK && ends_match(self->string, part, side));
        }
    } else {
        s = tmpl_arg_str(in, what, &part);
        if (s == ST_OK)
            s = tmpl_charge(in, part->n);
        yes = s == ST_OK && ends_match(self->string, part, side);
    }
    if (s == ST_OK)
        *ret = value_bool(yes, false);
    return s;
}

static enum status method_startswith(struct interp *in, const struct value *self,
                                     const struct arguments *a, struct value *ret)
{
    return matches(in, self, a, SIDE_LEFT, ret);
}

static enum status method_endswith(struct interp *in, const struct value *self,
                                   const struct arguments *a, struct value *ret)
{
    return matches(in, self, a, SIDE_RIGHT, ret);
}

static enum status remove_end(struct interp *in, const struct value *self,
                              const struct arguments *a, enum side side, struct value *ret)
{
    const struct str *part, *s = self->string;
    enum status st = tmpl_arg_str(in, &a->at[0], &part);

    if (st == ST_OK)
        st = tmpl_charge(in, part->n);
    if (st != ST_OK)
        return st;
    if (!ends_match(s, part, side)) {
        *ret = *self;
        return ST_OK;
    }
    return tmpl_str_part(in, s, side == SIDE_LEFT ? part->n : 0, s->n - part->n, ret);
}

static enum status method_removeprefix(struct interp *in, const struct value *self,
                                       const struct arguments *a, struct value *ret)
{
    return remove_end(in, self, a, SIDE_LEFT, ret);
}

static enum status method_removesuffix(struct interp *in, const struct value *self,
                                       const struct arguments *a, struct value *ret)
{
    return remove_end(in, self, a, SIDE_RIGHT, ret);
}

/* The first place of the argument, or with `last` the last one; in characters, -1 for none. */
static enum status find(struct interp *in, const struct value *self, const struct arguments *a,
                        bool last, struct value *ret)
{
    const struct str *part, *s = self->string;
    size_t at = SIZE_MAX, next = 0;
    enum status st = tmpl_arg_str(in, &a->at[0], &part);

    if (st == ST_OK)
        st = tmpl_charge(in, s->n);
    while (st == ST_OK && next <= s->n) {
        size_t hit;

        st = tmpl_str_find(in, s, next, part, &hit);
        if (st != ST_OK || hit == SIZE_MAX)
            break;
        at = hit;
        if (!last)
            break;
        next = hit + 1;
    }
    if (st == ST_OK)
        *ret = value_int(at == SIZE_MAX ? -1 : (int64_t)utf8_count(s->bytes, at), false);
    return st;
}

static enum status method_find(struct interp *in, const struct value *self,
                               const struct arguments *a, struct value *ret)
{
    return find(in, self, a, false, ret);
}

static enum status method_rfind(struct interp *in, const struct value *self,
                                const struct arguments *a, struct value *ret)
{
    return find(in, self, a, true, ret);
}

static enum status method_count(struct interp *in, const struct value *self,
                                const struct arguments *a, struct value *ret)
{
    const struct str *part, *s = self->string;
    size_t from = 0, at;
    int64_t n = 0;
    enum status st = tmpl_arg_str(in, &a->at[0], &part);

    if (st == ST_OK)
        st = tmpl_charge(in, s->n);
    if (st == ST_OK && part->n == 0) {
        *ret = value_int((int64_t)utf8_count(s->bytes, s->n) + 1, false);
        return ST_OK;
    }
    for (; st == ST_OK; from = at + part->n, n++) {
        st = tmpl_str_find(in, s, from, part, &at);
        if (st != ST_OK || at == SIZE_MAX)
            break;
    }
    if (st == ST_OK)
        *ret = value_int(n, false);
    return st;
}

static enum status method_join(struct interp *in, const struct value *self,
                               const struct arguments *a, struct value *ret)
{
    const struct list *list;
    const struct str *item;
    struct builder b;
    enum status s = tmpl_iterate(in, &a->at[0], &list);

    tmpl_build(&b, in);
    for (size_t i = 0; s == ST_OK && i < list->n; i++) {
        s = tmpl_arg_str(in, &list->items[i], &item);
        if (s != ST_OK)
            break;
        if (i > 0)
            tmpl_build_str(&b, self->string);
        tmpl_build_str(&b, item);
        s = tmpl_step(in);
    }
    return s == ST_OK ? tmpl_build_finish(&b, ret) : s;
}

static enum status method_isdigit(struct interp *in, const struct value *self,
                                  const struct arguments *a, struct value *ret)
{
    const struct str *s = self->string;
    bool yes = s->n > 0;

    (void)a;
    for (size_t i = 0; yes && i < s->n; i++)
        yes = s->bytes[i] >= '0' && s->bytes[i] <= '9';
    *ret = value_bool(yes, false);
    return tmpl_charge(in, s->n);
}

const struct builtin tmpl_string_methods[] = {
    { "strip", method_strip, 0, { "chars" } },
    { "lstrip", method_lstrip, 0, { "chars" } },
    { "rstrip", method_rstrip, 0, { "chars" } },
    { "upper", method_upper, 0, { NULL } },
    { "lower", method_lower, 0, { NULL } },
    { "capitalize", method_capitalize, 0, { NULL } },
    { "title", method_title, 0, { NULL } },
    { "replace", method_replace, 2, { "old", "new", "count" } },
    { "split", method_split, 0, { "sep", "maxsplit" } },
    { "splitlines", method_splitlines, 0, { NULL } },
    { "startswith", method_startswith, 1, { "prefix" } },
    { "endswith", method_endswith, 1, { "suffix" } },
    { "removeprefix", method_removeprefix, 1, { "prefix" } },
    { "removesuffix", method_removesuffix, 1, { "suffix" } },
    { "find", method_find, 1, { "sub" } },
    { "rfind", method_rfind, 1, { "sub" } },
    { "count", method_count, 1, { "sub" } },
    { "join", method_join, 1, { "iterable" } },
    { "isdigit", method_isdigit, 0, { NULL } },
    { 0 },
};

/* loop.cycle(a, b, ...): one argument a turn, in order. */
static enum status method_cycle(struct interp *in, const struct value *self,
                                const struct arguments *a, struct value *ret)
{
    if (a->n == 0)
        return tmpl_error(in, ST_FORMAT, "loop.cycle() needs at least one value");
    *ret = a->at[self->loop->i % a->n];
    return ST_OK;
}

const struct builtin tmpl_loop_methods[] = {
    { "cycle", method_cycle, 0, { "*" } },
    { 0 },
};
