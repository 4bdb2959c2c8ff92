/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/guard/admission.h - what a granted request reserved, until it is settled. */
#ifndef POMONA_GATEWAY_GUARD_ADMISSION_H
#define POMONA_GATEWAY_GUARD_ADMISSION_H

#include <stdbool.h>
#include <stdint.h>

#include "gateway/guard/limits.h"

enum { ADMISSION_CLAIMS_MAX = 3 };

struct admission {
    struct limits *limits;
    struct limits_claim claims[ADMISSION_CLAIMS_MAX];
    unsigned n_claims;
};

/* It is over, having used so many tokens; freed.  NULL is allowed.
 * is_served  false: it failed by our fault, and is not counted */
void admission_end(struct admission *admission, uint64_t n_tokens, bool is_served);

#endif
