/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/http/anthropic_error.c - errors in the shape that Anthropic's clients read.
 *
 * Source: Anthropic API reference, "Errors"
 */
#include "gateway/http/anthropic_error.h"

#include <inttypes.h>
#include <stddef.h>

#include "base/size.h"
#include "gateway/http/json_out.h"

static int http(enum api_error_kind kind)
{
    if (kind == API_OVERLOADED || kind == API_SHUTTING_DOWN)
        return 529;
    return api_error_http(kind);
}

static const char *type(int status)
{
    static const struct {
        int status;
        const char *type;
    } types[] = {
        { 401, "authentication_error" }, { 402, "billing_error" },  { 403, "permission_error" },
        { 404, "not_found_error" },      { 409, "conflict_error" }, { 413, "request_too_large" },
        { 429, "rate_limit_error" },     { 504, "timeout_error" },  { 529, "overloaded_error" },
    };

    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        if (types[i].status == status)
            return types[i].type;
    }
    return status < 500 ? "invalid_request_error" : "api_error";
}

static void render(const struct api_error *e, const char *request_id, struct buf *out)
{
    buf_printf(out,
               "{\"type\":\"error\",\"error\":{\"type\":\"%s\",\"message\":", type(http(e->kind)));
    if (e->kind == API_CONTEXT_LENGTH) { /* the words by which agents know that they must shorten */
        buf_printf(out, "\"prompt is too long: %" PRIu64 " tokens > %" PRIu64 " maximum\"",
                   e->n_prompt_tokens, e->n_context_tokens);
    } else {
        json_out_text(out, e->message);
    }
    buf_putc(out, '}');
    if (request_id) {
        buf_puts(out, ",\"request_id\":");
        json_out_text(out, request_id);
    }
    buf_putc(out, '}');
}

const struct error_shape anthropic_errors = {
    .http = http,
    .render = render,
    .id_header = "request-id",
};
