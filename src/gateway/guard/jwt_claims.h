/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/guard/jwt_claims.h - what a token whose signature is good claims. */
#ifndef POMONA_GATEWAY_GUARD_JWT_CLAIMS_H
#define POMONA_GATEWAY_GUARD_JWT_CLAIMS_H

#include "gateway/guard/jwt.h"

/* "aud" and "exp" have to be there.  As jwt_verify(). */
enum jwt_fault jwt_claims_check(const json_t *claims, const struct api_issuer *issuer,
                                int64_t now_s, struct principal *ret);

#endif
