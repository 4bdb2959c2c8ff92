/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/http/exchange_write.c - answers straight to the socket.
 *
 * evhttp puts an answer into a buffer, waits until the socket can be written, which it nearly always can, and asks the
 * system to wait for that no longer: three system calls and a turn of the loop.  Here what nothing waits before is
 * written at once, and evhttp is told that the answer is over; what did not fit is left to the bufferevent.
 *
 * evhttp_send_reply_end() ends a request of which nothing is in the buffer at once, and another when all of the
 * buffer is written, for as long as `chunked` says that no last chunk is to be made.
 */
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/http.h>
#include <event2/http_struct.h>
#include <event2/keyvalq_struct.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "gateway/http/exchange_priv.h"
#include "gateway/http/reason.h"

enum {
    NO_CONTENT = 204,
    NOT_MODIFIED = 304,
    HEAD_BYTES = 512,        /* of an answer, most have less */
    WHOLE_BYTES = 256 << 10, /* what is longer does not fit into a socket, and would be copied */
};

bool exchange_write_now(struct exchange *x, struct bufferevent *b, const struct iovec *parts, int n)
{
    struct evbuffer *output = bufferevent_get_output(b);
    ssize_t n_sent;

    if (evbuffer_get_length(output) > 0 || !guard_is_in_clear(b))
        return false;
    n_sent = writev(bufferevent_getfd(b), parts, n);
    if (n_sent <= 0)
        return false;
    for (size_t i = 0, done = (size_t)n_sent; i < (size_t)n; i++) {
        const size_t skipped = done < parts[i].iov_len ? done : parts[i].iov_len;

        done -= skipped;
        if (evbuffer_add(output, (const char *)parts[i].iov_base + skipped,
                         parts[i].iov_len - skipped) != 0)
            exchange_cut(x, b); /* no memory: half an answer is none */
    }
    if (evbuffer_get_length(output) > 0)
        (void)bufferevent_enable(b, EV_WRITE);
    return true;
}

/* Where the connection ends with the answer, or has no body, evhttp knows better. */
static bool is_usual(const struct exchange *x, int http_status)
{
    const struct evkeyvalq *input = evhttp_request_get_input_headers(x->req);
    const char *connection = evhttp_find_header(input, "Connection");

    return x->req->major == 1 && x->req->minor == 1 && exchange_method(x) != EVHTTP_REQ_HEAD &&
           http_status >= 200 && http_status != NO_CONTENT && http_status != NOT_MODIFIED &&
           (!connection || strcasecmp(connection, "keep-alive") == 0) &&
           !evhttp_find_header(input, "Proxy-Connection") &&
           !evhttp_find_header(evhttp_request_get_output_headers(x->req), "Connection") &&
           !evhttp_find_header(evhttp_request_get_output_headers(x->req), "Content-Length");
}

static void add_line(struct buf *head, const char *name, const char *value)
{
    buf_puts(head, name);
    buf_puts(head, ": ");
    buf_puts(head, value);
    buf_puts(head, "\r\n");
}

/* RFC 9112, section 4; RFC 9110, sections 6.6.1 and 8.6 */
static void write_head(const struct exchange *x, int http_status, const char *words,
                       const char *content_type, size_t n_body, struct buf *head)
{
    const struct evkeyvalq *headers = evhttp_request_get_output_headers(x->req);
    char text[64];

    (void)buf_reserve(head, HEAD_BYTES);
    (void)snprintf(text, sizeof(text), "HTTP/1.1 %d ", http_status);
    buf_puts(head, text);
    buf_puts(head, words);
    buf_puts(head, "\r\n");
    for (const struct evkeyval *h = headers->tqh_first; h; h = h->next.tqe_next)
        add_line(head, h->key, h->value);
    add_line(head, "Content-Type", content_type);
    add_line(head, "x-request-id", x->id);
    if (x->errors && x->errors->id_header)
        add_line(head, x->errors->id_header, x->id);
    add_line(head, "Date", http_date_text(x->home->date, clock_unix_s()));
    (void)snprintf(text, sizeof(text), "Content-Length: %zu\r\n\r\n", n_body);
    buf_puts(head, text);
}

bool exchange_reply_now(struct exchange *x, struct bufferevent *b, int http_status,
                        const char *content_type, const struct buf *body)
{
    const char *words = http_reason(http_status);
    struct buf head = { 0 };
    bool is_sent = false;

    if (!words || body->len > WHOLE_BYTES || !is_usual(x, http_status))
        return false;
    write_head(x, http_status, words, content_type, body->len, &head);
    if (buf_status(&head) == ST_OK) {
        const struct iovec parts[] = { { head.data, head.len }, { body->data, body->len } };

        is_sent = exchange_write_now(x, b, parts, body->len > 0 ? 2 : 1);
    }
    buf_release(&head);
    return is_sent;
}
