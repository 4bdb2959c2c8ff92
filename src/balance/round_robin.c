/* SPDX-License-Identifier: Apache-2.0 */
/* balance/round_robin.c - one after the other, as often as their weights say.
 *
 * Nothing is kept but the turn.  Equal weights: turn by turn.  Else turn t points at the fraction of t times the
 * golden ratio on a line of all weights: no other sequence spreads more evenly (Weyl 1916), so a weight of
 * two comes twice as often, and not twice in a row.
 */
#include "balance/policy.h"

#include <math.h>
#include <stdbool.h>

static const double GOLDEN = 0.61803398874989485;

static bool are_equal(const struct balance_candidate *c, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        if (fabs(c[i].weight - c[0].weight) > 1e-9)
            return false;
    }
    return true;
}

static size_t choose(const struct balance_candidate *c, size_t n, const struct balance_request *r)
{
    double sum = 0, passed = 0, at, whole;

    if (are_equal(c, n))
        return (size_t)(r->turn % n);
    for (size_t i = 0; i < n; i++)
        sum += c[i].weight;
    at = modf((double)(r->turn % (1u << 30)) * GOLDEN, &whole) * sum;
    for (size_t i = 0; i + 1 < n; i++) {
        passed += c[i].weight;
        if (at < passed)
            return i;
    }
    return n - 1;
}

const struct balance_policy balance_round_robin = { "round-robin", choose };
