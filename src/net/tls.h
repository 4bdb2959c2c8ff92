/* SPDX-License-Identifier: Apache-2.0 */
/* net/tls.h - TLS 1.3 between nodes, with the cluster's key instead of certificates.
 *
 * External pre-shared key (RFC 8446 section 4.2.11, RFC 9257) with an
 * ephemeral X25519 exchange (psk_dhe_ke), so a key that is stolen later opens
 * no recording made before.  TLS_AES_128_GCM_SHA256 alone; no certificates, no
 * tickets, no early data.  Both ends prove the key: a server without it has
 * nothing else to offer that a client takes, and a client without it offers
 * nothing that a server takes.
 *
 * Key and identity are derived from the cluster key and the cluster's name
 * (net/cluster_key.h), so nodes of another cluster fail like strangers, and
 * the identity in the first message tells a listener nothing but that two
 * connections belong to one cluster.  Until the handshake is over nothing of
 * either node has been said.
 *
 * A peer cannot be made to talk to itself by a reflected handshake (Drucker
 * and Gueron, "Selfie", 2019): whoever uses this says who it is in its first
 * message and refuses its own.
 *
 * The process ignores SIGPIPE: OpenSSL writes to sockets without MSG_NOSIGNAL.
 *
 * Threads  the loop's
 */
#ifndef POMONA_NET_TLS_H
#define POMONA_NET_TLS_H

#include <stdbool.h>

#include "base/status.h"
#include "net/cluster_key.h"

struct tls;

/* Errors  ST_NOMEM; ST_RANGE as cluster_key_derive(); ST_UNSUPPORTED  OpenSSL lacks the cipher */
enum status tls_new(const struct cluster_key *key, const char *name_space, struct tls **ret_tls,
                    struct err *err);
void tls_free(struct tls *tls); /* after its channels; NULL is allowed */

enum tls_side { TLS_CLIENT, TLS_SERVER };

/* For net/channel: one connection's state, an OpenSSL `SSL *` given to the
 * caller.  NULL: out of memory. */
struct ssl_st *tls_session(struct tls *tls, enum tls_side side);

/* After the handshake: was it the cluster's key that was used? */
bool tls_used_key(const struct ssl_st *session);

#endif
