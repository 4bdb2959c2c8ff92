/* SPDX-License-Identifier: Apache-2.0 */
/* net/certificate.h - what a server shows its clients under TLS: a certificate and the key to it.
 *
 * Immutable once read, and shared by reference: each session keeps the one that it began with, so a
 * new certificate is for new connections alone.
 *
 * Threads  any: the count of references is atomic; files are read: not the loop's
 */
#ifndef POMONA_NET_CERTIFICATE_H
#define POMONA_NET_CERTIFICATE_H

#include "base/status.h"

struct certificate;
struct ssl_st;

enum certificate_tls { CERTIFICATE_TLS_1_2, CERTIFICATE_TLS_1_3 };

/* chain_path, key_path  PEM; a key with a passphrase is refused
 * ret   given: certificate_unref()
 * Errors  ST_NOTFOUND, ST_IO, ST_FORMAT, with the file; ST_RANGE  the key is another's, or the
 *         certificate is out of date; ST_NOMEM */
enum status certificate_load(const char *chain_path, const char *key_path, enum certificate_tls min,
                             struct certificate **ret, struct err *err);

struct certificate *certificate_ref(struct certificate *certificate);
void certificate_unref(struct certificate *certificate); /* NULL is allowed */

/* One connection's state as the server, an OpenSSL `SSL *` given to the caller.  NULL: out of memory. */
struct ssl_st *certificate_session(struct certificate *certificate);

#endif
