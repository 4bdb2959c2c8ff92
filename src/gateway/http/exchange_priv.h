/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/http/exchange_priv.h - what server.c and the files of an exchange share. */
#ifndef POMONA_GATEWAY_HTTP_EXCHANGE_PRIV_H
#define POMONA_GATEWAY_HTTP_EXCHANGE_PRIV_H

#include <event2/http.h>
#include <sys/uio.h>

#include "config/api_gateway.h"
#include "gateway/http/date.h"
#include "gateway/http/exchange.h"
#include "gateway/http/record.h"
#include "gateway/http/route.h"
#include "net/http_guard.h"
#include "trace/context.h"
#include "trace/tracer.h"

enum { EXCHANGE_WHO_MAX = 64 };

/* What all exchanges of a server share. */
struct exchange_home {
    struct guard *guard;
    struct http_date *date;
    struct api_gateway *settings; /* a reference */
    struct tracer *tracer;        /* (optional), lent */
    http_record_fn *on_over;      /* (optional) */
    void *on_over_arg;
};

struct exchange {
    struct evhttp_request *req;
    const struct exchange_home *home; /* lent */
    const char *route;                /* lent; NULL: none was found */
    uint64_t begun_ns, n_bytes_out;
    uint64_t n_prompt_tokens, n_answer_tokens;
    int http_status; /* 0: not answered yet */
    char who[EXCHANGE_WHO_MAX];
    struct buf body;
    char *rest; /* of the path; NULL: none */
    char id[X_REQUEST_ID_MAX];
    struct trace_context trace;
    bool has_parent;                  /* a traceparent came with it */
    struct span *span;                /* owned; NULL: it is not sampled */
    const struct error_shape *errors; /* NULL: OpenAI's */
    bool is_streaming;
    bool is_cut;  /* the connection was shut down here; on_close follows */
    void *caller; /* owned */
    void (*on_close)(void *arg);
    void *on_close_arg;
};

/* NULL: out of memory.  The request's connection is watched from now on. */
struct exchange *exchange_new(struct evhttp_request *req, const struct exchange_home *home);

const char *method_name(enum evhttp_cmd_type type);

/* The trace of a request that came, and of one that is over.  exchange_trace.c */
void exchange_trace_begin(struct exchange *x);
void exchange_trace_end(struct exchange *x);

void exchange_add_header(struct exchange *x, const char *name, const char *value);
enum evhttp_cmd_type exchange_method(const struct exchange *x);

/* Its connection is of no use any more; on_close follows where the exchange is not over. */
void exchange_cut(struct exchange *x, struct bufferevent *b);

/* To the socket, what does not fit into the bufferevent.  False: nothing was sent.  exchange_write.c */
bool exchange_write_now(struct exchange *x, struct bufferevent *b, const struct iovec *parts,
                        int n);

/* The same with a whole answer, for which evhttp shall do nothing but end the request. */
bool exchange_reply_now(struct exchange *x, struct bufferevent *b, int http_status,
                        const char *content_type, const struct buf *body);

#endif
