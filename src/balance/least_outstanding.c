/* SPDX-License-Identifier: Apache-2.0 */
/* balance/least_outstanding.c - who has the fewest requests for its weight. */
#include "balance/policy.h"

static double load(const struct balance_candidate *c)
{
    return ((double)c->n_outstanding + 1) / (c->weight * (c->warmth > 0 ? c->warmth : 1e-6));
}

static size_t choose(const struct balance_candidate *c, size_t n, const struct balance_request *r)
{
    const size_t first = (size_t)(r->random % n);
    size_t best = first;

    for (size_t i = 1; i < n; i++) {
        const size_t at = (first + i) % n;

        if (load(&c[at]) < load(&c[best]))
            best = at;
    }
    return best;
}

const struct balance_policy balance_least_outstanding = { "least-outstanding", choose };
