/* SPDX-License-Identifier: Apache-2.0 */
/* balance/predicted_work.c - who is predicted to be done first, in seconds of work.
 *
 * A request more is another thing for a Raspberry Pi than for an H200, so requests are not counted:
 * what waits there and what this one asks is divided by the speed each was measured at.
 *
 * Of few candidates all are compared.  Of many, two at random (Mitzenmacher 2001, the power of two
 * choices): several gateways choose by figures that are a little old, and all of them running to
 * the one that was the best is worse than a second best.
 */
#include "balance/policy.h"

enum { COMPARE_ALL_MAX = 16 };

static size_t better(const struct balance_candidate *c, size_t n, const struct balance_request *r,
                     size_t a, size_t b)
{
    return balance_seconds(c, n, b, r) < balance_seconds(c, n, a, r) ? b : a;
}

static size_t choose(const struct balance_candidate *c, size_t n, const struct balance_request *r)
{
    const uint64_t second = balance_next_random(r->random);
    const size_t first = (size_t)(r->random % n); /* ties: the first looked at, a random one */
    size_t best = first;

    if (n > COMPARE_ALL_MAX) /* another than the first */
        return better(c, n, r, first, (first + 1 + (size_t)(second % (n - 1))) % n);
    for (size_t i = 1; i < n; i++)
        best = better(c, n, r, best, (first + i) % n);
    return best;
}

const struct balance_policy balance_predicted_work = { "predicted-work", choose };
