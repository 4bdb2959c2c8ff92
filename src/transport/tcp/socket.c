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
    struct address address;
    enum status s;
    int fd;

    s = address_parse(host, 0, &address, err);
    if (s != ST_OK)
        return s;
    fd = socket(address.storage.ss_family, SOCK_STREAM, 0);
    if (fd < 0 || !prepare(fd) ||
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

/* Wait for a connection under way. */
static enum status finish_connect(int fd, const char *host, uint16_t port, uint64_t deadline_ns,
                                  struct err *err)
{
    struct pollfd p = { .fd = fd, .events = POLLOUT };
    socklen_t length = sizeof(int);
    int n, failed = 0;

    do
        n = poll(&p, 1, deadline_poll_ms(deadline_ns));
    while (n < 0 && errno == EINTR);
    if (n == 0)
        return err_set(err, ST_DEADLINE, "%s port %u did not answer in time", host, port);
    if (n < 0 || getsockopt(fd, SOL_SOCKET, SO_ERROR, &failed, &length) != 0)
        return err_errno(err, "connect to %s port %u", host, port);
    if (failed)
        return err_set(err, ST_PEER, "connect to %s port %u: %s", host, port, strerror(failed));
    return ST_OK;
}

enum status socket_connect(const char *host, uint16_t port, uint64_t deadline_ns, int *ret_fd,
                           struct err *err)
{
    struct address address;
    enum status s;
    int fd;

    s = address_parse(host, port, &address, err);
    if (s != ST_OK)
        return s;
    fd = socket(address.storage.ss_family, SOCK_STREAM, 0);
    if (fd < 0 || !prepare(fd))
        s = err_errno(err, "a socket");
    else if (connect(fd, (struct sockaddr *)&address.storage, address.length) == 0)
        s = ST_OK;
    else if (errno == EINPROGRESS || errno == EINTR)
        s = finish_connect(fd, host, port, deadline_ns, err);
    else
        s = err_set(err, ST_PEER, "connect to %s port %u: %s", host, port, strerror(errno));
    if (s != ST_OK) {
        if (fd >= 0)
            close(fd);
        return s;
    }
    *ret_fd = fd;
    return ST_OK;
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
