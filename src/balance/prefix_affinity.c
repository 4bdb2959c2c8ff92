/* SPDX-License-Identifier: Apache-2.0 */
/* balance/prefix_affinity.c - prompts that begin alike go to one server, whose cache has the beginning.
 *
 * With a bound: who has a quarter more than its part of the requests gets no more for its cache's
 * sake, and the prompt's second owner, which is always the same, too, takes it.
 */
#include "balance/policy.h"

static const double BOUND = 1.25; /* Mirrokni et al. 2016 */

static size_t choose(const struct balance_candidate *c, size_t n, const struct balance_request *r)
{
    if (!r->prefix)
        return balance_predicted_work.choose(c, n, r);
    return balance_owner(c, n, r->prefix, BOUND);
}

const struct balance_policy balance_prefix_affinity = { "prefix-affinity", choose };
