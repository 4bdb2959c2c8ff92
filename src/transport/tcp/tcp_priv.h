/* SPDX-License-Identifier: Apache-2.0 */
/* transport/tcp/tcp_priv.h - what the files of the TCP transport share. */
#ifndef POMONA_TRANSPORT_TCP_TCP_PRIV_H
#define POMONA_TRANSPORT_TCP_TCP_PRIV_H

#include <stdbool.h>

#include "base/socket.h"
#include "transport/tcp/tcp.h"

/* tcp/conn.c: one connection. */
struct conn {
    int fd;             /* non-blocking; -1: this rank itself, or not yet connected */
    struct ssl_st *ssl; /* NULL: in clear */
    short wants;        /* after CONN_AGAIN: the event of poll(2) to wait for */
    uint64_t n_records; /* written under the present key */
    struct link_watch watch;
};

enum { CONN_AGAIN = 0, CONN_GONE = -1 };

/* How long sent bytes may wait for a sign of the other machine.  Its system gives it, however
 * long its process computes. */
enum { CONN_DEAD_MS = 2000, CONN_LOOK_MS = 250 };

/* Put TLS over a connection.  False: no memory. */
bool conn_secure(struct conn *conn, struct tls *tls, enum tls_side side);

/* 1 once both sides have proved the key, at once without TLS; CONN_AGAIN, CONN_GONE. */
int conn_handshake(struct conn *conn);

/* How many bytes, CONN_AGAIN or CONN_GONE.  A write that ended in CONN_AGAIN is repeated with
 * the same bytes. */
long conn_read(struct conn *conn, void *ret_bytes, size_t n);
long conn_write(struct conn *conn, const void *bytes, size_t n);

bool conn_is_ended(const struct conn *conn); /* nothing is left to read, nor ever will be */
bool conn_is_dead(struct conn *conn, uint64_t now_ns);
void conn_close(struct conn *conn);

struct tcp {
    struct transport base;
    struct conn conns[TCP_RANKS_MAX];
    bool has_neighbours; /* a rank is on this machine, too */
};

/* tcp/socket.c: sockets without surprises.  All are non-blocking and never raise SIGPIPE. */
enum status socket_listen(const char *host, int *ret_fd, uint16_t *ret_port, struct err *err);
enum status socket_connect(const struct tcp_endpoint *to, uint64_t deadline_ns, int *ret_fd,
                           struct err *err);
bool socket_is_local(int fd);                          /* both ends are on this machine */
int socket_accept(int listener_fd);                    /* -1: nobody is there */
long socket_send(int fd, const void *bytes, size_t n); /* as send(2) */

/* tcp/hello.c: the first bytes of a connection, the same in both directions. */
enum { HELLO_BYTES = 32 };
void hello_write(const struct tcp_join *join, uint8_t *ret_bytes);

/* ret_rank  who said it
 * Errors    ST_DENIED another key or version; ST_RANGE no such rank */
enum status hello_read(const struct tcp_join *join, const uint8_t *bytes, uint32_t *ret_rank,
                       struct err *err);

/* tcp/tcp.c: a transport without connections, to be filled by tcp_join(). */
struct tcp *tcp_new(uint32_t rank, uint32_t n_ranks);

/* Shake hands with a rank that is connected. */
enum status tcp_handshake(struct tcp *tcp, uint32_t rank, uint64_t deadline_ns, struct err *err);

#endif
