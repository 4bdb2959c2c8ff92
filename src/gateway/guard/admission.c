/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/guard/admission.c - what a granted request reserved, until it is settled. */
#include "gateway/guard/admission.h"

#include <stdlib.h>

#include "base/clock.h"

void admission_end(struct admission *admission, uint64_t n_tokens, bool is_served)
{
    if (!admission)
        return;
    for (unsigned i = 0; i < admission->n_claims; i++) {
        const struct limits_claim *claim = &admission->claims[i];

        limits_settle(admission->limits, claim, claim->cost.tokens ? n_tokens : 0, is_served,
                      clock_ns());
    }
    free(admission);
}
