/* SPDX-License-Identifier: Apache-2.0 */
/* transport/tcp/tcp.c - bytes over connected ranks.
 *
 * Sockets are non-blocking: the fast path is one system call; otherwise
 * poll(2) waits for the socket that is needed and for the end of any other.
 */
#include "transport/tcp/tcp.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "transport/tcp/tcp_priv.h"

/* Asks poll(2) for the peer's end alone, where the system can say it; elsewhere readable
 * sockets are looked at. */
#if defined(POLLRDHUP)
enum { WATCH_END = POLLRDHUP, SAYS_END = POLLRDHUP | POLLHUP | POLLERR | POLLNVAL };
#else
enum { WATCH_END = POLLIN, SAYS_END = POLLHUP | POLLERR | POLLNVAL };
#endif

static bool would_block(int error)
{
    return error == EAGAIN || error == EWOULDBLOCK || error == EINTR;
}

/* Is nothing left to read, and never will be? */
static bool is_ended(int fd)
{
    char byte;
    const ssize_t n = recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);

    return n == 0 || (n < 0 && !would_block(errno));
}

static enum status gone(uint32_t rank, struct err *err)
{
    return err_set(err, ST_PEER, "rank %u is gone", rank);
}

/* Wait until `peer` can do one of `events`, or any rank ends.  A peer of
 * TCP_RANKS_MAX waits for ends alone; then ST_DEADLINE says that all are there. */
static enum status wait_for(struct tcp *t, uint32_t peer, short events, uint64_t deadline_ns,
                            struct err *err)
{
    struct pollfd fds[TCP_RANKS_MAX];

    for (uint32_t i = 0; i < t->base.n_ranks; i++)
        fds[i] = (struct pollfd){ .fd = t->fds[i], .events = i == peer ? events : WATCH_END };
    for (;;) {
        const int n = poll(fds, t->base.n_ranks, deadline_poll_ms(deadline_ns));

        if (n == 0)
            return err_set(err, ST_DEADLINE, "rank %u did not answer in time", peer);
        if (n < 0 && errno != EINTR)
            return err_errno(err, "wait for rank %u", peer);
        for (uint32_t i = 0; n > 0 && i < t->base.n_ranks; i++) {
            if (fds[i].revents == 0 || i == peer)
                continue;
            if ((fds[i].revents & SAYS_END) != 0 || is_ended(t->fds[i]))
                return gone(i, err);
            fds[i].events = 0; /* it only has something to say; its turn comes */
        }
        if (n > 0 && peer < t->base.n_ranks && fds[peer].revents != 0)
            return ST_OK;
    }
}

static enum status check_rank(const struct tcp *t, uint32_t rank, struct err *err)
{
    if (rank >= t->base.n_ranks || t->fds[rank] < 0)
        return err_set(err, ST_RANGE, "there is no rank %u", rank);
    return ST_OK;
}

static enum status tcp_send(struct transport *base, uint32_t to, const void *bytes, size_t n,
                            uint64_t deadline_ns, struct err *err)
{
    struct tcp *t = (struct tcp *)base;
    const char *p = bytes;
    enum status s = check_rank(t, to, err);

    while (s == ST_OK && n > 0) {
        const long sent = socket_send(t->fds[to], p, n);

        if (sent > 0) {
            p += sent;
            n -= (size_t)sent;
        } else if (sent < 0 && !would_block(errno)) {
            s = gone(to, err);
        } else {
            s = wait_for(t, to, POLLOUT, deadline_ns, err);
        }
    }
    return s;
}

static enum status tcp_recv(struct transport *base, uint32_t from, void *ret_bytes, size_t n,
                            uint64_t deadline_ns, struct err *err)
{
    struct tcp *t = (struct tcp *)base;
    char *p = ret_bytes;
    enum status s = check_rank(t, from, err);

    while (s == ST_OK && n > 0) {
        const ssize_t got = recv(t->fds[from], p, n, 0);

        if (got > 0) {
            p += got;
            n -= (size_t)got;
        } else if (got == 0 || !would_block(errno)) {
            s = gone(from, err);
        } else {
            s = wait_for(t, from, POLLIN, deadline_ns, err);
        }
    }
    return s;
}

static enum status tcp_check(struct transport *base, struct err *err)
{
    struct err why;
    const enum status s = wait_for((struct tcp *)base, TCP_RANKS_MAX, 0, 0, &why);

    return s == ST_DEADLINE ? ST_OK : err_set(err, s, "%s", why.words);
}

static void tcp_close(struct transport *base)
{
    struct tcp *t = (struct tcp *)base;

    for (uint32_t i = 0; i < t->base.n_ranks; i++)
        if (t->fds[i] >= 0)
            close(t->fds[i]);
    free(t);
}

static const struct transport_type tcp_type = {
    .name = "tcp",
    .send = tcp_send,
    .recv = tcp_recv,
    .check = tcp_check,
    .close = tcp_close,
};

struct tcp *tcp_new(uint32_t rank, uint32_t n_ranks)
{
    struct tcp *t = calloc(1, sizeof(*t));

    if (!t)
        return NULL;
    t->base = (struct transport){ &tcp_type, rank, n_ranks };
    for (size_t i = 0; i < TCP_RANKS_MAX; i++)
        t->fds[i] = -1;
    return t;
}
