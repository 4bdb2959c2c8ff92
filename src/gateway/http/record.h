/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/http/record.h - what is told of a request that is over: nothing of its content. */
#ifndef POMONA_GATEWAY_HTTP_RECORD_H
#define POMONA_GATEWAY_HTTP_RECORD_H

#include <stddef.h>
#include <stdint.h>

struct http_record {
    const char *method;               /* "-": it was not read so far */
    const char *route;                /* of the table of routes, not as it was sent; "-": none */
    int http_status;                  /* 499: the client left before it was answered */
    uint64_t ns;                      /* from the request being here to its answer's end */
    uint64_t n_bytes_in, n_bytes_out; /* of the bodies */
    const char *id;
    const char *trace_id; /* 32 hexadecimal digits; NULL: none */
    const char *who;      /* the key's or token's name, never itself; "-": nobody was asked */
    uint64_t n_prompt_tokens, n_answer_tokens;
};

typedef void http_record_fn(void *arg, const struct http_record *record);

/* One line of the access log. */
void http_record_log(const struct http_record *record);

#endif
