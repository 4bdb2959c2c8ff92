/* SPDX-License-Identifier: Apache-2.0 */
/* cluster/membership/datagrams.c - the UDP socket that carries membership (swim.h). */
#include "cluster/membership/datagrams.h"

#include <event2/event.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "net/seal.h"

enum { READS_MAX = 64 /* datagrams in one turn of the loop */ };

_Static_assert((int)SEAL_OVERHEAD_BYTES <= (int)SWIM_SEAL_BYTES, "a seal has room");

struct datagrams {
    datagram_fn *on_datagram;
    void *arg;
    int fd, family;
    struct event *readable;
    struct sealer *sealer; /* NULL, as the opener: no key */
    struct opener *opener;
    bool said_clock;
};

bool swim_address_of(const struct address *address, struct swim_address *ret_address)
{
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&address->storage;
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)&address->storage;

    *ret_address = (struct swim_address){ 0 };
    if (address->storage.ss_family == AF_INET6) {
        memcpy(ret_address->ip, &v6->sin6_addr, sizeof(ret_address->ip));
        ret_address->port = ntohs(v6->sin6_port);
        return true;
    }
    if (address->storage.ss_family != AF_INET)
        return false;
    ret_address->ip[10] = ret_address->ip[11] = 0xff; /* RFC 4291, section 2.5.5.2 */
    memcpy(ret_address->ip + 12, &v4->sin_addr, 4);
    ret_address->port = ntohs(v4->sin_port);
    return true;
}

void swim_address_read(const struct swim_address *address, struct address *ret_address)
{
    struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(address->port) };
    struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(address->port) };

    memset(ret_address, 0, sizeof(*ret_address));
    memcpy(&v6.sin6_addr, address->ip, sizeof(address->ip));
    memcpy(&v4.sin_addr, address->ip + 12, 4);
    if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr)) {
        memcpy(&ret_address->storage, &v4, sizeof(v4));
        ret_address->length = sizeof(v4);
    } else {
        memcpy(&ret_address->storage, &v6, sizeof(v6));
        ret_address->length = sizeof(v6);
    }
}

/* `address` as a socket of `family` takes it; false where it cannot. */
static bool address_for(int family, const struct address *address, struct address *ret_address)
{
    struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };
    struct swim_address plain;

    *ret_address = *address;
    if (address->storage.ss_family == family)
        return true;
    if (!swim_address_of(address, &plain))
        return false;
    if (family == AF_INET) {
        swim_address_read(&plain, ret_address);
        return ret_address->storage.ss_family == AF_INET;
    }
    v6.sin6_port = htons(plain.port);
    memcpy(&v6.sin6_addr, plain.ip, sizeof(plain.ip));
    memcpy(&ret_address->storage, &v6, sizeof(v6));
    ret_address->length = sizeof(v6);
    return true;
}

static bool is_loopback(const struct swim_address *address)
{
    static const uint8_t v4[] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127 };
    struct in6_addr ip;

    memcpy(&ip, address->ip, sizeof(ip));
    return IN6_IS_ADDR_LOOPBACK(&ip) || memcmp(address->ip, v4, sizeof(v4)) == 0;
}

static void take_sealed(struct datagrams *d, const struct swim_address *from, const uint8_t *bytes,
                        size_t n)
{
    uint8_t payload[SEAL_PAYLOAD_MAX_BYTES];
    struct opened opened;
    struct err err;
    const enum status s = seal_open(d->opener, bytes, n, clock_unix_ms(), payload, &opened, &err);

    if (s == ST_OK) {
        d->on_datagram(d->arg, from, payload, opened.n);
        return;
    }
    if (s == ST_RANGE && !d->said_clock) {
        d->said_clock = true; /* once: it would be said several times a second */
        log_warn("a peer's datagrams are left out: %s", err.words);
    }
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    uint8_t bytes[SEAL_MAX_BYTES + 1]; /* one more, so that a longer one is seen to be longer */
    struct datagrams *d = arg;

    (void)what;
    for (unsigned i = 0; i < READS_MAX; i++) {
        struct address from = { .length = sizeof(from.storage) };
        struct swim_address plain;
        const ssize_t n =
            recvfrom(fd, bytes, sizeof(bytes), 0, (struct sockaddr *)&from.storage, &from.length);

        if (n < 0)
            return;
        if (!swim_address_of(&from, &plain))
            continue;
        if (d->opener)
            take_sealed(d, &plain, bytes, (size_t)n);
        else if (is_loopback(&plain))
            d->on_datagram(d->arg, &plain, bytes, (size_t)n);
    }
}

void datagrams_send(struct datagrams *d, const struct address *to, const uint8_t *bytes, size_t n)
{
    uint8_t sealed[SWIM_DATAGRAM_MAX + SEAL_OVERHEAD_BYTES];
    struct address there;

    if (n > SWIM_DATAGRAM_MAX || !address_for(d->family, to, &there))
        return;
    if (d->sealer && seal(d->sealer, bytes, n, clock_unix_ms(), sealed, NULL) != ST_OK)
        return;
    if (d->sealer) {
        bytes = sealed;
        n += SEAL_OVERHEAD_BYTES;
    }
    (void)sendto(d->fd, bytes, n, 0, (const struct sockaddr *)&there.storage, there.length);
}

static enum status socket_open(struct datagrams *d, const char *host, uint16_t port,
                               struct err *err)
{
    const int off = 0;
    struct address address;
    enum status s = address_parse(host, port, &address, err);

    if (s != ST_OK)
        return s;
    d->family = address.storage.ss_family;
    d->fd = socket(d->family, SOCK_DGRAM, 0);
    if (d->fd < 0)
        return err_errno(err, "a UDP socket");
    (void)evutil_make_socket_nonblocking(d->fd);
    (void)evutil_make_socket_closeonexec(d->fd);
    if (d->family == AF_INET6)
        (void)setsockopt(d->fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
    if (bind(d->fd, (const struct sockaddr *)&address.storage, address.length) == 0)
        return ST_OK;
    s = err_errno(err, "hear datagrams on UDP port %u of %s", port, host);
    close(d->fd);
    d->fd = -1;
    return s;
}

static enum status start(struct loop *loop, struct datagrams *d, const struct datagrams_options *o,
                         struct err *err)
{
    enum status s = socket_open(d, o->host, o->port, err);

    if (s != ST_OK && strcmp(o->host, "::") == 0) /* where IPv6 is off, IPv4 alone will do */
        s = socket_open(d, "0.0.0.0", o->port, err);
    if (s == ST_OK && o->key)
        s = sealer_new(o->key, "membership", o->cluster_name, &d->sealer, err);
    if (s == ST_OK && o->key)
        s = opener_new(o->key, "membership", o->cluster_name, &d->opener, err);
    if (s != ST_OK)
        return s;
    d->readable = event_new(loop_base(loop), d->fd, EV_READ | EV_PERSIST, on_readable, d);
    if (!d->readable || event_add(d->readable, NULL) != 0)
        return err_set(err, ST_NOMEM, "the socket of membership");
    return ST_OK;
}

enum status datagrams_open(struct loop *loop, const struct datagrams_options *options,
                           datagram_fn *on_datagram, void *arg, struct datagrams **ret_datagrams,
                           struct err *err)
{
    struct datagrams *d = calloc(1, sizeof(*d));
    enum status s;

    if (!d)
        return err_set(err, ST_NOMEM, "the socket of membership");
    d->on_datagram = on_datagram;
    d->arg = arg;
    d->fd = -1;
    s = start(loop, d, options, err);
    if (s != ST_OK) {
        datagrams_close(d);
        return s;
    }
    *ret_datagrams = d;
    return ST_OK;
}

void datagrams_close(struct datagrams *d)
{
    if (!d)
        return;
    if (d->readable)
        event_free(d->readable);
    if (d->fd >= 0)
        close(d->fd);
    sealer_free(d->sealer);
    opener_free(d->opener);
    free(d);
}
