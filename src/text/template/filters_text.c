/* SPDX-License-Identifier: Apache-2.0 */
/* text/template/filters_text.c - filters whose subject is taken as text.
 *
 * Source  Jinja 3.1 template designer documentation, "List of Builtin Filters"
 */
#include <string.h>

#include "text/template/builtin.h"
#include "text/template/print.h"
#include "text/template/text.h"

static enum status cased(struct interp *in, const struct value *self, enum casing casing,
                         struct value *ret)
{
    const struct str *s;
    enum status st = tmpl_to_str(in, self, &s);

    return st == ST_OK ? tmpl_text_case(in, s, casing, ret) : st;
}

static enum status filter_upper(struct interp *in, const struct value *self,
                                const struct arguments *a, struct value *ret)
{
    (void)a;
    return cased(in, self, CASING_UPPER, ret);
}

static enum status filter_lower(struct interp *in, const struct value *self,
                                const struct arguments *a, struct value *ret)
{
    (void)a;
    return cased(in, self, CASING_LOWER, ret);
}

static enum status filter_capitalize(struct interp *in, const struct value *self,
                                     const struct arguments *a, struct value *ret)
{
    (void)a;
    return cased(in, self, CASING_CAPITALIZE, ret);
}

static enum status filter_title(struct interp *in, const struct value *self,
                                const struct arguments *a, struct value *ret)
{
    (void)a;
    return cased(in, self, CASING_TITLE_WORDS, ret);
}

static enum status filter_trim(struct interp *in, const struct value *self,
                               const struct arguments *a, struct value *ret)
{
    const struct str *s, *chars = NULL;
    enum status st = tmpl_to_str(in, self, &s);

    if (st == ST_OK && a->at[0].type != VALUE_ABSENT && a->at[0].type != VALUE_NONE)
        st = tmpl_arg_str(in, &a->at[0], &chars);
    return st == ST_OK ? tmpl_text_strip(in, s, chars, SIDE_BOTH, ret) : st;
}

static enum status filter_replace(struct interp *in, const struct value *self,
                                  const struct arguments *a, struct value *ret)
{
    const struct str *s, *old, *new;
    int64_t count;
    enum status st = tmpl_to_str(in, self, &s);

    if (st == ST_OK)
        st = tmpl_to_str(in, &a->at[0], &old);
    if (st == ST_OK)
        st = tmpl_to_str(in, &a->at[1], &new);
    if (st == ST_OK)
        st = tmpl_arg_int(in, &a->at[2], -1, &count);
    return st == ST_OK ? tmpl_text_replace(in, s, old, new, count, ret) : st;
}

/* Also "safe": nothing here escapes HTML, so all text is. */
static enum status filter_string(struct interp *in, const struct value *self,
                                 const struct arguments *a, struct value *ret)
{
    const struct str *s;
    enum status st = tmpl_to_str(in, self, &s);

    (void)a;
    if (st == ST_OK)
        *ret = value_string(s);
    return st;
}

/* One level of indentation: a number of blanks, or the text itself. */
static enum status indentation(struct interp *in, const struct value *width, int64_t if_absent,
                               const struct str **ret)
{
    struct builder b;
    struct value text;
    int64_t n;
    enum status s;

    if (width->type == VALUE_STRING) {
        *ret = width->string;
        return ST_OK;
    }
    s = tmpl_arg_int(in, width, if_absent, &n);
    if (s == ST_OK && n > TMPL_RANGE_MAX)
        s = tmpl_error(in, ST_RANGE, "an indentation is wider than %d", TMPL_RANGE_MAX);
    if (s != ST_OK)
        return s;
    tmpl_build(&b, in);
    for (int64_t i = 0; i < n; i++)
        tmpl_build_char(&b, ' ', false);
    s = tmpl_build_finish(&b, &text);
    if (s == ST_OK)
        *ret = text.string;
    return s;
}

/* indent(width=4, first=false, blank=false): all lines but the first and empty ones. */
static enum status filter_indent(struct interp *in, const struct value *self,
                                 const struct arguments *a, struct value *ret)
{
    static const struct str newline = { .bytes = "\n", .n = 1 };
    const bool first = tmpl_arg_bool(&a->at[1], false), blank = tmpl_arg_bool(&a->at[2], false);
    const struct str *s, *indent;
    struct builder b;
    struct value ended, lines;
    enum status st = tmpl_to_str(in, self, &s);

    if (st == ST_OK)
        st = indentation(in, &a->at[0], 4, &indent);
    if (st == ST_OK) /* else a newline at the end would be lost */
        st = tmpl_str_concat(in, s, &newline, &ended);
    if (st == ST_OK)
        st = tmpl_text_lines(in, ended.string, &lines);
    if (st != ST_OK)
        return st;
    tmpl_build(&b, in);
    for (size_t i = 0; i < lines.list->n; i++) {
        const struct str *line = lines.list->items[i].string;

        if (i > 0)
            tmpl_build_char(&b, '\n', false);
        if (i == 0 ? first : (blank || line->n > 0))
            tmpl_build_str(&b, indent);
        tmpl_build_str(&b, line);
    }
    return tmpl_build_finish(&b, ret);
}

static enum status json_indent(struct interp *in, const struct value *v, const struct str **ret)
{
    *ret = NULL;
    if (v->type == VALUE_ABSENT || v->type == VALUE_NONE)
        return ST_OK;
    return indentation(in, v, 0, ret);
}

static enum status json_separators(struct interp *in, const struct value *v,
                                   struct json_style *style)
{
    static const struct str comma = { .bytes = ",", .n = 1 };
    static const struct str comma_space = { .bytes = ", ", .n = 2 };
    static const struct str colon_space = { .bytes = ": ", .n = 2 };
    enum status s;

    style->item_separator = style->indent ? &comma : &comma_space;
    style->key_separator = &colon_space;
    if (v->type == VALUE_ABSENT || v->type == VALUE_NONE)
        return ST_OK;
    if ((v->type != VALUE_TUPLE && v->type != VALUE_LIST) || v->list->n != 2)
        return tmpl_error(in, ST_FORMAT, "the separators of 'tojson' are not two strings");
    s = tmpl_arg_str(in, &v->list->items[0], &style->item_separator);
    return s == ST_OK ? tmpl_arg_str(in, &v->list->items[1], &style->key_separator) : s;
}

/* With the arguments and defaults that apply_chat_template() of Hugging Face's
 * transformers gives it: characters stay as they are and keys in their order. */
static enum status filter_tojson(struct interp *in, const struct value *self,
                                 const struct arguments *a, struct value *ret)
{
    struct json_style style = { .ascii = tmpl_arg_bool(&a->at[0], false),
                                .sort_keys = tmpl_arg_bool(&a->at[3], false) };
    struct builder b;
    enum status s = json_indent(in, &a->at[1], &style.indent);

    if (s == ST_OK)
        s = json_separators(in, &a->at[2], &style);
    if (s != ST_OK)
        return s;
    tmpl_build(&b, in);
    s = tmpl_json(&b, self, &style);
    return s == ST_OK ? tmpl_build_finish(&b, ret) : s;
}

const struct builtin tmpl_text_filters[] = {
    { "upper", filter_upper, 0, { NULL } },
    { "lower", filter_lower, 0, { NULL } },
    { "capitalize", filter_capitalize, 0, { NULL } },
    { "title", filter_title, 0, { NULL } },
    { "trim", filter_trim, 0, { "chars" } },
    { "replace", filter_replace, 2, { "old", "new", "count" } },
    { "string", filter_string, 0, { NULL } },
    { "safe", filter_string, 0, { NULL } },
    { "indent", filter_indent, 0, { "width", "first", "blank" } },
    { "tojson", filter_tojson, 0, { "ensure_ascii", "indent", "separators", "sort_keys" } },
    { 0 },
};
