/* SPDX-License-Identifier: Apache-2.0 */
/* base/path_mtu.h - how large a packet another machine takes in one piece.
 *
 * Two witnesses, and the smaller counts.  A datagram that may not be cut into pieces, as large as the way is thought to
 * carry: a router that cannot pass it on says so.  And what the two ends of a TCP connection agree on, in which each end
 * says what its own interface takes.  A switch between them that drops what is too large, without a word, is seen by
 * neither: there large messages do not arrive at all.
 *
 * Source  RFC 1191 (IPv4), RFC 8201 (IPv6); RFC 9293, section 3.7.1 (MSS), RFC 6691
 */
#ifndef POMONA_BASE_PATH_MTU_H
#define POMONA_BASE_PATH_MTU_H

#include <stdint.h>

#include "base/address.h"
#include "base/status.h"

/* Bytes of an IP packet to `to`, where something listens for TCP.  Blocks for timeout_ms at most.
 * Errors  ST_PEER  nobody answers there; ST_IO  the system does not say */
enum status path_mtu(const struct address *to, uint32_t timeout_ms, uint32_t *ret_bytes,
                     struct err *err);

#endif
