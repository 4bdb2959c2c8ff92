/* SPDX-License-Identifier: Apache-2.0 */
/* net/tls.h - TLS 1.3 between nodes and runners, with the cluster's key instead of certificates.
 *
 * External pre-shared key (RFC 8446 section 4.2.11, RFC 9257) with an
 * ephemeral X25519 exchange (psk_dhe_ke), so a key that is stolen later opens
 * no recording made before.  TLS_AES_128_GCM_SHA256 alone; no certificates, no
 * tickets, no early data.  Both ends prove the key: a server without it has
 * nothing else to offer that a client takes, and a client without it offers
 * nothing that a server takes.
 *
 * Key and identity are derived from the cluster key, or from one that was derived from
 * it, and a name (net/cluster_key.h), so what is named otherwise fails like a stranger, and
 * the identity in the first message tells a listener nothing but that two
 * connections belong together.  Until the handshake is over nothing of
 * either side has been said.  Who uses it:
 *
 *   connection               key                                    name
 *   node to node             the cluster key                        the cluster's
 *   runner to runner         the instance's data key (data_key.h)   "rows"
 *   gateway to driver        the instance's data key                "tokens"
 *   pieces of models         derived for "share"                    "share"
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
#include <stdint.h>

#include "base/status.h"
#include "net/cluster_key.h"

struct tls;
struct ssl_ctx_st;
struct ssl_st;

/* Names of keys of data connections. */
#define TLS_ROWS   "rows"
#define TLS_TOKENS "tokens"
#define TLS_SHARE  "share"

/* Errors  ST_NOMEM; ST_RANGE as cluster_key_derive(); ST_UNSUPPORTED  OpenSSL lacks the cipher */
enum status tls_new(const struct cluster_key *key, const char *name_space, struct tls **ret_tls,
                    struct err *err);
void tls_free(struct tls *tls); /* after its channels; NULL is allowed */

enum tls_side { TLS_CLIENT, TLS_SERVER };

/* For net/channel: one connection's state, an OpenSSL `SSL *` given to the
 * caller.  NULL: out of memory. */
struct ssl_st *tls_session(struct tls *tls, enum tls_side side);

/* The same in a form that others keep, to set up a context of their own as a client
 * (libcurl's, say): the key is asked and shown as by tls_session().  `context` may not outlive `tls`. */
bool tls_set_up_client(struct tls *tls, struct ssl_ctx_st *context);

/* One record more is about to be written; now and then the session's key is replaced, long
 * before it sealed as many as AES-GCM may (RFC 8446, section 5.5).
 * n_records  of this session, 0 at first */
void tls_renew(struct ssl_st *session, uint64_t *n_records);

/* After the handshake: was it the cluster's key that was used? */
bool tls_used_key(const struct ssl_st *session);

#endif
