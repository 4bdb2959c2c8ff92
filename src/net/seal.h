/* SPDX-License-Identifier: Apache-2.0 */
/* net/seal.h - datagrams that only holders of the cluster key can write, read or tell apart.
 *
 *   0   4  "PMN1"
 *   4   8  boot: random, drawn when the sender's sealer was made
 *  12   6  counter: from 1, rises with every datagram of this boot
 *  18   6  time: milliseconds since 1970 by the sender's clock
 *  24   n  payload, encrypted
 *  24+n 16 tag
 * Numbers are big-endian.  Encrypt-then-MAC: AES-256 in counter mode, the
 * initial block being boot | counter | 0 (16 bits: no datagram has 65,536
 * blocks, so no two blocks of a key stream meet), then the first 16 bytes of
 * HMAC-SHA256 (RFC 2104, RFC 4868 section 2.3 on truncation) over all that
 * precedes the tag.  Both keys come from the cluster key and the cluster's
 * name (net/cluster_key.h).  A forged, damaged, truncated or foreign datagram
 * costs one HMAC and is ST_DENIED; nothing of it is acted on before.
 *
 * Replays.  An opener remembers, of each boot, the highest counter and which
 * of the WINDOW before it have come (the window of RFC 4303 section 3.4.3), so
 * datagrams may be reordered but none is taken twice.  A recording of a boot
 * that is not remembered (the opener started since) is refused once its time
 * is more than CLOCK_SKEW_MS away; machines whose clocks are further apart do
 * not hear each other's datagrams, and the opener says so (ST_RANGE).  What
 * is left: a recording younger than that, played to a node that has just
 * started.  Users must bear that: a beacon only proposes an address, at which
 * the TLS handshake then decides.
 *
 * Not hidden: that Pomona speaks, how much, and which datagrams have one sender.
 *
 * Threads  one owner for each object
 */
#ifndef POMONA_NET_SEAL_H
#define POMONA_NET_SEAL_H

#include <stddef.h>
#include <stdint.h>

#include "net/cluster_key.h"

enum {
    SEAL_OVERHEAD_BYTES = 40,
    SEAL_PAYLOAD_MAX_BYTES = 1400 - SEAL_OVERHEAD_BYTES, /* one Ethernet frame, IPv6 and tunnels */
    SEAL_MAX_BYTES = SEAL_PAYLOAD_MAX_BYTES + SEAL_OVERHEAD_BYTES,
    SEAL_WINDOW = 64,
    SEAL_CLOCK_SKEW_MS = 5 * 60 * 1000, /* what RFC 4120 section 10 suggests for clocks */
    SEAL_BOOTS_MAX = 4096,
};

struct sealer;
struct opener;

/* A random boot, counter 1.
 * purpose     one for each kind of traffic: its datagrams mean nothing to another
 * name_space  the cluster's name
 * Errors      ST_NOMEM, ST_RANGE as cluster_key_derive() */
enum status sealer_new(const struct cluster_key *key, const char *purpose, const char *name_space,
                       struct sealer **ret_sealer, struct err *err);
void sealer_free(struct sealer *sealer); /* NULL is allowed */

/* payload      [n], n <= SEAL_PAYLOAD_MAX_BYTES
 * ret_sealed   [n + SEAL_OVERHEAD_BYTES]
 * now_unix_ms  by this machine's clock
 * Errors       ST_RANGE  too long; ST_FULL  2^48 were sealed; ST_NOMEM */
enum status seal(struct sealer *sealer, const uint8_t *payload, size_t n, uint64_t now_unix_ms,
                 uint8_t *ret_sealed, struct err *err);

enum status opener_new(const struct cluster_key *key, const char *purpose, const char *name_space,
                       struct opener **ret_opener, struct err *err);
void opener_free(struct opener *opener); /* NULL is allowed */

struct opened {
    uint64_t boot; /* tells senders apart, and a sender before and after it started anew */
    size_t n;      /* bytes of payload */
};

/* sealed       [n_sealed], as received; any bytes
 * ret_payload  [SEAL_PAYLOAD_MAX_BYTES]
 * Errors       ST_DENIED  not sealed with this key for this purpose and namespace, or seen
 *              before; ST_RANGE  genuine, but the sender's clock differs too much;
 *              ST_FULL  more than SEAL_BOOTS_MAX senders within the time of the window */
enum status seal_open(struct opener *opener, const uint8_t *sealed, size_t n_sealed,
                      uint64_t now_unix_ms, uint8_t *ret_payload, struct opened *ret_opened,
                      struct err *err);

#endif
