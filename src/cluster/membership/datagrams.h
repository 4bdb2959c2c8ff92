/* SPDX-License-Identifier: Apache-2.0 */
/* cluster/membership/datagrams.h - the UDP socket that carries membership (swim.h).
 *
 * It has the number of the control channel's port, and is bound to the same address.  With
 * a cluster key every datagram is sealed (net/seal.h, purpose "membership"): one that is
 * forged, damaged, foreign or came before is dropped after one HMAC.  Without a key the
 * socket is bound to loopback, and what does not come from there is dropped.
 *
 * What is left is a recording of minutes ago, played to a node that has just started
 * (net/seal.h): it tells of members as they were, which their incarnations make old news, and
 * nobody is a peer without a channel.
 *
 * A datagram that cannot be sent is lost, as any may be on its way.
 *
 * Threads  the loop's
 */
#ifndef POMONA_CLUSTER_MEMBERSHIP_DATAGRAMS_H
#define POMONA_CLUSTER_MEMBERSHIP_DATAGRAMS_H

#include <stddef.h>
#include <stdint.h>

#include "base/address.h"
#include "cluster/membership/swim.h"
#include "net/cluster_key.h"
#include "net/loop.h"

struct datagrams;

/* `bytes` [n], opened and proved; all lent during the call.  May not close the socket. */
typedef void datagram_fn(void *arg, const struct swim_address *from, const uint8_t *bytes,
                         size_t n);

struct datagrams_options {
    const struct cluster_key *key; /* NULL: loopback only; borrowed during the call, as the name */
    const char *cluster_name;
    const char *host; /* numeric; "::" is IPv4 as well, and 0.0.0.0 where IPv6 is off */
    uint16_t port;
};

/* Errors  ST_IO  the port cannot be had; ST_RANGE  no address; ST_NOMEM */
enum status datagrams_open(struct loop *loop, const struct datagrams_options *options,
                           datagram_fn *on_datagram, void *arg, struct datagrams **ret_datagrams,
                           struct err *err);
void datagrams_close(struct datagrams *datagrams); /* NULL is allowed */

/* bytes [n], n <= SWIM_DATAGRAM_MAX */
void datagrams_send(struct datagrams *datagrams, const struct address *to, const uint8_t *bytes,
                    size_t n);

/* An IPv4 address is written as the IPv6 one that stands for it.  The interface of a
 * link-local address is lost: it means something on one machine only.
 * False where `address` is neither. */
bool swim_address_of(const struct address *address, struct swim_address *ret_address);
void swim_address_read(const struct swim_address *address, struct address *ret_address);

#endif
