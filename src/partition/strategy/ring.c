/* SPDX-License-Identifier: Apache-2.0 */
/* partition/strategy/ring.c - layers in proportion to memory around the ring (partition.h).
 *
 * As few nodes as hold the model, unless nodes are pinned to take part.  A
 * ring is cut among the nodes a plan can name: of more, those with the most memory.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "partition/partition.h"
#include "partition/strategy.h"

/* More than NODES_MAX nodes have so much memory, but not more; 0 where there are no more nodes. */
static uint64_t common_memory(const struct cost_cluster *cluster)
{
    uint64_t low = 0, high = UINT64_MAX;

    while (high - low > 1) {
        const uint64_t middle = low + (high - low) / 2;
        size_t n = 0;

        for (size_t k = 0; k < cluster->n_nodes; k++)
            n += cluster->nodes[k].memory_bytes >= middle;
        if (n > NODES_MAX)
            low = middle;
        else
            high = middle;
    }
    return low;
}

/* ret_index [NODES_MAX]: which node of the cluster each is. */
static void take_nodes(const struct planner_input *in, struct node_set *ret, uint32_t *ret_index)
{
    const uint64_t common = common_memory(in->cluster);
    size_t n_common = NODES_MAX; /* to take of those with just so much */
    uint64_t work;

    for (size_t k = 0; k < in->cluster->n_nodes; k++)
        n_common -= in->cluster->nodes[k].memory_bytes > common;

    (void)cost_bytes(in->shape, in->workload, COST_LAST, 0, NULL, NULL, &work);
    for (uint32_t k = 0; k < in->cluster->n_nodes && ret->n_nodes < NODES_MAX; k++) {
        const struct cost_node *from = &in->cluster->nodes[k];
        struct node_view *to = &ret->nodes[ret->n_nodes];

        if (from->memory_bytes < common || from->most_layers == 0 ||
            (from->memory_bytes == common && n_common == 0))
            continue;
        n_common -= from->memory_bytes == common;
        memcpy(to->name, from->name, sizeof(to->name));
        to->is_alive = to->holds_model = true;
        to->memory_bytes = from->memory_bytes;
        to->memory_used_bytes = work;
        to->score = (double)from->memory_bytes;
        ret_index[ret->n_nodes++] = k;
    }
}

static bool uses_all(const struct planner_input *in)
{
    bool any = false, all = true;

    for (size_t k = 0; k < in->cluster->n_nodes; k++) {
        if (in->cluster->nodes[k].most_layers == 0)
            continue;
        any |= in->cluster->nodes[k].least_layers > 0;
        all &= in->cluster->nodes[k].least_layers > 0;
    }
    return any && all;
}

static bool pins_some(const struct planner_input *in)
{
    for (size_t k = 0; k < in->cluster->n_nodes; k++)
        if (in->cluster->nodes[k].least_layers > 0)
            return !uses_all(in);
    return false;
}

/* The layers of partition_plan() as stages. */
static enum status plan_ring(const struct planner_input *in, struct plan_option *ret,
                             struct err *err)
{
    const struct plan_workload *w = in->workload;
    const struct partition_options options = { .uses_all_nodes = uses_all(in),
                                               .context_tokens = w->context_tokens,
                                               .n_sequences = w->streams,
                                               .least_sequences = w->streams,
                                               .kv_format = w->kv_format };
    struct node_set *nodes = calloc(1, sizeof(*nodes));
    struct plan *plan = calloc(1, sizeof(*plan));
    struct cost_stage stages[PLAN_SHARDS_MAX];
    uint32_t index[NODES_MAX];
    enum status s = ST_NOMEM;

    if (!nodes || !plan) {
        (void)err_set(err, ST_NOMEM, "a plan of %zu nodes", in->cluster->n_nodes);
        goto out;
    }
    take_nodes(in, nodes, index);
    s = partition_plan(&in->shape->info, nodes, &options, plan, err);
    if (s != ST_OK)
        goto out;
    for (size_t i = 0, k = 0; i < plan->n_shards; i++, k++) {
        while (strcmp(nodes->nodes[k].name, plan->shards[i].node) != 0)
            k++; /* shards are in the order of the nodes */
        stages[i] = (struct cost_stage){ index[k], plan->shards[i].n_layers };
    }
    s = strategy_from_stages(in, stages, plan->n_shards, ret, err);
out:
    free(nodes);
    free(plan);
    return s;
}

enum status strategy_ring(const struct planner_input *in, struct plan_option *ret, struct err *err)
{
    enum status s;

    if (strategy_pins_layers(in) || pins_some(in)) {
        (void)snprintf(ret->reason, sizeof(ret->reason),
                       "pins set layers, memory does not: see pipeline");
        return ST_FULL;
    }
    s = plan_ring(in, ret, err);
    if (s == ST_FULL || s == ST_NOTFOUND)
        strategy_tell_pipeline(in, ret);
    return s;
}
