/* SPDX-License-Identifier: Apache-2.0 */
/* transport/tcp/socket.c - sockets without surprises.
 *
 * Writing to a peer that is gone must be an error, not a signal: Linux takes
 * a flag for each send, macOS an option of the socket.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/address.h"
#include "base/clock.h"
#include "base/socket.h"
#include "net/race.h"
#include "transport/tcp/tcp_priv.h"

#if defined(MSG_NOSIGNAL)
enum { SEND_FLAGS = MSG_NOSIGNAL };
#else
enum { SEND_FLAGS = 0 };
#endif

enum { BACKLOG = TCP_RANKS_MAX };

static bool prepare(int fd)
{
    const int on = 1, flags = fcntl(fd, F_GETFL);

#if defined(SO_NOSIGPIPE)
    (void)setsockopt(fd, SOL_SOCKET, SO_NOSIGPIPE, &on, sizeof(on));
#endif
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    socket_watch_link(fd);
    return flags >= 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0 &&
           fcntl(fd, F_SETFD, FD_CLOEXEC) == 0;
}

enum status socket_listen(const char *host, int *ret_fd, uint16_t *ret_port, struct err *err)
{
    const int on = 1;
    struct address address;
    enum status s;
    int fd;

    s = address_parse(host, 0, &address, err);
    if (s != ST_OK)
        return s;
    fd = socket(address.storage.ss_family, SOCK_STREAM, 0);
    /* MLX's ring may listen at this port once this listener is closed, beside the connections. */
    if (fd < 0 || !prepare(fd) || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
        bind(fd, (struct sockaddr *)&address.storage, address.length) != 0 ||
        listen(fd, BACKLOG) != 0) {
        s = err_errno(err, "listen on %s", host);
        if (fd >= 0)
            close(fd);
        return s;
    }
    *ret_fd = fd;
    *ret_port = address_port_of(fd);
    return ST_OK;
}

/* Until the next attempt is due, one under way is decided, or it is too late. */
static void wait_for(const struct race *race, uint64_t deadline_ns)
{
    struct pollfd fds[HOSTS_MAX];
    bool is_due;
    const size_t n = race_waits(race, fds, &is_due);
    const uint64_t until_ns = is_due && race->next_ns < deadline_ns ? race->next_ns : deadline_ns;

    (void)poll(fds, (nfds_t)n, deadline_poll_ms(until_ns)); /* interrupted: another turn */
}

enum status socket_connect(const struct tcp_endpoint *to, uint64_t deadline_ns, int *ret_fd,
                           struct err *err)
{
    struct race race;
    enum status s = race_begin(&race, to->host, to->hosts, to->port, err);
    int fd;

    if (s != ST_OK)
        return s;
    while ((fd = race_turn(&race, clock_ns())) == RACE_RUNNING && clock_ns() < deadline_ns)
        wait_for(&race, deadline_ns);
    race_end(&race);
    if (fd == RACE_RUNNING)
        return err_set(err, ST_DEADLINE, "%s port %u did not answer in time", to->host, to->port);
    if (fd == RACE_LOST)
        return err_set(err, ST_PEER, "connect to %s port %u: %s", to->host, to->port,
                       strerror(race.failure));
    if (!prepare(fd)) {
        s = err_errno(err, "a socket");
        close(fd);
        return s;
    }
    *ret_fd = fd;
    return ST_OK;
}

/* The address without its port; false for one of another family. */
static bool same_host(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
    if (a->ss_family != b->ss_family)
        return false;
    if (a->ss_family == AF_INET)
        return ((const struct sockaddr_in *)a)->sin_addr.s_addr ==
               ((const struct sockaddr_in *)b)->sin_addr.s_addr;
    return a->ss_family == AF_INET6 &&
           memcmp(&((const struct sockaddr_in6 *)a)->sin6_addr,
                  &((const struct sockaddr_in6 *)b)->sin6_addr, sizeof(struct in6_addr)) == 0;
}

bool socket_is_local(int fd)
{
    struct sockaddr_storage here, there;
    socklen_t n_here = sizeof(here), n_there = sizeof(there);

    return getsockname(fd, (struct sockaddr *)&here, &n_here) == 0 &&
           getpeername(fd, (struct sockaddr *)&there, &n_there) == 0 && same_host(&here, &there);
}

int socket_accept(int listener_fd)
{
    const int fd = accept(listener_fd, NULL, NULL);

    if (fd >= 0 && !prepare(fd)) {
        close(fd);
        return -1;
    }
    return fd;
}

long socket_send(int fd, const void *bytes, size_t n)
{
    return (long)send(fd, bytes, n, SEND_FLAGS);
}
