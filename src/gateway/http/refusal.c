/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/http/refusal.c - the answer to a request that evhttp does not get to see. */
#include "gateway/http/refusal.h"

#include <string.h>

#include "gateway/http/cors.h"
#include "gateway/http/reason.h"

int refusal_render(const struct refusal *r, struct buf *out)
{
    const int by_kind =
        r->errors ? r->errors->http(r->error->kind) : api_error_http(r->error->kind);
    const int status = r->http_status ? r->http_status : by_kind;
    const char *reason = http_reason(status);
    struct buf body = { 0 };

    if (r->errors)
        r->errors->render(r->error, r->id, &body);
    else
        api_error_render(r->error, &body);
    buf_printf(out,
               "HTTP/1.1 %d %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n"
               "Connection: close\r\nx-request-id: %s\r\n",
               status, reason ? reason : "", body.len, r->id);
    if (r->errors && r->errors->id_header)
        buf_printf(out, "%s: %s\r\n", r->errors->id_header, r->id);
    if (r->allow)
        buf_printf(out, "Allow: %s\r\n", r->allow);
    if (r->varies)
        buf_puts(out, "Vary: Origin\r\n");
    if (r->origin)
        buf_printf(out,
                   "Access-Control-Allow-Origin: %s\r\n"
                   "Access-Control-Expose-Headers: " CORS_EXPOSED "\r\n",
                   r->origin);
    if (status == 401)
        buf_puts(out, "WWW-Authenticate: Bearer error=\"invalid_token\"\r\n");
    if (status == 429 || status == 503)
        buf_puts(out, "retry-after: 1\r\n");
    buf_puts(out, "\r\n");
    if (!r->is_head)
        buf_append(out, body.data, body.len);
    buf_release(&body);
    return status;
}
