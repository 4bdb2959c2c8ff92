/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/guard/jwks.h - the keys that an issuer signs with (JSON Web Key Set, RFC 7517).
 *
 * A key says itself for which algorithms it may be used: by its type, curve, "alg", "use" and
 * "key_ops".  Keys that cannot verify signatures here are left out (section 5 of the RFC);
 * among them every symmetric one, as who can read a key set could sign with it.
 *
 * Immutable, shared by reference; the count is atomic.  Threads: any
 */
#ifndef POMONA_GATEWAY_GUARD_JWKS_H
#define POMONA_GATEWAY_GUARD_JWKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

enum {
    JWKS_BYTES_MAX = 256 << 10,
    JWKS_KEYS_MAX = 64,
    JWKS_NUMBER_MAX = 1024,     /* bytes of a key's modulus or coordinate: RSA of 8192 bits */
    JWKS_SECRET_MIN_BYTES = 32, /* RFC 7518, section 3.2: as long as the hash */
    KID_MAX = 129,              /* NUL included */
};

struct jwks;

/* Errors  ST_FORMAT  no key set, or none of its keys can be used; ST_NOMEM */
enum status jwks_parse(const char *text, size_t n, struct jwks **ret_set, struct err *err);

/* The one key of HS256.  Errors: ST_RANGE too short; ST_NOMEM */
enum status jwks_of_secret(const uint8_t *secret, size_t n, struct jwks **ret_set, struct err *err);

struct jwks *jwks_ref(struct jwks *set);
void jwks_unref(struct jwks *set); /* NULL is allowed */

/* What a signature came to. */
enum jwks_verdict {
    JWKS_GOOD,
    JWKS_BAD,
    JWKS_UNKNOWN_KEY, /* of that kid, for that algorithm */
};

/* Verify the compact `token` [n], whose signature's bytes are `signature` [n_signature] and
 * cover its first `n_signed` bytes.
 * algorithm  one of API_*, which the issuer allows
 * kid        NULL: the token names no key; then every key of the algorithm, of four at most, is tried */
enum jwks_verdict jwks_verify(const struct jwks *set, uint32_t algorithm, const char *kid,
                              const char *token, size_t n, size_t n_signed,
                              const uint8_t *signature, size_t n_signature);

#endif
