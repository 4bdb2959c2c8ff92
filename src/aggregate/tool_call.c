/* SPDX-License-Identifier: Apache-2.0 */
/* aggregate/tool_call.c - one call of a function, read from text that is still growing. */
#include "aggregate/tool_call.h"

#include <stdlib.h>
#include <string.h>

enum { NAME_BYTES_MAX = 256 };

static const char *skip_space(const char *p, const char *end)
{
    while (p < end && strchr(" \t\r\n", *p) && *p)
        p++;
    return p;
}

/* Move on by one byte of JSON.  False: the brackets that were open are closed with it. */
static bool is_inside(struct tool_call *c, char byte)
{
    if (c->in_string) {
        c->in_string = byte != '"' || c->is_escaped;
        c->is_escaped = !c->is_escaped && byte == '\\';
        return true;
    }
    if (byte == '"')
        c->in_string = true;
    else if (byte == '{' || byte == '[')
        c->depth++;
    else if (byte == '}' || byte == ']')
        return --c->depth > 0;
    return true;
}

/* Where the JSON value at `p` ends; NULL: not in this text. */
static const char *after_value(const char *p, const char *end)
{
    struct tool_call c = { 0 };

    if (p < end && *p != '"' && *p != '{' && *p != '[') {
        while (p < end && !strchr(",}] \t\r\n", *p))
            p++;
        return p < end ? p : NULL;
    }
    for (; p < end; p++) {
        if (!is_inside(&c, *p))
            return p + 1;
        if (c.depth == 0 && !c.in_string)
            return p + 1; /* a string closed */
    }
    return NULL;
}

static json_t *decode(const char *p, const char *end)
{
    return json_loadb(p, (size_t)(end - p), JSON_DECODE_ANY | JSON_DISABLE_EOF_CHECK, NULL);
}

static const json_t *function_named(const json_t *functions, const char *name)
{
    for (size_t i = 0; i < json_array_size(functions); i++) {
        const json_t *f = json_object_get(json_array_get(functions, i), "function");
        const char *its = json_string_value(json_object_get(f, "name"));

        if (its && strcmp(its, name) == 0)
            return f;
    }
    return NULL;
}

/* Without a mark before it, only what names a function is a call. */
static bool may_be_called(const struct tool_format *format, const json_t *functions,
                          const struct buf *name)
{
    if (name->len == 0 || name->len > NAME_BYTES_MAX)
        return false;
    return format->open[0] || function_named(functions, buf_text(name));
}

struct member {
    const char *key, *key_end, *value;
};

/* The next member of an object, `p` behind what came before it.  HEAD_WHOLE: the object ends. */
static enum tool_head next_member(const char **p, const char *end, struct member *m)
{
    *p = skip_space(*p, end);
    if (*p < end && **p == ',')
        *p = skip_space(*p + 1, end);
    if (*p == end)
        return HEAD_MORE;
    if (**p == '}')
        return HEAD_WHOLE;
    if (**p != '"')
        return HEAD_NONE;
    m->key = *p + 1;
    *p = after_value(*p, end);
    if (!*p)
        return HEAD_MORE;
    m->key_end = *p - 1;
    *p = skip_space(*p, end);
    if (*p == end)
        return HEAD_MORE;
    if (**p != ':')
        return HEAD_NONE;
    m->value = skip_space(*p + 1, end);
    return m->value == end ? HEAD_MORE : HEAD_BEGUN;
}

static bool is_key(const struct member *m, const char *key)
{
    const size_t n = (size_t)(m->key_end - m->key);

    return strlen(key) == n && memcmp(m->key, key, n) == 0;
}

static bool take_name(const char *p, const char *end, struct buf *ret)
{
    json_t *name = decode(p, end);

    buf_clear(ret);
    if (json_is_string(name))
        buf_append(ret, json_string_value(name), json_string_length(name));
    json_decref(name);
    return ret->len > 0 && strlen(buf_text(ret)) == ret->len;
}

/* Arguments that are complete: an object, an object written into a string, or nothing. */
static bool take_arguments(const char *p, const char *end, struct buf *ret)
{
    json_t *value = p ? decode(p, end) : json_object();
    json_t *inner = json_is_string(value) ? json_loads(json_string_value(value), 0, NULL) : NULL;
    const bool is_object = json_is_object(value);

    if (is_object && p)
        buf_append(ret, p, (size_t)(end - p));
    else if (json_is_object(inner))
        buf_append(ret, json_string_value(value), json_string_length(value));
    else if (is_object || json_is_null(value))
        buf_puts(ret, "{}");
    json_decref(inner);
    json_decref(value);
    return ret->len > 0;
}

static enum tool_head json_head(struct tool_call *c, const struct tool_format *format,
                                const json_t *functions, const char *text, size_t n,
                                struct buf *name, struct buf *arguments, size_t *ret_used)
{
    const char *end = text + n, *p = skip_space(text, end), *value = NULL, *value_end = NULL;
    struct member m = { 0 };
    enum tool_head head = HEAD_MORE;

    if (p < end && *p == '[')
        p = skip_space(p + 1, end);
    if (p == end)
        return HEAD_MORE;
    if (*p++ != '{')
        return HEAD_NONE;
    while ((head = next_member(&p, end, &m)) == HEAD_BEGUN) {
        const bool is_arguments = is_key(&m, "arguments") || is_key(&m, "parameters");

        if (is_arguments && *m.value == '{' && name->len > 0) {
            *ret_used = (size_t)(m.value - text);
            c->has_object = true;
            return may_be_called(format, functions, name) ? HEAD_BEGUN : HEAD_NONE;
        }
        p = after_value(m.value, end);
        if (!p)
            return HEAD_MORE;
        if (is_key(&m, "name") && !take_name(m.value, p, name))
            return HEAD_NONE;
        if (is_arguments) {
            value = m.value;
            value_end = p;
        }
    }
    if (head != HEAD_WHOLE)
        return head;
    *ret_used = (size_t)(p + 1 - text);
    if (!may_be_called(format, functions, name) || !take_arguments(value, value_end, arguments))
        return HEAD_NONE;
    return HEAD_WHOLE;
}

static const char *find(const char *p, const char *end, const char *word)
{
    const size_t n = strlen(word);

    for (; (size_t)(end - p) >= n; p++) {
        if (memcmp(p, word, n) == 0)
            return p;
    }
    return NULL;
}

/* NAME [ARGS] {arguments}; older models write JSON in the same place. */
static enum tool_head named_head(struct tool_call *c, const struct tool_format *format,
                                 const json_t *functions, const char *text, size_t n,
                                 struct buf *name, struct buf *arguments, size_t *ret_used)
{
    const char *end = text + n, *p = skip_space(text, end), *name_end = p, *object;

    if (p == end)
        return HEAD_MORE;
    if (*p == '[' || *p == '{')
        return json_head(c, format, functions, text, n, name, arguments, ret_used);
    while (name_end < end && !strchr("[{ \t\r\n", *name_end))
        name_end++;
    if (name_end - p > NAME_BYTES_MAX)
        return HEAD_NONE;
    object = find(name_end, end, "{");
    if (!object)
        return end - name_end > NAME_BYTES_MAX ? HEAD_NONE : HEAD_MORE;
    buf_append(name, p, (size_t)(name_end - p));
    *ret_used = (size_t)(object - text);
    return may_be_called(format, functions, name) ? HEAD_BEGUN : HEAD_NONE;
}

/* Values are written bare, so what the function wants says what they are. */
static json_t *xml_value(const json_t *function, const char *key, const char *p, size_t n)
{
    const json_t *properties =
        json_object_get(json_object_get(function, "parameters"), "properties");
    const json_t *type = json_object_get(json_object_get(properties, key), "type");
    json_t *value = NULL;

    if (!json_is_string(type) || strcmp(json_string_value(type), "string") != 0)
        value = json_loadb(p, n, JSON_DECODE_ANY, NULL);
    return value ? value : json_stringn(p, n);
}

/* <parameter=KEY>\nVALUE\n</parameter>; `p` goes behind it.  False: it is malformed. */
static bool xml_parameter(const json_t *function, const char **p, const char *end, json_t *object)
{
    char key[NAME_BYTES_MAX];
    const char *open = *p + strlen("<parameter=");
    const char *key_end = find(open, end, ">"), *value_end = find(open, end, "</parameter>");
    const char *value;

    if (!key_end || !value_end || key_end > value_end ||
        (size_t)(key_end - open) >= sizeof(key))
        return false;
    memcpy(key, open, (size_t)(key_end - open));
    key[key_end - open] = '\0';
    *p = value_end + strlen("</parameter>");
    value = key_end + 1;
    if (value < value_end && *value == '\n')
        value++;
    if (value < value_end && value_end[-1] == '\n')
        value_end--;
    return json_object_set_new(
               object, key, xml_value(function, key, value, (size_t)(value_end - value))) == 0;
}

static enum tool_head xml_head(const struct tool_format *format, const json_t *functions,
                               const char *text, size_t n, bool is_last, struct buf *name,
                               struct buf *arguments, size_t *ret_used)
{
    static const char open[] = "<function=";
    const char *end = text + n, *close = find(text, end, format->close), *p, *name_end;
    const json_t *function;
    json_t *object;
    char *json = NULL;

    if (!close && !is_last)
        return HEAD_MORE;
    end = close ? close : end;
    p = find(text, end, open);
    name_end = p ? find(p, end, ">") : NULL;
    if (!name_end || !find(name_end, end, "</function>"))
        return HEAD_NONE;
    p += sizeof(open) - 1;
    buf_append(name, p, (size_t)(name_end - p));
    function = function_named(functions, buf_text(name));
    object = json_object();
    while (object && (p = find(name_end, end, "<parameter=")) != NULL) {
        if (!xml_parameter(function, &p, end, object))
            break;
        name_end = p;
    }
    if (object && !p)
        json = json_dumps(object, JSON_COMPACT);
    if (json)
        buf_puts(arguments, json);
    free(json);
    json_decref(object);
    *ret_used = (size_t)(end - text);
    return arguments->len > 0 && may_be_called(format, functions, name) ? HEAD_WHOLE : HEAD_NONE;
}

enum tool_head tool_call_head(struct tool_call *c, const struct tool_format *format,
                              const json_t *functions, const char *text, size_t n, bool is_last,
                              struct buf *ret_name, struct buf *ret_arguments, size_t *ret_used)
{
    switch (format->body) {
    case TOOL_BODY_XML:
        return xml_head(format, functions, text, n, is_last, ret_name, ret_arguments, ret_used);
    case TOOL_BODY_NAMED:
        return named_head(c, format, functions, text, n, ret_name, ret_arguments, ret_used);
    case TOOL_BODY_JSON: break;
    }
    return json_head(c, format, functions, text, n, ret_name, ret_arguments, ret_used);
}

size_t tool_call_arguments(struct tool_call *c, const char *text, size_t n, bool *ret_complete)
{
    for (size_t i = 0; i < n; i++) {
        if (is_inside(c, text[i]))
            continue;
        *ret_complete = true;
        return i + 1;
    }
    *ret_complete = false;
    return n;
}

/* The rest of the object that the arguments were a member of. */
static size_t rest_of_object(struct tool_call *c, const char *text, size_t n)
{
    size_t i = 0;

    if (c->depth == 0)
        c->depth = 1;
    while (i < n && is_inside(c, text[i]))
        i++;
    if (i == n)
        return n;
    c->has_object = false;
    return i + 1;
}

size_t tool_call_tail(struct tool_call *c, const struct tool_format *format, const char *text,
                      size_t n, bool is_last, bool *ret_complete, bool *ret_again)
{
    const char *end = text + n, *p = text;
    const size_t n_close = format->close ? strlen(format->close) : 0;
    size_t left;

    *ret_complete = *ret_again = false;
    if (c->has_object)
        p += rest_of_object(c, p, n);
    if (c->has_object)
        return n;
    p = skip_space(p, end);
    while (p < end && *p == ']')
        p = skip_space(p + 1, end);
    left = (size_t)(end - p);
    if (left == 0 || (left < n_close && memcmp(p, format->close, left) == 0)) {
        *ret_complete = is_last;
        return is_last ? n : (size_t)(p - text);
    }
    *ret_complete = true;
    if (*p == ',' || *p == ';') {
        *ret_again = true;
        return (size_t)(p + 1 - text);
    }
    if (n_close && left >= n_close && memcmp(p, format->close, n_close) == 0)
        p += n_close;
    return (size_t)(p - text);
}
