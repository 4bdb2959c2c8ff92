/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/cluster/test_datagrams.c - what comes through the socket of membership, and what does not. */
#include "support/check.h"

#include <arpa/inet.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "cluster/membership/datagrams.h"
#include "net/seal.h"

enum { N = 3 };

struct fixture {
    struct loop *loop;
    struct cluster_key key, other_key;
    int fd; /* of somebody without a key */
    struct address fd_address;
    struct address address; /* of the socket under test */
    struct datagrams *datagrams;
    size_t n_taken, n_bytes;
    struct swim_address from;
    uint8_t bytes[SWIM_DATAGRAM_MAX];
};

static void take(void *arg, const struct swim_address *from, const uint8_t *bytes, size_t n)
{
    struct fixture *f = arg;

    f->n_taken++;
    f->n_bytes = n;
    f->from = *from;
    memcpy(f->bytes, bytes, n);
}

/* A UDP socket on loopback, and where it is. */
static int socket_new(struct address *ret_address)
{
    struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    const int fd = socket(AF_INET, SOCK_DGRAM, 0);

    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&in, sizeof(in)), 0);
    ret_address->length = sizeof(ret_address->storage);
    assert_int_equal(
        getsockname(fd, (struct sockaddr *)&ret_address->storage, &ret_address->length), 0);
    return fd;
}

static void open_socket(struct fixture *f, const struct cluster_key *key, const char *host)
{
    struct datagrams_options options = { .key = key, .cluster_name = "home", .host = host };
    struct err err;

    close(socket_new(&f->address)); /* its port is free now */
    options.port = ntohs(((struct sockaddr_in *)&f->address.storage)->sin_port);
    assert_ok(datagrams_open(f->loop, &options, take, f, &f->datagrams, &err), err);
}

static int set_up(void **state)
{
    static struct fixture f;
    struct err err;

    memset(&f, 0, sizeof(f));
    assert_ok(loop_new(&f.loop, &err), err);
    cluster_key_make(&f.key);
    cluster_key_make(&f.other_key);
    f.fd = socket_new(&f.fd_address);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    datagrams_close(f->datagrams);
    close(f->fd);
    loop_free(f->loop);
    return 0;
}

/* On loopback a datagram is there when sendto() returns. */
static void send_bytes(struct fixture *f, const uint8_t *bytes, size_t n)
{
    assert_int_equal(
        sendto(f->fd, bytes, n, 0, (struct sockaddr *)&f->address.storage, f->address.length),
        (ssize_t)n);
    (void)event_base_loop(loop_base(f->loop), EVLOOP_NONBLOCK);
}

static size_t seal_with(const struct cluster_key *key, const char *purpose, const char *name,
                        uint8_t *ret_bytes)
{
    struct sealer *sealer = NULL;
    struct err err;

    assert_ok(sealer_new(key, purpose, name, &sealer, &err), err);
    assert_ok(seal(sealer, (const uint8_t *)"ping", 4, clock_unix_ms(), ret_bytes, &err), err);
    sealer_free(sealer);
    return 4 + SEAL_OVERHEAD_BYTES;
}

static void what_is_sealed_for_membership_comes_once(void **state)
{
    struct fixture *f = *state;
    struct swim_address sender;
    uint8_t bytes[64];
    size_t n;

    open_socket(f, &f->key, "127.0.0.1");
    n = seal_with(&f->key, "membership", "home", bytes);
    for (unsigned i = 0; i < N; i++)
        send_bytes(f, bytes, n);
    assert_int_equal(f->n_taken, 1);
    assert_int_equal(f->n_bytes, 4);
    assert_memory_equal(f->bytes, "ping", 4);
    assert_true(swim_address_of(&f->fd_address, &sender));
    assert_memory_equal(&f->from, &sender, sizeof(sender));
}

static void what_is_not_does_not(void **state)
{
    struct fixture *f = *state;
    uint8_t bytes[SEAL_MAX_BYTES + 1] = { 0 };
    size_t n;

    open_socket(f, &f->key, "127.0.0.1");
    send_bytes(f, (const uint8_t *)"ping", 4);
    send_bytes(f, bytes, sizeof(bytes));
    send_bytes(f, bytes, 0);
    n = seal_with(&f->other_key, "membership", "home", bytes);
    send_bytes(f, bytes, n);
    n = seal_with(&f->key, "membership", "work", bytes);
    send_bytes(f, bytes, n);
    n = seal_with(&f->key, "beacon", "home", bytes);
    send_bytes(f, bytes, n);
    n = seal_with(&f->key, "membership", "home", bytes);
    bytes[n / 2] ^= 1;
    send_bytes(f, bytes, n);
    bytes[n / 2] ^= 1;
    send_bytes(f, bytes, n - 1);
    assert_int_equal(f->n_taken, 0);
    send_bytes(f, bytes, n);
    assert_int_equal(f->n_taken, 1);
}

static void without_a_key_what_comes_from_loopback_is_taken_as_it_is(void **state)
{
    struct fixture *f = *state;

    open_socket(f, NULL, "127.0.0.1");
    send_bytes(f, (const uint8_t *)"ping", 4);
    assert_int_equal(f->n_taken, 1);
    assert_memory_equal(f->bytes, "ping", 4);
}

static void what_is_sent_is_sealed(void **state)
{
    uint8_t bytes[SEAL_MAX_BYTES], payload[SEAL_PAYLOAD_MAX_BYTES];
    struct fixture *f = *state;
    struct opener *opener = NULL;
    struct opened opened;
    struct err err;
    ssize_t n;

    open_socket(f, &f->key, "127.0.0.1");
    datagrams_send(f->datagrams, &f->fd_address, (const uint8_t *)"ping", 4);
    n = recv(f->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
    assert_int_equal(n, 4 + SEAL_OVERHEAD_BYTES);
    assert_null(memmem(bytes, (size_t)n, "ping", 4));
    assert_ok(opener_new(&f->key, "membership", "home", &opener, &err), err);
    assert_ok(seal_open(opener, bytes, (size_t)n, clock_unix_ms(), payload, &opened, &err), err);
    opener_free(opener);
    assert_memory_equal(payload, "ping", 4);
}

/* "::" hears IPv4 too where there is IPv6, and is 0.0.0.0 where there is none. */
static void one_socket_for_both_families(void **state)
{
    struct fixture *f = *state;
    uint8_t bytes[64];
    size_t n;

    open_socket(f, &f->key, "::");
    n = seal_with(&f->key, "membership", "home", bytes);
    send_bytes(f, bytes, n);
    assert_int_equal(f->n_taken, 1);
    datagrams_send(f->datagrams, &f->fd_address, (const uint8_t *)"ping", 4);
    assert_int_equal(recv(f->fd, bytes, sizeof(bytes), MSG_DONTWAIT), 4 + SEAL_OVERHEAD_BYTES);
}

static void addresses_are_the_same_there_and_back(void **state)
{
    static const char *const hosts[] = { "10.1.2.3", "127.0.0.1", "fd00::1:2", "::1" };
    struct address address, back;
    struct swim_address plain;
    struct err err;

    (void)state;
    for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
        assert_ok(address_parse(hosts[i], 52416, &address, &err), err);
        assert_true(swim_address_of(&address, &plain));
        assert_int_equal(plain.port, 52416);
        swim_address_read(&plain, &back);
        assert_int_equal(back.length, address.length);
        assert_memory_equal(&back.storage, &address.storage, address.length);
    }
    address.storage.ss_family = AF_UNIX;
    assert_false(swim_address_of(&address, &plain));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(what_is_sealed_for_membership_comes_once),
        TEST(what_is_not_does_not),
        TEST(without_a_key_what_comes_from_loopback_is_taken_as_it_is),
        TEST(what_is_sent_is_sealed),
        TEST(one_socket_for_both_families),
        TEST(addresses_are_the_same_there_and_back),
    };
#undef TEST
    return cmocka_run_group_tests_name("cluster/datagrams", tests, NULL, NULL);
}
