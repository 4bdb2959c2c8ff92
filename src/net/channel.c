/* SPDX-License-Identifier: Apache-2.0 */
/* net/channel.c - protobuf messages over a stream socket, on an event loop. */
#include "net/channel.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/dns.h>
#include <event2/listener.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/address.h"
#include "base/size.h"
#include "base/socket.h"

enum { FRAME_HEADER_BYTES = 4 };

struct channel {
    struct bufferevent *bev;
    const struct channel_events *events;
    void *arg;
    struct err reason;
    struct event *deferred_close; /* a close noticed inside channel_send() is told later */
    bool is_closed;               /* on_close was called or is on its way */
    bool is_finishing;
    unsigned n_nested; /* callbacks of this channel on the stack */
    bool is_freed;     /* channel_free() came during one of them */
};

static void channel_destroy(struct channel *c)
{
    if (c->deferred_close)
        event_free(c->deferred_close);
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

static void on_bev_event(struct bufferevent *bev, short what, void *arg)
{
    struct channel *c = arg;

    if (what & BEV_EVENT_CONNECTED) {
        const int fd = bufferevent_getfd(bev), on = 1;

        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        socket_watch_link(fd);
        (void)bufferevent_set_timeouts(bev, NULL, NULL);
        c->n_nested++;
        if (c->events->on_open && !c->is_closed)
            c->events->on_open(c->arg, c);
        leave(c);
        return;
    }
    if (what & BEV_EVENT_EOF)
        channel_close(c, ST_PEER, "the peer closed the connection");
    else if (what & BEV_EVENT_TIMEOUT)
        channel_close(c, ST_DEADLINE, "the peer did not answer in time");
    else {
        const int dns = bufferevent_socket_get_dns_error(bev);

        channel_close(c, ST_PEER, dns ? gai_strerror(dns) : evutil_socket_error_to_string(errno));
    }
}

static enum status channel_make(struct loop *loop, int fd, const struct channel_events *events,
                                void *arg, struct channel **ret_channel, struct err *err)
{
    struct channel *c = calloc(1, sizeof(*c));

    if (c) {
        c->events = events;
        c->arg = arg;
        c->deferred_close = event_new(loop_base(loop), -1, 0, tell_close, c);
        c->bev = bufferevent_socket_new(loop_base(loop), fd,
                                        BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS);
    }
    if (!c || !c->deferred_close || !c->bev) {
        if (fd >= 0 && (!c || !c->bev))
            close(fd);
        if (c)
            channel_destroy(c);
        return err_set(err, ST_NOMEM, "a message channel");
    }
    bufferevent_setcb(c->bev, on_readable, on_drained, on_bev_event, c);
    (void)bufferevent_enable(c->bev, EV_READ | EV_WRITE);
    *ret_channel = c;
    return ST_OK;
}

enum status channel_new(struct loop *loop, int fd, const struct channel_events *events, void *arg,
                        struct channel **ret_channel, struct err *err)
{
    const int on = 1;

    (void)evutil_make_socket_nonblocking(fd);
    (void)evutil_make_socket_closeonexec(fd);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)); /* fails on a socket pair */
    socket_watch_link(fd);
    return channel_make(loop, fd, events, arg, ret_channel, err);
}

enum status channel_connect(struct loop *loop, const char *host, uint16_t port, uint64_t timeout_ms,
                            const struct channel_events *events, void *arg,
                            struct channel **ret_channel, struct err *err)
{
    const struct timeval wait = { (time_t)(timeout_ms / 1000),
                                  (suseconds_t)(timeout_ms % 1000 * 1000) };
    struct address addr;
    struct channel *c = NULL;
    enum status s;

    s = address_parse(host, port, &addr, err);
    if (s == ST_OK)
        s = channel_make(loop, -1, events, arg, &c, err);
    if (s != ST_OK)
        return s;
    (void)bufferevent_set_timeouts(c->bev, &wait, &wait); /* lifted once connected */
    if (bufferevent_socket_connect(c->bev, (struct sockaddr *)&addr.storage, (int)addr.length) !=
        0) {
        channel_destroy(c);
        return err_errno(err, "connect to %s port %u", host, port);
    }
    (void)evutil_make_socket_closeonexec(bufferevent_getfd(c->bev));
    *ret_channel = c;
    return ST_OK;
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
    (void)getnameinfo(addr, (socklen_t)len, host, sizeof(host), NULL, 0, NI_NUMERICHOST);
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
