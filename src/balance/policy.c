/* SPDX-License-Identifier: Apache-2.0 */
/* balance/policy.c - the policies by name, and what they share. */
#include "balance/policy.h"

#include <math.h>
#include <string.h>

#include "base/size.h"

static const struct balance_policy *const policies[] = {
    &balance_predicted_work,  &balance_least_outstanding, &balance_round_robin,
    &balance_prefix_affinity, &balance_session_affinity,
};

/* Where nobody was measured yet: a small model on a small machine. */
static const double PROMPT_TOKENS_PER_S = 500, TOKEN_S = 0.05;

enum status balance_policy_find(const char *name, const struct balance_policy **ret_policy,
                                struct err *err)
{
    for (size_t i = 0; i < ARRAY_LEN(policies); i++) {
        if (name[0] && strcmp(name, policies[i]->name) != 0)
            continue;
        *ret_policy = policies[i];
        return ST_OK;
    }
    return err_set(err, ST_NOTFOUND,
                   "no balancing policy '%s'; there are predicted-work, least-outstanding, "
                   "round-robin, prefix-affinity, session-affinity",
                   name);
}

uint64_t balance_next_random(uint64_t random)
{
    random += 0x9E3779B97F4A7C15u; /* Steele et al. 2014, SplitMix */
    random = (random ^ (random >> 30)) * 0xBF58476D1CE4E5B9u;
    random = (random ^ (random >> 27)) * 0x94D049BB133111EBu;
    return random ^ (random >> 31);
}

/* The mean of what was measured stands in for what was not: a newcomer is one like the others. */
static double measured(const struct balance_candidate *candidates, size_t n, size_t index,
                       double (*value)(const struct balance_candidate *c), double otherwise)
{
    double sum = 0;
    size_t n_known = 0;

    if (value(&candidates[index]) > 0)
        return value(&candidates[index]);
    for (size_t i = 0; i < n; i++) {
        if (value(&candidates[i]) <= 0)
            continue;
        sum += value(&candidates[i]);
        n_known++;
    }
    return n_known > 0 ? sum / (double)n_known : otherwise;
}

static double prompt_speed(const struct balance_candidate *c)
{
    return c->prompt_tokens_per_s;
}

static double token_seconds(const struct balance_candidate *c)
{
    return c->token_s;
}

static double share(const struct balance_candidate *c)
{
    return c->weight * c->warmth > 1e-6 ? c->weight * c->warmth : 1e-6;
}

double balance_seconds(const struct balance_candidate *candidates, size_t n, size_t index,
                       const struct balance_request *request)
{
    const struct balance_candidate *c = &candidates[index];
    const double speed = measured(candidates, n, index, prompt_speed, PROMPT_TOKENS_PER_S);
    const double token_s = measured(candidates, n, index, token_seconds, TOKEN_S);
    const double prompt_s = (double)(c->n_waiting_tokens + request->n_prompt_tokens) / speed;

    return (prompt_s + (double)request->n_answer_tokens * token_s) / share(c);
}

/* Weights by Schindelhelm and Schomaker's logarithmic method, 2005. */
static double rendezvous(const struct balance_candidate *c, uint64_t key)
{
    const uint64_t hash = balance_next_random(c->key ^ balance_next_random(key));
    const double unit = ((double)(hash >> 11) + 0.5) / 9007199254740992.0; /* 2^53 */

    return -share(c) / log(unit);
}

size_t balance_owner(const struct balance_candidate *candidates, size_t n, uint64_t key,
                     double bound)
{
    double total = 0, shares = 0, highest = -1;
    size_t owner = 0;

    for (size_t i = 0; i < n; i++) {
        total += candidates[i].n_outstanding;
        shares += share(&candidates[i]);
    }
    for (size_t i = 0; i < n; i++) {
        /* with the request that comes, and a place more for each: below that all are idle */
        const double room = ceil(bound * (total + 1) * share(&candidates[i]) / shares);
        const double score = rendezvous(&candidates[i], key);

        if (candidates[i].n_outstanding + 1 > room || score <= highest)
            continue;
        highest = score;
        owner = i;
    }
    return owner; /* with bound > 1 somebody has room */
}
