/* SPDX-License-Identifier: Apache-2.0 */
/* transport/tcp/join.c - connecting the ranks of an instance.
 *
 *   1. connect to every lower rank, shake hands where there is TLS, and send it a hello
 *   2. accept until every higher rank has said hello; answer each
 *   3. read the lower ranks' answers
 * Rank r's answer waits only for connections of ranks above r, and hellos are
 * sent without waiting for answers, so the order cannot deadlock; a handshake waits
 * for a lower rank to accept, and rank 0 accepts at once.
 *
 * Up to MAX_CALLERS connections may be undecided at a time; one more takes the place of
 * the oldest, so whoever fills them keeps no rank out.  A caller that says something
 * wrong, or nothing for HELLO_MS, is closed.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "transport/tcp/tcp_priv.h"

enum {
    MAX_CALLERS = 32,
    HELLO_MS = 5000,
};

struct tcp_listener {
    int fd;
    uint16_t port;
};

struct caller {
    struct conn conn;
    uint64_t deadline_ns;
    size_t n_read;
    uint8_t hello[HELLO_BYTES];
};

struct joining {
    const struct tcp_join *join;
    int listener_fd;
    struct tcp *tcp;
    struct caller callers[MAX_CALLERS];
};

enum status tcp_listen(const char *host, struct tcp_listener **ret_listener, struct err *err)
{
    struct tcp_listener *l = calloc(1, sizeof(*l));
    enum status s;

    if (!l)
        return err_set(err, ST_NOMEM, "a listener");
    s = socket_listen(host, &l->fd, &l->port, err);
    if (s != ST_OK) {
        free(l);
        return s;
    }
    *ret_listener = l;
    return ST_OK;
}

uint16_t tcp_listener_port(const struct tcp_listener *l)
{
    return l->port;
}

void tcp_listener_close(struct tcp_listener *l)
{
    if (!l)
        return;
    close(l->fd);
    free(l);
}

static enum status say_hello(struct joining *j, uint32_t rank, uint64_t deadline_ns,
                             struct err *err)
{
    uint8_t hello[HELLO_BYTES];

    hello_write(j->join, hello);
    return transport_send(&j->tcp->base, rank, hello, sizeof(hello), deadline_ns, err);
}

/* None of a rank's addresses answered in time.  One that refused is no cut link. */
static void note_cut(const struct joining *j, uint32_t rank)
{
    const struct tcp_endpoint *to = &j->join->ranks[rank];
    struct transport_cut *cut = j->join->ret_cut;

    if (!cut)
        return;
    *cut = (struct transport_cut){ .is_known = true, .rank = rank };
    hosts_add(&cut->hosts, to->host);
    for (size_t i = 0; to->hosts && i < to->hosts->n; i++)
        hosts_add(&cut->hosts, to->hosts->text[i]);
}

static enum status call_lower_ranks(struct joining *j, uint64_t deadline_ns, struct err *err)
{
    enum status s = ST_OK;

    for (uint32_t rank = 0; s == ST_OK && rank < j->join->rank; rank++) {
        s = socket_connect(&j->join->ranks[rank], deadline_ns, &j->tcp->conns[rank].fd, err);
        if (s == ST_DEADLINE)
            note_cut(j, rank);
        if (s == ST_OK && j->join->tls &&
            !conn_secure(&j->tcp->conns[rank], j->join->tls, TLS_CLIENT))
            s = err_set(err, ST_NOMEM, "a connection");
        if (s == ST_OK)
            s = tcp_handshake(j->tcp, rank, deadline_ns, err);
        if (s == ST_OK)
            s = say_hello(j, rank, deadline_ns, err);
        if (s != ST_OK)
            err_wrap(err, "join rank %u", rank);
    }
    return s;
}

/* Room for one more: a free place, else that of who has been undecided for longest. */
static struct caller *place_for_caller(struct joining *j)
{
    struct caller *oldest = &j->callers[0];

    for (size_t i = 0; i < MAX_CALLERS; i++) {
        if (j->callers[i].conn.fd < 0)
            return &j->callers[i];
        if (j->callers[i].deadline_ns < oldest->deadline_ns)
            oldest = &j->callers[i];
    }
    conn_close(&oldest->conn);
    return oldest;
}

static void take_caller(struct joining *j)
{
    const int fd = socket_accept(j->listener_fd);
    struct caller *c;

    if (fd < 0)
        return;
    c = place_for_caller(j);
    *c = (struct caller){ .conn = { .fd = fd, .wants = POLLIN },
                          .deadline_ns = deadline_after_ms(HELLO_MS) };
    if (j->join->tls && !conn_secure(&c->conn, j->join->tls, TLS_SERVER))
        conn_close(&c->conn);
}

/* Read what is there of a caller's hello.  1 once it is whole. */
static int read_hello(struct caller *c)
{
    const int shaken = conn_handshake(&c->conn);
    long n;

    if (shaken != 1)
        return shaken;
    do {
        n = conn_read(&c->conn, c->hello + c->n_read, HELLO_BYTES - c->n_read);
        if (n <= 0)
            return (int)n;
        c->n_read += (size_t)n;
    } while (c->n_read < HELLO_BYTES);
    return 1;
}

/* A whole and right hello makes a caller a rank. */
static enum status hear_caller(struct joining *j, struct caller *c, uint64_t deadline_ns,
                               struct err *err)
{
    const int heard = read_hello(c);
    uint32_t rank;

    if (heard == CONN_AGAIN)
        return ST_OK;
    if (heard == CONN_GONE || hello_read(j->join, c->hello, &rank, NULL) != ST_OK ||
        rank < j->join->rank || j->tcp->conns[rank].fd >= 0) {
        conn_close(&c->conn);
        return ST_OK;
    }
    j->tcp->conns[rank] = c->conn;
    c->conn = (struct conn){ .fd = -1 };
    return say_hello(j, rank, deadline_ns, err);
}

static uint32_t missing_rank(const struct joining *j)
{
    uint32_t rank = j->join->rank + 1;

    while (rank < j->join->n_ranks && j->tcp->conns[rank].fd >= 0)
        rank++;
    return rank;
}

/* Close callers that took too long; the earliest deadline of the rest. */
static uint64_t next_deadline(struct joining *j, uint64_t deadline_ns)
{
    const uint64_t now = clock_ns();

    for (size_t i = 0; i < MAX_CALLERS; i++) {
        struct caller *c = &j->callers[i];

        if (c->conn.fd >= 0 && c->deadline_ns <= now)
            conn_close(&c->conn);
        if (c->conn.fd >= 0 && c->deadline_ns < deadline_ns)
            deadline_ns = c->deadline_ns;
    }
    return deadline_ns;
}

static enum status accept_higher_ranks(struct joining *j, uint64_t deadline_ns, struct err *err)
{
    enum status s = ST_OK;

    while (s == ST_OK && missing_rank(j) < j->join->n_ranks) {
        struct pollfd fds[MAX_CALLERS + 1] = { { .fd = j->listener_fd, .events = POLLIN } };
        const int wait_ms = deadline_poll_ms(next_deadline(j, deadline_ns));

        for (size_t i = 0; i < MAX_CALLERS; i++)
            fds[i + 1] =
                (struct pollfd){ .fd = j->callers[i].conn.fd, .events = j->callers[i].conn.wants };
        if (clock_ns() >= deadline_ns)
            return err_set(err, ST_DEADLINE, "rank %u did not join in time", missing_rank(j));
        if (poll(fds, MAX_CALLERS + 1, wait_ms) < 0 && errno != EINTR)
            return err_errno(err, "wait for rank %u", missing_rank(j));

        for (size_t i = 0; s == ST_OK && i < MAX_CALLERS; i++)
            if (j->callers[i].conn.fd >= 0 && fds[i + 1].revents != 0)
                s = hear_caller(j, &j->callers[i], deadline_ns, err);
        if (fds[0].revents != 0)
            take_caller(j);
        if (s == ST_OK)
            s = transport_check(&j->tcp->base, err);
    }
    return s;
}

static enum status hear_lower_ranks(struct joining *j, uint64_t deadline_ns, struct err *err)
{
    enum status s = ST_OK;

    for (uint32_t rank = 0; s == ST_OK && rank < j->join->rank; rank++) {
        uint8_t hello[HELLO_BYTES];
        uint32_t said;

        s = transport_recv(&j->tcp->base, rank, hello, sizeof(hello), deadline_ns, err);
        if (s == ST_OK)
            s = hello_read(j->join, hello, &said, err);
        if (s == ST_OK && said != rank)
            s = err_set(err, ST_PEER, "rank %u answered as rank %u", rank, said);
    }
    return s;
}

enum status tcp_join(struct tcp_listener *listener, const struct tcp_join *join,
                     uint64_t deadline_ns, struct transport **ret_transport, struct err *err)
{
    struct joining j = { .join = join, .listener_fd = listener->fd };
    enum status s;

    if (join->n_ranks < 2 || join->n_ranks > TCP_RANKS_MAX || join->rank >= join->n_ranks)
        return err_set(err, ST_RANGE, "rank %u of %u", join->rank, join->n_ranks);
    for (size_t i = 0; i < MAX_CALLERS; i++)
        j.callers[i].conn.fd = -1;
    j.tcp = tcp_new(join->rank, join->n_ranks);
    if (!j.tcp)
        return err_set(err, ST_NOMEM, "a transport");

    s = call_lower_ranks(&j, deadline_ns, err);
    if (s == ST_OK)
        s = accept_higher_ranks(&j, deadline_ns, err);
    if (s == ST_OK)
        s = hear_lower_ranks(&j, deadline_ns, err);

    for (size_t i = 0; i < MAX_CALLERS; i++)
        conn_close(&j.callers[i].conn);
    for (uint32_t i = 0; s == ST_OK && i < join->n_ranks; i++)
        j.tcp->has_neighbours |= i != join->rank && socket_is_local(j.tcp->conns[i].fd);
    if (s != ST_OK && j.tcp->base.cut.is_known && join->ret_cut)
        *join->ret_cut = j.tcp->base.cut;
    if (s == ST_OK)
        *ret_transport = &j.tcp->base;
    else
        transport_close(&j.tcp->base);
    return s;
}
