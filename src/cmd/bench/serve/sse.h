/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/bench/serve/sse.h - server-sent events as they arrive, cut anywhere.
 *
 * Each "data:" line is handed out as one event, as OpenAI's API and all that
 * imitate it write them; comments and other fields are skipped.
 *
 * Source  WHATWG HTML, section 9.2.6 "Interpreting an event stream"
 */
#ifndef POMONA_CMD_BENCH_SERVE_SSE_H
#define POMONA_CMD_BENCH_SERVE_SSE_H

#include "base/buf.h"

enum { SSE_LINE_MAX_BYTES = 1 << 20 };

struct sse {
    struct buf line; /* what has come of it */
};

typedef void sse_fn(void *arg, const char *data, size_t n_data);

/* Take n bytes; fn is called for each event that they end.
 * Errors  ST_RANGE  a line longer than SSE_LINE_MAX_BYTES; ST_NOMEM */
enum status sse_feed(struct sse *sse, const char *bytes, size_t n, sse_fn *fn, void *arg);
void sse_clear(struct sse *sse); /* for the next stream */
void sse_release(struct sse *sse);

#endif
