/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/net/test_race.c - the first address that answers is connected to. */
#include "support/check.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "net/race.h"

static const char *const HOSTS[] = { "127.0.0.1", "127.0.0.2" };

/* -1: this system has no second address of its own. */
static int listen_at(const char *host, uint16_t port, int backlog)
{
    struct address address;
    int fd;

    assert_int_equal(address_parse(host, port, &address, NULL), ST_OK);
    fd = socket(address.storage.ss_family, SOCK_STREAM, 0);
    if (bind(fd, (struct sockaddr *)&address.storage, address.length) == 0 &&
        listen(fd, backlog) == 0)
        return fd;
    close(fd);
    return -1;
}

static struct hosts both(void)
{
    struct hosts hosts = { .n = 0 };

    for (size_t i = 0; i < 2; i++)
        hosts_add(&hosts, HOSTS[i]);
    hosts_add(&hosts, HOSTS[0]); /* each once */
    assert_int_equal(hosts.n, 2);
    return hosts;
}

static void begin(uint16_t port, struct race *race)
{
    const struct hosts hosts = both();
    struct err err;

    assert_ok(race_begin(race, HOSTS[0], &hosts, port, &err), err);
}

/* Go on at a time that stands still, as long as the system has something to say. */
static int run_at(struct race *race, uint64_t now_ns, int wait_ms)
{
    int fd;

    while ((fd = race_turn(race, now_ns)) == RACE_RUNNING) {
        struct pollfd fds[HOSTS_MAX];
        bool is_due;
        const size_t n = race_waits(race, fds, &is_due);

        if (poll(fds, (nfds_t)n, wait_ms) <= 0)
            return RACE_RUNNING;
    }
    return fd;
}

enum { NOW_NS = 1000, LONG_MS = 20000, SHORT_MS = 50 };

/* Without a moment passing. */
static int run(uint16_t port, struct race *race)
{
    begin(port, race);
    return run_at(race, NOW_NS, LONG_MS);
}

static void assert_peer(int fd, const char *host)
{
    struct address wanted;
    struct sockaddr_in peer;
    socklen_t length = sizeof(peer);

    assert_true(fd >= 0);
    assert_int_equal(address_parse(host, 1, &wanted, NULL), ST_OK);
    assert_int_equal(getpeername(fd, (struct sockaddr *)&peer, &length), 0);
    assert_int_equal(peer.sin_addr.s_addr,
                     ((struct sockaddr_in *)&wanted.storage)->sin_addr.s_addr);
    close(fd);
}

static void of_two_that_answer_the_first_wins(void **state)
{
    const int first = listen_at(HOSTS[0], 0, 8);
    const int second = listen_at(HOSTS[1], address_port_of(first), 8);
    struct race race;

    (void)state;
    if (second < 0)
        skip();
    assert_peer(run(address_port_of(first), &race), HOSTS[0]);
    close(first);
    close(second);
}

static void one_that_refuses_costs_nothing(void **state)
{
    const int second = listen_at(HOSTS[1], 0, 8);
    struct race race;

    (void)state;
    if (second < 0)
        skip();
    assert_peer(run(address_port_of(second), &race), HOSTS[1]);
    close(second);
}

/* A full queue of connections: what comes is dropped, as where a cable is cut. */
static void one_that_says_nothing_costs_one_step(void **state)
{
    const int first = listen_at(HOSTS[0], 0, 0);
    const int second = listen_at(HOSTS[1], address_port_of(first), 8);
    const uint16_t port = address_port_of(first);
    struct race race, filling[4];
    int filled[4];

    (void)state;
    if (second < 0)
        skip();
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(race_begin(&filling[i], HOSTS[0], NULL, port, NULL), ST_OK);
        filled[i] = race_turn(&filling[i], NOW_NS);
    }
    begin(port, &race);
    assert_int_equal(run_at(&race, NOW_NS + RACE_STEP_MS * NS_PER_MS - 1, SHORT_MS), RACE_RUNNING);
    assert_int_equal(race.n_begun, 1);
    assert_true(race.next_ns > NOW_NS);
    assert_peer(run_at(&race, race.next_ns, LONG_MS), HOSTS[1]);
    for (size_t i = 0; i < 4; i++) {
        race_end(&filling[i]);
        if (filled[i] >= 0)
            close(filled[i]);
    }
    close(first);
    close(second);
}

static void where_all_refuse_it_is_lost(void **state)
{
    const int fd = listen_at(HOSTS[0], 0, 1);
    const uint16_t port = address_port_of(fd);
    struct race race;

    (void)state;
    close(fd);
    assert_int_equal(run(port, &race), RACE_LOST);
#if defined(__linux__)
    assert_true(race_was_refused(&race));
#endif
    race_end(&race);
}

static void what_is_no_address_is_refused(void **state)
{
    struct hosts hosts = { { "127.0.0.1", "example.org" }, 2 };
    struct race race;
    struct err err;

    (void)state;
    assert_int_equal(race_begin(&race, "", &hosts, 1, &err), ST_RANGE);
}

static void addresses_are_bounded(void **state)
{
    struct hosts hosts = { .n = 0 };
    char text[2 * HOST_NUMERIC_MAX];

    (void)state;
    memset(text, '1', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    hosts_add(&hosts, text);
    assert_int_equal(hosts.n, 0);
    for (size_t i = 0; i < 2 * HOSTS_MAX; i++) {
        (void)snprintf(text, sizeof(text), "10.0.0.%zu", i);
        hosts_add(&hosts, text);
    }
    assert_int_equal(hosts.n, HOSTS_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(of_two_that_answer_the_first_wins),
        cmocka_unit_test(one_that_refuses_costs_nothing),
        cmocka_unit_test(one_that_says_nothing_costs_one_step),
        cmocka_unit_test(where_all_refuse_it_is_lost),
        cmocka_unit_test(what_is_no_address_is_refused),
        cmocka_unit_test(addresses_are_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
