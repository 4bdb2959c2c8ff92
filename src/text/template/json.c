/* SPDX-License-Identifier: Apache-2.0 */
/* text/template/json.c - values as JSON, laid out as Python's json.dumps() does.
 *
 * Source  RFC 8259; https://docs.python.org/3/library/json.html for layout
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "text/template/container.h"
#include "text/template/print.h"

static enum status json_value(struct builder *b, const struct value *v,
                              const struct json_style *style, unsigned level);

static void json_codepoint(struct builder *b, const struct str *s, size_t at, size_t n,
                           int32_t codepoint, bool ascii)
{
    static const char letters[] = "\"\"\\\\\nn\rr\tt\bb\ff";
    const bool trusted = str_mark(s, at);
    char text[16];

    for (size_t i = 0; letters[i]; i += 2) {
        if (codepoint != letters[i])
            continue;
        tmpl_build_char(b, '\\', trusted);
        tmpl_build_char(b, letters[i + 1], trusted);
        return;
    }
    if (codepoint >= 0x20 && (codepoint < 0x7F || !ascii)) {
        tmpl_build_part(b, s, at, n);
        return;
    }
    if (codepoint == 0x7F) {
        tmpl_build_part(b, s, at, n);
        return;
    }
    if (codepoint < 0x10000)
        snprintf(text, sizeof(text), "\\u%04" PRIx32, (uint32_t)codepoint);
    else /* RFC 8259 section 7: a surrogate pair */
        snprintf(text, sizeof(text), "\\u%04" PRIx32 "\\u%04" PRIx32,
                 0xD800 + (((uint32_t)codepoint - 0x10000) >> 10),
                 0xDC00 + (((uint32_t)codepoint - 0x10000) & 0x3FF));
    tmpl_build_bytes(b, text, strlen(text), trusted);
}

static void json_string(struct builder *b, const struct str *s, bool ascii)
{
    size_t n;

    tmpl_build_char(b, '"', false);
    for (size_t i = 0; i < s->n; i += n) {
        const int32_t codepoint = tmpl_utf8_at(s, i, &n);

        json_codepoint(b, s, i, n, codepoint, ascii);
    }
    tmpl_build_char(b, '"', false);
}

static void json_scalar(struct builder *b, const struct value *v)
{
    char text[FLOAT_TEXT_MAX] = "null";

    if (v->type == VALUE_BOOL)
        snprintf(text, sizeof(text), "%s", v->boolean ? "true" : "false");
    else if (v->type == VALUE_INT)
        snprintf(text, sizeof(text), "%" PRId64, v->integer);
    else if (v->type == VALUE_FLOAT)
        tmpl_float_text(v->real, text);
    if (strcmp(text, "nan") == 0)
        snprintf(text, sizeof(text), "NaN");
    else if (strstr(text, "inf"))
        snprintf(text, sizeof(text), "%s", text[0] == '-' ? "-Infinity" : "Infinity");
    tmpl_build_bytes(b, text, strlen(text), v->trusted);
}

static void new_line(struct builder *b, const struct json_style *style, unsigned level)
{
    if (!style->indent)
        return;
    tmpl_build_char(b, '\n', false);
    for (unsigned i = 0; i < level; i++)
        tmpl_build_str(b, style->indent);
}

static enum status json_list(struct builder *b, const struct list *list,
                             const struct json_style *style, unsigned level)
{
    tmpl_build_char(b, '[', false);
    for (size_t i = 0; i < list->n; i++) {
        enum status s;

        if (i > 0)
            tmpl_build_str(b, style->item_separator);
        new_line(b, style, level + 1);
        s = json_value(b, &list->items[i], style, level + 1);
        if (s != ST_OK)
            return s;
    }
    if (list->n > 0)
        new_line(b, style, level);
    tmpl_build_char(b, ']', false);
    return ST_OK;
}

static enum status json_key(struct builder *b, const struct value *key, bool ascii)
{
    if (key->type == VALUE_STRING) {
        json_string(b, key->string, ascii);
        return ST_OK;
    }
    if (!value_is_number(key) && key->type != VALUE_NONE)
        return tmpl_error(b->in, ST_FORMAT, "%s cannot be a key of JSON", tmpl_type_name(key));
    tmpl_build_char(b, '"', false);
    json_scalar(b, key);
    tmpl_build_char(b, '"', false);
    return ST_OK;
}

static enum status json_dict(struct builder *b, const struct dict *dict,
                             const struct json_style *style, unsigned level)
{
    const struct entry *entries = dict->entries;
    enum status s = ST_OK;

    if (dict->written && !style->indent) {
        tmpl_build_str(b, dict->written);
        return ST_OK;
    }
    if (style->sort_keys)
        s = tmpl_entries_sorted(b->in, dict, &entries);
    tmpl_build_char(b, '{', false);
    for (size_t i = 0; s == ST_OK && i < dict->n; i++) {
        if (i > 0)
            tmpl_build_str(b, style->item_separator);
        new_line(b, style, level + 1);
        s = json_key(b, &entries[i].key, style->ascii);
        tmpl_build_str(b, style->key_separator);
        if (s == ST_OK)
            s = json_value(b, &entries[i].value, style, level + 1);
    }
    if (dict->n > 0)
        new_line(b, style, level);
    tmpl_build_char(b, '}', false);
    return s;
}

static enum status json_value(struct builder *b, const struct value *v,
                              const struct json_style *style, unsigned level)
{
    enum status s = tmpl_enter(b->in);

    if (s != ST_OK)
        return s;
    if (v->type == VALUE_STRING)
        json_string(b, v->string, style->ascii);
    else if (v->type == VALUE_NONE || value_is_number(v))
        json_scalar(b, v);
    else if (v->type == VALUE_LIST || v->type == VALUE_TUPLE)
        s = json_list(b, v->list, style, level);
    else if (v->type == VALUE_DICT)
        s = json_dict(b, v->dict, style, level);
    else
        s = tmpl_error(b->in, ST_FORMAT, "%s cannot be written as JSON", tmpl_type_name(v));
    tmpl_leave(b->in);
    return s;
}

enum status tmpl_json(struct builder *b, const struct value *v, const struct json_style *style)
{
    return json_value(b, v, style, 0);
}
