/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/cluster/test_join.c - nodes with the key find one another; nobody else gets in. */
#include "support/check.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "cluster/cluster.h"
#include "cluster/cluster_priv.h"
#include "net/channel.h"

enum { N = 3, FLOOD = 200 };

struct fixture {
    struct loop *loop;
    struct cluster_key key;
    struct cluster *clusters[N];
    uint16_t ports[N];
    size_t wanted_index, wanted_alive;
};

static const struct cluster_events no_events;

static void no_connection(void *arg, int fd, const char *peer_host)
{
    (void)arg;
    (void)peer_host;
    close(fd);
}

static int set_up(void **state)
{
    static struct fixture f;
    struct err err;

    f = (struct fixture){ 0 };
    assert_ok(loop_new(&f.loop, &err), err);
    cluster_key_make(&f.key);
    for (size_t i = 0; i < N; i++) {
        struct listener *l = NULL;

        assert_ok(listener_new(f.loop, "127.0.0.1", 0, no_connection, NULL, &l, &err), err);
        f.ports[i] = listener_port(l);
        listener_free(l);
    }
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    for (size_t i = 0; i < N; i++)
        cluster_free(f->clusters[i]);
    loop_free(f->loop);
    return 0;
}

struct how {
    const char *name;              /* of the node */
    const char *cluster;           /* NULL: "home" */
    const struct cluster_key *key; /* NULL: none */
    size_t seeds[N], n_seeds;      /* indices of nodes */
    bool is_configured;            /* "a", "b" and "c" are the nodes of its configuration */
};

static void start(struct fixture *f, size_t index, const struct how *how)
{
    struct cluster_seed seeds[N] = { 0 };
    const struct cluster_discovery discovery = { DISCOVER_SEEDS, 0, seeds, how->n_seeds };
    struct cluster_peer peers[N] = { { .name = "a" }, { .name = "b" }, { .name = "c" } };
    char id[33];
    const struct cluster_options options = {
        .peers = how->is_configured ? peers : NULL,
        .n_peers = how->is_configured ? N : 0,
        .cluster_name = how->cluster ? how->cluster : "home",
        .node_name = how->name,
        .node_id = id,
        .host = "127.0.0.1",
        .port = f->ports[index],
        .key = how->key,
        .allows_joining = true,
        .discovery = &discovery,
        .runner_program = "/nonexistent",
    };
    struct err err;

    for (size_t i = 0; i < N; i++) {
        snprintf(peers[i].host, HOST_MAX, "127.0.0.1");
        peers[i].port = f->ports[i];
    }
    for (size_t i = 0; i < how->n_seeds; i++) {
        snprintf(seeds[i].host, HOST_MAX, "127.0.0.1");
        seeds[i].port = f->ports[how->seeds[i]];
    }
    snprintf(id, sizeof(id), "%032zx", index + 1);
    assert_ok(cluster_new(f->loop, &options, &no_events, f, &f->clusters[index], &err), err);
}

static size_t n_alive(const struct fixture *f, size_t index)
{
    struct cluster_member members[NODES_MAX];
    const size_t n = cluster_members(f->clusters[index], members, NODES_MAX);
    size_t found = 0;

    for (size_t i = 0; i < n; i++)
        found += members[i].is_alive;
    return found;
}

static void until_alive(struct fixture *f, size_t index, size_t n)
{
    const uint64_t until = deadline_after_ms(10000);

    while (n_alive(f, index) != n) {
        if (clock_ns() > until)
            fail_msg("node %zu sees %zu alive, not %zu", index, n_alive(f, index), n);
        (void)event_base_loop(loop_base(f->loop), EVLOOP_ONCE);
    }
}

static void turn_for_ms(struct fixture *f, uint64_t ms)
{
    const uint64_t until = deadline_after_ms(ms);

    while (clock_ns() < until)
        (void)event_base_loop(loop_base(f->loop), EVLOOP_ONCE);
}

static void seeds_of_one_node_are_enough(void **state)
{
    struct fixture *f = *state;
    struct cluster_member members[NODES_MAX];

    start(f, 0, &(struct how){ .name = "c", .key = &f->key });
    start(f, 1, &(struct how){ .name = "a", .key = &f->key, .seeds = { 0 }, .n_seeds = 1 });
    start(f, 2, &(struct how){ .name = "b", .key = &f->key, .seeds = { 0, 1 }, .n_seeds = 2 });
    for (size_t i = 0; i < N; i++)
        until_alive(f, i, N);
    for (size_t i = 0; i < N; i++) {
        assert_int_equal(cluster_members(f->clusters[i], members, NODES_MAX), N);
        assert_string_equal(members[0].name, "a"); /* one ring, whoever came first */
        assert_string_equal(members[1].name, "b");
        assert_string_equal(members[2].name, "c");
    }
}

/* The last two know of the first only, which tells each of the other. */
static void members_tell_of_one_another(void **state)
{
    struct fixture *f = *state;

    start(f, 0, &(struct how){ .name = "a", .key = &f->key });
    start(f, 1, &(struct how){ .name = "b", .key = &f->key, .seeds = { 0 }, .n_seeds = 1 });
    start(f, 2, &(struct how){ .name = "c", .key = &f->key, .seeds = { 0 }, .n_seeds = 1 });
    for (size_t i = 0; i < N; i++)
        until_alive(f, i, N);
}

/* Every node calls every other, by its seeds and, where they are configured, of itself too. */
static void check_crossing(struct fixture *f, bool is_configured)
{
    static const char *const names[N] = { "a", "b", "c" };
    const uint64_t until = deadline_after_ms(2 * RETIRE_MS);

    for (size_t i = 0; i < N; i++)
        start(f, i, &(struct how){ names[i], NULL, &f->key, { 0, 1, 2 }, 3, is_configured });
    for (size_t i = 0; i < N; i++)
        until_alive(f, i, N);
    while (clock_ns() < until) {
        (void)event_base_loop(loop_base(f->loop), EVLOOP_ONCE);
        for (size_t i = 0; i < N; i++)
            assert_int_equal(n_alive(f, i), N);
    }
    for (size_t i = 0; i < N; i++) {
        size_t n_up = 0;

        for (const struct link *l = f->clusters[i]->links; l; l = l->next)
            n_up += l->is_up;
        assert_int_equal(n_up, N - 1);
    }
}

static void crossing_calls_leave_one_channel_and_nobody_dies(void **state)
{
    check_crossing(*state, false);
}

static void crossing_calls_of_configured_nodes_do_so_too(void **state)
{
    check_crossing(*state, true);
}

static void a_node_that_left_may_return_with_the_same_name(void **state)
{
    struct fixture *f = *state;
    const struct how b = { .name = "b", .key = &f->key, .seeds = { 0 }, .n_seeds = 1 };

    start(f, 0, &(struct how){ .name = "a", .key = &f->key });
    start(f, 1, &b);
    until_alive(f, 0, 2);
    cluster_free(f->clusters[1]);
    f->clusters[1] = NULL;
    until_alive(f, 0, 1);
    start(f, 1, &b);
    until_alive(f, 0, 2);
}

static void assert_stay_apart(struct fixture *f, const struct how *other)
{
    start(f, 0, &(struct how){ .name = "a", .key = &f->key });
    start(f, 1, other);
    turn_for_ms(f, 1000);
    assert_int_equal(cluster_members(f->clusters[0], NULL, 0), 1);
    assert_int_equal(cluster_members(f->clusters[1], NULL, 0), 1);
    /* and service goes on */
    start(f, 2, &(struct how){ .name = "c", .key = &f->key, .seeds = { 0 }, .n_seeds = 1 });
    until_alive(f, 0, 2);
}

static void another_key_stays_outside(void **state)
{
    struct fixture *f = *state;
    struct cluster_key other = f->key;

    other.bytes[0] ^= 1;
    assert_stay_apart(f, &(struct how){ .name = "b", .key = &other, .seeds = { 0 }, .n_seeds = 1 });
}

static void no_key_stays_outside(void **state)
{
    assert_stay_apart(*state, &(struct how){ .name = "b", .seeds = { 0 }, .n_seeds = 1 });
}

static void another_cluster_of_the_same_key_stays_outside(void **state)
{
    struct fixture *f = *state;

    assert_stay_apart(f, &(struct how){ "b", "work", &f->key, { 0 }, 1, false });
}

static void a_second_machine_of_one_name_stays_outside(void **state)
{
    struct fixture *f = *state;
    struct cluster_member members[NODES_MAX];

    start(f, 0, &(struct how){ .name = "a", .key = &f->key });
    start(f, 1, &(struct how){ .name = "b", .key = &f->key, .seeds = { 0 }, .n_seeds = 1 });
    until_alive(f, 0, 2);
    start(f, 2, &(struct how){ .name = "b", .key = &f->key, .seeds = { 0 }, .n_seeds = 1 });
    turn_for_ms(f, 500);
    assert_int_equal(cluster_members(f->clusters[0], members, NODES_MAX), 2);
    assert_int_equal(members[1].id[31], '2');
    assert_int_equal(n_alive(f, 2), 1);
}

/* A connection to node 0 that says nothing, or `words`. */
static int attack(struct fixture *f, const void *words, size_t n)
{
    const struct sockaddr_in to = { .sin_family = AF_INET,
                                    .sin_port = htons(f->ports[0]),
                                    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    const int fd = socket(AF_INET, SOCK_STREAM, 0);

    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&to, sizeof(to)), 0);
    if (n > 0)
        (void)send(fd, words, n, MSG_NOSIGNAL);
    return fd;
}

static size_t n_links(const struct fixture *f)
{
    size_t n = 0;

    for (const struct link *l = f->clusters[0]->links; l; l = l->next)
        n++;
    return n;
}

static void a_flood_of_silent_connections_is_bounded(void **state)
{
    struct fixture *f = *state;
    int fds[FLOOD];
    size_t n_most = 0;

    start(f, 0, &(struct how){ .name = "a", .key = &f->key });
    for (size_t i = 0; i < FLOOD; i++) {
        fds[i] = attack(f, NULL, 0);
        if (i % 16 == 15)
            turn_for_ms(f, 1);
        n_most = n_links(f) > n_most ? n_links(f) : n_most;
    }
    turn_for_ms(f, 20);
    assert_in_range(n_most, 1, STRANGERS_PER_HOST_MAX);
    for (size_t i = 0; i < FLOOD; i++)
        close(fds[i]);
    start(f, 1, &(struct how){ .name = "b", .key = &f->key, .seeds = { 0 }, .n_seeds = 1 });
    until_alive(f, 0, 2);
}

static void what_is_not_tls_is_closed_without_an_answer_that_tells(void **state)
{
    static const char request[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    struct fixture *f = *state;
    const uint64_t until = deadline_after_ms(5000);
    char answer[512];
    ssize_t n = -1;
    size_t total = 0;
    int fd;

    start(f, 0, &(struct how){ .name = "studio-secret", .key = &f->key });
    fd = attack(f, request, sizeof(request) - 1);
    while (n != 0 && clock_ns() < until) {
        n = recv(fd, answer + total, sizeof(answer) - total, MSG_DONTWAIT);
        if (n > 0)
            total += (size_t)n;
        else if (n < 0 && errno != EAGAIN)
            break; /* reset: closed too */
        (void)event_base_loop(loop_base(f->loop), EVLOOP_NONBLOCK);
    }
    assert_true(clock_ns() < until);
    assert_in_range(total, 0, 7); /* RFC 8446 section 6: an alert at most */
    assert_null(memmem(answer, total, "studio", 6));
    close(fd);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(seeds_of_one_node_are_enough),
        TEST(members_tell_of_one_another),
        TEST(crossing_calls_leave_one_channel_and_nobody_dies),
        TEST(crossing_calls_of_configured_nodes_do_so_too),
        TEST(a_node_that_left_may_return_with_the_same_name),
        TEST(another_key_stays_outside),
        TEST(no_key_stays_outside),
        TEST(another_cluster_of_the_same_key_stays_outside),
        TEST(a_second_machine_of_one_name_stays_outside),
        TEST(a_flood_of_silent_connections_is_bounded),
        TEST(what_is_not_tls_is_closed_without_an_answer_that_tells),
    };
    (void)signal(SIGPIPE, SIG_IGN); /* as a node does */
    return cmocka_run_group_tests_name("cluster/join", tests, NULL, NULL);
}
