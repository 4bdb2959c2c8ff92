/* SPDX-License-Identifier: Apache-2.0 */
/* net/http_guard.c - bounds on connections that evhttp does not have.
 *
 * evhttp asks here for the bufferevent of each connection.  A reference is
 * kept; evhttp's end of it shows as callbacks that are NULL again.  That is
 * looked at twice a second, so a count may be half a second old.  The socket
 * is closed with the last reference: its number must not come back while
 * libevent still has it registered for the old connection.
 *
 * No read callback means that a request is being answered (exchange.c): the
 * clock stands still then.
 */
#include "net/http_guard.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/listener.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/clock.h"

enum { SWEEP_MS = 500 };

struct watched {
    struct bufferevent *connection;
    struct evbuffer_cb_entry *on_input;
    uint64_t since_ns; /* first byte of the request being read; 0 between requests */
    uint64_t n_bytes;  /* of it, so far */
    struct watched *next;
};

struct guard {
    struct evhttp_bound_socket *socket;
    struct tls *tls; /* NULL: in clear */
    struct watched *all;
    size_t n, n_max;
    bool is_paused;
    struct loop_timer *timer;
};

static void on_input(struct evbuffer *input, const struct evbuffer_cb_info *info, void *arg)
{
    struct watched *w = arg;

    (void)input;
    if (info->n_added == 0)
        return;
    if (w->since_ns == 0)
        w->since_ns = clock_ns();
    w->n_bytes += info->n_added;
}

static struct bufferevent *connection_new(struct event_base *base, struct tls *tls)
{
    struct bufferevent *b;
    SSL *session;

    if (!tls)
        return bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
    session = tls_session(tls, TLS_SERVER);
    if (!session)
        return NULL;
    b = bufferevent_openssl_socket_new(base, -1, session, BUFFEREVENT_SSL_ACCEPTING,
                                       BEV_OPT_CLOSE_ON_FREE);
    if (b)
        bufferevent_openssl_set_allow_dirty_shutdown(b, 1);
    else
        SSL_free(session);
    return b;
}

static struct bufferevent *on_connection(struct event_base *base, void *arg)
{
    struct guard *guard = arg;
    struct bufferevent *b = connection_new(base, guard->tls);
    struct watched *w = calloc(1, sizeof(*w));

    if (!b || !w)
        goto fail;
    w->on_input = evbuffer_add_cb(bufferevent_get_input(b), on_input, w);
    if (!w->on_input)
        goto fail;
    bufferevent_incref(b);
    w->connection = b;
    w->since_ns = clock_ns(); /* connecting and saying nothing is slow, too */
    w->next = guard->all;
    guard->all = w;
    if (++guard->n >= guard->n_max && !guard->is_paused) {
        guard->is_paused = true;
        (void)evconnlistener_disable(evhttp_bound_socket_get_listener(guard->socket));
    }
    return b;

fail:
    free(w);
    return b; /* evhttp makes its own for a NULL */
}

static bool is_over(const struct watched *w)
{
    bufferevent_event_cb on_event;
    void *arg;

    bufferevent_getcb(w->connection, NULL, NULL, &on_event, &arg);
    return !on_event && !arg;
}

static bool is_answering(const struct watched *w)
{
    bufferevent_data_cb on_read;

    bufferevent_getcb(w->connection, &on_read, NULL, NULL, NULL);
    return !on_read;
}

static void restart_clock(struct watched *w)
{
    w->since_ns = 0;
    w->n_bytes = 0;
}

static bool is_late(const struct watched *w)
{
    const uint64_t allowed_ns = (GUARD_GRACE_S + w->n_bytes / GUARD_BYTES_PER_S) * NS_PER_S;

    return w->since_ns != 0 && clock_ns() - w->since_ns > allowed_ns;
}

static void watched_free(struct watched *w)
{
    (void)evbuffer_remove_cb_entry(bufferevent_get_input(w->connection), w->on_input);
    (void)bufferevent_decref(w->connection);
    free(w);
}

static void sweep(void *arg)
{
    struct guard *guard = arg;

    for (struct watched **at = &guard->all; *at;) {
        struct watched *w = *at;

        if (is_over(w)) {
            *at = w->next;
            watched_free(w);
            guard->n--;
            continue;
        }
        if (is_answering(w)) {
            restart_clock(w);
        } else if (is_late(w)) {
            restart_clock(w); /* once is enough: evhttp sees the end and closes */
            (void)shutdown(bufferevent_getfd(w->connection), SHUT_RDWR);
        }
        at = &w->next;
    }
    if (guard->is_paused && guard->n < guard->n_max) {
        guard->is_paused = false;
        (void)evconnlistener_enable(evhttp_bound_socket_get_listener(guard->socket));
    }
}

enum status guard_new(struct loop *loop, struct evhttp *http, struct evhttp_bound_socket *socket,
                      size_t n_max, struct guard **ret_guard, struct err *err)
{
    struct guard *guard = calloc(1, sizeof(*guard));

    if (!guard || loop_timer_new(loop, sweep, guard, &guard->timer) != ST_OK) {
        free(guard);
        return err_set(err, ST_NOMEM, "watch the connections of clients");
    }
    guard->socket = socket;
    guard->n_max = n_max;
    evhttp_set_bevcb(http, on_connection, guard);
    loop_timer_every(guard->timer, SWEEP_MS);
    *ret_guard = guard;
    return ST_OK;
}

void guard_free(struct guard *guard)
{
    if (!guard)
        return;
    while (guard->all) {
        struct watched *w = guard->all;

        guard->all = w->next;
        watched_free(w);
    }
    loop_timer_free(guard->timer);
    free(guard);
}

void guard_request_read(struct guard *guard, struct bufferevent *connection)
{
    for (struct watched *w = guard->all; w; w = w->next) {
        if (w->connection == connection)
            restart_clock(w);
    }
}

void guard_secure(struct guard *guard, struct tls *tls)
{
    guard->tls = tls;
}

bool guard_is_in_clear(struct bufferevent *connection)
{
    return bufferevent_openssl_get_ssl(connection) == NULL;
}

bool guard_is_secured(struct bufferevent *connection)
{
    const SSL *session = bufferevent_openssl_get_ssl(connection);

    return session && tls_used_key(session);
}
