/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/http/server.h - the HTTP/1.1 server: listens, bounds, routes.
 *
 *   connection --guard--> header --judged--> body --origin, media--> route --admit--> handler
 *                  \-- 4xx, 5xx     \-- 401, 404...   \-- 403, 415     \-- 404, 405
 *
 * The guard (net/http_guard.h) refuses what is malformed, too long or late, and TLS is its business, too.
 * A request whose body is long is judged by its header, before the body is read.  Bounds, TLS, origins
 * and the access log are those of the settings in force.
 *
 * Threads  the loop's
 */
#ifndef POMONA_GATEWAY_HTTP_SERVER_H
#define POMONA_GATEWAY_HTTP_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "config/api_gateway.h"
#include "gateway/http/api_error.h"
#include "gateway/http/record.h"
#include "gateway/http/route.h"
#include "net/certificate.h"
#include "net/http_head.h"
#include "net/loop.h"
#include "trace/tracer.h"

enum { HTTP_JUDGED_BODY_MIN = 64 << 10 }; /* bytes of a body that is not read in vain */

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

    /* (optional) Has the client of a long body to be refused, by its header?  True: with `e` in the shape
     * *ret_errors.  What passes is admitted later all the same. */
    bool (*refuses)(void *arg, const struct http_head *head, const char *route_path,
                    struct api_error *e, const struct error_shape **ret_errors);

    http_record_fn *on_over; /* (optional) of every request, where the settings ask for that */
};

/* What holds is what holds without a file, until http_server_use().
 * Errors  ST_IO  the address cannot be bound; ST_NOMEM */
enum status http_server_new(struct loop *loop, const struct http_server_options *options,
                            struct http_server **ret_server, struct err *err);
uint16_t http_server_port(const struct http_server *server);

/* From now on these hold; open connections go on as they are.  Takes references.
 * certificate  NULL: HTTP in clear */
void http_server_use(struct http_server *server, struct api_gateway *settings,
                     struct certificate *certificate);

/* Requests that come from now on are traced by it; lent until http_server_free(). */
void http_server_trace_with(struct http_server *server, struct tracer *tracer);

/* Route an exchange again that `admit` held back. */
void http_server_resume(struct http_server *server, struct exchange *x);

/* Every exchange that is open ends by its on_close.  NULL is allowed. */
void http_server_free(struct http_server *server);

#endif
