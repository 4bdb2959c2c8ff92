/* SPDX-License-Identifier: Apache-2.0 */
/* contract/plan.c - the layers of a plan follow one another, team by team. */
#include "contract/plan.h"

#include "contract/portion.h"

bool plan_is_same_team(const struct plan *plan, size_t i)
{
    const struct plan_shard *before = &plan->shards[i - 1], *shard = &plan->shards[i];

    return before->share > 0 && shard->share > 0 && before->first_layer == shard->first_layer &&
           before->n_layers == shard->n_layers;
}

double plan_fraction(const struct plan *plan, size_t i)
{
    size_t first = i, end = i + 1;
    double sum = 0;

    if (plan->shards[i].share == 0)
        return 1;
    while (first > 0 && plan_is_same_team(plan, first))
        first--;
    while (end < plan->n_shards && plan_is_same_team(plan, end))
        end++;
    for (size_t k = first; k < end; k++)
        sum += plan->shards[k].share;
    return plan->shards[i].share / sum;
}

bool plan_has_teams(const struct plan *plan)
{
    for (size_t i = 0; i < plan->n_shards; i++)
        if (plan->shards[i].share > 0)
            return true;
    return false;
}

enum status plan_check(const struct plan *plan, uint64_t *ret_n_layers, struct err *err)
{
    uint64_t next = 0;

    if (plan->n_shards == 0 || plan->n_shards > PLAN_SHARDS_MAX)
        return err_set(err, ST_FORMAT, "a plan of %zu shards", plan->n_shards);
    for (size_t i = 0; i < plan->n_shards; i++) {
        const struct plan_shard *shard = &plan->shards[i];

        if (shard->share > PORTION_SHARE_MAX)
            return err_set(err, ST_FORMAT, "a plan with a share of %u", shard->share);
        if (i > 0 && plan_is_same_team(plan, i))
            continue;
        if (shard->first_layer != next || shard->n_layers == 0)
            return err_set(err, ST_FORMAT, "a plan whose layers do not follow one another");
        next += shard->n_layers;
    }
    if (ret_n_layers)
        *ret_n_layers = next;
    return ST_OK;
}
