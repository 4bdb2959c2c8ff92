/* SPDX-License-Identifier: Apache-2.0 */
/* net/channel.c - protobuf messages over a stream socket, on an event loop. */
#include "net/channel.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/dns.h>
#include <event2/listener.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/address.h"
#include "base/clock.h"
#include "base/size.h"
#include "base/socket.h"
#include "net/dial.h"

enum { FRAME_HEADER_BYTES = 4 };

struct channel {
    struct bufferevent *bev;
    const struct channel_events *events;
    void *arg;
    struct err reason;
    struct event *deferred_close; /* a close noticed inside channel_send() is told later */
    struct event *open_limit;     /* the deadline of connecting; NULL: none */
    struct dial *dial;            /* of several addresses; NULL: it is over */
    struct link_watch watch;
    uint64_t n_records; /* sent under the present key of TLS, at least */
    bool has_tls;
    bool is_open;
    bool is_closed; /* on_close was called or is on its way */
    bool is_finishing;
    bool was_refused;
    unsigned n_nested; /* callbacks of this channel on the stack */
    bool is_freed;     /* channel_free() came during one of them */
};

static void channel_destroy(struct channel *c)
{
    if (c->deferred_close)
        event_free(c->deferred_close);
    if (c->open_limit)
        event_free(c->open_limit);
    dial_free(c->dial);
    if (c->bev)
        bufferevent_free(c->bev);
    free(c);
}

static void leave(struct channel *c)
{
    c->n_nested--;
    if (c->is_freed && c->n_nested == 0)
        channel_destroy(c);
}

static void tell_close(evutil_socket_t fd, short what, void *arg)
{
    struct channel *c = arg;

    (void)fd;
    (void)what;
    c->n_nested++;
    c->events->on_close(c->arg, c, &c->reason);
    leave(c);
}

static void channel_close(struct channel *c, enum status s, const char *words)
{
    if (c->is_closed || c->is_freed)
        return;
    c->is_closed = true;
    (void)err_set(&c->reason, s, "%s", words);
    (void)bufferevent_disable(c->bev, EV_READ | EV_WRITE);
    event_active(c->deferred_close, EV_TIMEOUT, 1);
}

static uint32_t read_u32(const unsigned char *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* One frame off the front of `in`; false when more bytes are needed or the
 * channel ended. */
static bool take_frame(struct channel *c, struct evbuffer *in)
{
    unsigned char header[FRAME_HEADER_BYTES];
    ProtobufCMessage *message;
    const unsigned char *bytes;
    uint32_t n;

    if (evbuffer_copyout(in, header, sizeof(header)) < (ev_ssize_t)sizeof(header))
        return false;
    n = read_u32(header);
    if (n > c->events->max_bytes) {
        channel_close(c, ST_FORMAT, "the peer sent a message longer than allowed");
        return false;
    }
    if (evbuffer_get_length(in) < FRAME_HEADER_BYTES + (size_t)n)
        return false;

    (void)evbuffer_drain(in, FRAME_HEADER_BYTES);
    bytes = n > 0 ? evbuffer_pullup(in, (ev_ssize_t)n) : (const unsigned char *)"";
    message = bytes ? protobuf_c_message_unpack(c->events->type, NULL, n, bytes) : NULL;
    (void)evbuffer_drain(in, n);
    if (!message) {
        channel_close(c, ST_FORMAT, "the peer sent a message that cannot be read");
        return false;
    }
    c->events->on_message(c->arg, c, message);
    protobuf_c_message_free_unpacked(message, NULL);
    return !c->is_closed && !c->is_freed;
}

static void on_readable(struct bufferevent *bev, void *arg)
{
    struct channel *c = arg;

    if (!c->is_open || c->is_closed)
        return;
    c->n_nested++;
    while (take_frame(c, bufferevent_get_input(bev)))
        ;
    leave(c);
}

/* Callbacks are deferred: since the buffer was drained, more may have been sent. */
static void on_drained(struct bufferevent *bev, void *arg)
{
    struct channel *c = arg;

    if (c->is_finishing && evbuffer_get_length(bufferevent_get_output(bev)) == 0)
        channel_close(c, ST_OK, "closed here");
}

static void on_too_late(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    channel_close(arg, ST_DEADLINE, "the peer did not answer in time");
}

static void on_connected(struct channel *c)
{
    const int fd = bufferevent_getfd(c->bev), on = 1;

    if (c->is_open || c->is_closed)
        return;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)); /* fails on a socket pair */
    socket_watch_link(fd);
    if (c->has_tls && !tls_used_key(bufferevent_openssl_get_ssl(c->bev))) {
        channel_close(c, ST_DENIED, "the peer did not prove the cluster's key");
        return;
    }
    if (c->open_limit)
        (void)event_del(c->open_limit);
    c->is_open = true;
    c->n_nested++;
    if (c->events->on_open)
        c->events->on_open(c->arg, c);
    leave(c);
}

/* Why the connection broke, in words; OpenSSL's own where it has any. */
static void close_broken(struct channel *c, int socket_error)
{
    const int dns = bufferevent_socket_get_dns_error(c->bev);
    const bool is_tls_error = c->has_tls && bufferevent_get_openssl_error(c->bev) != 0;

    if (is_tls_error && !c->is_open)
        channel_close(
            c, ST_DENIED,
            "the handshake failed: the peer has another cluster key or name, none, or no room");
    else if (is_tls_error)
        channel_close(c, ST_FORMAT, "the peer sent what is not TLS");
    else
        channel_close(c, ST_PEER,
                      dns ? gai_strerror(dns) : evutil_socket_error_to_string(socket_error));
}

/* With TLS a refusal is told as an end.  An end leaves errno as it was before; but
 * then there was a connection, and who is at its other end is known still. */
static bool is_refused(const struct channel *c, int socket_error)
{
    struct sockaddr_storage peer;
    socklen_t length = sizeof(peer);

    return !c->is_open && socket_error == ECONNREFUSED &&
           getpeername(bufferevent_getfd(c->bev), (struct sockaddr *)&peer, &length) != 0;
}

static void close_refused(struct channel *c)
{
    c->was_refused = true;
    channel_close(c, ST_PEER, "nobody listens there");
}

static void on_bev_event(struct bufferevent *bev, short what, void *arg)
{
    const int socket_error = errno;
    struct channel *c = arg;

    (void)bev;
    if (what & BEV_EVENT_CONNECTED)
        on_connected(c);
    else if ((what & (BEV_EVENT_EOF | BEV_EVENT_ERROR)) && is_refused(c, socket_error))
        close_refused(c);
    else if ((what & BEV_EVENT_EOF) && c->has_tls && !c->is_open)
        channel_close(c, ST_PEER, "the peer closed the connection during the handshake");
    else if (what & BEV_EVENT_EOF)
        channel_close(c, ST_PEER, "the peer closed the connection");
    else if (what & BEV_EVENT_TIMEOUT)
        channel_close(c, ST_DEADLINE, "the peer did not answer in time");
    else
        close_broken(c, socket_error);
}

/* A buffer over the socket `fd` (-1: none yet), which is taken where this succeeds. */
static struct bufferevent *bev_new(struct loop *loop, int fd, struct tls *tls, enum tls_side side)
{
    const int options = BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS;
    struct bufferevent *bev;
    SSL *session;

    if (!tls)
        return bufferevent_socket_new(loop_base(loop), fd, options);
    session = tls_session(tls, side);
    if (!session)
        return NULL;
    bev = bufferevent_openssl_socket_new(
        loop_base(loop), fd, session,
        side == TLS_CLIENT ? BUFFEREVENT_SSL_CONNECTING : BUFFEREVENT_SSL_ACCEPTING, options);
    if (bev) /* a frame is whole or it is not: nothing is lost by an end that is not announced */
        bufferevent_openssl_set_allow_dirty_shutdown(bev, 1);
    else
        SSL_free(session);
    return bev;
}

/* What channels of every origin share. */
struct channel_plan {
    int fd; /* taken; -1: none yet */
    struct tls *tls;
    enum tls_side side;
    uint64_t timeout_ms; /* 0: it is open already */
};

static enum status channel_make(struct loop *loop, const struct channel_plan *plan,
                                const struct channel_events *events, void *arg,
                                struct channel **ret_channel, struct err *err)
{
    const struct timeval wait = { (time_t)(plan->timeout_ms / 1000),
                                  (suseconds_t)(plan->timeout_ms % 1000 * 1000) };
    struct channel *c = calloc(1, sizeof(*c));
    bool is_made = c != NULL;

    if (c) {
        c->events = events;
        c->arg = arg;
        c->has_tls = plan->tls != NULL;
        c->is_open = plan->timeout_ms == 0;
        c->deferred_close = event_new(loop_base(loop), -1, 0, tell_close, c);
        if (!c->is_open)
            c->open_limit = event_new(loop_base(loop), -1, 0, on_too_late, c);
        c->bev = bev_new(loop, plan->fd, plan->tls, plan->side);
        is_made = c->deferred_close && c->bev &&
                  (c->is_open || (c->open_limit && event_add(c->open_limit, &wait) == 0));
    }
    if (!is_made) {
        if (plan->fd >= 0 && (!c || !c->bev))
            close(plan->fd);
        if (c)
            channel_destroy(c);
        return err_set(err, ST_NOMEM, "a message channel");
    }
    bufferevent_setcb(c->bev, on_readable, on_drained, on_bev_event, c);
    (void)bufferevent_enable(c->bev, EV_READ | EV_WRITE);
    *ret_channel = c;
    return ST_OK;
}

static void socket_prepare(int fd)
{
    const int on = 1;

    (void)evutil_make_socket_nonblocking(fd);
    (void)evutil_make_socket_closeonexec(fd);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)); /* fails on a socket pair */
    socket_watch_link(fd);
}

enum status channel_new(struct loop *loop, int fd, const struct channel_events *events, void *arg,
                        struct channel **ret_channel, struct err *err)
{
    const struct channel_plan plan = { .fd = fd };

    socket_prepare(fd);
    return channel_make(loop, &plan, events, arg, ret_channel, err);
}

enum status channel_accept(struct loop *loop, int fd, struct tls *tls, uint64_t timeout_ms,
                           const struct channel_events *events, void *arg,
                           struct channel **ret_channel, struct err *err)
{
    const struct channel_plan plan = { fd, tls, TLS_SERVER, timeout_ms };

    socket_prepare(fd);
    return channel_make(loop, &plan, events, arg, ret_channel, err);
}

enum status channel_over(struct loop *loop, int fd, struct tls *tls, uint64_t timeout_ms,
                         const struct channel_events *events, void *arg,
                         struct channel **ret_channel, struct err *err)
{
    const struct channel_plan plan = { fd, tls, TLS_CLIENT, timeout_ms };

    socket_prepare(fd);
    return channel_make(loop, &plan, events, arg, ret_channel, err);
}

/* From here on it is as if this one address had been called. */
static void on_raced(void *arg, int fd, int failure, bool was_refused)
{
    struct channel *c = arg;

    dial_free(c->dial);
    c->dial = NULL;
    if (c->is_closed) {
        if (fd >= 0)
            close(fd);
    } else if (fd >= 0) {
        (void)bufferevent_setfd(c->bev, fd);
        if (bufferevent_socket_connect(c->bev, NULL, 0) != 0)
            channel_close(c, ST_NOMEM, "out of memory for a connection");
    } else if (was_refused) {
        close_refused(c);
    } else {
        channel_close(c, ST_PEER, strerror(failure));
    }
}

static enum status dial_several(struct loop *loop, const struct channel_target *target,
                                const struct channel_events *events, void *arg,
                                struct channel **ret_channel, struct err *err)
{
    const struct channel_plan plan = { -1, target->tls, TLS_CLIENT, target->timeout_ms };
    struct channel *c = NULL;
    struct race race;
    enum status s = race_begin(&race, target->host, target->hosts, target->port, err);

    if (s == ST_OK)
        s = channel_make(loop, &plan, events, arg, &c, err);
    if (s == ST_OK)
        s = dial_new(loop, &race, on_raced, c, &c->dial, err);
    if (s == ST_OK)
        *ret_channel = c;
    else if (c)
        channel_destroy(c);
    return s;
}

enum status channel_dial(struct loop *loop, const struct channel_target *target,
                         const struct channel_events *events, void *arg,
                         struct channel **ret_channel, struct err *err)
{
    const struct channel_plan plan = { -1, target->tls, TLS_CLIENT, target->timeout_ms };
    struct address addr;
    struct channel *c = NULL;
    enum status s;

    if (target->hosts && target->hosts->n > 1)
        return dial_several(loop, target, events, arg, ret_channel, err);
    s = address_parse(target->hosts && target->hosts->n == 1 ? target->hosts->text[0]
                                                             : target->host,
                      target->port, &addr, err);
    if (s == ST_OK)
        s = channel_make(loop, &plan, events, arg, &c, err);
    if (s != ST_OK)
        return s;
    if (bufferevent_socket_connect(c->bev, (struct sockaddr *)&addr.storage, (int)addr.length) !=
        0) {
        channel_destroy(c);
        return err_errno(err, "connect to %s port %u", target->host, target->port);
    }
    (void)evutil_make_socket_closeonexec(bufferevent_getfd(c->bev));
    *ret_channel = c;
    return ST_OK;
}

bool channel_was_refused(const struct channel *c)
{
    return c->was_refused;
}

void channel_free(struct channel *c)
{
    if (!c || c->is_freed)
        return;
    c->is_freed = true;
    /* bufferevent_free() closes at a later turn of the loop, which may never come */
    (void)shutdown(bufferevent_getfd(c->bev), SHUT_RDWR);
    if (c->n_nested == 0)
        channel_destroy(c);
    else
        (void)bufferevent_disable(c->bev, EV_READ | EV_WRITE);
}

uint64_t channel_silent_ms(struct channel *c)
{
    return link_silent_ms(&c->watch, bufferevent_getfd(c->bev), clock_ns());
}

void channel_send(struct channel *c, const ProtobufCMessage *message)
{
    struct evbuffer *out = bufferevent_get_output(c->bev);
    const size_t n = protobuf_c_message_get_packed_size(message);
    struct evbuffer_iovec room;
    unsigned char *p;

    if (c->is_closed || c->is_freed || c->is_finishing)
        return;
    if (n > c->events->max_bytes) {
        channel_close(c, ST_RANGE, "a message longer than allowed was to be sent");
        return;
    }
    if (c->events->max_queued_bytes > 0 &&
        evbuffer_get_length(out) + n > c->events->max_queued_bytes) {
        channel_close(c, ST_FULL, "the peer does not read what it is sent");
        return;
    }
    if (evbuffer_reserve_space(out, (ev_ssize_t)(FRAME_HEADER_BYTES + n), &room, 1) != 1) {
        channel_close(c, ST_NOMEM, "out of memory for a message");
        return;
    }
    if (c->has_tls && c->is_open)
        tls_renew(bufferevent_openssl_get_ssl(c->bev), &c->n_records);
    p = room.iov_base;
    for (unsigned i = 0; i < FRAME_HEADER_BYTES; i++)
        p[i] = (unsigned char)(n >> 8 * i);
    (void)protobuf_c_message_pack(message, p + FRAME_HEADER_BYTES);
    room.iov_len = FRAME_HEADER_BYTES + n;
    (void)evbuffer_commit_space(out, &room, 1);
}

void channel_finish(struct channel *c)
{
    c->is_finishing = true;
    if (evbuffer_get_length(bufferevent_get_output(c->bev)) == 0)
        channel_close(c, ST_OK, "closed here");
}

void channel_peer_host(const struct channel *c, char *ret_host, size_t capacity)
{
    (void)address_peer(bufferevent_getfd(c->bev), ret_host, capacity);
}

struct listener {
    struct evconnlistener *lev;
    listener_fn *on_accept;
    void *arg;
    uint16_t port;
};

static void on_connection(struct evconnlistener *lev, evutil_socket_t fd, struct sockaddr *addr,
                          int len, void *arg)
{
    struct listener *l = arg;
    char host[NI_MAXHOST] = "";

    (void)lev;
    (void)address_text(addr, (socklen_t)len, host, sizeof(host));
    l->on_accept(l->arg, fd, host);
}

enum status listener_new(struct loop *loop, const char *host, uint16_t port, listener_fn *on_accept,
                         void *arg, struct listener **ret_listener, struct err *err)
{
    struct address addr;
    struct listener *l = NULL;
    enum status s;

    s = address_parse(host, port, &addr, err);
    if (s != ST_OK)
        return s;
    l = calloc(1, sizeof(*l));
    if (!l)
        return err_set(err, ST_NOMEM, "a listener");
    l->on_accept = on_accept;
    l->arg = arg;
    l->lev =
        evconnlistener_new_bind(loop_base(loop), on_connection, l,
                                LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_REUSEABLE,
                                128, (struct sockaddr *)&addr.storage, (int)addr.length);
    if (!l->lev) {
        free(l);
        return err_errno(err, "listen on %s port %u", host, port);
    }
    l->port = address_port_of(evconnlistener_get_fd(l->lev));
    *ret_listener = l;
    return ST_OK;
}

uint16_t listener_port(const struct listener *l)
{
    return l->port;
}

void listener_free(struct listener *l)
{
    if (!l)
        return;
    evconnlistener_free(l->lev);
    free(l);
}
