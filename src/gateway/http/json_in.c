/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/http/json_in.c - a request's body as JSON, bounded. */
#include "gateway/http/json_in.h"

#include <stdbool.h>
#include <string.h>

struct scan {
    size_t depth, n_values;
    int line, column;
    bool in_string, is_escaped;
};

/* One byte of text that need not be JSON: only the bounds are watched. */
static bool is_within(struct scan *s, char c)
{
    s->column++;
    if (c == '\n') {
        s->line++;
        s->column = 0;
    }
    if (s->in_string) {
        if (!s->is_escaped && c == '"')
            s->in_string = false;
        s->is_escaped = !s->is_escaped && c == '\\';
        return true;
    }
    if (c == '"')
        s->in_string = true;
    if (c == '[' || c == '{')
        s->depth++;
    if ((c == ']' || c == '}') && s->depth > 0)
        s->depth--;
    if (c == ',' || c == ':' || c == '[' || c == '{')
        s->n_values++;
    return s->depth <= JSON_DEPTH_MAX && s->n_values <= JSON_VALUES_MAX;
}

/* The parser's words without the text that they quote: it may be anything. */
static void cut_quotation(json_error_t *why)
{
    char *near = strstr(why->text, " near '"), *flag = strstr(why->text, " without JSON_");

    if (near)
        *near = '\0';
    if (flag)
        *flag = '\0';
}

enum status json_in_object(const char *text, size_t n, json_t **ret_object, struct api_error *e)
{
    struct scan scan = { .line = 1 };
    json_error_t why;
    json_t *root;

    for (size_t i = 0; i < n; i++) {
        if (!is_within(&scan, text[i]))
            return api_error_set(e, API_INVALID_JSON, NULL,
                                 "The body has more than %d nested levels or %d values, at line "
                                 "%d, column %d.",
                                 JSON_DEPTH_MAX, JSON_VALUES_MAX, scan.line, scan.column);
    }
    root = json_loadb(text, n, 0, &why);
    if (!root) {
        cut_quotation(&why);
        return api_error_set(e, API_INVALID_JSON, NULL,
                             "The body is not valid JSON: %s, at line %d, column %d.", why.text,
                             why.line, why.column);
    }
    if (!json_is_object(root)) {
        json_decref(root);
        return api_error_set(e, API_INVALID_TYPE, NULL, "The body must be a JSON object.");
    }
    *ret_object = root;
    return ST_OK;
}
