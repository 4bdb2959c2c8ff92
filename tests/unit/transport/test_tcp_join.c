/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/transport/test_tcp_join.c - ranks find each other; strangers do not disturb them. */
#include "support/check.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/ring.h"

enum { N_SILENT = 48 }; /* more than may be undecided at a time */

struct pair {
    struct ring_joiner joiners[2];
    struct tcp_endpoint ranks[2];
};

static void listen_both(struct pair *p)
{
    struct err err = { 0 };

    for (uint32_t i = 0; i < 2; i++) {
        assert_ok(tcp_listen("127.0.0.1", &p->joiners[i].listener, &err), err);
        p->ranks[i] = (struct tcp_endpoint){ .host = "127.0.0.1",
                                             .port = tcp_listener_port(p->joiners[i].listener) };
        p->joiners[i].join = (struct tcp_join){ .rank = i, .n_ranks = 2, .ranks = p->ranks };
        memset(p->joiners[i].join.key, 7, TCP_KEY_BYTES);
    }
}

static void release(struct pair *p)
{
    for (uint32_t i = 0; i < 2; i++) {
        transport_close(p->joiners[i].transport);
        tcp_listener_close(p->joiners[i].listener);
    }
}

static int call(uint16_t port)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port) };
    const int fd = socket(AF_INET, SOCK_STREAM, 0);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

/* *state: the transport's TLS, or NULL. */
static void strangers_do_not_disturb_the_joining(void **state)
{
    struct pair p = { .ranks = { { .port = 0 } } };
    static const char babble[] = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
    int silent, babbling;
    pthread_t threads[2];
    char byte;

    listen_both(&p);
    p.joiners[0].join.tls = p.joiners[1].join.tls = *state;
    silent = call(p.ranks[0].port);
    babbling = call(p.ranks[0].port);
    assert_int_equal(send(babbling, babble, sizeof(babble), 0), sizeof(babble));
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, ring_join_thread, &p.joiners[i]), 0);
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
        assert_ok(p.joiners[i].status, p.joiners[i].err);
    }
    if (!*state)                                       /* TLS says in an alert why it closes */
        assert_true(recv(babbling, &byte, 1, 0) <= 0); /* closed, not answered */
    close(silent);
    close(babbling);
    release(&p);
}

static void a_rank_with_another_key_is_refused(void **state)
{
    struct pair p = { .ranks = { { .port = 0 } } };
    pthread_t impostor;
    struct err err;

    (void)state;
    listen_both(&p);
    p.joiners[1].join.key[15] ^= 1;
    assert_int_equal(pthread_create(&impostor, NULL, ring_join_thread, &p.joiners[1]), 0);
    assert_int_equal(tcp_join(p.joiners[0].listener, &p.joiners[0].join, deadline_after_ms(300),
                              &p.joiners[0].transport, &err),
                     ST_DEADLINE);
    pthread_join(impostor, NULL);
    assert_int_equal(p.joiners[1].status, ST_PEER);
    release(&p);
}

/* Rank 1 has `tls`, rank 0 another or none: neither takes the other for a rank. */
static void assert_no_pair(struct tls *mine, struct tls *tls)
{
    struct pair p = { .ranks = { { .port = 0 } } };
    pthread_t impostor;
    struct err err;

    listen_both(&p);
    p.joiners[0].join.tls = mine;
    p.joiners[1].join.tls = tls;
    assert_int_equal(pthread_create(&impostor, NULL, ring_join_thread, &p.joiners[1]), 0);
    assert_int_equal(tcp_join(p.joiners[0].listener, &p.joiners[0].join, deadline_after_ms(300),
                              &p.joiners[0].transport, &err),
                     ST_DEADLINE);
    tcp_listener_close(p.joiners[0].listener);
    p.joiners[0].listener = NULL;
    pthread_join(impostor, NULL);
    assert_true(p.joiners[1].status == ST_DENIED || p.joiners[1].status == ST_PEER);
    release(&p);
}

static void a_rank_without_the_key_of_tls_is_refused(void **state)
{
    (void)state;
    assert_no_pair(ring_tls(0), ring_tls(1));
    assert_no_pair(ring_tls(0), NULL);
    assert_no_pair(NULL, ring_tls(0));
}

static void a_crowd_of_silent_strangers_keeps_nobody_out(void **state)
{
    struct pair p = { .ranks = { { .port = 0 } } };
    int silent[N_SILENT];
    pthread_t threads[2];

    (void)state;
    listen_both(&p);
    p.joiners[0].join.tls = p.joiners[1].join.tls = ring_tls(0);
    for (int i = 0; i < N_SILENT; i++)
        silent[i] = call(p.ranks[0].port);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, ring_join_thread, &p.joiners[i]), 0);
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
        assert_ok(p.joiners[i].status, p.joiners[i].err);
    }
    for (int i = 0; i < N_SILENT; i++)
        close(silent[i]);
    release(&p);
}

static void a_rank_that_never_comes_is_a_deadline(void **state)
{
    struct pair p = { .ranks = { { .port = 0 } } };
    struct err err;

    (void)state;
    listen_both(&p);
    assert_int_equal(tcp_join(p.joiners[0].listener, &p.joiners[0].join, deadline_after_ms(50),
                              &p.joiners[0].transport, &err),
                     ST_DEADLINE);
    assert_string_equal(err.words, "rank 1 did not join in time");
    release(&p);
}

static void a_rank_that_is_not_there_is_a_lost_peer(void **state)
{
    struct pair p = { .ranks = { { .port = 0 } } };
    struct err err;

    (void)state;
    listen_both(&p);
    tcp_listener_close(p.joiners[0].listener);
    p.joiners[0].listener = NULL;
    assert_int_equal(tcp_join(p.joiners[1].listener, &p.joiners[1].join, deadline_after_ms(5000),
                              &p.joiners[1].transport, &err),
                     ST_PEER);
    release(&p);
}

static void only_numeric_addresses_are_listened_on(void **state)
{
    struct tcp_listener *l = NULL;

    (void)state;
    assert_int_equal(tcp_listen("no.such.host.invalid", &l, NULL), ST_RANGE);
    assert_null(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strangers_do_not_disturb_the_joining),
        cmocka_unit_test_prestate(strangers_do_not_disturb_the_joining, ring_tls(0)),
        cmocka_unit_test(a_crowd_of_silent_strangers_keeps_nobody_out),
        cmocka_unit_test(a_rank_without_the_key_of_tls_is_refused),
        cmocka_unit_test(a_rank_with_another_key_is_refused),
        cmocka_unit_test(a_rank_that_never_comes_is_a_deadline),
        cmocka_unit_test(a_rank_that_is_not_there_is_a_lost_peer),
        cmocka_unit_test(only_numeric_addresses_are_listened_on),
    };

    return cmocka_run_group_tests_name("transport/tcp_join", tests, NULL, NULL);
}
