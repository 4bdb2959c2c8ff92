/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/guard/jwks_fetch.h - get an issuer's keys from its URL. */
#ifndef POMONA_GATEWAY_GUARD_JWKS_FETCH_H
#define POMONA_GATEWAY_GUARD_JWKS_FETCH_H

#include "gateway/guard/jwks.h"

enum { JWKS_FETCH_MS = 5000 };

/* Blocks, JWKS_FETCH_MS at the longest: for a job.  No redirects: another host's keys are not the issuer's.
 * ret_max_age_s  what the server says of its answer's age, 0: nothing
 * Errors         ST_PEER; as jwks_parse() */
enum status jwks_fetch(const char *url, struct jwks **ret_set, uint32_t *ret_max_age_s,
                       struct err *err);

#endif
