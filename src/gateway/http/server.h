/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/http/server.h - the HTTP/1.1 server: listens, bounds, routes.
 *
 * Bounds: headers HTTP_HEADERS_MAX, body HTTP_BODY_MAX, connections and the
 * time to send a request in net/http_guard.h.  A request with two lengths (two
 * Content-Length, or one beside Transfer-Encoding) is refused: what one
 * server takes for a body, another takes for the next request (RFC 9112,
 * section 6.3).
 *
 * Threads  the loop's
 */
#ifndef POMONA_GATEWAY_HTTP_SERVER_H
#define POMONA_GATEWAY_HTTP_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "gateway/http/route.h"
#include "net/loop.h"

enum {
    HTTP_HEADERS_MAX = 16 << 10,
    HTTP_BODY_MAX = 32 << 20,
};

struct http_server;

struct http_server_options {
    const char *host;                /* numeric */
    uint16_t port;                   /* 0 picks one */
    const struct http_route *routes; /* [n_routes], lent until http_server_free() */
    size_t n_routes;
    void *arg; /* of every handler */

    /* (optional) May this request, which the route was found for, be handled?  False: it is
     * answered, or http_server_resume() comes. */
    bool (*admit)(void *arg, struct exchange *x, const char *route_path);
};

/* Errors  ST_IO  the address cannot be bound; ST_NOMEM */
enum status http_server_new(struct loop *loop, const struct http_server_options *options,
                            struct http_server **ret_server, struct err *err);
uint16_t http_server_port(const struct http_server *server);

/* Route an exchange again that `admit` held back. */
void http_server_resume(struct http_server *server, struct exchange *x);

/* Every exchange that is open ends by its on_close.  NULL is allowed. */
void http_server_free(struct http_server *server);

#endif
