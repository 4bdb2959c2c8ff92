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

#include "base/status.h"
#include "net/loop.h"

enum {
    GUARD_GRACE_S = 10,
    GUARD_BYTES_PER_S = 4096,
};

struct guard;

/* Watch every connection of `http` that listens on `socket`; at `n_max` of them no more are
 * accepted until some ended. */
enum status guard_new(struct loop *loop, struct evhttp *http, struct evhttp_bound_socket *socket,
                      size_t n_max, struct guard **ret_guard, struct err *err);

/* After evhttp_free().  NULL is allowed. */
void guard_free(struct guard *guard);

/* The request of this connection is complete: its clock stops. */
void guard_request_read(struct guard *guard, struct bufferevent *connection);

#endif
