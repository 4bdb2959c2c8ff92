/* SPDX-License-Identifier: Apache-2.0 */
/* partition/strategy/common.c - what strategies share: parts, predictions, remedies.
 *
 * What would make a plan possible is found by trying: bytes on the node with
 * the most memory, then a shorter context, then fewer streams, each by halving.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "partition/saturate.h"
#include "partition/strategy.h"

enum {
    CONTEXT_LEAST = 256, /* a shorter one is no remedy */
    MEGABYTE = 1000000,
};

static enum cost_role role_of(size_t i, size_t n_stages)
{
    if (n_stages == 1)
        return COST_ONLY;
    return i == 0 ? COST_FIRST : i + 1 == n_stages ? COST_LAST : COST_MIDDLE;
}

void strategy_add_part(const struct planner_input *in, struct plan_option *ret,
                       struct plan_part part, enum cost_role role)
{
    (void)cost_bytes(in->shape, in->workload, role, part.n_layers, &part.weight_bytes,
                     &part.kv_bytes, &part.work_bytes);
    part.weight_bytes = (uint64_t)((double)part.weight_bytes * part.share);
    part.kv_bytes = (uint64_t)((double)part.kv_bytes * part.share);
    ret->parts[ret->n_parts++] = part;
}

enum status strategy_from_stages(const struct planner_input *in, const struct cost_stage *stages,
                                 size_t n_stages, struct plan_option *ret, struct err *err)
{
    uint32_t first = 0;

    ret->parts = calloc(n_stages, sizeof(*ret->parts));
    if (!ret->parts)
        return err_set(err, ST_NOMEM, "a plan of %zu nodes", n_stages);
    for (size_t i = 0; i < n_stages; i++) {
        const struct plan_part part = {
            .node = stages[i].node, .first_layer = first, .n_layers = stages[i].n_layers, .share = 1
        };

        strategy_add_part(in, ret, part, role_of(i, n_stages));
        first += stages[i].n_layers;
    }
    cost_predict(in->cluster, in->shape, in->workload, stages, n_stages, &ret->prediction);
    return ST_OK;
}

bool strategy_pins_layers(const struct planner_input *in)
{
    for (size_t k = 0; k < in->cluster->n_nodes; k++) {
        const struct cost_node *node = &in->cluster->nodes[k];

        if (node->least_layers > 1 ||
            (node->most_layers > 0 && node->most_layers < in->shape->info.n_layer))
            return true;
    }
    return false;
}

/* The node that is asked to have more: the one that has most. */
static size_t largest(const struct planner_input *in)
{
    const struct cost_cluster *c = in->cluster;
    size_t best = c->n_nodes;

    for (size_t k = 0; k < c->n_nodes; k++)
        if (c->nodes[k].most_layers > 0 &&
            (best == c->n_nodes || c->nodes[k].memory_bytes > c->nodes[best].memory_bytes))
            best = k;
    return best;
}

/* A change to try: more memory on one node, another workload. */
struct change {
    size_t node;
    uint64_t more_bytes;
    struct plan_workload workload;
};

typedef bool fits_fn(const struct planner_input *in, const struct change *change);

static bool fits_single(const struct planner_input *in, const struct change *change)
{
    return cost_bytes(in->shape, &change->workload, COST_ONLY, in->shape->info.n_layer, NULL, NULL,
                      NULL) <=
           saturate_add(in->cluster->nodes[change->node].memory_bytes, change->more_bytes);
}

static uint32_t capacity_of(const struct planner_input *in, const struct change *change, size_t k,
                            enum cost_role role)
{
    const struct cost_node *node = &in->cluster->nodes[k];
    const uint64_t memory =
        saturate_add(node->memory_bytes, k == change->node ? change->more_bytes : 0);
    const uint32_t fits = cost_capacity(in->shape, &change->workload, role, memory);

    return fits < node->most_layers ? fits : node->most_layers;
}

/* Layers of the best pipeline in ring order: from its first node over all
 * others to its last. */
static bool fits_pipeline(const struct planner_input *in, const struct change *change)
{
    const uint64_t n_layers = in->shape->info.n_layer;
    uint64_t so_far = 0; /* with a first node and everything since */

    for (size_t k = 0; k < in->cluster->n_nodes; k++) {
        const uint64_t first = capacity_of(in, change, k, COST_FIRST);

        if (capacity_of(in, change, k, COST_ONLY) >= n_layers ||
            (so_far > 0 && so_far + capacity_of(in, change, k, COST_LAST) >= n_layers &&
             capacity_of(in, change, k, COST_LAST) > 0))
            return true;
        if (so_far > 0)
            so_far += capacity_of(in, change, k, COST_MIDDLE);
        if (first > so_far)
            so_far = first;
    }
    return false;
}

/* The least of low..high that fits, where high does. */
static uint64_t least_bytes(const struct planner_input *in, struct change change, fits_fn *fits,
                            uint64_t high)
{
    uint64_t low = 0;

    while (high - low > MEGABYTE) {
        change.more_bytes = low + (high - low) / 2;
        if (fits(in, &change))
            high = change.more_bytes;
        else
            low = change.more_bytes;
    }
    return high;
}

/* The most of *value that fits, 0 for none. */
static uint32_t most_that_fits(const struct planner_input *in, struct change *change,
                               uint32_t *value, fits_fn *fits)
{
    uint32_t low = 0, high = *value;

    while (high - low > 1) {
        *value = low + (high - low) / 2;
        if (fits(in, change))
            low = *value;
        else
            high = *value;
    }
    return low;
}

static void tell(const struct planner_input *in, struct plan_option *ret, fits_fn *fits)
{
    struct change change = { .node = largest(in), .workload = *in->workload };
    const uint64_t all =
        cost_bytes(in->shape, in->workload, COST_ONLY, in->shape->info.n_layer, NULL, NULL, NULL);
    uint32_t context, streams;
    int n;

    if (change.node == in->cluster->n_nodes) {
        (void)snprintf(ret->reason, sizeof(ret->reason), "every node is left out");
        return;
    }
    if (fits(in, &change)) { /* some pipeline does, not the one that was tried */
        (void)snprintf(ret->reason, sizeof(ret->reason),
                       "its shares of memory do not hold whole layers: see pipeline");
        return;
    }
    if (all == UINT64_MAX) {
        (void)snprintf(ret->reason, sizeof(ret->reason), "it is too large for any machine");
        return;
    }
    n = snprintf(ret->reason, sizeof(ret->reason), "needs %.1f GB more on %s",
                 (double)least_bytes(in, change, fits, all) / 1e9,
                 in->cluster->nodes[change.node].name);
    context = most_that_fits(in, &change, &change.workload.context_tokens, fits);
    change.workload = *in->workload;
    streams = most_that_fits(in, &change, &change.workload.streams, fits);
    if (context >= CONTEXT_LEAST)
        n += snprintf(ret->reason + n, sizeof(ret->reason) - (size_t)n,
                      ", or a context of at most %u tokens", context);
    if (streams > 0)
        (void)snprintf(ret->reason + n, sizeof(ret->reason) - (size_t)n, ", or at most %u stream%s",
                       streams, streams > 1 ? "s" : "");
}

void strategy_tell_single(const struct planner_input *in, struct plan_option *ret)
{
    tell(in, ret, fits_single);
}

void strategy_tell_pipeline(const struct planner_input *in, struct plan_option *ret)
{
    tell(in, ret, fits_pipeline);
}
