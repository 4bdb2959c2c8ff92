/* SPDX-License-Identifier: Apache-2.0 */
/* balance/session_affinity.c - a conversation stays where it began; what is none goes by work.
 *
 * The bound is wider than the one for prefixes: the whole of a conversation would be computed again.
 */
#include "balance/policy.h"

static const double BOUND = 2.0;

static size_t choose(const struct balance_candidate *c, size_t n, const struct balance_request *r)
{
    if (!r->session)
        return balance_predicted_work.choose(c, n, r);
    return balance_owner(c, n, r->session, BOUND);
}

const struct balance_policy balance_session_affinity = { "session-affinity", choose };
