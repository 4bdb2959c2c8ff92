/* SPDX-License-Identifier: Apache-2.0 */
/* balance/balance.c - stage 2: which running instance answers. */
#include "balance/balance.h"

#include <string.h>

/* FNV-1a, Fowler, Noll and Vo: ids are random already. */
static uint64_t key_of(const char *id)
{
    uint64_t key = 0xCBF29CE484222325u;

    for (; *id; id++)
        key = (key ^ (unsigned char)*id) * 0x100000001B3u;
    return key;
}

/* An instance's speed is not known here: what it has to do is all that sets it apart, so its
 * sequences stand for tokens that wait. */
struct balance_candidate balance_candidate_of(const struct instance_view *v)
{
    enum { TOKENS_OF_A_SEQUENCE = 256 };
    const uint64_t n = (uint64_t)v->n_active + v->n_waiting;

    return (struct balance_candidate){
        .key = key_of(v->id),
        .weight = 1,
        .warmth = 1,
        .n_outstanding = n < UINT32_MAX ? (uint32_t)n : UINT32_MAX,
        .n_waiting_tokens = n * TOKENS_OF_A_SEQUENCE,
    };
}

void balance_pick(const struct balance_policy *policy, const struct instance_view *instances,
                  size_t n_instances, const char *model, const struct balance_request *request,
                  struct route *ret_route)
{
    struct balance_candidate candidates[BALANCE_MAX];
    size_t at[BALANCE_MAX], n = 0, best;

    for (size_t i = 0; i < n_instances && n < BALANCE_MAX; i++) {
        if (!instances[i].is_ready || strcmp(instances[i].model, model) != 0)
            continue;
        candidates[n] = balance_candidate_of(&instances[i]);
        at[n++] = i;
    }
    *ret_route = (struct route){ .is_placed = n > 0 };
    if (n == 0)
        return;
    best = at[policy->choose(candidates, n, request)];
    memcpy(ret_route->instance_id, instances[best].id, sizeof(ret_route->instance_id));
    ret_route->driver = instances[best].driver;
}
