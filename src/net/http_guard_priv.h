/* SPDX-License-Identifier: Apache-2.0 */
/* net/http_guard_priv.h - what the guard and its connections share. */
#ifndef POMONA_NET_HTTP_GUARD_PRIV_H
#define POMONA_NET_HTTP_GUARD_PRIV_H

#include <event2/buffer.h>
#include <event2/bufferevent.h>

#include "net/http_guard.h"

/*   reading --request complete--> waiting --answered--> reading
 *      \--refused--> refused --linger--> over
 */
enum watch_state { WATCH_READING, WATCH_WAITING, WATCH_REFUSED };

struct watched {
    struct guard *guard;
    struct bufferevent *connection; /* a reference */
    struct evbuffer_cb_entry *on_input;
    struct event *reads;    /* NULL: none; see watch_reading() */
    struct evbuffer *later; /* bytes behind the request; NULL: none yet */
    enum watch_state state;
    struct http_head head;
    bool is_new;    /* its address was not looked at yet */
    bool is_moving; /* bytes are moved by us */
    bool is_flooded;
    bool is_ended; /* shut down; evhttp sees the end */
    int fd;
    uint8_t address[8];
    uint64_t since_ns; /* first byte of what is being read, header or body; 0 between requests */
    uint64_t n_bytes;  /* of the body, so far */
    uint64_t n_drop;   /* bytes of a body that evhttp does not take */
    uint64_t refused_ns;
    bufferevent_data_cb evhttp_on_write; /* what was there before our own */
    bufferevent_event_cb evhttp_on_event;
    void *evhttp_arg;
    struct watched *next;
};

struct guard {
    struct evhttp_bound_socket *socket;
    struct tls *tls; /* NULL: none */
    struct certificate *certificate;
    struct guard_bounds bounds;
    guard_judge_fn *judge;
    void *judge_arg;
    struct watched *all; /* new ones first */
    size_t n;
    struct watched **by_fd; /* [n_fds] */
    size_t n_fds;
    bool is_paused;
    struct event *soon; /* there are new ones, or some that were answered */
    bool some_answered;
    struct loop_timer *timer;
};

/* `n` bytes more are at the end of its input. */
void watched_read(struct watched *w, size_t n);

/* evhttp reads again, or ended. */
void watched_go_on(struct watched *w);

void watched_refuse(struct watched *w, enum http_fault fault);
void watched_end(struct watched *w);

/* Keep from evhttp that all is written while it is not. */
void watched_sending(struct watched *w);

/* What the passing of time does. */
void watched_tick(struct watched *w, uint64_t now_ns);

bool watched_is_over(const struct watched *w);

#endif
