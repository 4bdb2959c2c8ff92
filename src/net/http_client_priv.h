/* SPDX-License-Identifier: Apache-2.0 */
/* net/http_client_priv.h - what the two ways of a call share: libcurl's, and our own for servers in clear. */
#ifndef POMONA_NET_HTTP_CLIENT_PRIV_H
#define POMONA_NET_HTTP_CLIENT_PRIV_H

#include <curl/curl.h>

#include "net/http_answer.h"
#include "net/http_client.h"

enum {
    HANDLES_KEPT = 256,
    CONNECTIONS_KEPT = 512, /* idle connections */
    IDLE_S = 55,            /* servers close after 60, and a request would meet that */
};

struct plain;

struct http_call {
    struct http_client *client;
    struct http_call_options options;
    struct http_answer_head head;
    uint64_t heard_ns;
    bool has_head;    /* on_head was called */
    bool was_stopped; /* by its owner */
    struct http_call **link, *next;

    /* libcurl's */
    CURL *curl; /* NULL: in clear */
    struct curl_slist *headers;
    struct plain *connects; /* it shall be connected, and nothing else */

    /* in clear */
    struct plain *plain; /* its connection */
    struct buf request;  /* header as it is sent */
};

/* What is waited for at a socket of libcurl's. */
struct waited {
    struct event *event; /* NULL: none was needed yet */
    short events;        /* that libevent waits for now; 0: none */
    bool is_wanted;      /* by libcurl; else the connection is idle */
};

struct http_client {
    struct loop *loop;
    struct loop_timer *sweep;
    struct http_call *calls;
    bool is_ending;

    CURLM *multi;
    struct waited *waited; /* by the socket's number, [n_waited] */
    size_t n_waited;
    struct event *soon;
    struct loop_timer *timer;
    uint64_t timer_ns; /* when it is due; 0: it is not set */
    uint64_t due_ns;   /* when libcurl wants to be called; 0: never */
    CURL *spare[HANDLES_KEPT];
    size_t n_spare;

    struct origin *origins; /* servers in clear, and their idle connections */
    size_t n_idle;
    char *scratch; /* [SCRATCH_BYTES], what was received last */
};

/* ---- http_client.c ---- */

/* connects  NULL, or who wants the connection alone: plain_connected() follows, and no callback of the options */
enum status call_start(struct http_client *client, const struct http_call_options *options,
                       struct plain *connects, struct http_call **ret_call, struct err *err);

/* Over: freed, then its owner is told. */
void call_finish(struct http_call *call, enum http_end end, const char *why);

/* Tell its owner of the head, once; false: the owner wants no more. */
bool call_say_head(struct http_call *call);
bool call_say_bytes(struct http_call *call, const char *bytes, size_t n);

/* ---- http_curl.c ---- */

enum status curl_way_new(struct http_client *client, struct err *err);
void curl_way_free(struct http_client *client); /* after its calls; also half-built */
enum status curl_way_start(struct http_call *call, struct err *err);
void curl_way_leave(struct http_call *call);
void curl_way_finish_late(struct http_call *call);

/* ---- http_plain.c ---- */

/* Calls to servers in clear for which only silence is a bound: those that requests of clients become. */
bool plain_way_takes(const struct http_call_options *options);
enum status plain_way_start(struct http_call *call, struct err *err);
void plain_way_leave(struct http_call *call);

/* fd    a socket of the caller's, which is taken; -1: none, for the reason `end` and `why` */
void plain_connected(struct plain *plain, int fd, enum http_end end, const char *why);

/* The call that connects it is canceled. */
void plain_is_not_connecting(struct plain *plain);
void plain_way_sweep(struct http_client *client, uint64_t now_ns);
void plain_way_free(struct http_client *client); /* after its calls */

#endif
