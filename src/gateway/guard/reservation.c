/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/guard/reservation.c - what a granted request reserved, until it is settled. */
#include "gateway/guard/reservation.h"

#include <stdlib.h>

#include "base/clock.h"

void reservation_end(struct reservation *reservation, uint64_t n_tokens, bool is_served)
{
    if (!reservation)
        return;
    for (unsigned i = 0; i < reservation->n_claims; i++) {
        const struct limits_claim *claim = &reservation->claims[i];

        limits_settle(reservation->limits, claim, claim->cost.tokens ? n_tokens : 0, is_served,
                      clock_ns());
    }
    free(reservation);
}
