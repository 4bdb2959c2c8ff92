/* SPDX-License-Identifier: Apache-2.0 */
/* net/http_client.h - requests to other HTTP servers, many at once, on the loop.
 *
 * Connections are kept and used again.  No proxy, no redirects, HTTP and HTTPS only; certificates are checked
 * against the system's authorities, or the file's that a call names.  What goes over TLS, or is bounded by total_ms, is libcurl's multi interface on libevent;
 * what goes in clear is sent and read here, over a connection that libcurl made.  A call over a kept connection that
 * ends without a byte of an answer is sent once more, over a new one.
 *
 *   http_call_start() --> on_head, once --> on_bytes, often --> on_end, once
 *                          \--------------------------------/ on_end may come at any time
 *   http_call_cancel(): nothing more is called
 *
 * From inside on_head and on_bytes a call is ended by returning false, not by http_call_cancel().
 *
 * Threads  the loop's
 */
#ifndef POMONA_NET_HTTP_CLIENT_H
#define POMONA_NET_HTTP_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "net/loop.h"

struct http_client;
struct http_call;

enum { HTTP_CALL_TYPE_MAX = 128 };

struct http_answer_head {
    int status;
    char type[HTTP_CALL_TYPE_MAX]; /* Content-Type; "" where there is none or it is longer */
    uint32_t retry_after_s;        /* 0: none */
};

/* How a call ended. */
enum http_end {
    HTTP_END_WHOLE, /* the whole answer came */
    HTTP_END_UNHEARD, /* not connected, or the connection of an earlier request had ended: nothing was done there */
    HTTP_END_BROKEN,  /* in the middle */
    HTTP_END_LATE,    /* the time was over */
    HTTP_END_STOPPED, /* on_head or on_bytes returned false */
};

struct http_call_options {
    const char *url;
    const char *const *headers; /* "Name: value", [n_headers] */
    size_t n_headers;
    const char *
        ca_file; /* PEM, whose signatures are trusted in place of the system's; NULL: the system's */
    const char *body; /* NULL: GET, else POST; lent until the call is over */
    size_t n_body;
    uint32_t connect_ms;
    uint32_t silence_ms; /* without a byte, once connected; 0: any time */
    uint32_t total_ms;   /* 0: any time */
    bool (*on_head)(void *arg, const struct http_answer_head *head);
    bool (*on_bytes)(void *arg, const char *bytes, size_t n);
    void (*on_end)(void *arg, enum http_end end,
                   const char *why); /* why: words, not for a client */
    void *arg;
};

/* The process ignores SIGPIPE from then on. */
enum status http_client_new(struct loop *loop, struct http_client **ret_client, struct err *err);
void http_client_free(struct http_client *client); /* its calls are canceled; NULL is allowed */

/* Errors  ST_NOMEM, ST_FORMAT (the URL); then nothing is called */
enum status http_call_start(struct http_client *client, const struct http_call_options *options,
                            struct http_call **ret_call, struct err *err);
void http_call_cancel(struct http_call *call); /* NULL is allowed */

#endif
