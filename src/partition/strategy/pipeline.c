/* SPDX-License-Identifier: Apache-2.0 */
/* partition/strategy/pipeline.c - layers by speed, the fastest of all pipelines (chain.h). */
#include <stdlib.h>

#include "partition/chain.h"
#include "partition/strategy.h"

#include <stdio.h>

enum status strategy_pipeline(const struct planner_input *in, struct plan_option *ret,
                              struct err *err)
{
    struct chain_result chain;
    enum status s = chain_solve(in->cluster, in->shape, in->workload, CHAIN_STEPS_MAX, &chain, err);

    if (s == ST_FULL && strategy_pins_layers(in))
        (void)snprintf(ret->reason, sizeof(ret->reason),
                       "the pins leave no plan: their layers must add up to %u and fit their nodes",
                       in->shape->info.n_layer);
    else if (s == ST_FULL)
        strategy_tell_pipeline(in, ret);
    if (s != ST_OK)
        return s;
    ret->n_steps = chain.n_steps;
    ret->is_exact = chain.is_exact;
    s = strategy_from_stages(in, chain.stages, chain.n_stages, ret, err);
    free(chain.stages);
    return s;
}
