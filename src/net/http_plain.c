/* SPDX-License-Identifier: Apache-2.0 */
/* net/http_plain.c - calls to servers in clear: one write, one read and no allocation but the call's own.
 *
 *   connecting --> sending --> answered --kept--> idle --> sending ...
 *        \____________\____________\_______________\____ freed
 *
 * libcurl finds the address and connects (http_curl.c); from then on the socket is ours.  A connection that was kept
 * may have been ended by its server meanwhile: where it breaks before a byte of an answer came, the call is sent
 * once more, over a new one.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/clock.h"
#include "net/http_client_priv.h"

enum {
    SCRATCH_BYTES = 64 << 10,
    HEADER_BYTES =
        1000, /* of a request, most have less; a little more is not got from malloc() as fast */
    ORIGIN_MAX = 512, /* bytes of host and port */
};

static const char SCHEME[] = "http://";

/* A server, and its connections that wait for a call. */
struct origin {
    char text[ORIGIN_MAX]; /* host and port as the URL has them */
    struct plain *idle;
    struct origin *next;
};

struct plain {
    struct http_client *client;
    struct origin *origin;
    struct http_call *call;       /* NULL: it is idle */
    struct http_call *connecting; /* NULL: it is connected */
    int fd;
    struct event *event;
    bool is_writing; /* the event is for that, too */
    bool is_reused;
    size_t n_sent; /* of the request */
    struct http_answer answer;
    uint64_t idle_since_ns;
    struct plain *next; /* idle */
};

/* ---- where ---- */

static size_t origin_length(const char *url)
{
    return strcspn(url + strlen(SCHEME), "/?");
}

/* What has another meaning to libcurl than to us is libcurl's. */
bool plain_way_takes(const struct http_call_options *options)
{
    const char *url = options->url;

    if (options->total_ms > 0 || strncmp(url, SCHEME, strlen(SCHEME)) != 0)
        return false;
    for (const char *c = url; *c; c++) {
        if (*c <= ' ' || (unsigned char)*c >= 0x7F || *c == '#' || *c == '@' || *c == '\\')
            return false;
    }
    return origin_length(url) > 0 && origin_length(url) < ORIGIN_MAX;
}

/* They are few: those of the settings. */
static struct origin *origin_of(struct http_client *client, const char *url)
{
    const char *text = url + strlen(SCHEME);
    const size_t n = origin_length(url);
    struct origin *o = client->origins;

    while (o && (strncmp(o->text, text, n) != 0 || o->text[n]))
        o = o->next;
    if (o)
        return o;
    o = calloc(1, sizeof(*o));
    if (!o)
        return NULL;
    memcpy(o->text, text, n);
    o->next = client->origins;
    client->origins = o;
    return o;
}

/* ---- life ---- */

static void plain_free(struct plain *p)
{
    if (p->connecting)
        http_call_cancel(p->connecting);
    if (p->event)
        event_free(p->event);
    if (p->fd >= 0)
        (void)close(p->fd);
    http_answer_release(&p->answer);
    free(p);
}

void plain_is_not_connecting(struct plain *p)
{
    p->connecting = NULL;
}

static void forget_idle(struct plain *p)
{
    struct plain **at = &p->origin->idle;

    while (*at != p)
        at = &(*at)->next;
    *at = p->next;
    p->client->n_idle--;
    plain_free(p);
}

static void keep(struct plain *p)
{
    if (p->client->n_idle >= CONNECTIONS_KEPT) {
        plain_free(p);
        return;
    }
    p->is_reused = true;
    p->idle_since_ns = clock_ns();
    p->next = p->origin->idle;
    p->origin->idle = p;
    p->client->n_idle++;
}

static enum status connect_anew(struct http_call *call, struct origin *origin, struct err *err)
{
    char url[ORIGIN_MAX + sizeof(SCHEME)];
    const struct http_call_options options = { .url = url,
                                               .connect_ms = call->options.connect_ms,
                                               .total_ms = call->options.connect_ms };
    struct plain *p = calloc(1, sizeof(*p));

    if (!p)
        return err_set(err, ST_NOMEM, "a connection to another server");
    (void)snprintf(url, sizeof(url), "%s%s", SCHEME, origin->text);
    *p = (struct plain){ .client = call->client, .origin = origin, .call = call, .fd = -1 };
    call->plain = p;
    return call_start(call->client, &options, p, &p->connecting, err);
}

void plain_way_leave(struct http_call *call)
{
    if (call->plain)
        plain_free(call->plain);
    call->plain = NULL;
    buf_release(&call->request);
}

/* The answer is whole: the connection may be another's. */
static void over(struct plain *p, bool may_keep, enum http_end end, const char *why)
{
    struct http_call *call = p->call;
    const size_t n_request = call->request.len + call->options.n_body;

    if (may_keep && p->n_sent == n_request && !p->is_writing) {
        call->plain = NULL;
        p->call = NULL;
        keep(p);
    }
    call_finish(call, end, why);
}

static void broken(struct plain *p, enum http_end end, const char *why)
{
    struct http_call *call = p->call;
    struct origin *origin = p->origin;
    struct err err;

    if (!p->is_reused || !http_answer_is_fresh(&p->answer)) {
        over(p, false, end, why);
        return;
    }
    call->plain = NULL;
    plain_free(p);
    if (connect_anew(call, origin, &err) != ST_OK)
        call_finish(call, HTTP_END_UNHEARD, "there is no memory for a connection");
}

/* ---- sending ---- */

static void on_event(evutil_socket_t fd, short what, void *arg);

/* False: no memory. */
static bool wait_for(struct plain *p, bool is_writing)
{
    if (p->event && p->is_writing == is_writing)
        return true;
    if (p->event)
        event_free(p->event);
    p->is_writing = is_writing;
    p->event = event_new(loop_base(p->client->loop), p->fd,
                         (short)(EV_READ | EV_PERSIST | (is_writing ? EV_WRITE : 0)), on_event, p);
    return p->event && event_add(p->event, NULL) == 0;
}

/* What is left of header and body; 0 or -1 as writev() says. */
static ssize_t send_some(struct plain *p)
{
    const struct http_call *call = p->call;
    const size_t n_header = call->request.len;
    const size_t n_done = p->n_sent < n_header ? 0 : p->n_sent - n_header;
    struct iovec parts[2];
    int n = 0;

    if (p->n_sent < n_header)
        parts[n++] = (struct iovec){ call->request.data + p->n_sent, n_header - p->n_sent };
    if (call->options.n_body > n_done)
        parts[n++] = (struct iovec){ (void *)(uintptr_t)(call->options.body + n_done),
                                     call->options.n_body - n_done };
    return n > 0 ? writev(p->fd, parts, n) : 0;
}

/* 0, or errno of why it cannot be sent. */
static int send_request(struct plain *p)
{
    const ssize_t n = send_some(p);

    if (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)
        return errno;
    p->n_sent += n > 0 ? (size_t)n : 0;
    return wait_for(p, p->n_sent < p->call->request.len + p->call->options.n_body) ? 0 : ENOMEM;
}

void plain_connected(struct plain *p, int fd, enum http_end end, const char *why)
{
    int failure;

    p->connecting = NULL;
    p->fd = fd;
    if (fd < 0) {
        over(p, false, end, why);
        return;
    }
    p->call->heard_ns = clock_ns();
    failure = send_request(p);
    if (failure != 0)
        over(p, false, HTTP_END_UNHEARD, strerror(failure));
}

/* ---- receiving ---- */

static void read_answer(struct plain *p, const char *bytes, size_t n)
{
    struct http_call *call = p->call;
    const char *piece;
    size_t at = 0, taken, n_piece;

    for (;;) {
        switch (http_answer_feed(&p->answer, bytes + at, n - at, &taken, &piece, &n_piece)) {
        case HTTP_ANSWER_MORE: return;
        case HTTP_ANSWER_HEAD:
            call->head = p->answer.head;
            (void)call_say_head(call);
            break;
        case HTTP_ANSWER_PIECE: (void)call_say_bytes(call, piece, n_piece); break;
        case HTTP_ANSWER_END:
            over(p, p->answer.is_kept && at + taken == n, HTTP_END_WHOLE, "");
            return;
        case HTTP_ANSWER_WRONG:
            over(p, false, HTTP_END_BROKEN, "its answer is not well-formed HTTP/1.1");
            return;
        }
        if (call->was_stopped) {
            over(p, false, HTTP_END_STOPPED, "");
            return;
        }
        at += taken;
    }
}

/* The connection ended, for which an answer may have waited. */
static void ended(struct plain *p, const char *why)
{
    if (http_answer_is_fresh(&p->answer))
        broken(p, HTTP_END_BROKEN, why);
    else if (http_answer_closed(&p->answer) == HTTP_ANSWER_END)
        over(p, false, HTTP_END_WHOLE, "");
    else
        over(p, false, HTTP_END_BROKEN, why);
}

static void receive(struct plain *p)
{
    char *scratch = p->client->scratch;
    const ssize_t n = recv(p->fd, scratch, SCRATCH_BYTES, 0);

    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
        return;
    if (!p->call) { /* its server ended it, or says what nobody asked for */
        forget_idle(p);
        return;
    }
    if (n < 0) {
        broken(p, HTTP_END_BROKEN, strerror(errno));
    } else if (n == 0) {
        ended(p, "the server closed the connection");
    } else {
        p->call->heard_ns = clock_ns();
        read_answer(p, scratch, (size_t)n);
    }
}

static void on_event(evutil_socket_t fd, short what, void *arg)
{
    struct plain *p = arg;
    int failure;

    (void)fd;
    if (what & EV_READ) {
        receive(p);
        return; /* it may be gone; what can be written waits for the next turn */
    }
    failure = p->call ? send_request(p) : 0;
    if (failure != 0)
        broken(p, HTTP_END_UNHEARD, strerror(failure));
}

/* ---- a call ---- */

static enum status make_request(struct http_call *call, const char *origin, struct err *err)
{
    const struct http_call_options *o = &call->options;
    const char *target = o->url + strlen(SCHEME) + origin_length(o->url);
    struct buf *out = &call->request;
    char length[24];

    (void)buf_reserve(out, HEADER_BYTES);
    buf_puts(out, o->body ? "POST " : "GET ");
    buf_puts(out, *target == '/' ? "" : "/");
    buf_puts(out, target);
    buf_puts(out, " HTTP/1.1\r\nHost: ");
    buf_puts(out, origin);
    buf_puts(out, "\r\nUser-Agent: pomona/" POMONA_VERSION "\r\n");
    for (size_t i = 0; i < o->n_headers; i++) {
        buf_puts(out, o->headers[i]);
        buf_puts(out, "\r\n");
    }
    if (o->body) {
        (void)snprintf(length, sizeof(length), "%zu", o->n_body);
        buf_puts(out, "Content-Length: ");
        buf_puts(out, length);
        buf_puts(out, "\r\n");
    }
    buf_puts(out, "\r\n");
    return buf_status(out) == ST_OK ? ST_OK : err_set(err, ST_NOMEM, "the header of a request");
}

static struct plain *take_idle(struct http_call *call, struct origin *origin)
{
    struct plain *p = origin->idle;

    if (!p)
        return NULL;
    origin->idle = p->next;
    call->client->n_idle--;
    p->next = NULL;
    p->call = call;
    p->n_sent = 0;
    http_answer_init(&p->answer);
    call->plain = p;
    return p;
}

enum status plain_way_start(struct http_call *call, struct err *err)
{
    struct http_client *client = call->client;
    struct origin *origin = origin_of(client, call->options.url);
    struct plain *p;

    if (!client->scratch)
        client->scratch = malloc(SCRATCH_BYTES);
    if (!origin || !client->scratch)
        return err_set(err, ST_NOMEM, "a request to another server");
    if (make_request(call, origin->text, err) != ST_OK)
        return ST_NOMEM;
    while ((p = take_idle(call, origin)) != NULL) {
        if (send_request(p) == 0)
            return ST_OK;
        call->plain = NULL;
        plain_free(p);
    }
    return connect_anew(call, origin, err);
}

/* What waited for long its server will close. */
void plain_way_sweep(struct http_client *client, uint64_t now_ns)
{
    for (struct origin *o = client->origins; o; o = o->next) {
        for (struct plain *p = o->idle, *next; p; p = next) {
            next = p->next;
            if (now_ns - p->idle_since_ns > IDLE_S * NS_PER_S)
                forget_idle(p);
        }
    }
}

void plain_way_free(struct http_client *client)
{
    while (client->origins) {
        struct origin *o = client->origins;

        while (o->idle)
            forget_idle(o->idle);
        client->origins = o->next;
        free(o);
    }
    free(client->scratch);
}
