/* SPDX-License-Identifier: Apache-2.0 */
/* transport/tcp/conn.c - one connection between two ranks, in clear or under TLS.
 *
 * Under TLS a write is one record of at most 16 KiB in one system call, and a
 * read takes as many records as lie in the socket.  OpenSSL keeps its buffers for as
 * long as the connection lasts: between handshake and end it takes none but a few bytes
 * for each record it writes (WPACKET of OpenSSL 3), which it gives back at once.
 */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/socket.h"
#include "transport/tcp/tcp_priv.h"

enum { READ_BUFFER_BYTES = 68 << 10 }; /* four whole records */

static bool would_block(int error)
{
    return error == EAGAIN || error == EWOULDBLOCK || error == EINTR;
}

bool conn_secure(struct conn *l, struct tls *tls, enum tls_side side)
{
    l->ssl = tls_session(tls, side);
    if (!l->ssl || SSL_set_fd(l->ssl, l->fd) != 1)
        return false;
    (void)SSL_clear_mode(l->ssl, SSL_MODE_RELEASE_BUFFERS);
    SSL_set_read_ahead(l->ssl, 1);
    SSL_set_default_read_buffer_len(l->ssl, READ_BUFFER_BYTES);
    if (side == TLS_CLIENT)
        SSL_set_connect_state(l->ssl);
    else
        SSL_set_accept_state(l->ssl);
    l->wants = side == TLS_CLIENT ? POLLOUT : POLLIN;
    return true;
}

/* What a call of OpenSSL that did not succeed means. */
static int after_failure(struct conn *l, int result)
{
    const int why = SSL_get_error(l->ssl, result);

    if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE)
        return CONN_GONE;
    l->wants = why == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT;
    return CONN_AGAIN;
}

int conn_handshake(struct conn *l)
{
    int result;

    if (!l->ssl || SSL_is_init_finished(l->ssl))
        return 1;
    ERR_clear_error();
    result = SSL_do_handshake(l->ssl);
    if (result != 1)
        return after_failure(l, result);
    return tls_used_key(l->ssl) ? 1 : CONN_GONE;
}

long conn_read(struct conn *l, void *ret_bytes, size_t n)
{
    size_t n_read;
    ssize_t got;

    if (l->ssl) {
        ERR_clear_error();
        if (SSL_read_ex(l->ssl, ret_bytes, n, &n_read) == 1)
            return (long)n_read;
        return after_failure(l, 0);
    }
    got = recv(l->fd, ret_bytes, n, 0);
    if (got > 0)
        return (long)got;
    if (got == 0 || !would_block(errno))
        return CONN_GONE;
    l->wants = POLLIN;
    return CONN_AGAIN;
}

long conn_write(struct conn *l, const void *bytes, size_t n)
{
    size_t n_written;
    long sent;

    if (l->ssl) {
        tls_renew(l->ssl, &l->n_records);
        ERR_clear_error();
        if (SSL_write_ex(l->ssl, bytes, n, &n_written) == 1)
            return (long)n_written;
        return after_failure(l, 0);
    }
    sent = socket_send(l->fd, bytes, n);
    if (sent > 0)
        return sent;
    if (sent < 0 && !would_block(errno))
        return CONN_GONE;
    l->wants = POLLOUT;
    return CONN_AGAIN;
}

bool conn_is_ended(const struct conn *l)
{
    char byte;
    const ssize_t n = recv(l->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);

    return n == 0 || (n < 0 && !would_block(errno));
}

bool conn_is_dead(struct conn *l, uint64_t now_ns)
{
    return link_silent_ms(&l->watch, l->fd, now_ns) >= CONN_DEAD_MS;
}

void conn_close(struct conn *l)
{
    SSL_free(l->ssl);
    if (l->fd >= 0)
        close(l->fd);
    *l = (struct conn){ .fd = -1 };
}
