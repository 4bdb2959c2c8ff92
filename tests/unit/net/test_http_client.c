/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/net/test_http_client.c - calls in clear to a server that answers by a script, on one loop. */
#include "support/check.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/listener.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/address.h"
#include "net/http_client.h"

#define FINE   "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
#define HANGUP "" /* in place of an answer: the connection is closed */

enum { CONNECTIONS_MAX = 16, WAIT_MS = 60000 };

struct fixture {
    struct loop *loop;
    struct http_client *client;
    struct evconnlistener *listener;
    struct bufferevent *connections[CONNECTIONS_MAX];
    const char *const *script; /* answers, one for each request; NULL at its end: it is silent */
    size_t n_connections, n_requests, n_body;
    char request[1024]; /* the last one's header */
    char url[64];

    struct http_call *call; /* NULL: over */
    enum http_end end;
    int status;
    char answer[64];
    size_t n_answer;
    bool wants_no_head;
};

/* ---- the server ---- */

static void answer(struct fixture *f, struct bufferevent *b)
{
    const char *text = f->script[f->n_requests++];

    if (!text)
        return;
    if (text[0])
        (void)bufferevent_write(b, text, strlen(text));
    else
        (void)shutdown(bufferevent_getfd(b), SHUT_RDWR);
}

static void on_request(struct bufferevent *b, void *arg)
{
    struct fixture *f = arg;
    struct evbuffer *in = bufferevent_get_input(b);
    const struct evbuffer_ptr end = evbuffer_search(in, "\r\n\r\n", 4, NULL);
    const char *length;
    size_t n;

    if (end.pos < 0 || (size_t)end.pos >= sizeof(f->request))
        return;
    n = (size_t)end.pos + 4;
    (void)evbuffer_copyout(in, f->request, n - 4);
    f->request[n - 4] = '\0';
    length = strstr(f->request, "Content-Length: ");
    f->n_body = length ? strtoul(length + strlen("Content-Length: "), NULL, 10) : 0;
    if (evbuffer_get_length(in) < n + f->n_body)
        return;
    (void)evbuffer_drain(in, n + f->n_body);
    answer(f, b);
}

static void on_connection(struct evconnlistener *listener, evutil_socket_t fd,
                          struct sockaddr *address, int n_address, void *arg)
{
    struct fixture *f = arg;
    struct bufferevent *b =
        bufferevent_socket_new(evconnlistener_get_base(listener), fd, BEV_OPT_CLOSE_ON_FREE);

    (void)address;
    (void)n_address;
    assert_true(f->n_connections < CONNECTIONS_MAX);
    f->connections[f->n_connections++] = b;
    bufferevent_setcb(b, on_request, NULL, NULL, f);
    (void)bufferevent_enable(b, EV_READ | EV_WRITE);
}

/* ---- the client ---- */

static bool on_head(void *arg, const struct http_answer_head *head)
{
    struct fixture *f = arg;

    f->status = head->status;
    return !f->wants_no_head;
}

static bool on_bytes(void *arg, const char *bytes, size_t n)
{
    struct fixture *f = arg;

    assert_true(f->n_answer + n < sizeof(f->answer));
    memcpy(f->answer + f->n_answer, bytes, n);
    f->n_answer += n;
    return true;
}

static void on_end(void *arg, enum http_end end, const char *why)
{
    struct fixture *f = arg;

    assert_non_null(why);
    f->call = NULL;
    f->end = end;
    loop_stop(f->loop);
}

static void on_late(void *arg)
{
    (void)arg;
    fail_msg("the call is not over after %d ms", WAIT_MS);
}

static void start(struct fixture *f, const char *body, size_t n_body)
{
    static const char *const headers[] = { "X-One: 1", "X-Two: 2" };
    const struct http_call_options options = { .url = f->url,
                                               .headers = headers,
                                               .n_headers = 2,
                                               .body = body,
                                               .n_body = n_body,
                                               .connect_ms = WAIT_MS,
                                               .on_head = on_head,
                                               .on_bytes = on_bytes,
                                               .on_end = on_end,
                                               .arg = f };
    struct err err;

    f->n_answer = 0;
    f->status = 0;
    assert_ok(http_call_start(f->client, &options, &f->call, &err), err);
}

static void run(struct fixture *f)
{
    struct loop_timer *late;
    struct err err;

    assert_int_equal(loop_timer_new(f->loop, on_late, f, &late), ST_OK);
    loop_timer_once(late, WAIT_MS);
    assert_ok(loop_run(f->loop, &err), err);
    loop_timer_free(late);
}

static enum http_end call(struct fixture *f, const char *body)
{
    start(f, body, body ? strlen(body) : 0);
    run(f);
    return f->end;
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    struct err err;

    assert_non_null(f);
    assert_ok(loop_new(&f->loop, &err), err);
    assert_ok(http_client_new(f->loop, &f->client, &err), err);
    f->listener = evconnlistener_new_bind(loop_base(f->loop), on_connection, f,
                                          LEV_OPT_CLOSE_ON_FREE | LEV_OPT_REUSEABLE, -1,
                                          (const struct sockaddr *)&address, (int)sizeof(address));
    assert_non_null(f->listener);
    (void)snprintf(f->url, sizeof(f->url), "http://127.0.0.1:%u/v1/x?y",
                   (unsigned)address_port_of(evconnlistener_get_fd(f->listener)));
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    http_client_free(f->client);
    for (size_t i = 0; i < f->n_connections; i++)
        bufferevent_free(f->connections[i]);
    if (f->listener)
        evconnlistener_free(f->listener);
    loop_free(f->loop);
    free(f);
    return 0;
}

/* ---- */

static void a_request_says_what_it_was_given(void **state)
{
    static const char *const script[] = { FINE, FINE };
    struct fixture *f = *state;

    f->script = script;
    assert_int_equal(call(f, "hello"), HTTP_END_WHOLE);
    assert_memory_equal(f->request, "POST /v1/x?y HTTP/1.1\r\nHost: 127.0.0.1:", 39);
    assert_non_null(strstr(f->request, "\r\nX-One: 1\r\nX-Two: 2\r\n"));
    assert_int_equal(f->n_body, 5);
    assert_int_equal(f->status, 200);
    assert_memory_equal(f->answer, "hi", 2);
    assert_int_equal(call(f, NULL), HTTP_END_WHOLE);
    assert_memory_equal(f->request, "GET /v1/x?y HTTP/1.1\r\n", 22);
    assert_null(strstr(f->request, "Content-Length"));
}

static void a_connection_is_used_again_if_its_server_keeps_it(void **state)
{
    static const char *const script[] = {
        FINE, FINE,        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi",
        FINE, FINE "more", /* what nobody asked for */
        FINE,
    };
    static const size_t n_connections[] = { 1, 1, 1, 2, 2, 3 };
    struct fixture *f = *state;

    f->script = script;
    for (size_t i = 0; i < sizeof(n_connections) / sizeof(n_connections[0]); i++) {
        assert_int_equal(call(f, "x"), HTTP_END_WHOLE);
        assert_int_equal(f->n_connections, n_connections[i]);
    }
}

static void a_kept_connection_that_ended_is_replaced(void **state)
{
    static const char *const script[] = { FINE, HANGUP, FINE };
    struct fixture *f = *state;

    f->script = script;
    assert_int_equal(call(f, "x"), HTTP_END_WHOLE);
    assert_int_equal(call(f, "x"), HTTP_END_WHOLE);
    assert_int_equal(f->n_connections, 2);
    assert_int_equal(f->n_requests, 3);
}

static void a_new_connection_that_ended_is_not(void **state)
{
    static const char *const script[] = { HANGUP, FINE };
    struct fixture *f = *state;

    f->script = script;
    assert_int_equal(call(f, "x"), HTTP_END_BROKEN);
    assert_int_equal(f->n_requests, 1);
}

static void an_answer_that_is_no_http_breaks_the_call(void **state)
{
    static const char *const script[] = { "hello\r\n\r\n", FINE };
    struct fixture *f = *state;

    f->script = script;
    assert_int_equal(call(f, "x"), HTTP_END_BROKEN);
    assert_int_equal(call(f, "x"), HTTP_END_WHOLE);
    assert_int_equal(f->n_connections, 2);
}

static void chunks_come_without_their_marks(void **state)
{
    static const char *const script[] = {
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    };
    struct fixture *f = *state;

    f->script = script;
    assert_int_equal(call(f, "x"), HTTP_END_WHOLE);
    assert_int_equal(f->n_answer, 5);
    assert_memory_equal(f->answer, "abcde", 5);
}

static void where_nobody_listens_nothing_was_done(void **state)
{
    struct fixture *f = *state;

    evconnlistener_free(f->listener);
    f->listener = NULL;
    assert_int_equal(call(f, "x"), HTTP_END_UNHEARD);
}

static void who_wants_no_more_is_told_so(void **state)
{
    static const char *const script[] = { FINE };
    struct fixture *f = *state;

    f->script = script;
    f->wants_no_head = true;
    assert_int_equal(call(f, "x"), HTTP_END_STOPPED);
    assert_int_equal(f->n_answer, 0);
}

/* More than the system takes at once, on a new connection and on a kept one. */
static void a_long_body_is_sent_whole(void **state)
{
    static const char *const script[] = { FINE, FINE };
    const size_t n = 16 << 20;
    char *body = calloc(1, n);
    struct fixture *f = *state;

    assert_non_null(body);
    f->script = script;
    for (size_t i = 1; i <= 2; i++) {
        start(f, body, n);
        run(f);
        assert_int_equal(f->end, HTTP_END_WHOLE);
        assert_int_equal(f->n_body, n);
        assert_int_equal(f->n_requests, i);
        assert_int_equal(f->n_connections, 1);
    }
    free(body);
}

static void stop(void *arg)
{
    loop_stop(arg);
}

static void a_call_may_be_left_at_any_time(void **state)
{
    static const char *const script[] = { FINE, NULL, FINE };
    struct fixture *f = *state;

    f->script = script;
    start(f, "x", 1);
    http_call_cancel(f->call); /* before it is connected */
    assert_int_equal(call(f, "x"), HTTP_END_WHOLE);
    start(f, "x", 1); /* it was sent, and nothing comes */
    while (f->n_requests < 2) {
        assert_int_equal(loop_post(f->loop, stop, f->loop), ST_OK);
        run(f);
    }
    http_call_cancel(f->call);
    assert_int_equal(call(f, "x"), HTTP_END_WHOLE);
    start(f, "x", 1); /* for the client's end */
}

static void a_client_may_end_while_it_connects(void **state)
{
    struct fixture *f = *state;

    start(f, "x", 1);
    start(f, "x", 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_request_says_what_it_was_given, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_connection_is_used_again_if_its_server_keeps_it, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_kept_connection_that_ended_is_replaced, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_new_connection_that_ended_is_not, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_answer_that_is_no_http_breaks_the_call, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(chunks_come_without_their_marks, set_up, tear_down),
        cmocka_unit_test_setup_teardown(where_nobody_listens_nothing_was_done, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_wants_no_more_is_told_so, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_long_body_is_sent_whole, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_call_may_be_left_at_any_time, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_client_may_end_while_it_connects, set_up, tear_down),
    };

    return cmocka_run_group_tests_name("net/http_client", tests, NULL, NULL);
}
