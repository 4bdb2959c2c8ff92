/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/net/test_channel.c - messages arrive whole and in order; whatever is wrong closes. */
#include "support/check.h"

#include <fcntl.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "contract/runner.pb-c.h"
#include "net/channel.h"

enum { MAX_BYTES = 4096, N_MESSAGES = 500 };

struct side {
    struct fixture *fixture;
    struct channel *channel;
    uint64_t n_received, n_wrong;
    bool is_closed, is_open, frees_in_callback;
    enum status reason;
};

struct fixture {
    struct loop *loop;
    struct side a, b;
    struct listener *listener;
    struct cluster_key key;
    struct tls *tls, *other_tls; /* of the key; of another */
    int raw;                     /* the far end, when the test speaks raw bytes */
    uint64_t n_wanted;
};

static void on_message(void *arg, struct channel *channel, ProtobufCMessage *message)
{
    struct side *s = arg;
    const Wire__RunnerMessage *m = (const Wire__RunnerMessage *)message;

    s->n_wrong +=
        m->body_case != WIRE__RUNNER_MESSAGE__BODY_CANCEL || m->cancel->id != s->n_received;
    s->n_received++;
    if (s->frees_in_callback) {
        channel_free(channel);
        s->channel = NULL;
        loop_stop(s->fixture->loop);
    } else if (s->n_received == s->fixture->n_wanted)
        loop_stop(s->fixture->loop);
}

static void on_close(void *arg, struct channel *channel, const struct err *reason)
{
    struct side *s = arg;

    (void)channel;
    s->is_closed = true;
    s->reason = reason->status;
    loop_stop(s->fixture->loop);
}

static void on_open(void *arg, struct channel *channel)
{
    struct side *s = arg;

    (void)channel;
    s->is_open = true;
}

static const struct channel_events events = {
    .type = &wire__runner_message__descriptor,
    .max_bytes = MAX_BYTES,
    .max_queued_bytes = 1 << 20,
    .on_message = on_message,
    .on_close = on_close,
    .on_open = on_open,
};

static void give_up(void *arg)
{
    loop_stop(arg);
}

/* Run until a callback stops the loop; five seconds at most, then the test's
 * own assertions fail. */
static void run(struct fixture *f)
{
    struct loop_timer *limit;
    struct err err;

    assert_int_equal(loop_timer_new(f->loop, give_up, f->loop, &limit), ST_OK);
    loop_timer_once(limit, 5000);
    assert_ok(loop_run(f->loop, &err), err);
    loop_timer_free(limit);
}

static void send_cancel(struct channel *channel, uint64_t id)
{
    Wire__Cancel cancel = WIRE__CANCEL__INIT;
    Wire__RunnerMessage m = WIRE__RUNNER_MESSAGE__INIT;

    cancel.id = id;
    m.body_case = WIRE__RUNNER_MESSAGE__BODY_CANCEL;
    m.cancel = &cancel;
    channel_send(channel, &m.base);
}

static int set_up(void **state)
{
    static struct fixture f;
    struct err err;

    f = (struct fixture){ .raw = -1 };
    f.a.fixture = f.b.fixture = &f;
    *state = &f;
    return loop_new(&f.loop, &err) == ST_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    channel_free(f->a.channel);
    channel_free(f->b.channel);
    listener_free(f->listener);
    if (f->raw >= 0)
        close(f->raw);
    loop_free(f->loop);
    tls_free(f->tls);
    tls_free(f->other_tls);
    return 0;
}

static void join(struct fixture *f)
{
    struct err err;
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    assert_ok(channel_new(f->loop, fds[0], &events, &f->a, &f->a.channel, &err), err);
    assert_ok(channel_new(f->loop, fds[1], &events, &f->b, &f->b.channel, &err), err);
}

static void join_raw(struct fixture *f)
{
    struct err err;
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    assert_ok(channel_new(f->loop, fds[0], &events, &f->a, &f->a.channel, &err), err);
    f->raw = fds[1];
}

static void messages_arrive_in_order(void **state)
{
    struct fixture *f = *state;

    join(f);
    f->n_wanted = N_MESSAGES;
    for (uint64_t i = 0; i < N_MESSAGES; i++)
        send_cancel(f->a.channel, i);
    run(f);
    assert_int_equal(f->b.n_received, N_MESSAGES);
    assert_int_equal(f->b.n_wrong, 0);
}

static void finishing_sends_what_is_queued_first(void **state)
{
    struct fixture *f = *state;

    join(f);
    for (uint64_t i = 0; i < N_MESSAGES; i++)
        send_cancel(f->a.channel, i);
    channel_finish(f->a.channel);
    run(f);
    assert_true(f->a.is_closed);
    assert_int_equal(f->a.reason, ST_OK);
    channel_free(f->a.channel);
    f->a.channel = NULL;
    run(f);
    assert_true(f->b.is_closed);
    assert_int_equal(f->b.reason, ST_PEER);
    assert_int_equal(f->b.n_received, N_MESSAGES);
}

static void send_one_and_finish(evutil_socket_t fd, short what, void *arg)
{
    struct fixture *f = arg;

    (void)fd;
    (void)what;
    send_cancel(f->a.channel, 1);
    channel_finish(f->a.channel);
}

/* The loop has written the first message, and not yet told the channel so. */
static void finishing_does_not_take_an_earlier_message_for_the_last(void **state)
{
    struct fixture *f = *state;
    struct event *after_write;
    int fds[2];

    join(f);
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(write(fds[1], "", 1), 1);
    after_write = event_new(loop_base(f->loop), fds[0], EV_READ, send_one_and_finish, f);
    assert_non_null(after_write);
    send_cancel(f->a.channel, 0);
    event_add(after_write, NULL);
    run(f);
    assert_true(f->a.is_closed);
    channel_free(f->a.channel);
    f->a.channel = NULL;
    run(f);
    assert_true(f->b.is_closed);
    assert_int_equal(f->b.n_received, 2);
    event_free(after_write);
    close(fds[0]);
    close(fds[1]);
}

static void a_channel_may_be_freed_by_its_own_callback(void **state)
{
    struct fixture *f = *state;

    join(f);
    f->b.frees_in_callback = true;
    send_cancel(f->a.channel, 0);
    send_cancel(f->a.channel, 1);
    run(f);
    assert_int_equal(f->b.n_received, 1);
}

static void assert_raw_bytes_close(struct fixture *f, const void *bytes, size_t n)
{
    join_raw(f);
    assert_int_equal(write(f->raw, bytes, n), n);
    run(f);
    assert_true(f->a.is_closed);
    assert_int_equal(f->a.reason, ST_FORMAT);
    assert_int_equal(f->a.n_received, 0);
}

static void an_overlong_frame_closes(void **state)
{
    assert_raw_bytes_close(*state, "\xff\xff\xff\x7f", 4);
}

static void bytes_that_are_no_message_close(void **state)
{
    assert_raw_bytes_close(*state, "\x03\x00\x00\x00\xff\xff\xff", 7);
}

static void half_a_frame_waits(void **state)
{
    struct fixture *f = *state;
    struct loop_timer *soon;
    struct err err;

    join_raw(f);
    assert_int_equal(write(f->raw, "\x08\x00\x00\x00\x0a", 5), 5);
    assert_int_equal(loop_timer_new(f->loop, give_up, f->loop, &soon), ST_OK);
    loop_timer_once(soon, 20);
    assert_ok(loop_run(f->loop, &err), err);
    loop_timer_free(soon);
    assert_false(f->a.is_closed);
    assert_int_equal(f->a.n_received, 0);
}

static void a_peer_that_never_reads_is_dropped(void **state)
{
    struct fixture *f = *state;

    join_raw(f);
    for (uint64_t i = 0; i < 1000000 && !f->a.is_closed; i++)
        send_cancel(f->a.channel, i);
    run(f);
    assert_true(f->a.is_closed);
    assert_int_equal(f->a.reason, ST_FULL);
}

static void keep_accepted(void *arg, int fd, const char *peer_host)
{
    struct fixture *f = arg;
    struct err err;

    assert_string_equal(peer_host, "127.0.0.1");
    assert_ok(channel_new(f->loop, fd, &events, &f->b, &f->b.channel, &err), err);
}

static void connecting_to_a_listener_opens_both_ends(void **state)
{
    struct channel_target target = { .host = "localhost", .timeout_ms = 1000 };
    struct fixture *f = *state;
    struct err err;

    assert_ok(listener_new(f->loop, "127.0.0.1", 0, keep_accepted, f, &f->listener, &err), err);
    target.port = listener_port(f->listener);
    assert_ok(channel_dial(f->loop, &target, &events, &f->a, &f->a.channel, &err), err);
    f->n_wanted = 1;
    send_cancel(f->a.channel, 0); /* queued until the connection stands */
    run(f);
    assert_true(f->a.is_open);
    assert_int_equal(f->b.n_received, 1);
}

static void check_connecting_to_nobody(struct fixture *f, struct tls *tls)
{
    struct channel_target target = { .host = "127.0.0.1", .timeout_ms = 1000, .tls = tls };
    struct err err;

    assert_ok(listener_new(f->loop, "127.0.0.1", 0, keep_accepted, f, &f->listener, &err), err);
    target.port = listener_port(f->listener);
    listener_free(f->listener);
    f->listener = NULL;
    assert_ok(channel_dial(f->loop, &target, &events, &f->a, &f->a.channel, &err), err);
    run(f);
    assert_true(f->a.is_closed);
    assert_int_equal(f->a.reason, ST_PEER);
    assert_true(channel_was_refused(f->a.channel));
    assert_false(f->a.is_open);
}

static void connecting_to_nobody_is_refused(void **state)
{
    check_connecting_to_nobody(*state, NULL);
}

/* Nobody listens at the first. */
static void check_the_second_of_two(struct fixture *f, struct tls *tls, listener_fn *on_accept)
{
    struct hosts hosts = { { "127.0.0.2", "127.0.0.1" }, 2 };
    struct channel_target target = {
        .host = "127.0.0.2", .timeout_ms = 1000, .tls = tls, .hosts = &hosts
    };
    char host[64];
    struct err err;

    assert_ok(listener_new(f->loop, "127.0.0.1", 0, on_accept, f, &f->listener, &err), err);
    target.port = listener_port(f->listener);
    assert_ok(channel_dial(f->loop, &target, &events, &f->a, &f->a.channel, &err), err);
    f->n_wanted = 1;
    send_cancel(f->a.channel, 0); /* queued until one of them is connected */
    run(f);
    assert_true(f->a.is_open);
    assert_int_equal(f->b.n_received, 1);
    channel_peer_host(f->a.channel, host, sizeof(host));
    assert_string_equal(host, "127.0.0.1");
}

static void of_two_addresses_the_one_that_answers_is_taken(void **state)
{
    check_the_second_of_two(*state, NULL, keep_accepted);
}

static void where_no_address_answers_that_is_known(void **state)
{
    struct hosts hosts = { { "127.0.0.1", "127.0.0.2" }, 2 };
    struct channel_target target = { .timeout_ms = 1000, .hosts = &hosts };
    struct fixture *f = *state;
    struct err err;

    assert_ok(listener_new(f->loop, "127.0.0.1", 0, keep_accepted, f, &f->listener, &err), err);
    target.port = listener_port(f->listener);
    listener_free(f->listener);
    f->listener = NULL;
    assert_ok(channel_dial(f->loop, &target, &events, &f->a, &f->a.channel, &err), err);
    run(f);
    assert_true(f->a.is_closed);
    assert_int_equal(f->a.reason, ST_PEER);
    assert_true(channel_was_refused(f->a.channel));
}

static void what_dials_may_be_freed(void **state)
{
    struct hosts hosts = { { "127.0.0.1", "127.0.0.2" }, 2 };
    const struct channel_target target = { .port = 9, .timeout_ms = 1000, .hosts = &hosts };
    struct fixture *f = *state;
    struct err err;

    assert_ok(channel_dial(f->loop, &target, &events, &f->a, &f->a.channel, &err), err);
    channel_free(f->a.channel);
    f->a.channel = NULL;
}

static void shaking_hands_with_nobody_is_refused_too(void **state)
{
    struct fixture *f = *state;

    check_connecting_to_nobody(f, f->tls);
}

static void names_are_not_resolved_on_the_loop(void **state)
{
    const struct channel_target target = { .host = "example.org", .port = 80, .timeout_ms = 1000 };
    struct fixture *f = *state;
    struct err err;

    assert_int_equal(channel_dial(f->loop, &target, &events, &f->a, &f->a.channel, &err), ST_RANGE);
    assert_non_null(strstr(err.words, "example.org"));
}

/* TLS */

static int set_up_tls(void **state)
{
    struct cluster_key other;
    struct fixture *f;
    struct err err;

    if (set_up(state) != 0)
        return -1;
    f = *state;
    cluster_key_make(&f->key);
    other = f->key;
    other.bytes[0] ^= 1;
    assert_ok(tls_new(&f->key, "home", &f->tls, &err), err);
    assert_ok(tls_new(&other, "home", &f->other_tls, &err), err);
    return 0;
}

static void accept_tls(void *arg, int fd, const char *peer_host)
{
    struct fixture *f = arg;
    struct err err;

    (void)peer_host;
    assert_ok(channel_accept(f->loop, fd, f->tls, 5000, &events, &f->b, &f->b.channel, &err), err);
}

static void with_tls_too(void **state)
{
    struct fixture *f = *state;

    check_the_second_of_two(f, f->tls, accept_tls);
}

/* a connects to b, whose side has f->tls. */
static void dial(struct fixture *f, struct tls *tls)
{
    struct channel_target target = { .host = "127.0.0.1", .timeout_ms = 5000, .tls = tls };
    struct err err;

    assert_ok(listener_new(f->loop, "127.0.0.1", 0, accept_tls, f, &f->listener, &err), err);
    target.port = listener_port(f->listener);
    assert_ok(channel_dial(f->loop, &target, &events, &f->a, &f->a.channel, &err), err);
}

static void messages_pass_between_holders_of_one_key(void **state)
{
    struct fixture *f = *state;
    char host[64];

    dial(f, f->tls);
    f->n_wanted = N_MESSAGES;
    for (uint64_t i = 0; i < N_MESSAGES; i++)
        send_cancel(f->a.channel, i); /* most before the handshake is over */
    run(f);
    assert_true(f->a.is_open);
    assert_true(f->b.is_open);
    assert_int_equal(f->b.n_received, N_MESSAGES);
    assert_int_equal(f->b.n_wrong, 0);
    channel_peer_host(f->b.channel, host, sizeof(host));
    assert_string_equal(host, "127.0.0.1");

    f->n_wanted = 1;
    send_cancel(f->b.channel, 0);
    run(f);
    assert_int_equal(f->a.n_received, 1);
    channel_finish(f->a.channel);
    run(f);
    assert_true(f->a.is_closed);
    channel_free(f->a.channel);
    f->a.channel = NULL;
    run(f);
    assert_int_equal(f->b.reason, ST_PEER);
}

/* Neither side opens, takes or sends anything, and both end with words. */
static void assert_no_handshake(struct fixture *f, struct tls *tls)
{
    dial(f, tls);
    send_cancel(f->a.channel, 0);
    while (!f->a.is_closed || !f->b.is_closed)
        run(f);
    assert_false(f->a.is_open);
    assert_false(f->b.is_open);
    assert_false(channel_was_refused(f->a.channel));
    assert_int_equal(f->b.n_received, 0);
}

static void another_key_does_not_open(void **state)
{
    struct fixture *f = *state;

    assert_no_handshake(f, f->other_tls);
    assert_int_equal(f->b.reason, ST_DENIED);
}

static void the_same_key_for_another_cluster_does_not_open(void **state)
{
    struct fixture *f = *state;
    struct err err;

    tls_free(f->other_tls);
    f->other_tls = NULL;
    assert_ok(tls_new(&f->key, "work", &f->other_tls, &err), err);
    assert_no_handshake(f, f->other_tls);
}

static void messages_without_tls_are_not_read(void **state)
{
    struct fixture *f = *state;

    dial(f, NULL);
    send_cancel(f->a.channel, 0);
    while (!f->b.is_closed)
        run(f);
    assert_false(f->b.is_open);
    assert_int_equal(f->b.n_received, 0);
    assert_int_equal(f->b.reason, ST_DENIED);
}

/* A server of TLS 1.3 with a certificate, as one without the key would be. */
static SSL_CTX *certified_server(void)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    EVP_PKEY *pkey = EVP_EC_gen("P-256");
    X509 *cert = X509_new();

    assert_non_null(ctx);
    assert_non_null(pkey);
    X509_gmtime_adj(X509_getm_notBefore(cert), -1000);
    X509_gmtime_adj(X509_getm_notAfter(cert), 1000);
    X509_set_pubkey(cert, pkey);
    assert_true(X509_sign(cert, pkey, EVP_sha256()) > 0);
    assert_int_equal(SSL_CTX_use_certificate(ctx, cert), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(ctx, pkey), 1);
    X509_free(cert);
    EVP_PKEY_free(pkey);
    return ctx;
}

static void *serve_certified(void *arg)
{
    const int fd = *(int *)arg;
    SSL_CTX *ctx = certified_server();
    SSL *ssl = SSL_new(ctx);
    unsigned char byte;
    void *told = NULL;

    SSL_set_fd(ssl, fd);
    if (SSL_accept(ssl) == 1 && SSL_read(ssl, &byte, 1) == 1)
        told = ssl; /* the client took it for a node */
    SSL_free(ssl);
    SSL_CTX_free(ctx);
    close(fd);
    return told;
}

static void accept_raw(void *arg, int fd, const char *peer_host)
{
    struct fixture *f = arg;

    (void)peer_host;
    (void)evutil_make_socket_closeonexec(fd);
    assert_int_equal(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK), 0);
    f->raw = fd;
    loop_stop(f->loop);
}

static void dial_raw(struct fixture *f)
{
    struct channel_target target = { .host = "127.0.0.1", .timeout_ms = 5000, .tls = f->tls };
    struct err err;

    assert_ok(listener_new(f->loop, "127.0.0.1", 0, accept_raw, f, &f->listener, &err), err);
    target.port = listener_port(f->listener);
    assert_ok(channel_dial(f->loop, &target, &events, &f->a, &f->a.channel, &err), err);
    send_cancel(f->a.channel, 0);
    run(f);
    assert_true(f->raw >= 0);
}

static void a_certificate_does_not_stand_in_for_the_key(void **state)
{
    struct fixture *f = *state;
    pthread_t server;
    void *told;

    dial_raw(f);
    assert_int_equal(pthread_create(&server, NULL, serve_certified, &f->raw), 0);
    run(f);
    assert_true(f->a.is_closed);
    assert_false(f->a.is_open);
    assert_int_equal(f->a.reason, ST_DENIED);
    channel_free(f->a.channel);
    f->a.channel = NULL;
    assert_int_equal(pthread_join(server, &told), 0);
    f->raw = -1;
    assert_null(told);
}

/* All that a listener without the key gets to see. */
static void the_first_flight_says_nothing_of_the_cluster(void **state)
{
    struct fixture *f = *state;
    unsigned char seen[4096];
    ssize_t n;

    dial_raw(f);
    while ((n = recv(f->raw, seen, sizeof(seen), MSG_DONTWAIT)) < 0)
        (void)event_base_loop(loop_base(f->loop), EVLOOP_ONCE);
    assert_true(n > 0);
    assert_null(memmem(seen, (size_t)n, "home", 4));
    assert_null(memmem(seen, (size_t)n, f->key.bytes, 8));
    assert_int_equal(seen[0], 22); /* RFC 8446 section 5.1: a handshake record */
}

static void a_handshake_that_trickles_ends_at_its_deadline(void **state)
{
    struct fixture *f = *state;
    struct err err;
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    f->raw = fds[1];
    assert_ok(channel_accept(f->loop, fds[0], f->tls, 30, &events, &f->a, &f->a.channel, &err),
              err);
    assert_int_equal(write(f->raw, "\x16\x03\x01\x02\x00\x01", 6), 6);
    run(f);
    assert_true(f->a.is_closed);
    assert_int_equal(f->a.reason, ST_DEADLINE);
}

static void a_channel_may_be_freed_amid_its_handshake(void **state)
{
    struct fixture *f = *state;

    dial(f, f->tls);
    (void)event_base_loop(loop_base(f->loop), EVLOOP_ONCE);
    channel_free(f->a.channel);
    f->a.channel = NULL;
    while (f->b.channel && !f->b.is_closed)
        run(f);
    assert_false(f->b.is_open);
}

int main(void)
{
#define TEST_TLS(name) cmocka_unit_test_setup_teardown(name, set_up_tls, tear_down)
#define TEST(name)     cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(messages_arrive_in_order),
        TEST(finishing_sends_what_is_queued_first),
        TEST(finishing_does_not_take_an_earlier_message_for_the_last),
        TEST(a_channel_may_be_freed_by_its_own_callback),
        TEST(an_overlong_frame_closes),
        TEST(bytes_that_are_no_message_close),
        TEST(half_a_frame_waits),
        TEST(a_peer_that_never_reads_is_dropped),
        TEST(connecting_to_a_listener_opens_both_ends),
        TEST(connecting_to_nobody_is_refused),
        TEST(of_two_addresses_the_one_that_answers_is_taken),
        TEST(where_no_address_answers_that_is_known),
        TEST(what_dials_may_be_freed),
        TEST(names_are_not_resolved_on_the_loop),
        TEST_TLS(messages_pass_between_holders_of_one_key),
        TEST_TLS(shaking_hands_with_nobody_is_refused_too),
        TEST_TLS(with_tls_too),
        TEST_TLS(another_key_does_not_open),
        TEST_TLS(the_same_key_for_another_cluster_does_not_open),
        TEST_TLS(messages_without_tls_are_not_read),
        TEST_TLS(a_certificate_does_not_stand_in_for_the_key),
        TEST_TLS(the_first_flight_says_nothing_of_the_cluster),
        TEST_TLS(a_handshake_that_trickles_ends_at_its_deadline),
        TEST_TLS(a_channel_may_be_freed_amid_its_handshake),
    };
    (void)signal(SIGPIPE, SIG_IGN); /* as a node does: net/tls.h */
    return cmocka_run_group_tests_name("net/channel", tests, NULL, NULL);
}
