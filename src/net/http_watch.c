/* SPDX-License-Identifier: Apache-2.0 */
/* net/http_watch.c - one connection as the guard sees it: read ahead of evhttp, refused, timed.
 *
 * Bytes come as a callback of the input buffer, before evhttp's own.  Of a complete request all is left
 * there; what lies behind it is put aside, for evhttp ends the process when data comes while it answers.
 * A refused connection is taken from evhttp but for its end, which has to free it.
 *
 * No read callback means that a request is being answered (gateway/http/exchange.c).
 */
#include <openssl/ssl.h>
#include <sys/socket.h>

#include <event2/bufferevent_ssl.h>

#include "base/clock.h"
#include "net/http_guard_priv.h"

bool watched_is_over(const struct watched *w)
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

/* Of the request that was left to evhttp, `n_left` bytes are in the input still: evhttp is told of them by
 * a callback that may be due yet.  Bytes put there before that would come before the request's own. */
static bool is_answered(const struct watched *w, size_t n_left)
{
    return n_left == 0 && !is_answering(w);
}

void watched_end(struct watched *w)
{
    if (w->is_ended)
        return;
    w->is_ended = true; /* once is enough: evhttp sees the end and closes */
    (void)shutdown(bufferevent_getfd(w->connection), SHUT_RDWR);
}

/* ---- in place of evhttp's callbacks ---- */

static void on_event(struct bufferevent *b, short what, void *arg)
{
    struct watched *w = arg;

    w->evhttp_on_event(b, what, w->evhttp_arg);
}

static void on_written(struct bufferevent *b, void *arg)
{
    struct watched *w = arg;

    if (evbuffer_get_length(bufferevent_get_output(b)) == 0)
        w->evhttp_on_write(b, w->evhttp_arg);
}

static void keep_callbacks(struct watched *w)
{
    bufferevent_data_cb on_write;
    bufferevent_event_cb on_what;
    void *arg;

    bufferevent_getcb(w->connection, NULL, &on_write, &on_what, &arg);
    if (on_what == on_event)
        return; /* they are ours already */
    w->evhttp_on_write = on_write;
    w->evhttp_on_event = on_what;
    w->evhttp_arg = arg;
}

void watched_sending(struct watched *w)
{
    if (watched_is_over(w))
        return;
    keep_callbacks(w);
    bufferevent_setcb(w->connection, NULL, on_written, on_event, w);
}

/* ---- refusing ---- */

/* The answer is out: the client sees its end, and may end what it says. */
static void on_refusal_sent(struct bufferevent *b, void *arg)
{
    SSL *session = bufferevent_openssl_get_ssl(b);

    (void)arg;
    if (session && SSL_is_init_finished(session))
        (void)SSL_shutdown(session);
    (void)shutdown(bufferevent_getfd(b), SHUT_WR);
}

static void drop_input(struct watched *w)
{
    struct evbuffer *input = bufferevent_get_input(w->connection);

    w->is_moving = true;
    (void)evbuffer_drain(input, evbuffer_get_length(input));
    w->is_moving = false;
}

/* answer  released */
static void refuse_with(struct watched *w, struct buf *answer)
{
    struct bufferevent *b = w->connection;

    w->state = WATCH_REFUSED;
    w->refused_ns = clock_ns();
    http_head_release(&w->head);
    drop_input(w);
    keep_callbacks(w);
    bufferevent_setcb(b, NULL, on_refusal_sent, on_event, w);
    if (answer->len == 0 || buf_status(answer) != ST_OK ||
        bufferevent_write(b, answer->data, answer->len) != 0)
        watched_end(w);
    else
        (void)bufferevent_enable(b, EV_READ | EV_WRITE);
    buf_release(answer);
}

void watched_refuse(struct watched *w, enum http_fault fault)
{
    struct buf answer = { 0 };

    if (w->guard->judge)
        (void)w->guard->judge(w->guard->judge_arg, &w->head, fault, &answer);
    refuse_with(w, &answer);
}

/* ---- reading ---- */

/* What is in the input behind `at` waits. */
static void put_aside(struct watched *w, size_t at)
{
    struct evbuffer *input = bufferevent_get_input(w->connection), *front = NULL;
    const size_t n = evbuffer_get_length(input) - at;
    bool is_done;

    if (n == 0)
        return;
    if (!w->later)
        w->later = evbuffer_new();
    if (at > 0)
        front = evbuffer_new();
    w->is_moving = true;
    is_done = w->later && (at == 0 || (front && evbuffer_remove_buffer(input, front, at) >= 0));
    is_done = is_done && evbuffer_add_buffer(w->later, input) == 0;
    if (front)
        is_done = evbuffer_prepend_buffer(input, front) == 0 && is_done;
    w->is_moving = false;
    if (front)
        evbuffer_free(front);
    if (!is_done) { /* no memory: evhttp must not see them */
        watched_end(w);
        return;
    }
    if (w->n_drop > 0) {
        const size_t dropped = w->n_drop < n ? (size_t)w->n_drop : n;

        (void)evbuffer_drain(w->later, dropped);
        w->n_drop -= dropped;
    }
    if (evbuffer_get_length(w->later) > GUARD_PIPELINED_MAX)
        w->is_flooded = true;
    if (w->is_flooded)
        (void)evbuffer_drain(w->later, evbuffer_get_length(w->later));
}

/* One step of the machine with what is in the input behind `at`; *ret_n bytes of that. */
static enum http_step step_at(struct watched *w, size_t at, size_t *ret_n)
{
    struct evbuffer *input = bufferevent_get_input(w->connection);
    struct evbuffer_ptr from;
    struct evbuffer_iovec piece = { 0 };

    *ret_n = 0;
    if (http_head_is_passing(&w->head))
        return http_head_pass(&w->head, evbuffer_get_length(input) - at, ret_n);
    if (at < evbuffer_get_length(input) &&
        (evbuffer_ptr_set(input, &from, at, EVBUFFER_PTR_SET) != 0 ||
         evbuffer_peek(input, -1, &from, &piece, 1) < 1))
        return HTTP_MORE;
    return http_head_feed(&w->head, piece.iov_base, piece.iov_len, ret_n);
}

static void end_of_request(struct watched *w, size_t at)
{
    w->n_drop = w->head.drops_body ? w->head.n_length : 0;
    w->state = WATCH_WAITING;
    w->since_ns = 0;
    w->n_bytes = 0;
    http_head_release(&w->head);
    http_head_init(&w->head, &w->guard->bounds.request);
    put_aside(w, at);
}

/* The header is whole.  False: it is refused. */
static bool judge(struct watched *w)
{
    struct buf answer = { 0 };

    if (w->guard->judge && w->guard->judge(w->guard->judge_arg, &w->head, HTTP_FINE, &answer)) {
        refuse_with(w, &answer);
        return false;
    }
    w->since_ns = clock_ns(); /* of the body */
    return true;
}

/* Something of what it sent comes before what it sends next. */
static bool has_rest(const struct watched *w)
{
    return w->is_flooded || w->n_drop > 0 || (w->later && evbuffer_get_length(w->later) > 0);
}

void watched_read(struct watched *w, size_t n)
{
    struct evbuffer *input = bufferevent_get_input(w->connection);
    size_t at = evbuffer_get_length(input) - n;

    if (w->state == WATCH_WAITING && is_answered(w, at) && !has_rest(w))
        w->state = WATCH_READING;
    if (w->state == WATCH_REFUSED) {
        drop_input(w);
        return;
    }
    if (w->state == WATCH_WAITING) { /* behind what waits there already */
        put_aside(w, at);
        watched_go_on(w);
        return;
    }
    if (w->since_ns == 0)
        w->since_ns = clock_ns();
    if (http_head_is_fresh(&w->head)) /* the bounds may be others by now */
        http_head_init(&w->head, &w->guard->bounds.request);
    for (;;) {
        const bool is_body = http_head_is_in_body(&w->head);
        size_t taken;
        enum http_step step = step_at(w, at, &taken);

        at += taken;
        if (is_body)
            w->n_bytes += taken;
        if (step == HTTP_WRONG) {
            watched_refuse(w, w->head.fault);
            return;
        }
        if (step == HTTP_HEAD && !judge(w))
            return;
        if (step == HTTP_END || (step == HTTP_HEAD && w->head.drops_body)) {
            end_of_request(w, at);
            return;
        }
        if (step == HTTP_MORE && at >= evbuffer_get_length(input))
            return;
    }
}

void watched_go_on(struct watched *w)
{
    struct evbuffer *input = bufferevent_get_input(w->connection);

    if (w->state != WATCH_WAITING || watched_is_over(w) ||
        !is_answered(w, evbuffer_get_length(input)))
        return;
    if (w->n_drop > 0 && !w->is_flooded)
        return; /* the rest of the body has to come first */
    if (w->is_flooded) {
        watched_end(w);
        return;
    }
    w->state = WATCH_READING;
    if (!w->later || evbuffer_get_length(w->later) == 0)
        return;
    /* the input is empty, and its callback reads them from there */
    (void)evbuffer_prepend_buffer(input, w->later);
    if (w->state != WATCH_REFUSED)
        bufferevent_trigger(w->connection, EV_READ, BEV_TRIG_DEFER_CALLBACKS);
}

/* ---- time ---- */

static bool is_late(const struct watched *w, uint64_t now_ns)
{
    const struct guard_bounds *b = &w->guard->bounds;
    uint64_t allowed_s = b->header_s;

    if (http_head_is_in_body(&w->head))
        allowed_s = b->body_s + w->n_bytes / b->body_bytes_per_s;
    return w->since_ns != 0 && now_ns > w->since_ns && now_ns - w->since_ns > allowed_s * NS_PER_S;
}

void watched_tick(struct watched *w, uint64_t now_ns)
{
    if (w->state == WATCH_REFUSED) {
        if (now_ns > w->refused_ns && now_ns - w->refused_ns > GUARD_LINGER_S * NS_PER_S)
            watched_end(w);
        return;
    }
    watched_go_on(w);
    if (w->state != WATCH_READING || is_answering(w) || !is_late(w, now_ns))
        return;
    if (http_head_is_fresh(&w->head)) /* it said nothing, so there is nothing to answer */
        watched_end(w);
    else
        watched_refuse(w, HTTP_LATE);
}
