/* SPDX-License-Identifier: Apache-2.0 */
/* net/http_guard.h - bounds on connections that evhttp does not have.
 *
 * How many there are, and how long a client may take to send one request:
 * GUARD_GRACE_S, and beyond that GUARD_BYTES_PER_S.  A timeout between two
 * bytes, all that evhttp offers, is met by a byte every minute.
 *
 * Threads  the loop's
 */
#ifndef POMONA_NET_HTTP_GUARD_H
#define POMONA_NET_HTTP_GUARD_H

#include <event2/http.h>
#include <stdbool.h>

#include "base/status.h"
#include "net/loop.h"
#include "net/tls.h"

enum {
    GUARD_GRACE_S = 10,
    GUARD_BYTES_PER_S = 4096,
};

struct guard;

/* Is what is written to its socket what the client reads? */
bool guard_is_in_clear(struct bufferevent *connection);

/* Watch every connection of `http` that listens on `socket`; at `n_max` of them no more are
 * accepted until some ended. */
enum status guard_new(struct loop *loop, struct evhttp *http, struct evhttp_bound_socket *socket,
                      size_t n_max, struct guard **ret_guard, struct err *err);

/* Connections from now on are TLS, as its server.  Where there is no memory for that, evhttp
 * makes one in clear: ask guard_is_secured() of each request.
 * tls  borrowed, must outlive the connections */
void guard_secure(struct guard *guard, struct tls *tls);

/* This connection proved the key. */
bool guard_is_secured(struct bufferevent *connection);

/* After evhttp_free().  NULL is allowed. */
void guard_free(struct guard *guard);

/* The request of this connection is complete: its clock stops. */
void guard_request_read(struct guard *guard, struct bufferevent *connection);

#endif
