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

#include "base/clock.h"
#include "transport/tcp/tcp_priv.h"

/* Asks poll(2) for the peer's end alone, where the system can say it; elsewhere readable
 * sockets are looked at. */
#if defined(POLLRDHUP)
enum { WATCH_END = POLLRDHUP, SAYS_END = POLLRDHUP | POLLHUP | POLLERR | POLLNVAL };
#else
enum { WATCH_END = POLLIN, SAYS_END = POLLHUP | POLLERR | POLLNVAL };
#endif

static enum status gone(uint32_t rank, struct err *err)
{
    return err_set(err, ST_PEER, "rank %u is gone", rank);
}

/* A rank whose machine acknowledges nothing: its cable is cut, or it is off. */
static enum status look_for_silence(struct tcp *t, struct err *err)
{
    const uint64_t now_ns = clock_ns();

    for (uint32_t i = 0; i < t->base.n_ranks; i++)
        if (t->conns[i].fd >= 0 && conn_is_dead(&t->conns[i], now_ns))
            return err_set(err, ST_PEER, "rank %u is cut off: it took nothing for %d ms", i,
                           CONN_DEAD_MS);
    return ST_OK;
}

/* What poll(2) said of the ranks but `peer`, whose turn it is. */
static enum status look_for_ends(struct tcp *t, struct pollfd *fds, uint32_t peer, struct err *err)
{
    for (uint32_t i = 0; i < t->base.n_ranks; i++) {
        if (fds[i].revents == 0 || i == peer)
            continue;
        if ((fds[i].revents & SAYS_END) != 0 || conn_is_ended(&t->conns[i]))
            return gone(i, err);
        fds[i].events = 0; /* it only has something to say; its turn comes */
    }
    return ST_OK;
}

/* Wait until `peer` can do what its connection wants, or any rank ends.  A peer of
 * TCP_RANKS_MAX waits for ends alone; then ST_DEADLINE says that all are there. */
static enum status wait_for(struct tcp *t, uint32_t peer, uint64_t deadline_ns, struct err *err)
{
    struct pollfd fds[TCP_RANKS_MAX];
    enum status s = ST_OK;

    for (uint32_t i = 0; i < t->base.n_ranks; i++)
        fds[i] = (struct pollfd){ .fd = t->conns[i].fd,
                                  .events = i == peer ? t->conns[i].wants : WATCH_END };
    while (s == ST_OK) {
        const uint64_t look_ns = deadline_after_ms(CONN_LOOK_MS);
        const uint64_t until_ns = deadline_ns < look_ns ? deadline_ns : look_ns;
        const int n = poll(fds, t->base.n_ranks, deadline_poll_ms(until_ns));

        if (n < 0 && errno != EINTR)
            return err_errno(err, "wait for rank %u", peer);
        if (n > 0)
            s = look_for_ends(t, fds, peer, err);
        if (s == ST_OK && n > 0 && peer < t->base.n_ranks && fds[peer].revents != 0)
            return ST_OK;
        if (s == ST_OK && n == 0)
            s = look_for_silence(t, err);
        if (s == ST_OK && n == 0 && until_ns == deadline_ns)
            return err_set(err, ST_DEADLINE, "rank %u did not answer in time", peer);
    }
    return s;
}

static enum status check_rank(const struct tcp *t, uint32_t rank, struct err *err)
{
    if (rank >= t->base.n_ranks || t->conns[rank].fd < 0)
        return err_set(err, ST_RANGE, "there is no rank %u", rank);
    return ST_OK;
}

enum status tcp_handshake(struct tcp *t, uint32_t rank, uint64_t deadline_ns, struct err *err)
{
    enum status s = check_rank(t, rank, err);
    int done = CONN_AGAIN;

    while (s == ST_OK && done != 1) {
        done = conn_handshake(&t->conns[rank]);
        if (done == CONN_GONE)
            s = err_set(err, ST_DENIED, "rank %u did not prove the key of the instance", rank);
        else if (done == CONN_AGAIN)
            s = wait_for(t, rank, deadline_ns, err);
    }
    return s;
}

static enum status tcp_send(struct transport *base, uint32_t to, const void *bytes, size_t n,
                            uint64_t deadline_ns, struct err *err)
{
    struct tcp *t = (struct tcp *)base;
    const char *p = bytes;
    enum status s = check_rank(t, to, err);

    while (s == ST_OK && n > 0) {
        const long sent = conn_write(&t->conns[to], p, n);

        if (sent > 0) {
            p += sent;
            n -= (size_t)sent;
        } else if (sent == CONN_GONE) {
            s = gone(to, err);
        } else {
            s = wait_for(t, to, deadline_ns, err);
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
        const long got = conn_read(&t->conns[from], p, n);

        if (got > 0) {
            p += got;
            n -= (size_t)got;
        } else if (got == CONN_GONE) {
            s = gone(from, err);
        } else {
            s = wait_for(t, from, deadline_ns, err);
        }
    }
    return s;
}

static enum status tcp_check(struct transport *base, struct err *err)
{
    struct err why;
    const enum status s = wait_for((struct tcp *)base, TCP_RANKS_MAX, 0, &why);

    return s == ST_DEADLINE ? ST_OK : err_set(err, s, "%s", why.words);
}

static void tcp_close(struct transport *base)
{
    struct tcp *t = (struct tcp *)base;

    for (uint32_t i = 0; i < t->base.n_ranks; i++)
        conn_close(&t->conns[i]);
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
        t->conns[i].fd = -1;
    return t;
}
