/* SPDX-License-Identifier: Apache-2.0 */
/* cluster/discovery/beacon.h - nodes of a network tell each other that they are there, by UDP.
 *
 * On every interface that is up, and looked for anew every RESCAN_EVERY_MS: to
 * the IPv4 broadcast address, to the IPv4 group 239.255.112.110 (of local
 * scope, RFC 2365) and to the IPv6 group ff12::706f:6d6f:6e61 (transient,
 * link-local, RFC 4291 section 2.7).  Any one that gets through is enough;
 * one that cannot be sent is tried again next time, and no failure ends this.
 *
 * A node speaks every BEACON_EVERY_MS; when it starts or an interface appears
 * it asks, and who hears a question from a node it did not know answers at
 * once, at most every ANSWER_EVERY_MS.  Traffic of a node is thus constant.
 * Each datagram is sealed (net/seal.h, purpose "beacon"): without the key it
 * tells nothing but its existence, and forged or replayed ones are dropped
 * after one HMAC.
 *
 * Threads  the loop's
 */
#ifndef POMONA_CLUSTER_DISCOVERY_BEACON_H
#define POMONA_CLUSTER_DISCOVERY_BEACON_H

#include <stdint.h>

#include "base/status.h"
#include "net/cluster_key.h"
#include "net/loop.h"

enum { BEACON_EVERY_MS = 2000, RESCAN_EVERY_MS = 2000, ANSWER_EVERY_MS = 500 };

struct beacon;

/* A node was heard of; everything is lent during the call. */
typedef void found_fn(void *arg, const char *host, uint16_t port, const char *id);

struct beacon_options {
    const struct cluster_key *key; /* borrowed during the call, as the strings */
    const char *cluster_name;
    const char *node_id; /* 32 hexadecimal digits */
    uint16_t port;       /* of this node's control channel */
    uint16_t udp_port;   /* the same on every node */
};

/* Errors  ST_IO  neither IPv4 nor IPv6 datagrams can be had on the port; ST_NOMEM */
enum status beacon_open(struct loop *loop, const struct beacon_options *options, found_fn *on_found,
                        void *arg, struct beacon **ret_beacon, struct err *err);
void beacon_close(struct beacon *beacon); /* NULL is allowed */

#endif
