/* SPDX-License-Identifier: Apache-2.0 */
/* tests/support/stream_double.c - a server of OpenAI's API that computes nothing: for tests of load.
 *
 *   stream_double PORT [TOKENS_PER_S]
 *
 * A stream gets max_tokens events at TOKENS_PER_S (default 10; 0: at once), each with the time of CLOCK_MONOTONIC in
 * nanoseconds as its text. What is no stream gets a short answer at once. It reads no JSON: "stream" and
 * "max_tokens" are looked for in the text.
 */
#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

struct stream {
    struct evhttp_request *req;
    struct event *timer;
    long n_left;
};

static struct event_base *base;
static double tokens_per_s = 10;

static void stream_free(struct stream *s)
{
    event_free(s->timer);
    free(s);
}

static void on_closed(struct evhttp_connection *connection, void *arg)
{
    (void)connection;
    stream_free(arg);
}

static void send_token(struct stream *s)
{
    struct evbuffer *out = evbuffer_new();

    (void)evbuffer_add_printf(
        out,
        "data: {\"id\":\"x\",\"object\":\"chat.completion.chunk\",\"created\":1,"
        "\"model\":\"double\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\""
        "%" PRIu64 "\"},\"finish_reason\":null}]}\n\n",
        clock_ns());
    evhttp_send_reply_chunk(s->req, out);
    evbuffer_free(out);
}

static void end(struct stream *s)
{
    struct evbuffer *out = evbuffer_new();

    (void)evbuffer_add_printf(out, "data: [DONE]\n\n");
    evhttp_connection_set_closecb(evhttp_request_get_connection(s->req), NULL, NULL);
    evhttp_send_reply_chunk(s->req, out);
    evhttp_send_reply_end(s->req);
    evbuffer_free(out);
    stream_free(s);
}

static void on_time(evutil_socket_t fd, short what, void *arg)
{
    struct stream *s = arg;

    (void)fd;
    (void)what;
    if (s->n_left-- > 0)
        send_token(s);
    else
        end(s);
}

static void start_stream(struct evhttp_request *req, long n_tokens)
{
    struct stream *s = calloc(1, sizeof(*s));
    const long us = tokens_per_s > 0 ? (long)(1e6 / tokens_per_s) : 0;
    const struct timeval every = { us / 1000000, us % 1000000 };

    s->req = req;
    s->n_left = n_tokens;
    s->timer = event_new(base, -1, EV_PERSIST, on_time, s);
    evhttp_connection_set_closecb(evhttp_request_get_connection(req), on_closed, s);
    (void)evhttp_add_header(evhttp_request_get_output_headers(req), "Content-Type",
                            "text/event-stream");
    evhttp_send_reply_start(req, 200, "OK");
    if (us > 0) {
        (void)event_add(s->timer, &every);
        return;
    }
    while (s->n_left-- > 0)
        send_token(s);
    end(s);
}

static void answer(struct evhttp_request *req)
{
    struct evbuffer *out = evbuffer_new();

    (void)evbuffer_add_printf(
        out, "{\"id\":\"x\",\"object\":\"chat.completion\",\"created\":1,\"model\":"
             "\"double\",\"choices\":[{\"index\":0,\"message\":{\"role\":"
             "\"assistant\",\"content\":\"Hello there.\"},\"finish_reason\":"
             "\"stop\"}],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":3,"
             "\"total_tokens\":8}}");
    (void)evhttp_add_header(evhttp_request_get_output_headers(req), "Content-Type",
                            "application/json");
    evhttp_send_reply(req, 200, "OK", out);
    evbuffer_free(out);
}

static void on_request(struct evhttp_request *req, void *arg)
{
    struct evbuffer *in = evhttp_request_get_input_buffer(req);
    const size_t n = evbuffer_get_length(in);
    char *body = calloc(1, n + 1);
    const char *limit;

    (void)arg;
    (void)evbuffer_remove(in, body, n);
    limit = strstr(body, "\"max_tokens\":");
    if (strstr(body, "\"stream\":true") || strstr(body, "\"stream\": true"))
        start_stream(req, limit ? strtol(limit + strlen("\"max_tokens\":"), NULL, 10) : 16);
    else
        answer(req);
    free(body);
}

int main(int argc, char **argv)
{
    struct evhttp *http;

    if (argc < 2)
        return 2;
    if (argc > 2)
        tokens_per_s = strtod(argv[2], NULL);
    (void)signal(SIGPIPE, SIG_IGN);
    base = event_base_new();
    http = evhttp_new(base);
    evhttp_set_gencb(http, on_request, NULL);
    if (evhttp_bind_socket(http, "127.0.0.1", (uint16_t)strtoul(argv[1], NULL, 10)) != 0)
        return 1;
    (void)event_base_dispatch(base);
    return 0;
}
