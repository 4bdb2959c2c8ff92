/* SPDX-License-Identifier: Apache-2.0 */
/* net/http_guard.c - all connections of a server: how many, whose, TLS, and a clock for them.
 *
 * evhttp asks here for the bufferevent of each connection.  A reference is
 * kept; evhttp's end of it shows as callbacks that are NULL again.  That is
 * looked at twice a second, and when a bound is met.  The socket is closed with the last reference: its
 * number must not come back while libevent still has it registered for the old connection.
 *
 * The socket itself is put in after that, so a client's address is looked at a moment later.
 */
#include <arpa/inet.h>
#include <event2/bufferevent_ssl.h>
#include <event2/listener.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "net/http_guard_priv.h"

enum { SWEEP_MS = 500, FDS_MAX = 1 << 20 };

static void on_input(struct evbuffer *input, const struct evbuffer_cb_info *info, void *arg)
{
    struct watched *w = arg;

    (void)input;
    if (info->n_added > 0 && !w->is_moving)
        watched_read(w, info->n_added);
}

static struct bufferevent *connection_new(struct event_base *base, const struct guard *guard)
{
    struct bufferevent *b;
    SSL *session;

    if (!guard->tls && !guard->certificate)
        return bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
    session = guard->certificate ? certificate_session(guard->certificate)
                                 : tls_session(guard->tls, TLS_SERVER);
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

static void watched_free(struct watched *w)
{
    struct guard *guard = w->guard;

    if (w->fd >= 0 && (size_t)w->fd < guard->n_fds && guard->by_fd[w->fd] == w)
        guard->by_fd[w->fd] = NULL;
    (void)evbuffer_remove_cb_entry(bufferevent_get_input(w->connection), w->on_input);
    http_head_release(&w->head);
    if (w->later)
        evbuffer_free(w->later);
    if (w->reads)
        event_free(w->reads);
    (void)bufferevent_decref(w->connection);
    free(w);
}

static void forget_ended(struct guard *guard)
{
    for (struct watched **at = &guard->all; *at;) {
        struct watched *w = *at;

        if (w->is_new || !watched_is_over(w)) {
            at = &w->next;
            continue;
        }
        *at = w->next;
        watched_free(w);
        guard->n--;
    }
}

static void pause_or_go_on(struct guard *guard)
{
    struct evconnlistener *listener = evhttp_bound_socket_get_listener(guard->socket);
    const bool is_full = guard->n >= guard->bounds.n_connections;

    if (is_full == guard->is_paused)
        return;
    guard->is_paused = is_full;
    (void)(is_full ? evconnlistener_disable(listener) : evconnlistener_enable(listener));
}

static struct bufferevent *on_connection(struct event_base *base, void *arg)
{
    struct guard *guard = arg;
    struct bufferevent *b = connection_new(base, guard);
    struct watched *w = calloc(1, sizeof(*w));

    if (!b || !w)
        goto fail;
    w->on_input = evbuffer_add_cb(bufferevent_get_input(b), on_input, w);
    if (!w->on_input)
        goto fail;
    bufferevent_incref(b);
    w->guard = guard;
    w->connection = b;
    w->fd = -1;
    w->is_new = true;
    w->since_ns = clock_ns(); /* connecting and saying nothing is slow, too */
    http_head_init(&w->head, &guard->bounds.request);
    w->next = guard->all;
    guard->all = w;
    if (++guard->n >= guard->bounds.n_connections) {
        forget_ended(guard);
        pause_or_go_on(guard);
    }
    event_active(guard->soon, EV_TIMEOUT, 0);
    return b;

fail:
    free(w);
    return b; /* evhttp makes its own for a NULL */
}

/* ---- who they are ---- */

/* IPv4 as it is, also inside IPv6; of IPv6 the half that an owner has as a whole. */
static void address_of(int fd, uint8_t ret[8])
{
    static const uint8_t v4_in_v6[12] = { [10] = 0xff, [11] = 0xff };
    struct sockaddr_storage name = { 0 };
    socklen_t n = sizeof(name);
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&name;

    memset(ret, 0, 8);
    if (getpeername(fd, (struct sockaddr *)&name, &n) != 0)
        return;
    if (name.ss_family == AF_INET)
        memcpy(ret, &((const struct sockaddr_in *)&name)->sin_addr, 4);
    else if (name.ss_family == AF_INET6 && memcmp(&v6->sin6_addr, v4_in_v6, sizeof(v4_in_v6)) == 0)
        memcpy(ret, (const uint8_t *)&v6->sin6_addr + 12, 4);
    else if (name.ss_family == AF_INET6)
        memcpy(ret, &v6->sin6_addr, 8);
}

static size_t count_of_address(const struct guard *guard, const uint8_t address[8])
{
    size_t n = 0;

    for (const struct watched *w = guard->all; w; w = w->next)
        n += !w->is_new && memcmp(w->address, address, sizeof(w->address)) == 0;
    return n;
}

static void note_fd(struct guard *guard, struct watched *w)
{
    const size_t fd = (size_t)w->fd;

    if (w->fd < 0 || fd >= FDS_MAX)
        return;
    if (fd >= guard->n_fds) {
        const size_t n = fd * 2 + 64;
        struct watched **more = realloc(guard->by_fd, n * sizeof(*more));

        if (!more)
            return; /* its answers are noticed by the clock */
        memset(more + guard->n_fds, 0, (n - guard->n_fds) * sizeof(*more));
        guard->by_fd = more;
        guard->n_fds = n;
    }
    guard->by_fd[fd] = w;
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    struct watched *w = arg;

    (void)fd;
    (void)what;
    if (!(bufferevent_get_enabled(w->connection) &
          EV_READ)) /* it ended, and would be readable for ever */
        (void)event_del(w->reads);
}

/* evhttp stops reading and begins again with every request, and each costs a system call, unless somebody else
 * waits for the socket meanwhile.  Without memory it costs that. */
static void watch_reading(struct watched *w)
{
    w->reads =
        event_new(bufferevent_get_base(w->connection), w->fd, EV_READ | EV_PERSIST, on_readable, w);
    if (w->reads && event_add(w->reads, NULL) != 0) {
        event_free(w->reads);
        w->reads = NULL;
    }
}

static void meet(struct guard *guard, struct watched *w)
{
    const size_t n_max = guard->bounds.n_per_address;
    const int one = 1;

    w->is_new = false;
    w->fd = bufferevent_getfd(w->connection);
    if (w->fd < 0 || watched_is_over(w))
        return;
    (void)setsockopt(w->fd, IPPROTO_TCP, TCP_NODELAY, &one,
                     sizeof(one)); /* a token waits for none */
    note_fd(guard, w);
    if (guard_is_in_clear(w->connection))
        watch_reading(w);
    address_of(w->fd, w->address);
    if (count_of_address(guard, w->address) <= n_max)
        return;
    forget_ended(guard);
    if (count_of_address(guard, w->address) <= n_max)
        return;
    if (guard_is_in_clear(w->connection))
        watched_refuse(w, HTTP_CROWDED);
    else
        watched_end(w); /* a handshake costs us more than it costs the client */
}

static void on_soon(evutil_socket_t fd, short what, void *arg)
{
    struct guard *guard = arg;

    (void)fd;
    (void)what;
    for (struct watched *w = guard->all; w && w->is_new; w = w->next)
        meet(guard, w);
    if (!guard->some_answered)
        return;
    guard->some_answered = false;
    for (struct watched *w = guard->all; w; w = w->next)
        if (w->later && evbuffer_get_length(w->later) > 0)
            watched_go_on(w);
}

static void sweep(void *arg)
{
    struct guard *guard = arg;
    const uint64_t now_ns = clock_ns();

    forget_ended(guard);
    for (struct watched *w = guard->all; w; w = w->next)
        watched_tick(w, now_ns);
    pause_or_go_on(guard);
}

/* ---- life ---- */

enum status guard_new(struct loop *loop, struct evhttp *http, struct evhttp_bound_socket *socket,
                      const struct guard_bounds *bounds, struct guard **ret_guard, struct err *err)
{
    struct guard *guard = calloc(1, sizeof(*guard));

    if (guard)
        guard->soon = event_new(loop_base(loop), -1, 0, on_soon, guard);
    if (guard && guard->soon && loop_timer_new(loop, sweep, guard, &guard->timer) == ST_OK)
        loop_timer_every(guard->timer, SWEEP_MS);
    if (!guard || !guard->timer || !loop_timer_is_set(guard->timer)) { /* late clients would stay */
        guard_free(guard);
        return err_set(err, ST_NOMEM, "watch the connections of clients");
    }
    guard->socket = socket;
    guard->bounds = *bounds;
    evhttp_set_bevcb(http, on_connection, guard);
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
    if (guard->soon)
        event_free(guard->soon);
    loop_timer_free(guard->timer);
    certificate_unref(guard->certificate);
    free(guard->by_fd);
    free(guard);
}

void guard_judge_with(struct guard *guard, guard_judge_fn *judge, void *arg)
{
    guard->judge = judge;
    guard->judge_arg = arg;
}

void guard_set_bounds(struct guard *guard, const struct guard_bounds *bounds)
{
    guard->bounds = *bounds;
    forget_ended(guard);
    pause_or_go_on(guard);
}

static struct watched *find(const struct guard *guard, struct bufferevent *connection)
{
    const int fd = bufferevent_getfd(connection);
    struct watched *w = fd >= 0 && (size_t)fd < guard->n_fds ? guard->by_fd[fd] : NULL;

    return w && w->connection == connection ? w : NULL;
}

void guard_sending(struct guard *guard, struct bufferevent *connection)
{
    struct watched *w = guard_is_in_clear(connection) ? NULL : find(guard, connection);

    if (w)
        watched_sending(w);
}

void guard_answered(struct guard *guard, struct bufferevent *connection)
{
    const struct watched *w = find(guard, connection);

    if (!w || !w->later || evbuffer_get_length(w->later) == 0)
        return; /* it goes on when more bytes come */
    guard->some_answered = true;
    event_active(guard->soon, EV_TIMEOUT, 0);
}

void guard_secure(struct guard *guard, struct tls *tls)
{
    guard->tls = tls;
}

void guard_certify(struct guard *guard, struct certificate *certificate)
{
    struct certificate *before = guard->certificate;

    guard->certificate = certificate ? certificate_ref(certificate) : NULL;
    certificate_unref(before);
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
