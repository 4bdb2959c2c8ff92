/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/guard/reservation.h - what a granted request reserved, until it is settled. */
#ifndef POMONA_GATEWAY_GUARD_RESERVATION_H
#define POMONA_GATEWAY_GUARD_RESERVATION_H

#include <stdbool.h>
#include <stdint.h>

#include "gateway/guard/limits.h"

enum { RESERVATION_CLAIMS_MAX = 3 };

struct reservation {
    struct limits *limits;
    struct limits_claim claims[RESERVATION_CLAIMS_MAX];
    unsigned n_claims;
};

/* It is over, having used so many tokens; freed.  NULL is allowed.
 * is_served  false: it failed by our fault, and is not counted */
void reservation_end(struct reservation *reservation, uint64_t n_tokens, bool is_served);

#endif
