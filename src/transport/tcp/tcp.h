/* SPDX-License-Identifier: Apache-2.0 */
/* transport/tcp/tcp.h - ranks on several machines, one TCP connection for each pair.
 *
 *   tcp_listen() on every rank -> the ports are told around -> tcp_join() on every rank
 *
 * Each rank connects, over the first of their addresses that answers, to the lower ones and accepts the higher ones.  A
 * connection begins with a hello in both directions: protocol version, the
 * instance's key and the sender's rank.  Whoever shows something else is
 * closed and does not disturb the joining.
 *
 * Security  with `tls` a handshake comes first, and everything, the hello included, goes
 *           through it: who does not know the key gets no byte.  Without, bytes go in
 *           clear: on loopback.
 *
 * While a rank waits for one peer it watches all of them, so the loss of any
 * rank ends every wait at once.  A cut link is such a loss: where bytes that a rank sent stay
 * without any acknowledgment of the other machine for 2 s, it is gone.  Every step is sent over every
 * link of the ring, so a cut one is noticed within that time of the first step that needs
 * it; a rank that only computes for long acknowledges, since its system does that.
 *
 * Threads  one owner thread; tcp_listen() may run on another before it
 */
#ifndef POMONA_TRANSPORT_TCP_TCP_H
#define POMONA_TRANSPORT_TCP_TCP_H

#include "base/address.h"
#include "net/tls.h"
#include "transport/transport.h"

enum {
    TCP_RANKS_MAX = 64,
    TCP_KEY_BYTES = 16,
};

struct tcp_listener;

/* Listen on a numeric address, on a port the system picks.
 * Errors  ST_RANGE not an address; ST_IO */
enum status tcp_listen(const char *host, struct tcp_listener **ret_listener, struct err *err);
uint16_t tcp_listener_port(const struct tcp_listener *listener);
void tcp_listener_close(struct tcp_listener *listener); /* NULL is allowed */

struct tcp_endpoint {
    const char *host; /* numeric */
    uint16_t port;
    const struct hosts *hosts; /* in the order to try them; NULL: `host` */
};

struct tcp_join {
    uint32_t rank, n_ranks;           /* 2..TCP_RANKS_MAX ranks */
    const struct tcp_endpoint *ranks; /* [n_ranks], borrowed; the own one is not looked at */
    uint8_t key[TCP_KEY_BYTES];
    struct tls *tls;               /* borrowed, must outlive the transport; NULL: in clear */
    struct transport_cut *ret_cut; /* set where a rank's addresses let nothing through; or NULL */
};

/* Connect this rank with all others.
 * listener  borrowed; may be closed afterwards
 * Errors    ST_DEADLINE a rank did not come; ST_PEER a rank went away or is not there;
 *           ST_DENIED a rank showed another key, or does not prove that of `tls`; ST_RANGE */
enum status tcp_join(struct tcp_listener *listener, const struct tcp_join *join,
                     uint64_t deadline_ns, struct transport **ret_transport, struct err *err);

#endif
