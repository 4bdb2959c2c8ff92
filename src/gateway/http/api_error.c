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

/* https://docs.anthropic.com/en/api/errors: types by status. */
static const char *anthropic_type(int http_status)
{
    switch (http_status) {
    case 401: return "authentication_error";
    case 403: return "permission_error";
    case 404: return "not_found_error";
    case 413: return "request_too_large";
    case 429: return "rate_limit_error";
    case 503: return "overloaded_error";
    case 504: return "timeout_error";
    default: return http_status < 500 ? "invalid_request_error" : "api_error";
    }
}

void api_error_render_anthropic(const struct api_error *e, struct buf *out)
{
    buf_printf(out, "{\"type\":\"error\",\"error\":{\"type\":\"%s\",\"message\":",
               anthropic_type(api_error_http(e->kind)));
    json_out_string(out, e->message, strlen(e->message));
    buf_puts(out, "}}");
}
