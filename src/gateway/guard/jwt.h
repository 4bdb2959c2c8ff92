/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/guard/jwt.h - a signed token (JWT, RFC 7519; JWS, RFC 7515), as RFC 8725 wants it checked.
 *
 *   jwt_read()    structure: three parts, strict base64url, JSON without duplicate names, bounds
 *   jwt_issuer()  whose token it claims to be: that decides which keys and algorithms do
 *   jwt_verify()  signature, then claims; the principal it makes
 *
 * The algorithm is the issuer's to allow; a token can choose of those only.  Keys that the
 * token carries or points to ("jwk", "jku", "x5u", "x5c") are not looked at.  Nothing of the claims but
 * "iss" is used before the signature is known to be good.
 *
 * Pure.  Threads: any
 */
#ifndef POMONA_GATEWAY_GUARD_JWT_H
#define POMONA_GATEWAY_GUARD_JWT_H

#include <jansson.h>

#include "gateway/guard/jwks.h"
#include "gateway/guard/principal.h"

enum {
    JWT_BYTES_MAX = 8 << 10,
    JWT_HEADER_MAX = 1 << 10,
    JWT_PAYLOAD_MAX = 6 << 10,
    JWT_SIGNATURE_MAX = 1 << 10,
    JWT_DEPTH_MAX = 8,
};

struct jwt {
    const char *text; /* [n], borrowed */
    size_t n, n_signed;
    uint8_t signature[JWT_SIGNATURE_MAX];
    size_t n_signature;
    uint32_t algorithm; /* API_* */
    char kid[KID_MAX];
    bool has_kid;
    json_t *claims; /* owned: jwt_release() */
};

/* What is wrong with a token.  A client is told no more than that it does not do, or that it expired. */
enum jwt_fault {
    JWT_FINE,
    JWT_MALFORMED,
    JWT_ALGORITHM, /* none that is known, or that the issuer allows */
    JWT_ISSUER,
    JWT_UNKNOWN_KEY, /* the issuer may have a new one */
    JWT_SIGNATURE,
    JWT_CLAIMS,
    JWT_EXPIRED,
};

enum jwt_fault jwt_read(const char *text, size_t n, struct jwt *ret_jwt);
void jwt_release(struct jwt *jwt);

/* The index of the issuer that the token names, -1: none of these. */
int jwt_issuer(const struct jwt *jwt, const struct api_issuer *issuers, unsigned n);

/* now_s  Unix time
 * ret    filled where the token is fine */
enum jwt_fault jwt_verify(const struct jwt *jwt, const struct api_issuer *issuer,
                          const struct jwks *keys, int64_t now_s, struct principal *ret);

#endif
