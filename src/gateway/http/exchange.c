/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/http/exchange.c - one HTTP request and its answer, on libevent's evhttp.
 *
 * evhttp stops reading while a request is answered, so it would not notice
 * that the client went away.  Here reading goes on: with no read callback,
 * because evhttp ends the process when data of a pipelined request arrives
 * while it is not expecting any; the guard keeps such data (net/http_guard.h).
 * evhttp sets its callbacks anew before it reads the next request.
 *
 * Who frees the evhttp_request: evhttp, once the answer is sent, or when the
 * connection ends while it still owns it.  Where the connection fails first,
 * evhttp disowns an unanswered request before it calls closecb: then the
 * request has no connection and is freed here.
 */
#include "gateway/http/exchange_priv.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http_struct.h>
#include <event2/keyvalq_struct.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/clock.h"
#include "gateway/http/reason.h"
#include "gateway/http/sse.h"
#include "metrics/metrics.h"

static struct bufferevent *connection_of(const struct exchange *x)
{
    struct evhttp_connection *c = evhttp_request_get_connection(x->req);

    return c ? evhttp_connection_get_bufferevent(c) : NULL;
}

static void tell_record(struct exchange *x)
{
    const struct exchange_home *home = x->home;
    char trace_id[TRACE_ID_TEXT_MAX];
    const struct http_record record = {
        .method = method_name(evhttp_request_get_command(x->req)),
        .route = x->route ? x->route : "-",
        .http_status = x->http_status ? x->http_status : 499,
        .ns = clock_ns() - x->begun_ns,
        .n_bytes_in = x->body.len,
        .n_bytes_out = x->n_bytes_out,
        .id = x->id,
        .trace_id = x->has_parent || x->trace.is_sampled ? trace_id : NULL, /* else nobody has it */
        .who = x->who[0] ? x->who : "-",
        .n_prompt_tokens = x->n_prompt_tokens,
        .n_answer_tokens = x->n_answer_tokens,
    };

    exchange_trace_end(x);
    if (!home->on_over || !home->settings->log.access)
        return;
    trace_id_write(&x->trace, trace_id);
    home->on_over(home->on_over_arg, &record);
}

static void exchange_free(struct exchange *x)
{
    buf_release(&x->body);
    free(x->rest);
    free(x->caller);
    free(x);
}

static void on_connection_closed(struct evhttp_connection *connection, void *arg)
{
    struct exchange *x = arg;

    (void)connection;
    x->http_status = 499;
    if (x->on_close)
        x->on_close(x->on_close_arg);
    tell_record(x);
    if (!evhttp_request_get_connection(x->req))
        evhttp_request_free(x->req);
    exchange_free(x);
}

static void on_sent(struct evhttp_request *req, void *arg)
{
    struct evhttp_connection *c = evhttp_request_get_connection(req);
    struct guard *guard = arg;

    if (c)
        guard_answered(guard, evhttp_connection_get_bufferevent(c));
}

static void watch(struct exchange *x)
{
    const struct timeval stall = { .tv_sec = x->home->settings->timeouts.stall_s };
    struct evhttp_connection *c = evhttp_request_get_connection(x->req);
    struct bufferevent *b = evhttp_connection_get_bufferevent(c);
    bufferevent_data_cb on_write;
    bufferevent_event_cb on_event;
    void *arg;

    bufferevent_getcb(b, NULL, &on_write, &on_event, &arg);
    bufferevent_setcb(b, NULL, on_write, on_event, arg);
    (void)bufferevent_set_timeouts(b, NULL, &stall);
    (void)bufferevent_enable(b, EV_READ);
    evhttp_connection_set_closecb(c, on_connection_closed, x);
    evhttp_request_set_on_complete_cb(x->req, on_sent, x->home->guard);
}

/* The exchange is over; the connection may carry another. */
static void let_go(struct exchange *x)
{
    const struct api_timeouts *timeouts = &x->home->settings->timeouts;
    const struct timeval idle = { .tv_sec = timeouts->idle_s };
    const struct timeval stall = { .tv_sec = timeouts->stall_s };
    struct evhttp_connection *c = evhttp_request_get_connection(x->req);

    (void)bufferevent_set_timeouts(evhttp_connection_get_bufferevent(c), &idle, &stall);
    evhttp_connection_set_closecb(c, NULL, NULL);
    tell_record(x);
    exchange_free(x);
}

struct exchange *exchange_new(struct evhttp_request *req, const struct exchange_home *home)
{
    struct exchange *x = malloc(sizeof(*x));
    struct evbuffer *input = evhttp_request_get_input_buffer(req);
    const size_t n = evbuffer_get_length(input);

    if (!x)
        return NULL;
    *x = (struct exchange){ .req = req, .home = home, .begun_ns = clock_ns() };
    if (buf_reserve(&x->body, n) != ST_OK) {
        free(x);
        return NULL;
    }
    if (n > 0) {
        x->body.len = (size_t)evbuffer_remove(input, x->body.data, n);
        x->body.data[x->body.len] = '\0';
    }
    request_id_choose(exchange_header(x, "x-request-id"), x->id);
    exchange_trace_begin(x);
    watch(x);
    return x;
}

const char *exchange_rest(const struct exchange *x)
{
    return x->rest ? x->rest : "";
}

const char *exchange_query(const struct exchange *x)
{
    return evhttp_uri_get_query(evhttp_request_get_evhttp_uri(x->req));
}

const char *exchange_id(const struct exchange *x)
{
    return x->id;
}

const char *exchange_body(const struct exchange *x, size_t *ret_n)
{
    *ret_n = x->body.len;
    return buf_text(&x->body);
}

void exchange_swap_body(struct exchange *x, struct buf *body)
{
    const struct buf before = x->body;

    x->body = *body;
    *body = before;
}

const char *exchange_header(const struct exchange *x, const char *name)
{
    return evhttp_find_header(evhttp_request_get_input_headers(x->req), name);
}

void exchange_take_header(struct exchange *x, const char *name, const char *value)
{
    struct evkeyvalq *headers = evhttp_request_get_input_headers(x->req);

    (void)evhttp_remove_header(headers, name);
    (void)evhttp_add_header(headers, name, value);
}

void exchange_add_header(struct exchange *x, const char *name, const char *value)
{
    (void)evhttp_add_header(evhttp_request_get_output_headers(x->req), name, value);
}

size_t exchange_count_headers(const struct exchange *x, const char *name)
{
    const struct evkeyvalq *headers = evhttp_request_get_input_headers(x->req);
    size_t n = 0;

    for (const struct evkeyval *h = headers->tqh_first; h; h = h->next.tqe_next)
        n += strcasecmp(h->key, name) == 0;
    return n;
}

void exchange_set_header(struct exchange *x, const char *name, const char *value)
{
    struct evkeyvalq *headers = evhttp_request_get_output_headers(x->req);

    (void)evhttp_remove_header(headers, name);
    (void)evhttp_add_header(headers, name, value);
}

void exchange_set_caller(struct exchange *x, void *caller)
{
    free(x->caller);
    x->caller = caller;
}

void *exchange_caller(const struct exchange *x)
{
    return x->caller;
}

void exchange_note_who(struct exchange *x, const char *name)
{
    (void)snprintf(x->who, sizeof(x->who), "%s", name);
}

void exchange_note_tokens(struct exchange *x, uint64_t n_prompt, uint64_t n_answer)
{
    x->n_prompt_tokens = n_prompt;
    x->n_answer_tokens = n_answer;
}

enum evhttp_cmd_type exchange_method(const struct exchange *x)
{
    return evhttp_request_get_command(x->req);
}

void exchange_on_close(struct exchange *x, void (*fn)(void *arg), void *arg)
{
    x->on_close = fn;
    x->on_close_arg = arg;
}

void exchange_cut(struct exchange *x, struct bufferevent *b)
{
    x->is_cut = true;
    (void)shutdown(bufferevent_getfd(b), SHUT_RDWR);
}

static void free_body(const void *data, size_t n, void *arg)
{
    (void)data;
    (void)n;
    free(arg);
}

static void add_id(struct exchange *x)
{
    exchange_add_header(x, "x-request-id", x->id);
    if (x->errors && x->errors->id_header)
        exchange_add_header(x, x->errors->id_header, x->id);
}

static void answered(struct exchange *x, int http_status)
{
    x->http_status = http_status;
    metric_add(METRIC_HTTP, (unsigned)http_status / 100 - 2, 1);
}

/* What is written, or left to the bufferevent, is all of the answer. */
static void end_request(struct evhttp_request *req)
{
    req->chunked = 0;
    evhttp_send_reply_end(req);
}

void exchange_reply(struct exchange *x, int http_status, const char *content_type, struct buf *body)
{
    struct evhttp_request *req = x->req;
    struct guard *guard = x->home->guard;
    struct bufferevent *b = connection_of(x);
    struct evbuffer *out = NULL;
    const size_t n = body->len;
    char *bytes;
    char length[24];

    x->n_bytes_out = n;
    if (buf_status(body) == ST_OK && exchange_reply_now(x, b, http_status, content_type, body)) {
        buf_release(body);
        answered(x, http_status);
        let_go(x);
        end_request(req);
        return;
    }
    bytes = buf_take(body);
    if (!bytes)
        http_status = 500; /* the answer did not fit in memory: its status alone is sent */
    if (bytes && exchange_method(x) != EVHTTP_REQ_HEAD)
        out = evbuffer_new();
    if (out && evbuffer_add_reference(out, bytes, n, free_body, bytes) == 0)
        bytes = NULL; /* the buffer frees it */

    answered(x, http_status);
    (void)snprintf(length, sizeof(length), "%zu", n);
    exchange_add_header(x, "Content-Type", content_type);
    if (exchange_method(x) == EVHTTP_REQ_HEAD)
        exchange_add_header(x, "Content-Length", length);
    add_id(x);
    let_go(x);
    evhttp_send_reply(req, http_status, http_reason(http_status), out);
    guard_sending(guard, b);
    if (out)
        evbuffer_free(out);
    free(bytes);
}

void exchange_shape_errors(struct exchange *x, const struct error_shape *shape)
{
    x->errors = shape;
}

const struct error_shape *exchange_error_shape(const struct exchange *x)
{
    return x->errors;
}

void exchange_retry_after(struct exchange *x, uint32_t seconds)
{
    char text[16];

    (void)snprintf(text, sizeof(text), "%u", seconds);
    exchange_set_header(x, "retry-after", text);
}

/* When to come again, if at all.  Clients do not believe more than a minute. */
static void add_advice(struct exchange *x, const struct api_error *e, int http_status)
{
    const uint64_t ms = e->retry_ms ? e->retry_ms : 1000;
    const uint64_t s = (ms + 999) / 1000;
    char text[24];

    if (http_status == 401)
        exchange_set_header(x, "WWW-Authenticate", "Bearer error=\"invalid_token\"");
    if (http_status != 429 && http_status != 503 && http_status != 529)
        return;
    if (evhttp_find_header(evhttp_request_get_output_headers(x->req), "retry-after"))
        return; /* who said it first knows better */
    exchange_set_header(x, "x-should-retry", e->is_final ? "false" : "true");
    if (e->is_final)
        return;
    (void)snprintf(text, sizeof(text), "%" PRIu64, s < 60 ? s : 60);
    exchange_set_header(x, "retry-after", text);
    (void)snprintf(text, sizeof(text), "%" PRIu64, ms < 60000 ? ms : 60000);
    exchange_set_header(x, "retry-after-ms", text);
}

/* Of errors that say no to a client who might have been answered at another time, or with another key. */
static void count_rejection(enum api_error_kind kind)
{
    static const struct {
        enum api_error_kind kind;
        unsigned reason; /* METRIC_REJECTED's */
    } rows[] = {
        { API_KEY_INVALID, 0 },   { API_TOKEN_EXPIRED, 0 }, { API_SCOPE, 1 },
        { API_MODEL_DENIED, 1 },  { API_RATE_REQUESTS, 2 }, { API_RATE_TOKENS, 3 },
        { API_QUOTA, 4 },         { API_OVERLOADED, 5 },    { API_QUEUE_SHARE, 6 },
        { API_SHUTTING_DOWN, 7 },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (rows[i].kind == kind)
            metric_add(METRIC_REJECTED, rows[i].reason, 1);
    }
}

void exchange_fail(struct exchange *x, const struct api_error *e)
{
    const int http_status = x->errors ? x->errors->http(e->kind) : api_error_http(e->kind);
    struct buf body = { 0 };

    if (x->is_streaming) {
        sse_fail(x, e);
        return;
    }
    count_rejection(e->kind);
    add_advice(x, e, http_status);
    if (x->errors)
        x->errors->render(e, x->id, &body);
    else
        api_error_render(e, &body);
    exchange_reply(x, http_status, "application/json", &body);
}

void exchange_stream_start(struct exchange *x, const char *content_type)
{
    if (x->is_streaming)
        return;
    x->is_streaming = true;
    exchange_add_header(x, "Content-Type", content_type);
    exchange_add_header(x, "Cache-Control", "no-cache, no-transform");
    exchange_add_header(x, "X-Accel-Buffering", "no");
    add_id(x);
    if (x->req->major == 1 && x->req->minor == 0) /* no chunks there: the end is the connection's */
        exchange_add_header(x, "Connection", "close");
    answered(x, 200);
    evhttp_send_reply_start(x->req, 200, "OK");
    guard_sending(x->home->guard, connection_of(x));
}

/* False: nothing was sent. */
static bool send_now(struct exchange *x, struct bufferevent *b, const char *bytes, size_t n)
{
    char head[24];
    const int n_head = snprintf(head, sizeof(head), "%zx\r\n", n); /* RFC 9112, section 7.1 */
    const struct iovec parts[] = { { head, (size_t)n_head },
                                   { (void *)(uintptr_t)bytes, n },
                                   { (void *)(uintptr_t) "\r\n", 2 } };

    return x->req->chunked && exchange_write_now(x, b, parts, 3);
}

void exchange_stream_send(struct exchange *x, const char *bytes, size_t n)
{
    struct bufferevent *b = connection_of(x);
    struct evbuffer *piece;

    x->n_bytes_out += n;
    if (x->is_cut || n == 0 || send_now(x, b, bytes, n))
        return;
    piece = evbuffer_new();
    if (!piece || evbuffer_add(piece, bytes, n) != 0 ||
        evbuffer_get_length(bufferevent_get_output(b)) > STREAM_QUEUE_MAX) {
        exchange_cut(x, b);
    } else {
        evhttp_send_reply_chunk(x->req, piece);
        guard_sending(x->home->guard, b);
    }
    if (piece)
        evbuffer_free(piece);
}

void exchange_stream_end(struct exchange *x)
{
    struct evhttp_request *req = x->req;
    struct guard *guard = x->home->guard;
    struct bufferevent *b = connection_of(x);
    const bool is_chunked = req->chunked;
    const struct iovec last = { (void *)(uintptr_t) "0\r\n\r\n", 5 };
    const bool is_written = is_chunked && !x->is_cut && exchange_write_now(x, b, &last, 1);

    let_go(x);
    if (is_written) {
        end_request(req);
        return;
    }
    evhttp_send_reply_end(req);
    if (is_chunked) /* else there is nothing to send, and the connection may be gone */
        guard_sending(guard, b);
}
