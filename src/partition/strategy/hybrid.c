/* SPDX-License-Identifier: Apache-2.0 */
/* partition/strategy/hybrid.c - a pipeline whose stages are teams that split their layers.
 *
 * Teams of k neighbours in the ring, the last one of what is left, for each k
 * from 2; among teams the pipeline is the fastest there is (chain.h).  The
 * rows that a team sums are those of a flight through all teams.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "partition/chain.h"
#include "partition/strategy.h"

struct teams {
    uint32_t *nodes; /* [n_nodes] that may be used, in ring order */
    size_t n_nodes;
    bool is_one_better;                 /* than any pipeline of these teams, for some size */
    size_t size, n;                     /* of each team, of teams */
    struct cost_node *as_nodes;         /* [n] */
    uint32_t (*units)[PLAN_SHARDS_MAX]; /* [n] */
};

static size_t size_of(const struct teams *t, size_t i)
{
    return size_min(t->size, t->n_nodes - i * t->size);
}

static bool make_teams(const struct planner_input *in, struct teams *t, size_t size)
{
    const double flights = cost_flights(in->workload, t->n_nodes / size + (t->n_nodes % size > 0));
    struct team team;

    t->size = size;
    t->n = t->n_nodes / size + (t->n_nodes % size > 0);
    for (size_t i = 0; i < t->n; i++) {
        /* one layer is enough to deal heads by; memory bounds the layers later */
        if (!team_make(in, t->nodes + i * size, size_of(t, i), 1, in->workload->streams / flights,
                       &team))
            return false;
        t->as_nodes[i] = team.node;
        memcpy(t->units[i], team.units, sizeof(t->units[i]));
    }
    return true;
}

static enum status make_parts(const struct planner_input *in, const struct teams *t,
                              const struct chain_result *chain, struct plan_option *ret,
                              struct err *err)
{
    uint32_t first = 0;

    ret->parts = calloc(t->n_nodes, sizeof(*ret->parts));
    if (!ret->parts)
        return err_set(err, ST_NOMEM, "a plan of %zu nodes", t->n_nodes);
    for (size_t i = 0; i < chain->n_stages; i++) {
        const struct cost_stage *stage = &chain->stages[i];
        const enum cost_role role = chain->n_stages == 1       ? COST_ONLY
                                    : i == 0                   ? COST_FIRST
                                    : i + 1 == chain->n_stages ? COST_LAST
                                                               : COST_MIDDLE;

        for (size_t k = 0; k < size_of(t, stage->node); k++) {
            const double n_heads = in->shape->n_kv_heads;
            const struct plan_part part = { .node = t->nodes[stage->node * t->size + k],
                                            .group = (uint32_t)i,
                                            .first_layer = first,
                                            .n_layers = stage->n_layers,
                                            .share = t->units[stage->node][k] / n_heads };

            strategy_add_part(in, ret, part, role);
        }
        first += stage->n_layers;
    }
    return ST_OK;
}

/* Take the pipeline over these teams where it is better than the one there is. */
static enum status try_teams(const struct planner_input *in, struct teams *t,
                             struct plan_option *ret, struct err *err)
{
    const struct cost_cluster cluster = { .nodes = t->as_nodes, .n_nodes = t->n };
    struct plan_prediction prediction;
    struct chain_result chain;
    enum status s =
        chain_solve(&cluster, in->shape, in->workload, CHAIN_STEPS_MAX / 8, &chain, err);

    if (s != ST_OK)
        return s == ST_NOMEM ? s : ST_OK;
    ret->n_steps += chain.n_steps;
    ret->is_exact &= chain.is_exact;
    t->is_one_better |= chain.n_stages == 1;
    cost_predict(&cluster, in->shape, in->workload, chain.stages, chain.n_stages, &prediction);
    if (chain.n_stages > 1 &&
        (!ret->parts || prediction.tokens_per_s > ret->prediction.tokens_per_s)) {
        free(ret->parts);
        ret->parts = NULL;
        ret->n_parts = 0;
        ret->prediction = prediction;
        s = make_parts(in, t, &chain, ret, err);
    }
    free(chain.stages);
    return s;
}

static enum status teams_init(const struct planner_input *in, struct teams *t, struct err *err)
{
    const size_t n = in->cluster->n_nodes;

    t->nodes = calloc(n, sizeof(*t->nodes));
    t->as_nodes = calloc(n, sizeof(*t->as_nodes));
    t->units = calloc(n, sizeof(*t->units));
    if (!t->nodes || !t->as_nodes || !t->units)
        return err_set(err, ST_NOMEM, "a plan of %zu nodes", n);
    for (uint32_t k = 0; k < n; k++)
        if (in->cluster->nodes[k].most_layers > 0)
            t->nodes[t->n_nodes++] = k;
    return ST_OK;
}

enum status strategy_hybrid(const struct planner_input *in, struct plan_option *ret,
                            struct err *err)
{
    struct teams t = { 0 };
    enum status s;

    if (strategy_pins_layers(in)) {
        (void)snprintf(ret->reason, sizeof(ret->reason),
                       "pins of layers: nodes of a team have parts of them");
        return ST_FULL;
    }
    ret->is_exact = true;
    s = teams_init(in, &t, err);
    for (size_t size = 2; s == ST_OK && size < t.n_nodes && size <= in->shape->n_kv_heads; size++)
        if (make_teams(in, &t, size))
            s = try_teams(in, &t, ret, err);
    if (s == ST_OK && !ret->parts) {
        (void)snprintf(ret->reason, sizeof(ret->reason),
                       t.n_nodes < 3 ? "needs three nodes or more"
                       : t.is_one_better
                           ? "one team alone is faster than any pipeline of teams: see tensor"
                           : "no pipeline of teams holds the model: needs more memory or "
                             "a shorter context");
        s = ST_FULL;
    }
    free(t.nodes);
    free(t.as_nodes);
    free(t.units);
    return s;
}
