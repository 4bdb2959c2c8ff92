/* SPDX-License-Identifier: Apache-2.0 */
/* balance/slow_start.c - a server that comes back gets a tenth of its share, and all of it half a minute later. */
#include "balance/slow_start.h"

#include "base/clock.h"

static const double FIRST = 0.1;

double slow_start_warmth(uint64_t since_ns, uint64_t now_ns)
{
    const double passed = (double)(now_ns - since_ns) / (SLOW_START_MS * (double)NS_PER_MS);

    if (since_ns == 0 || passed >= 1)
        return 1;
    return FIRST + (1 - FIRST) * passed;
}
