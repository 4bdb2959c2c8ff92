/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/http/sse.c - server-sent events over an exchange. */
#include "gateway/http/sse.h"

#include <string.h>

void sse_start(struct exchange *x)
{
    exchange_stream_start(x, "text/event-stream; charset=utf-8");
}

void sse_send(struct exchange *x, const struct buf *events)
{
    exchange_stream_send(x, events->data, events->len);
}

void sse_event_begin(struct buf *out)
{
    buf_puts(out, "data: ");
}

void sse_event_end(struct buf *out)
{
    buf_puts(out, "\n\n");
}

void sse_keep_alive(struct exchange *x, const char *event)
{
    if (!event)
        event = ": keep-alive\n\n";
    exchange_stream_send(x, event, strlen(event));
}

void sse_fail(struct exchange *x, const struct api_error *e)
{
    struct buf event = { 0 };

    sse_event_begin(&event);
    api_error_render(e, &event);
    sse_event_end(&event);
    sse_send(x, &event);
    buf_release(&event);
    exchange_stream_end(x);
}

void sse_finish(struct exchange *x)
{
    static const char done[] = "data: [DONE]\n\n";

    exchange_stream_send(x, done, sizeof(done) - 1);
    exchange_stream_end(x);
}
