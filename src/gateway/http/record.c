/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/http/record.c - the access log's line. */
#include "gateway/http/record.h"

#include <inttypes.h>

void http_record_render(const struct http_record *r, struct buf *out)
{
    buf_printf(out,
               "access %s %s %d %.1f ms, %" PRIu64 " bytes in, %" PRIu64 " out, %" PRIu64
               " prompt tokens, %" PRIu64 " answered, id %s, trace %s, by %s",
               r->method, r->route, r->http_status, (double)r->ns / 1e6, r->n_bytes_in,
               r->n_bytes_out, r->n_prompt_tokens, r->n_answer_tokens, r->id,
               r->trace_id ? r->trace_id : "-", r->who);
}
