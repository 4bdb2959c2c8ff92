/* SPDX-License-Identifier: Apache-2.0 */
/* transport/tcp/tcp.c - bytes over connected ranks.
 *
 * Sockets are non-blocking: the fast path is one system call; otherwise
 * poll(2) waits for the sockets that are needed and for the end of any other.
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

/* What poll(2) said of the ranks whose turn it is not. */
static enum status look_for_ends(struct tcp *t, struct pollfd *fds, const short *wants,
                                 struct err *err)
{
    for (uint32_t i = 0; i < t->base.n_ranks; i++) {
        if (fds[i].revents == 0 || wants[i] != 0)
            continue;
        if ((fds[i].revents & SAYS_END) != 0 || conn_is_ended(&t->conns[i]))
            return gone(i, err);
        fds[i].events = 0; /* it only has something to say; its turn comes */
    }
    return ST_OK;
}

/* One whose turn it is can do what its connection wants. */
static bool may_go_on(const struct tcp *t, const struct pollfd *fds, const short *wants)
{
    for (uint32_t i = 0; i < t->base.n_ranks; i++)
        if (wants[i] != 0 && fds[i].revents != 0)
            return true;
    return false;
}

static uint32_t awaited(const struct tcp *t, const short *wants)
{
    uint32_t rank = 0;

    while (rank + 1 < t->base.n_ranks && wants[rank] == 0)
        rank++;
    return rank;
}

/* Wait until a rank can do what is wanted of it, events of poll(2), or any rank ends.  Where
 * nothing is wanted ends alone are waited for; then ST_DEADLINE says that all are there. */
static enum status wait_for_any(struct tcp *t, const short *wants, uint64_t deadline_ns,
                                struct err *err)
{
    struct pollfd fds[TCP_RANKS_MAX];
    enum status s = ST_OK;

    for (uint32_t i = 0; i < t->base.n_ranks; i++)
        fds[i] = (struct pollfd){ .fd = t->conns[i].fd, .events = wants[i] ? wants[i] : WATCH_END };
    while (s == ST_OK) {
        const uint64_t look_ns = deadline_after_ms(CONN_LOOK_MS);
        const uint64_t until_ns = deadline_ns < look_ns ? deadline_ns : look_ns;
        const int n = poll(fds, t->base.n_ranks, deadline_poll_ms(until_ns));

        if (n < 0 && errno != EINTR)
            return err_errno(err, "wait for rank %u", awaited(t, wants));
        if (n > 0)
            s = look_for_ends(t, fds, wants, err);
        if (s == ST_OK && n > 0 && may_go_on(t, fds, wants))
            return ST_OK;
        if (s == ST_OK && n == 0)
            s = look_for_silence(t, err);
        if (s == ST_OK && n == 0 && until_ns == deadline_ns)
            return err_set(err, ST_DEADLINE, "rank %u did not answer in time", awaited(t, wants));
    }
    return s;
}

/* Wait until `peer` can do what its connection wants, or any rank ends. */
static enum status wait_for(struct tcp *t, uint32_t peer, uint64_t deadline_ns, struct err *err)
{
    short wants[TCP_RANKS_MAX] = { 0 };

    wants[peer] = t->conns[peer].wants;
    return wait_for_any(t, wants, deadline_ns, err);
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

/* Members of a team wait for one another twice in a layer, for less than it takes to sleep and be
 * woken: so they look again for a while before they sleep.  Ranks of one machine leave its cores
 * to each other. */
enum { WATCH_NS = 500000 };

/* What can be done now with one rank; ret_wants is what to wait for, 0 where all is done. */
static enum status go_on(struct tcp *t, struct transport_swap *x, short *ret_wants, struct err *err)
{
    struct conn *conn = &t->conns[x->with];
    long n = 1;

    *ret_wants = 0;
    while (x->n_out > 0 && (n = conn_write(conn, x->out, x->n_out)) > 0) {
        x->out += n;
        x->n_out -= (size_t)n;
    }
    if (n == CONN_AGAIN)
        *ret_wants |= conn->wants;
    while (n != CONN_GONE && x->n_in > 0 && (n = conn_read(conn, x->in, x->n_in)) > 0) {
        x->in += n;
        x->n_in -= (size_t)n;
    }
    if (n == CONN_AGAIN)
        *ret_wants |= conn->wants;
    return n == CONN_GONE ? gone(x->with, err) : ST_OK;
}

static enum status tcp_exchange(struct transport *base, struct transport_swap *all, size_t n,
                                uint64_t deadline_ns, struct err *err)
{
    struct tcp *t = (struct tcp *)base;
    const uint64_t watch_until_ns = clock_ns() + WATCH_NS;
    enum status s = ST_OK;

    for (size_t i = 0; s == ST_OK && i < n; i++)
        s = check_rank(t, all[i].with, err);
    while (s == ST_OK) {
        short wants[TCP_RANKS_MAX] = { 0 };
        bool is_done = true;

        for (size_t i = 0; s == ST_OK && i < n; i++) {
            s = go_on(t, &all[i], &wants[all[i].with], err);
            is_done &= all[i].n_out == 0 && all[i].n_in == 0;
        }
        if (s != ST_OK || is_done)
            return s;
        if (!t->has_neighbours && clock_ns() < watch_until_ns)
            continue;
        s = wait_for_any(t, wants, deadline_ns, err);
    }
    return s;
}

static enum status tcp_check(struct transport *base, struct err *err)
{
    static const short nothing[TCP_RANKS_MAX] = { 0 };
    struct err why;
    const enum status s = wait_for_any((struct tcp *)base, nothing, 0, &why);

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
    .exchange = tcp_exchange,
    .check = tcp_check,
    .close = tcp_close,
};

struct tcp *tcp_new(uint32_t rank, uint32_t n_ranks)
{
    struct tcp *t = calloc(1, sizeof(*t));

    if (!t)
        return NULL;
    t->base = (struct transport){ .type = &tcp_type, .rank = rank, .n_ranks = n_ranks };
    for (size_t i = 0; i < TCP_RANKS_MAX; i++)
        t->conns[i].fd = -1;
    return t;
}
