/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/http/record.c - the access log's line. */
#include "gateway/http/record.h"

#include "base/log.h"

void http_record_log(const struct http_record *r)
{
    log_of(LOG_IN_ACCESS, LOG_INFO, "request answered", log_text("request_id", r->id),
           log_text("trace_id", r->trace_id), log_text("method", r->method),
           log_text("route", r->route), log_number("status", r->http_status),
           log_real("ms", (double)r->ns / 1e6), log_count("bytes_in", r->n_bytes_in),
           log_count("bytes_out", r->n_bytes_out), log_count("prompt_tokens", r->n_prompt_tokens),
           log_count("completion_tokens", r->n_answer_tokens), log_text("by", r->who));
}
