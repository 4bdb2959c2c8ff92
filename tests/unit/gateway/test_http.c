/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/gateway/test_http.c - the server against a raw socket: bounds, routing, leaving.
 *
 * The server runs on a thread of its own; the test is a blocking client.
 */
#include "support/check.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/size.h"
#include "gateway/http/date.h"
#include "gateway/http/server.h"
#include "gateway/http/sse.h"
#include "net/loop.h"

enum { PATIENCE_MS = 60000, LARGE_BYTES = 200 << 10, LARGE_ANSWERS = 12 };

struct fixture {
    struct loop *loop;
    struct http_server *server;
    struct loop_timer *timer;
    struct exchange *streaming; /* the loop's */
    atomic_int n_closed;
    pthread_t thread;
};

static struct fixture fixture;

static void echo(void *arg, struct exchange *x)
{
    struct buf body = { 0 };
    size_t n;
    const char *text = exchange_body(x, &n);

    (void)arg;
    buf_printf(&body, "%zu:%.*s", n, (int)size_min(n, 64), text);
    exchange_reply(x, 200, "text/plain", &body);
}

/* More than a socket takes that nobody reads: the letter that was asked for, many times. */
static void large(void *arg, struct exchange *x)
{
    struct buf body = { 0 };

    (void)arg;
    for (size_t i = 0; i < LARGE_BYTES; i++)
        buf_putc(&body, exchange_query(x)[0]);
    exchange_reply(x, 200, "text/plain", &body);
}

/* Holds the loop up for longer than the guard looks at each connection: that is due when this is answered. */
static void stall(void *arg, struct exchange *x)
{
    (void)poll(NULL, 0, 600);
    echo(arg, x);
}

static void closed(void *arg)
{
    struct fixture *f = arg;

    f->streaming = NULL;
    atomic_fetch_add(&f->n_closed, 1);
}

/* Answers nothing until the client leaves. */
static void hang(void *arg, struct exchange *x)
{
    exchange_on_close(x, closed, arg);
}

/* Sends events for ever. */
static void stream(void *arg, struct exchange *x)
{
    struct fixture *f = arg;

    exchange_on_close(x, closed, f);
    sse_start(x);
    f->streaming = x;
}

static void events(void *arg, struct exchange *x)
{
    struct buf event = { 0 };

    (void)arg;
    sse_start(x);
    sse_event_begin(&event);
    buf_puts(&event, "{}");
    sse_event_end(&event);
    sse_send(x, &event);
    sse_keep_alive(x, NULL);
    buf_release(&event);
    sse_finish(x);
}

static void pump(void *arg)
{
    static const char bytes[8192] = { 'x' };
    struct fixture *f = arg;

    for (int i = 0; i < 64 && f->streaming; i++)
        exchange_stream_send(f->streaming, bytes, sizeof(bytes));
}

static const struct http_route routes[] = {
    { "POST", "/echo", echo },  { "GET", "/echo", echo },     { "GET", "/hang", hang },
    { "POST", "/hang", hang },  { "GET", "/stream", stream }, { "GET", "/events", events },
    { "GET", "/stall", stall }, { "GET", "/large", large },
};

static void *serve(void *arg)
{
    struct fixture *f = arg;

    (void)loop_run(f->loop, NULL);
    return NULL;
}

static int set_up(void **state)
{
    struct fixture *f = &fixture;
    const struct http_server_options options = {
        .host = "127.0.0.1",
        .routes = routes,
        .n_routes = ARRAY_LEN(routes),
        .arg = f,
    };
    struct err err = { 0 };

    assert_ok(loop_new(&f->loop, &err), err);
    assert_ok(http_server_new(f->loop, &options, &f->server, &err), err);
    assert_ok(loop_timer_new(f->loop, pump, f, &f->timer), err);
    loop_timer_every(f->timer, 1);
    assert_int_equal(pthread_create(&f->thread, NULL, serve, f), 0);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    loop_stop(f->loop);
    assert_int_equal(pthread_join(f->thread, NULL), 0);
    http_server_free(f->server);
    loop_timer_free(f->timer);
    loop_free(f->loop);
    return 0;
}

static int dial(const struct fixture *f)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons(http_server_port(f->server)),
    };
    const int fd = socket(AF_INET, SOCK_STREAM, 0);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

static void say(int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* Read until `until` was seen, or the end; the text so far. */
static struct buf hear(int fd, const char *until)
{
    struct pollfd p = { .fd = fd, .events = POLLIN };
    struct buf text = { 0 };
    char bytes[4096];

    while (!until || !strstr(buf_text(&text), until)) {
        ssize_t n;

        if (poll(&p, 1, PATIENCE_MS) != 1)
            fail_msg("nothing came after: %s", buf_text(&text));
        n = recv(fd, bytes, sizeof(bytes), 0);
        if (n <= 0)
            break;
        buf_append(&text, bytes, (size_t)n);
    }
    return text;
}

/* One request on a connection of its own; what came until the server closed,
 * or until `until`. */
static void ask(const struct fixture *f, const char *request, const char *until, const char *status,
                const char *part)
{
    const int fd = dial(f);
    struct buf text;

    say(fd, request);
    text = hear(fd, until);
    if (strncmp(buf_text(&text), status, strlen(status)) != 0 || !strstr(buf_text(&text), part))
        fail_msg("%s\ngave\n%s", request, buf_text(&text));
    buf_release(&text);
    (void)close(fd);
}

static void await_closed(struct fixture *f, int n)
{
    for (int i = 0; i < PATIENCE_MS && atomic_load(&f->n_closed) < n; i++)
        (void)poll(NULL, 0, 1);
    assert_int_equal(atomic_load(&f->n_closed), n);
}

static void a_body_arrives_whole(void **state)
{
    ask(*state, "POST /v1/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello", "5:hello",
        "HTTP/1.1 200 OK", "\r\nx-request-id: req_");
    ask(*state,
        "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        "3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n",
        "5:hello", "HTTP/1.1 200 OK", "text/plain");
}

static void an_id_is_echoed_unless_it_could_do_harm(void **state)
{
    ask(*state, "GET /echo HTTP/1.1\r\nHost: x\r\nx-request-id: a.B-9\r\n\r\n",
        "0:", "HTTP/1.1 200", "x-request-id: a.B-9\r\n");
    ask(*state, "GET /echo HTTP/1.1\r\nHost: x\r\nx-request-id: a b\r\n\r\n", "0:", "HTTP/1.1 200",
        "x-request-id: req_");
}

static void two_lengths_are_refused(void **state)
{
    ask(*state,
        "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        NULL, "HTTP/1.1 400", "more than once");
    ask(*state,
        "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: "
        "chunked\r\n\r\n0\r\n\r\n",
        NULL, "HTTP/1.1 400", "");
}

static void unknown_paths_and_wrong_methods_get_json(void **state)
{
    ask(*state, "GET /nothing?x=1 HTTP/1.1\r\nHost: x\r\n\r\n", "}}", "HTTP/1.1 404",
        "\"code\":\"unknown_url\"");
    ask(*state, "DELETE /echo HTTP/1.1\r\nHost: x\r\n\r\n", "}}", "HTTP/1.1 405",
        "\r\nAllow: POST, GET, HEAD\r\n");
    ask(*state, "OPTIONS /echo HTTP/1.1\r\nHost: x\r\n\r\n", "}}", "HTTP/1.1 405", "Allow: ");
}

static void head_has_a_length_and_no_body(void **state)
{
    const int fd = dial(*state);
    struct buf text;

    say(fd, "HEAD /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    text = hear(fd, NULL);
    assert_non_null(strstr(buf_text(&text), "Content-Length: 2\r\n"));
    assert_string_equal(strstr(buf_text(&text), "\r\n\r\n"), "\r\n\r\n");
    buf_release(&text);
    (void)close(fd);
}

static void huge_headers_are_refused(void **state)
{
    const int fd = dial(*state);
    struct buf request = { 0 }, answer;

    buf_puts(&request, "GET /echo HTTP/1.1\r\nHost: x\r\nX-Big: ");
    for (int i = 0; i < 16 << 10; i++)
        buf_putc(&request, 'x');
    buf_puts(&request, "\r\n\r\n");
    say(fd, buf_text(&request));
    answer = hear(fd, NULL);
    assert_memory_equal(buf_text(&answer), "HTTP/1.1 4", 10);
    buf_release(&request);
    buf_release(&answer);
    (void)close(fd);
}

static void bodies_that_cannot_be_json_are_refused(void **state)
{
    ask(*state,
        "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\nContent-Length: 1\r\n\r\nx",
        "}}", "HTTP/1.1 415", "unsupported_media_type");
    ask(*state,
        "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data\r\n"
        "Content-Length: 1\r\n\r\nx",
        "}}", "HTTP/1.1 415", "unsupported_media_type");
}

static void an_answer_says_what_it_is_once(void **state)
{
    static const char *const names[] = { "\r\nContent-Length: ", "\r\nContent-Type: ",
                                         "\r\nx-request-id: ", "\r\nDate: " };
    const int fd = dial(*state);

    for (int i = 0; i < 3; i++) { /* and the connection goes on */
        struct buf text;

        say(fd, "GET /echo HTTP/1.1\r\nHost: x\r\nConnection: keep-alive\r\n\r\n");
        text = hear(fd, "\r\n\r\n0:");
        assert_memory_equal(buf_text(&text), "HTTP/1.1 200 OK\r\n", 17);
        for (size_t k = 0; k < ARRAY_LEN(names); k++) {
            const char *at = strstr(buf_text(&text), names[k]);

            if (!at || strstr(at + 1, names[k]))
                fail_msg("%s is not there once: %s", names[k], buf_text(&text));
        }
        buf_release(&text);
    }
    (void)close(fd);
}

static void the_time_is_written_as_every_reader_expects(void **state)
{
    struct http_date date = { 0 };

    (void)state;
    assert_string_equal(http_date_text(&date, 784111777), "Sun, 06 Nov 1994 08:49:37 GMT");
    assert_string_equal(http_date_text(&date, 784111777), "Sun, 06 Nov 1994 08:49:37 GMT");
    assert_string_equal(http_date_text(&date, 784111778), "Sun, 06 Nov 1994 08:49:38 GMT");
}

/* The server's end of this connection, in this process, takes few bytes at a time from now on. */
static void narrow(int fd)
{
    struct sockaddr_in ours, theirs;
    const int n_bytes = 4096;
    int n_found = 0;

    assert_int_equal(getsockname(fd, (struct sockaddr *)&ours, &(socklen_t){ sizeof(ours) }), 0);
    for (int other = 0; other < 1024; other++) {
        if (getpeername(other, (struct sockaddr *)&theirs, &(socklen_t){ sizeof(theirs) }) != 0 ||
            theirs.sin_family != AF_INET || theirs.sin_port != ours.sin_port)
            continue;
        n_found++;
        assert_int_equal(setsockopt(other, SOL_SOCKET, SO_SNDBUF, &n_bytes, sizeof(n_bytes)), 0);
    }
    assert_int_equal(n_found, 1);
}

static void answers_to_who_does_not_read_wait_whole_and_in_order(void **state)
{
    const int fd = dial(*state);
    struct buf answer = { 0 }, text;
    const char *at;

    say(fd, "GET /echo HTTP/1.1\r\nHost: x\r\n\r\n");
    text = hear(fd, "\r\n\r\n0:");
    buf_release(&text);
    narrow(fd);
    for (int i = 0; i < LARGE_ANSWERS; i++) {
        char request[64];

        (void)snprintf(request, sizeof(request), "GET /large?%c HTTP/1.1\r\nHost: x\r\n%s\r\n",
                       'a' + i, i + 1 == LARGE_ANSWERS ? "Connection: close\r\n" : "");
        say(fd, request);
    }
    text = hear(fd, NULL);
    at = buf_text(&text);
    for (int i = 0; i < LARGE_ANSWERS; i++) {
        assert_memory_equal(at, "HTTP/1.1 200 OK\r\n", 17);
        at = strstr(at, "\r\n\r\n") + 4;
        buf_clear(&answer);
        for (size_t k = 0; k < LARGE_BYTES; k++)
            buf_putc(&answer, (char)('a' + i));
        assert_true((size_t)(buf_text(&text) + text.len - at) >= LARGE_BYTES);
        assert_memory_equal(at, answer.data, LARGE_BYTES);
        at += LARGE_BYTES;
    }
    assert_ptr_equal(at, buf_text(&text) + text.len);
    buf_release(&answer);
    buf_release(&text);
    (void)close(fd);
}

static void events_end_with_done_and_the_connection_goes_on(void **state)
{
    const int fd = dial(*state);
    struct buf text;

    for (int i = 0; i < 3; i++) {
        say(fd, "GET /events HTTP/1.1\r\nHost: x\r\n\r\n");
        text = hear(fd, "\r\n0\r\n\r\n");
        assert_non_null(strstr(buf_text(&text), "text/event-stream; charset=utf-8\r\n"));
        assert_non_null(strstr(buf_text(&text), "Transfer-Encoding: chunked\r\n"));
        assert_non_null(strstr(buf_text(&text), "data: {}\n\n"));
        assert_non_null(strstr(buf_text(&text), ": keep-alive\n\n"));
        assert_non_null(strstr(buf_text(&text), "data: [DONE]\n\n"));
        buf_release(&text);
    }
    (void)close(fd);
}

static void old_clients_get_a_stream_that_ends_with_the_connection(void **state)
{
    const int fd = dial(*state);
    struct buf text;

    say(fd, "GET /events HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    text = hear(fd, NULL);
    assert_null(strstr(buf_text(&text), "chunked"));
    assert_non_null(strstr(buf_text(&text), "\r\n\r\ndata: {}\n\n"));
    buf_release(&text);
    (void)close(fd);
}

static void a_client_that_leaves_is_noticed(void **state)
{
    struct fixture *f = *state;
    const int before = atomic_load(&f->n_closed);
    int fd = dial(f);

    say(fd, "POST /hang HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}");
    (void)poll(NULL, 0, 20); /* also after the server began to wait */
    (void)close(fd);
    await_closed(f, before + 1);
    fd = dial(f);
    say(fd, "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
    (void)close(fd);
    await_closed(f, before + 2);
}

static void a_reader_that_stops_is_cut_off(void **state)
{
    struct fixture *f = *state;
    const int before = atomic_load(&f->n_closed);
    const int fd = dial(f);

    say(fd, "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
    await_closed(f, before + 1); /* nothing is read here: the queue fills up */
    (void)close(fd);
}

static void a_pipelined_request_waits_its_turn(void **state)
{
    struct fixture *f = *state;
    const int before = atomic_load(&f->n_closed);
    int fd = dial(f);
    struct buf text;

    say(fd, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n1"
            "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n2");
    text = hear(fd, "1:2");
    assert_non_null(strstr(buf_text(&text), "1:1"));
    buf_release(&text);
    (void)close(fd);

    fd = dial(f); /* while the first is not answered yet, then the client leaves */
    say(fd, "GET /hang HTTP/1.1\r\nHost: x\r\n\r\n");
    (void)poll(NULL, 0, 20);
    say(fd, "GET /echo HTTP/1.1\r\nHost: x\r\n\r\n");
    (void)poll(NULL, 0, 20);
    (void)close(fd);
    await_closed(f, before + 1);
    ask(f, "GET /echo HTTP/1.1\r\nHost: x\r\n\r\n", "0:", "HTTP/1.1 200", "");
}

static void pipelined_requests_keep_their_order_when_two_see_that_the_next_is_due(void **state)
{
    const int fd = dial(*state);
    const char *at;
    struct buf text;

    say(fd, "GET /stall HTTP/1.1\r\nHost: x\r\n\r\n"
            "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n1"
            "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n22"
            "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nConnection: close\r\n\r\n333");
    text = hear(fd, NULL);
    at = strstr(buf_text(&text), "0:");
    for (size_t i = 0; at && i < 3; i++)
        at = strstr(at, (const char *[]){ "1:1", "2:22", "3:333" }[i]);
    if (!at)
        fail_msg("answered were: %s", buf_text(&text));
    buf_release(&text);
    (void)close(fd);
}

static void nonsense_is_survived(void **state)
{
    static const char *const texts[] = {
        "\r\n\r\n\r\n",
        "GET\r\n\r\n",
        "GET /echo HTTP/9.9\r\n\r\n",
        "\x16\x03\x01\x02\r\n\r\n",
        "POST /echo HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
        "POST /echo HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
        "POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
        "GET http://[::1 HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET * HTTP/1.1\r\nHost: x\r\n\r\n",
    };

    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        const int fd = dial(*state);

        say(fd, texts[i]);
        (void)shutdown(fd, SHUT_WR);
        {
            struct buf text = hear(fd, NULL);

            buf_release(&text);
        }
        (void)close(fd);
    }
    ask(*state, "GET /echo HTTP/1.1\r\nHost: x\r\n\r\n", "0:", "HTTP/1.1 200", "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_body_arrives_whole),
        cmocka_unit_test(an_id_is_echoed_unless_it_could_do_harm),
        cmocka_unit_test(two_lengths_are_refused),
        cmocka_unit_test(unknown_paths_and_wrong_methods_get_json),
        cmocka_unit_test(head_has_a_length_and_no_body),
        cmocka_unit_test(huge_headers_are_refused),
        cmocka_unit_test(bodies_that_cannot_be_json_are_refused),
        cmocka_unit_test(an_answer_says_what_it_is_once),
        cmocka_unit_test(the_time_is_written_as_every_reader_expects),
        cmocka_unit_test(answers_to_who_does_not_read_wait_whole_and_in_order),
        cmocka_unit_test(events_end_with_done_and_the_connection_goes_on),
        cmocka_unit_test(old_clients_get_a_stream_that_ends_with_the_connection),
        cmocka_unit_test(a_client_that_leaves_is_noticed),
        cmocka_unit_test(a_reader_that_stops_is_cut_off),
        cmocka_unit_test(a_pipelined_request_waits_its_turn),
        cmocka_unit_test(pipelined_requests_keep_their_order_when_two_see_that_the_next_is_due),
        cmocka_unit_test(nonsense_is_survived),
    };
    return cmocka_run_group_tests_name("gateway/http", tests, set_up, tear_down);
}
