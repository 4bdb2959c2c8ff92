/* SPDX-License-Identifier: Apache-2.0 */
/* net/http_guard.h - what stands before evhttp: bounds, TLS, and a look at each request's header.
 *
 * evhttp bounds neither how many connections there are nor how long a client takes: a timeout between
 * two bytes, all that it offers, is met by a byte every minute.  And it shows a request when its body is
 * here.  The guard sees the bytes of each connection first (net/http_head.h), so
 *
 *   what is malformed, too long or late    is refused, before evhttp sees it
 *   a header that the owner refuses        is answered without its body being waited for
 *   bytes behind a request                 wait until it is answered, up to GUARD_PIPELINED_MAX
 *
 * Who is refused is sent the answer, and what he still sends is read and dropped for GUARD_LINGER_S, for
 * a closed socket would take the answer from him (RFC 9112, section 9.6).
 *
 * Threads  the loop's
 */
#ifndef POMONA_NET_HTTP_GUARD_H
#define POMONA_NET_HTTP_GUARD_H

#include <event2/http.h>
#include <stdbool.h>

#include "base/status.h"
#include "net/certificate.h"
#include "net/http_head.h"
#include "net/loop.h"
#include "net/tls.h"

enum {
    GUARD_HEADER_S = 10,
    GUARD_BODY_S = 10,
    GUARD_BYTES_PER_S = 4096,
    GUARD_PIPELINED_MAX = 64 << 10,
    GUARD_LINGER_S = 2,
};

struct guard;

struct guard_bounds {
    struct http_bounds request;
    size_t n_connections, n_per_address; /* an address: IPv4, or a /64 of IPv6 */
    uint32_t header_s, body_s, body_bytes_per_s;
};

/* Judge a request by its header.  True: it is refused with *answer, whole and raw, empty where there is
 * nothing to say; the connection ends.  fault is HTTP_FINE where the header is complete and sound;
 * else it is refused whatever is returned, and `head` has what came until then. */
typedef bool guard_judge_fn(void *arg, const struct http_head *head, enum http_fault fault,
                            struct buf *answer);

/* Watch every connection of `http` that listens on `socket`; at n_connections of them no more are
 * accepted until some ended.
 * bounds  copied */
enum status guard_new(struct loop *loop, struct evhttp *http, struct evhttp_bound_socket *socket,
                      const struct guard_bounds *bounds, struct guard **ret_guard, struct err *err);

/* Who judges; without, nothing is said to who is refused. */
void guard_judge_with(struct guard *guard, guard_judge_fn *judge, void *arg);

/* Other bounds, from the next request of each connection on. */
void guard_set_bounds(struct guard *guard, const struct guard_bounds *bounds);

/* Connections from now on are TLS, as its server.  Where there is no memory for that, evhttp
 * makes one in clear: ask guard_is_secured() or guard_is_in_clear() of each request.
 * tls          borrowed, must outlive the connections
 * certificate  a reference is taken; NULL: in clear again */
void guard_secure(struct guard *guard, struct tls *tls);
void guard_certify(struct guard *guard, struct certificate *certificate);

/* Is what is written to its socket what the client reads? */
bool guard_is_in_clear(struct bufferevent *connection);

/* This connection proved the key of guard_secure(). */
bool guard_is_secured(struct bufferevent *connection);

/* The request of this connection is answered: what it sent behind it is read.  Who does not say so is
 * found out within half a second, or when more bytes come. */
void guard_answered(struct guard *guard, struct bufferevent *connection);

/* evhttp was just given something to write.  Under TLS libevent 2.1 tells late that all is written, when
 * there may be more again; evhttp would then take the answer for sent, and what is left would stay. */
void guard_sending(struct guard *guard, struct bufferevent *connection);

/* After evhttp_free().  NULL is allowed. */
void guard_free(struct guard *guard);

#endif
