/* SPDX-License-Identifier: Apache-2.0 */
/* text/template/print.c - str() and repr() of values.
 *
 * Source  The Python Language Reference, "String conversions"; PEP 3138 for
 *         which characters repr() escapes
 */
#include "text/template/print.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

enum { FLOAT_DIGITS_MAX = 17 };

void tmpl_float_text(double d, char ret_text[FLOAT_TEXT_MAX])
{
    char text[FLOAT_TEXT_MAX];
    int n_digits = 0, exponent, decimals;

    if (!isfinite(d)) {
        snprintf(ret_text, FLOAT_TEXT_MAX, "%s", isnan(d) ? "nan" : d < 0 ? "-inf" : "inf");
        return;
    }
    for (int precision = 0; precision < FLOAT_DIGITS_MAX; precision++) {
        snprintf(text, sizeof(text), "%.*e", precision, d);
        if (strtod(text, NULL) == d)
            break;
    }
    exponent = (int)strtol(strchr(text, 'e') + 1, NULL, 10);
    if (exponent < -4 || exponent >= 16) {
        snprintf(ret_text, FLOAT_TEXT_MAX, "%s", text);
        return;
    }
    for (const char *c = text; *c != 'e'; c++)
        n_digits += *c >= '0' && *c <= '9';
    decimals = n_digits - 1 - exponent;
    snprintf(ret_text, FLOAT_TEXT_MAX, "%.*f", decimals > 1 ? decimals : 1, d);
}

static void build_text(struct builder *b, const char *text, bool trusted)
{
    tmpl_build_bytes(b, text, strlen(text), trusted);
}

/* Python's str.isprintable() for one character. */
static bool is_printable(int32_t codepoint)
{
    static const utf8proc_category_t hidden[] = {
        UTF8PROC_CATEGORY_CN, UTF8PROC_CATEGORY_CC, UTF8PROC_CATEGORY_CF, UTF8PROC_CATEGORY_CS,
        UTF8PROC_CATEGORY_CO, UTF8PROC_CATEGORY_ZL, UTF8PROC_CATEGORY_ZP, UTF8PROC_CATEGORY_ZS,
    };
    const utf8proc_category_t category = utf8proc_category(codepoint);

    for (size_t i = 0; i < sizeof(hidden) / sizeof(hidden[0]); i++)
        if (category == hidden[i])
            return codepoint == ' ';
    return true;
}

static void repr_codepoint(struct builder *b, const struct str *s, size_t at, size_t n,
                           int32_t codepoint, char quote)
{
    const bool trusted = str_mark(s, at);
    char text[16];

    if (codepoint == quote || codepoint == '\\')
        snprintf(text, sizeof(text), "\\%c", (char)codepoint);
    else if (codepoint == '\n')
        snprintf(text, sizeof(text), "\\n");
    else if (codepoint == '\r')
        snprintf(text, sizeof(text), "\\r");
    else if (codepoint == '\t')
        snprintf(text, sizeof(text), "\\t");
    else if (is_printable(codepoint)) {
        tmpl_build_part(b, s, at, n);
        return;
    } else if (codepoint < 0x100)
        snprintf(text, sizeof(text), "\\x%02" PRIx32, (uint32_t)codepoint);
    else if (codepoint < 0x10000)
        snprintf(text, sizeof(text), "\\u%04" PRIx32, (uint32_t)codepoint);
    else
        snprintf(text, sizeof(text), "\\U%08" PRIx32, (uint32_t)codepoint);
    build_text(b, text, trusted);
}

static void repr_string(struct builder *b, const struct str *s)
{
    const bool single = s->n > 0 && memchr(s->bytes, '\'', s->n);
    const bool dquote = s->n > 0 && memchr(s->bytes, '"', s->n);
    const char quote = single && !dquote ? '"' : '\'';
    size_t n;

    tmpl_build_char(b, quote, false);
    for (size_t i = 0; i < s->n; i += n) {
        const int32_t codepoint = tmpl_utf8_at(s, i, &n);

        repr_codepoint(b, s, i, n, codepoint, quote);
    }
    tmpl_build_char(b, quote, false);
}

static enum status repr_list(struct builder *b, const struct value *v)
{
    const bool tuple = v->type == VALUE_TUPLE;

    tmpl_build_char(b, tuple ? '(' : '[', false);
    for (size_t i = 0; i < v->list->n; i++) {
        enum status s;

        if (i > 0)
            build_text(b, ", ", false);
        s = tmpl_repr(b, &v->list->items[i]);
        if (s != ST_OK)
            return s;
    }
    if (tuple && v->list->n == 1)
        tmpl_build_char(b, ',', false);
    tmpl_build_char(b, tuple ? ')' : ']', false);
    return ST_OK;
}

static enum status repr_dict(struct builder *b, const struct value *v)
{
    tmpl_build_char(b, '{', false);
    for (size_t i = 0; i < v->dict->n; i++) {
        enum status s;

        if (i > 0)
            build_text(b, ", ", false);
        s = tmpl_repr(b, &v->dict->entries[i].key);
        build_text(b, ": ", false);
        if (s == ST_OK)
            s = tmpl_repr(b, &v->dict->entries[i].value);
        if (s != ST_OK)
            return s;
    }
    tmpl_build_char(b, '}', false);
    return ST_OK;
}

static void repr_float(struct builder *b, const struct value *v)
{
    char text[FLOAT_TEXT_MAX];

    tmpl_float_text(v->real, text);
    build_text(b, text, v->trusted);
}

static void repr_int(struct builder *b, const struct value *v)
{
    char text[24];

    snprintf(text, sizeof(text), "%" PRId64, v->integer);
    build_text(b, text, v->trusted);
}

static enum status repr(struct builder *b, const struct value *v)
{
    switch (v->type) {
    case VALUE_ABSENT: break;
    case VALUE_UNDEFINED: build_text(b, "Undefined", false); break;
    case VALUE_NONE: build_text(b, "None", v->trusted); break;
    case VALUE_BOOL: build_text(b, v->boolean ? "True" : "False", v->trusted); break;
    case VALUE_INT: repr_int(b, v); break;
    case VALUE_FLOAT: repr_float(b, v); break;
    case VALUE_STRING: repr_string(b, v->string); break;
    case VALUE_LIST:
    case VALUE_TUPLE: return repr_list(b, v);
    case VALUE_DICT: return repr_dict(b, v);
    case VALUE_NAMESPACE:
    case VALUE_LOOP:
    case VALUE_MACRO:
    case VALUE_BUILTIN:
        return tmpl_error(b->in, ST_UNSUPPORTED, "printing %s is not supported", tmpl_type_name(v));
    }
    return ST_OK;
}

enum status tmpl_repr(struct builder *b, const struct value *v)
{
    enum status s = tmpl_enter(b->in);

    if (s != ST_OK)
        return s;
    s = repr(b, v);
    tmpl_leave(b->in);
    return s;
}

enum status tmpl_to_str(struct interp *in, const struct value *v, const struct str **ret)
{
    static const struct str empty = { .bytes = "", .trusted = true };
    struct builder b;
    struct value text;
    enum status s;

    if (v->type == VALUE_STRING || v->type == VALUE_UNDEFINED || v->type == VALUE_ABSENT) {
        *ret = v->type == VALUE_STRING ? v->string : &empty;
        return ST_OK;
    }
    tmpl_build(&b, in);
    s = tmpl_repr(&b, v);
    if (s == ST_OK)
        s = tmpl_build_finish(&b, &text);
    if (s == ST_OK)
        *ret = text.string;
    return s;
}
