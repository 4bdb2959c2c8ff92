/* SPDX-License-Identifier: Apache-2.0 */
/* tests/support/stream_load.c - many clients of one server of OpenAI's API: for tests of load.
 *
 *   stream_load HOST PORT MODEL STREAMS TOKENS RAMP_S      streams, once each, begun over RAMP_S seconds
 *   stream_load HOST PORT MODEL CLIENTS 0 SECONDS          short answers, one after the other
 *
 * Prints one line of JSON: requests, errors, and milliseconds: to the first byte of an answer, and, of streams
 * by stream_double, from a token's making to its arrival.
 */
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "base/clock.h"

enum { SAMPLES_MAX = 4000000 };

struct client {
    struct bufferevent *connection;
    struct event *start;
    uint64_t sent_ns;
    long n_tokens;
    size_t n_body; /* of a short answer, to come yet */
    int is_in_body, is_waiting;
};

struct samples {
    float *ms;
    size_t n;
};

static struct event_base *base;
static struct sockaddr_in address;
static char request[1024];
static size_t n_request;
static long n_tokens, n_open, n_done, n_errors;
static uint64_t until_ns;
static struct samples first, late;

static void sample(struct samples *s, uint64_t since_ns)
{
    if (s->n < SAMPLES_MAX)
        s->ms[s->n++] = (float)(clock_ns() - since_ns) / 1e6f;
}

static void closed(struct client *c, int is_error)
{
    n_errors += is_error;
    bufferevent_free(c->connection);
    c->connection = NULL;
    if (--n_open == 0)
        (void)event_base_loopbreak(base);
}

static void send_request(struct client *c)
{
    c->sent_ns = clock_ns();
    c->is_waiting = 1;
    c->is_in_body = 0;
    (void)bufferevent_write(c->connection, request, n_request);
}

static void note_first(struct client *c)
{
    if (c->is_waiting)
        sample(&first, c->sent_ns);
    c->is_waiting = 0;
}

static void stream_line(struct client *c, const char *line)
{
    const char *stamp = strstr(line, "\"content\":\"");

    if (strncmp(line, "HTTP/1.1 ", 9) == 0) {
        n_errors += strncmp(line + 9, "200", 3) != 0;
    } else if (stamp) {
        note_first(c);
        sample(&late, strtoull(stamp + strlen("\"content\":\""), NULL, 10));
        c->n_tokens++;
    } else if (strncmp(line, "data: [DONE]", 12) == 0) {
        n_done++;
        closed(c, c->n_tokens != n_tokens);
    } else if (strncmp(line, "data: {\"error\"", 14) == 0) {
        fprintf(stderr, "%s\n", line);
        closed(c, 1);
    }
}

static void short_line(struct client *c, const char *line)
{
    if (strncmp(line, "HTTP/1.1 ", 9) == 0) {
        note_first(c);
        n_errors += strncmp(line + 9, "200", 3) != 0;
    } else if (strncasecmp(line, "content-length:", 15) == 0) {
        c->n_body = strtoul(line + 15, NULL, 10);
    } else if (!line[0]) {
        c->is_in_body = 1;
    }
}

/* False: more has to come. */
static int short_body(struct client *c, struct evbuffer *in)
{
    if (evbuffer_get_length(in) < c->n_body)
        return 0;
    (void)evbuffer_drain(in, c->n_body);
    n_done++;
    if (clock_ns() > until_ns) {
        closed(c, 0);
        return 0;
    }
    send_request(c);
    return 1;
}

static void on_read(struct bufferevent *b, void *arg)
{
    struct client *c = arg;
    struct evbuffer *in = bufferevent_get_input(b);

    while (c->connection) {
        char *line;

        if (c->is_in_body && n_tokens == 0) {
            if (!short_body(c, in))
                return;
            continue;
        }
        line = evbuffer_readln(in, NULL, EVBUFFER_EOL_CRLF);
        if (!line)
            return;
        if (n_tokens > 0)
            stream_line(c, line);
        else
            short_line(c, line);
        free(line);
    }
}

static void on_event(struct bufferevent *b, short what, void *arg)
{
    struct client *c = arg;
    const int one = 1;

    if (what & BEV_EVENT_CONNECTED) {
        (void)setsockopt(bufferevent_getfd(b), IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        send_request(c);
    } else {
        closed(c, 1);
    }
}

static void start(evutil_socket_t fd, short what, void *arg)
{
    struct client *c = arg;

    (void)fd;
    (void)what;
    c->connection = bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
    bufferevent_setcb(c->connection, on_read, NULL, on_event, c);
    (void)bufferevent_enable(c->connection, EV_READ | EV_WRITE);
    if (bufferevent_socket_connect(c->connection, (struct sockaddr *)&address, sizeof(address)) !=
        0)
        closed(c, 1);
}

static int by_size(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;

    return (x > y) - (x < y);
}

static void print(const char *name, struct samples *s)
{
    qsort(s->ms, s->n, sizeof(*s->ms), by_size);
    printf(", \"%s\": {\"n\": %zu", name, s->n);
    if (s->n > 0)
        printf(", \"p50\": %.3f, \"p99\": %.3f, \"max\": %.3f", (double)s->ms[s->n / 2],
               (double)s->ms[s->n * 99 / 100], (double)s->ms[s->n - 1]);
    printf("}");
}

static void make_request(const char *model)
{
    char body[512];

    (void)snprintf(
        body, sizeof(body),
        "{\"model\":\"%s\",\"messages\":[{\"role\":\"user\",\"content\":\"Say hello.\"}],"
        "\"stream\":%s,\"max_tokens\":%ld}",
        model, n_tokens > 0 ? "true" : "false", n_tokens);
    n_request =
        (size_t)snprintf(request, sizeof(request),
                         "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
                         "application/json\r\nContent-Length: %zu\r\n\r\n%s",
                         strlen(body), body);
}

int main(int argc, char **argv)
{
    struct client *clients;
    uint64_t begun_ns;
    double seconds;
    long n;

    if (argc != 7)
        return 2;
    n = n_open = strtol(argv[4], NULL, 10);
    n_tokens = strtol(argv[5], NULL, 10);
    seconds = strtod(argv[6], NULL);
    address.sin_family = AF_INET;
    address.sin_port = htons((uint16_t)strtoul(argv[2], NULL, 10));
    (void)evutil_inet_pton(AF_INET, argv[1], &address.sin_addr);
    make_request(argv[3]);
    base = event_base_new();
    first.ms = calloc(SAMPLES_MAX, sizeof(float));
    late.ms = calloc(SAMPLES_MAX, sizeof(float));
    clients = calloc((size_t)n, sizeof(*clients));
    begun_ns = clock_ns();
    until_ns = begun_ns + (uint64_t)(seconds * 1e9);
    for (long i = 0; i < n; i++) {
        const long us = n_tokens > 0 ? (long)(seconds * 1e6 * (double)i / (double)n) : 0;
        const struct timeval wait = { us / 1000000, us % 1000000 };

        clients[i].start = event_new(base, -1, 0, start, &clients[i]);
        (void)event_add(clients[i].start, &wait);
    }
    (void)event_base_dispatch(base);
    printf("{\"done\": %ld, \"errors\": %ld, \"seconds\": %.3f", n_done, n_errors,
           (double)(clock_ns() - begun_ns) / 1e9);
    print("first_ms", &first);
    print("late_ms", &late);
    printf("}\n");
    return 0;
}
