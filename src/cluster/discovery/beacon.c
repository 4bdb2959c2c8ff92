/* SPDX-License-Identifier: Apache-2.0 */
/* cluster/discovery/beacon.c - nodes of a network tell each other that they are there, by UDP. */
#include "cluster/discovery/beacon.h"

#include <arpa/inet.h>
#include <event2/event.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "cluster/discovery/beacon_message.h"
#include "cluster/discovery/interfaces.h"
#include "net/seal.h"

enum {
    READS_MAX = 64, /* datagrams in one turn of the loop */
    KNOWN_MAX = 256,
    HOST_TEXT_MAX = 128,
};

static const char group_v4[] = "239.255.112.110";
static const char group_v6[] = "ff12::706f:6d6f:6e61";

/* Interfaces by index; joined ones hear the groups. */
struct joined {
    unsigned index;
    bool v4, v6;
};

struct beacon {
    found_fn *on_found;
    void *arg;
    struct beacon_message self;
    struct sealer *sealer;
    struct opener *opener;
    int fd_v4, fd_v6; /* -1: not to be had */
    uint16_t udp_port;
    struct event *read_v4, *read_v6;
    struct loop_timer *timer, *answer;
    struct joined joined[INTERFACES_MAX];
    size_t n_joined;
    uint64_t boots[KNOWN_MAX]; /* senders heard of: a ring */
    size_t n_boots;
    uint64_t answered_ns;
    bool said_clock;
};

static bool set_on(int fd, int level, int name)
{
    const int on = 1;

    return setsockopt(fd, level, name, &on, sizeof(on)) == 0;
}

/* Several nodes of one machine share the port: each hears every group's datagrams. */
static bool share_port(int fd)
{
#if defined(__APPLE__)
    return set_on(fd, SOL_SOCKET, SO_REUSEPORT);
#else
    return set_on(fd, SOL_SOCKET, SO_REUSEADDR);
#endif
}

static int socket_v4(uint16_t port)
{
    const struct sockaddr_in any = { .sin_family = AF_INET, .sin_port = htons(port) };
    const int fd = socket(AF_INET, SOCK_DGRAM, 0);

    if (fd < 0)
        return -1;
    (void)evutil_make_socket_nonblocking(fd);
    (void)evutil_make_socket_closeonexec(fd);
    if (!share_port(fd) || !set_on(fd, SOL_SOCKET, SO_BROADCAST) ||
        bind(fd, (const struct sockaddr *)&any, sizeof(any)) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static int socket_v6(uint16_t port)
{
    const struct sockaddr_in6 any = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
    const int fd = socket(AF_INET6, SOCK_DGRAM, 0);

    if (fd < 0)
        return -1;
    (void)evutil_make_socket_nonblocking(fd);
    (void)evutil_make_socket_closeonexec(fd);
    if (!share_port(fd) || !set_on(fd, IPPROTO_IPV6, IPV6_V6ONLY) ||
        bind(fd, (const struct sockaddr *)&any, sizeof(any)) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static void send_v4(struct beacon *b, struct in_addr to, const uint8_t *bytes, size_t n)
{
    const struct sockaddr_in addr = { .sin_family = AF_INET,
                                      .sin_port = htons(b->udp_port),
                                      .sin_addr = to };

    (void)sendto(b->fd_v4, bytes, n, 0, (const struct sockaddr *)&addr, sizeof(addr));
}

static void send_group_v6(struct beacon *b, unsigned index, const uint8_t *bytes, size_t n)
{
    struct sockaddr_in6 addr = { .sin6_family = AF_INET6,
                                 .sin6_port = htons(b->udp_port),
                                 .sin6_scope_id = index };

    (void)inet_pton(AF_INET6, group_v6, &addr.sin6_addr);
    (void)setsockopt(b->fd_v6, IPPROTO_IPV6, IPV6_MULTICAST_IF, &index, sizeof(index));
    (void)sendto(b->fd_v6, bytes, n, 0, (const struct sockaddr *)&addr, sizeof(addr));
}

/* One datagram for each way out, sealed anew: the same one by two ways would
 * be taken for a replay, and its sender's second address never be heard of. */
static bool seal_one(struct beacon *b, enum beacon_what what, uint8_t *ret_sealed)
{
    uint8_t payload[BEACON_BYTES];

    b->self.what = what;
    return beacon_write(&b->self, payload, NULL) == ST_OK &&
           seal(b->sealer, payload, sizeof(payload), clock_unix_ms(), ret_sealed, NULL) == ST_OK;
}

static void speak_on(struct beacon *b, const struct interface *i, enum beacon_what what)
{
    uint8_t sealed[BEACON_BYTES + SEAL_OVERHEAD_BYTES];
    struct in_addr group;

    if (b->fd_v4 >= 0 && i->has_v4 && i->has_broadcast && seal_one(b, what, sealed))
        send_v4(b, i->broadcast, sealed, sizeof(sealed));
    if (b->fd_v4 >= 0 && i->has_v4 && seal_one(b, what, sealed)) {
        (void)inet_pton(AF_INET, group_v4, &group);
        (void)setsockopt(b->fd_v4, IPPROTO_IP, IP_MULTICAST_IF, &i->v4, sizeof(i->v4));
        send_v4(b, group, sealed, sizeof(sealed));
    }
    if (b->fd_v6 >= 0 && i->has_v6 && seal_one(b, what, sealed))
        send_group_v6(b, i->index, sealed, sizeof(sealed));
}

static struct joined *joined_entry(struct beacon *b, unsigned index)
{
    for (size_t i = 0; i < b->n_joined; i++)
        if (b->joined[i].index == index)
            return &b->joined[i];
    if (b->n_joined == INTERFACES_MAX)
        return NULL;
    b->joined[b->n_joined] = (struct joined){ .index = index };
    return &b->joined[b->n_joined++];
}

/* Hear the groups on an interface; true where that is new. */
static bool join(struct beacon *b, const struct interface *i)
{
    struct joined *j = joined_entry(b, i->index);
    struct ip_mreq v4 = { .imr_interface = i->v4 };
    struct ipv6_mreq v6 = { .ipv6mr_interface = i->index };
    bool is_new = false;

    if (!j)
        return false;
    if (b->fd_v4 >= 0 && i->has_v4 && !j->v4) {
        (void)inet_pton(AF_INET, group_v4, &v4.imr_multiaddr);
        j->v4 = setsockopt(b->fd_v4, IPPROTO_IP, IP_ADD_MEMBERSHIP, &v4, sizeof(v4)) == 0;
        is_new = j->v4;
    }
    if (b->fd_v6 >= 0 && i->has_v6 && !j->v6) {
        (void)inet_pton(AF_INET6, group_v6, &v6.ipv6mr_multiaddr);
        j->v6 = setsockopt(b->fd_v6, IPPROTO_IPV6, IPV6_JOIN_GROUP, &v6, sizeof(v6)) == 0;
        is_new |= j->v6;
    }
    return is_new;
}

/* The kernel left the groups of an interface that went: if it comes back, it is new. */
static void forget_gone(struct beacon *b, const struct interface *list, size_t n)
{
    for (size_t k = 0; k < b->n_joined;) {
        size_t i = 0;

        while (i < n && list[i].index != b->joined[k].index)
            i++;
        if (i == n)
            b->joined[k] = b->joined[--b->n_joined];
        else
            k++;
    }
}

static void speak(struct beacon *b, enum beacon_what what)
{
    struct interface list[INTERFACES_MAX];
    size_t n = 0;

    if (interfaces_list(list, &n, NULL) != ST_OK)
        return;
    forget_gone(b, list, n);
    for (size_t i = 0; i < n; i++)
        speak_on(b, &list[i], join(b, &list[i]) ? BEACON_WHO : what);
}

static void on_timer(void *arg)
{
    speak(arg, BEACON_HERE);
}

static void on_answer(void *arg)
{
    struct beacon *b = arg;

    b->answered_ns = clock_ns();
    speak(b, BEACON_HERE);
}

static bool is_known(struct beacon *b, uint64_t boot)
{
    const size_t n = b->n_boots < KNOWN_MAX ? b->n_boots : KNOWN_MAX;

    for (size_t i = 0; i < n; i++)
        if (b->boots[i] == boot)
            return true;
    b->boots[b->n_boots++ % KNOWN_MAX] = boot;
    return false;
}

static void take(struct beacon *b, const uint8_t *bytes, size_t n, const struct sockaddr *from,
                 socklen_t from_length)
{
    uint8_t payload[SEAL_PAYLOAD_MAX_BYTES];
    struct beacon_message message;
    char host[HOST_TEXT_MAX];
    struct opened opened;
    struct err err;
    const enum status s = seal_open(b->opener, bytes, n, clock_unix_ms(), payload, &opened, &err);

    if (s == ST_RANGE && !b->said_clock) {
        b->said_clock = true; /* once: it would be said every two seconds */
        log_warn("a peer's beacon is left out: %s", err.words);
    }
    if (s != ST_OK || beacon_read(payload, opened.n, &message, NULL) != ST_OK ||
        strcmp(message.id, b->self.id) == 0 ||
        getnameinfo(from, from_length, host, sizeof(host), NULL, 0, NI_NUMERICHOST) != 0)
        return;
    if (!is_known(b, opened.boot) || message.what == BEACON_WHO) {
        const uint64_t next_ns = b->answered_ns + ANSWER_EVERY_MS * NS_PER_MS, now = clock_ns();

        loop_timer_once(b->answer, now < next_ns ? (next_ns - now) / NS_PER_MS + 1 : 0);
    }
    b->on_found(b->arg, host, message.port, message.id);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    uint8_t bytes[SEAL_MAX_BYTES + 1]; /* one more, so that a longer one is seen to be longer */

    (void)what;
    for (unsigned i = 0; i < READS_MAX; i++) {
        struct sockaddr_storage from;
        socklen_t length = sizeof(from);
        const ssize_t n = recvfrom(fd, bytes, sizeof(bytes), 0, (struct sockaddr *)&from, &length);

        if (n < 0)
            return;
        take(arg, bytes, (size_t)n, (const struct sockaddr *)&from, length);
    }
}

static enum status watch(struct loop *loop, struct beacon *b, int fd, struct event **ret_event)
{
    if (fd < 0)
        return ST_OK;
    *ret_event = event_new(loop_base(loop), fd, EV_READ | EV_PERSIST, on_readable, b);
    return *ret_event && event_add(*ret_event, NULL) == 0 ? ST_OK : ST_NOMEM;
}

static enum status beacon_start(struct loop *loop, struct beacon *b, struct err *err)
{
    b->fd_v4 = socket_v4(b->udp_port);
    b->fd_v6 = socket_v6(b->udp_port);
    if (b->fd_v4 < 0 && b->fd_v6 < 0)
        return err_errno(err, "hear datagrams on UDP port %u", b->udp_port);
    if (watch(loop, b, b->fd_v4, &b->read_v4) != ST_OK ||
        watch(loop, b, b->fd_v6, &b->read_v6) != ST_OK ||
        loop_timer_new(loop, on_timer, b, &b->timer) != ST_OK ||
        loop_timer_new(loop, on_answer, b, &b->answer) != ST_OK)
        return err_set(err, ST_NOMEM, "the beacon");
    loop_timer_every(b->timer, BEACON_EVERY_MS);
    speak(b, BEACON_WHO);
    return ST_OK;
}

enum status beacon_open(struct loop *loop, const struct beacon_options *o, found_fn *on_found,
                        void *arg, struct beacon **ret_beacon, struct err *err)
{
    struct beacon *b = calloc(1, sizeof(*b));
    uint8_t unused[BEACON_BYTES];
    enum status s;

    if (!b)
        return err_set(err, ST_NOMEM, "the beacon");
    *b = (struct beacon){ .on_found = on_found, .arg = arg, .fd_v4 = -1, .fd_v6 = -1 };
    b->udp_port = o->udp_port;
    b->self.port = o->port;
    (void)snprintf(b->self.id, sizeof(b->self.id), "%s", o->node_id);
    s = beacon_write(&b->self, unused, err);
    if (s == ST_OK)
        s = sealer_new(o->key, "beacon", o->cluster_name, &b->sealer, err);
    if (s == ST_OK)
        s = opener_new(o->key, "beacon", o->cluster_name, &b->opener, err);
    if (s == ST_OK)
        s = beacon_start(loop, b, err);
    if (s != ST_OK) {
        beacon_close(b);
        return s;
    }
    *ret_beacon = b;
    return ST_OK;
}

void beacon_close(struct beacon *b)
{
    if (!b)
        return;
    if (b->read_v4)
        event_free(b->read_v4);
    if (b->read_v6)
        event_free(b->read_v6);
    loop_timer_free(b->timer);
    loop_timer_free(b->answer);
    if (b->fd_v4 >= 0)
        close(b->fd_v4);
    if (b->fd_v6 >= 0)
        close(b->fd_v6);
    sealer_free(b->sealer);
    opener_free(b->opener);
    free(b);
}
