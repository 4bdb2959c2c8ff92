/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/bench/serve/sse.c - cut a stream of bytes into the data of its events. */
#include "cmd/bench/serve/sse.h"

#include <string.h>

static const char field[] = "data:";

static void line_take(const struct sse *sse, sse_fn *fn, void *arg)
{
    const char *data = buf_text(&sse->line);
    size_t n = sse->line.len;

    if (n > 0 && data[n - 1] == '\r')
        n--;
    if (n < sizeof(field) - 1 || memcmp(data, field, sizeof(field) - 1) != 0)
        return;
    data += sizeof(field) - 1;
    n -= sizeof(field) - 1;
    if (n > 0 && *data == ' ') {
        data++;
        n--;
    }
    fn(arg, data, n);
}

enum status sse_feed(struct sse *sse, const char *bytes, size_t n, sse_fn *fn, void *arg)
{
    while (n > 0) {
        const char *end = memchr(bytes, '\n', n);
        const size_t part = end ? (size_t)(end - bytes) : n;

        if (sse->line.len + part > SSE_LINE_MAX_BYTES)
            return ST_RANGE;
        buf_append(&sse->line, bytes, part);
        if (!end)
            break;
        line_take(sse, fn, arg);
        buf_clear(&sse->line);
        bytes = end + 1;
        n -= part + 1;
    }
    return buf_status(&sse->line);
}

void sse_clear(struct sse *sse)
{
    buf_clear(&sse->line);
}

void sse_release(struct sse *sse)
{
    buf_release(&sse->line);
}
