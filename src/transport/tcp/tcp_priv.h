/* SPDX-License-Identifier: Apache-2.0 */
/* transport/tcp/tcp_priv.h - what the files of the TCP transport share. */
#ifndef POMONA_TRANSPORT_TCP_TCP_PRIV_H
#define POMONA_TRANSPORT_TCP_TCP_PRIV_H

#include <stdbool.h>

#include "transport/tcp/tcp.h"

struct tcp {
    struct transport base;
    int fds[TCP_RANKS_MAX]; /* non-blocking; -1: this rank itself, or not yet connected */
};

/* tcp/socket.c: sockets without surprises.  All are non-blocking and never raise SIGPIPE. */
enum status socket_listen(const char *host, int *ret_fd, uint16_t *ret_port, struct err *err);
enum status socket_connect(const char *host, uint16_t port, uint64_t deadline_ns, int *ret_fd,
                           struct err *err);
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

#endif
