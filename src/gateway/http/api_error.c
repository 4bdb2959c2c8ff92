/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/http/api_error.c - what a client is told when its request fails. */
#include "gateway/http/api_error.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "gateway/http/json_out.h"

static const struct row {
    int http;
    const char *type;
    const char *code;
} rows[] = {
#define X(name, http, type, code) [name] = { http, type, code },
    API_ERROR_MAP(X)
#undef X
};

enum status api_error_set(struct api_error *e, enum api_error_kind kind, const char *param,
                          const char *fmt, ...)
{
    va_list args;

    *e = (struct api_error){ .kind = kind };
    if (param)
        (void)snprintf(e->param, sizeof(e->param), "%s", param);
    va_start(args, fmt);
    (void)vsnprintf(e->message, sizeof(e->message), fmt, args);
    va_end(args);
    return ST_FORMAT;
}

int api_error_http(enum api_error_kind kind)
{
    return rows[kind].http;
}

const char *api_error_code(enum api_error_kind kind)
{
    return rows[kind].code;
}

static void text_or_null(const char *text, struct buf *out)
{
    if (text && text[0])
        json_out_string(out, text, strlen(text));
    else
        buf_puts(out, "null");
}

void api_error_render(const struct api_error *e, struct buf *out)
{
    buf_puts(out, "{\"error\":{\"message\":");
    json_out_string(out, e->message, strlen(e->message));
    buf_printf(out, ",\"type\":\"%s\",\"param\":", rows[e->kind].type);
    text_or_null(e->param, out);
    buf_puts(out, ",\"code\":");
    text_or_null(rows[e->kind].code, out);
    if (e->kind == API_CONTEXT_LENGTH)
        buf_printf(out, ",\"n_prompt_tokens\":%" PRIu64 ",\"n_ctx\":%" PRIu64, e->n_prompt_tokens,
                   e->n_context_tokens);
    buf_puts(out, "}}");
}
