/* SPDX-License-Identifier: Apache-2.0 */
/* partition/strategy/single.c - the whole model on the node that is fastest with it. */
#include <stdio.h>

#include "partition/strategy.h"

static bool may_hold_all(const struct planner_input *in, size_t k)
{
    const uint32_t n_layers = in->shape->info.n_layer;
    const struct cost_node *node = &in->cluster->nodes[k];

    for (size_t i = 0; i < in->cluster->n_nodes; i++)
        if (i != k && in->cluster->nodes[i].least_layers > 0)
            return false;
    return node->most_layers >= n_layers && node->least_layers <= n_layers;
}

enum status strategy_single(const struct planner_input *in, struct plan_option *ret,
                            struct err *err)
{
    struct cost_stage best = { .n_layers = 0 };
    double best_s = 0;
    bool may_any = false;

    for (size_t k = 0; k < in->cluster->n_nodes; k++) {
        const struct cost_stage stage = { (uint32_t)k, in->shape->info.n_layer };
        double s;

        if (!may_hold_all(in, k))
            continue;
        may_any = true;
        if (cost_capacity(in->shape, in->workload, COST_ONLY, in->cluster->nodes[k].memory_bytes) <
            stage.n_layers)
            continue;
        s = cost_cycle_s(in->cluster, in->shape, in->workload, &stage, 1);
        if (best.n_layers == 0 || s < best_s) {
            best = stage;
            best_s = s;
        }
    }
    ret->is_exact = true;
    if (best.n_layers > 0)
        return strategy_from_stages(in, &best, 1, ret, err);
    if (may_any)
        strategy_tell_single(in, ret);
    else
        (void)snprintf(ret->reason, sizeof(ret->reason), "pins ask for more nodes than one");
    return ST_FULL;
}
