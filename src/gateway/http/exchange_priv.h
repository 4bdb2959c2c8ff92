/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/http/exchange_priv.h - what server.c and exchange.c share. */
#ifndef POMONA_GATEWAY_HTTP_EXCHANGE_PRIV_H
#define POMONA_GATEWAY_HTTP_EXCHANGE_PRIV_H

#include <event2/http.h>

#include "gateway/http/exchange.h"
#include "gateway/http/route.h"

/* An answer is being made; the client may take its time.  Idle and sending
 * connections are bounded by these. */
enum { IDLE_S = 75, WRITE_STALL_S = 60 };

struct exchange {
    struct evhttp_request *req;
    struct buf body;
    char rest[PATH_BYTES_MAX];
    char id[X_REQUEST_ID_MAX];
    const struct error_shape *errors; /* NULL: OpenAI's */
    bool is_streaming;
    bool is_cut;  /* the connection was shut down here; on_close follows */
    void *caller; /* owned */
    void (*on_close)(void *arg);
    void *on_close_arg;
};

/* NULL: out of memory.  The request's connection is watched from now on. */
struct exchange *exchange_new(struct evhttp_request *req);

void exchange_add_header(struct exchange *x, const char *name, const char *value);
enum evhttp_cmd_type exchange_method(const struct exchange *x);

#endif
