/* SPDX-License-Identifier: Apache-2.0 */
/* partition/strategy/hybrid.c - a pipeline whose stages are teams that split their layers.
 *
 * Teams of k neighbours in the ring, the last one of what is left, for each k
 * from 2, or the k that was asked for; among teams the pipeline is the fastest there is (chain.h).
 * It is searched for the rows of a flight through all teams; what it is like for one stream and for
 * a prompt, whose sums are of other sizes, is predicted then.  A team is as far from another as
 * the slowest of the links between their members, and used where one of its nodes is pinned.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "partition/chain.h"
#include "partition/strategy.h"

struct teams {
    uint32_t *nodes; /* [n_nodes] that may be used, in ring order */
    size_t n_nodes;
    bool is_one_better;         /* than any pipeline of these teams, for some size */
    size_t size, n;             /* of each team, of teams */
    struct cost_node *as_nodes; /* [n] */
    struct cost_pair *pairs;    /* [n_pairs], as in cost_cluster */
    size_t n_pairs;
    uint32_t (*units)[PLAN_SHARDS_MAX]; /* [n] */
};

static size_t size_of(const struct teams *t, size_t i)
{
    return size_min(t->size, t->n_nodes - i * t->size);
}

/* Each as it is for so many rows at a time. */
static bool make_teams(const struct planner_input *in, struct teams *t, double rows)
{
    struct team team;

    for (size_t i = 0; i < t->n; i++) {
        /* one layer is enough to deal heads by; memory bounds the layers later */
        if (!team_make(in, t->nodes + i * t->size, size_of(t, i), 1, rows, &team))
            return false;
        t->as_nodes[i] = team.node;
        memcpy(t->units[i], team.units, sizeof(t->units[i]));
    }
    return true;
}

/* Hidden rows go from the k-th member to the k-th, round again where there are more (execute/shard/lineup.h). */
static struct cost_pair pair_of(const struct planner_input *in, const struct teams *t, size_t a,
                                size_t b)
{
    const size_t n = size_max(size_of(t, a), size_of(t, b));
    const double probe_bytes = 1e6;
    struct cost_pair pair = { (uint32_t)a, (uint32_t)b, 0, INFINITY };

    for (size_t k = 0; k < n; k++) {
        const uint32_t from = t->nodes[a * t->size + k % size_of(t, a)];
        const uint32_t to = t->nodes[b * t->size + k % size_of(t, b)];
        const double latency_s = cost_hop_s(in->cluster, from, to, 0);
        const double s = cost_hop_s(in->cluster, from, to, probe_bytes);

        pair.latency_s = fmax(pair.latency_s, latency_s);
        pair.bytes_per_s = fmin(pair.bytes_per_s, probe_bytes / (s - latency_s));
    }
    return pair;
}

/* Where links were measured between nodes; else teams have the ports of their first members. */
static enum status make_pairs(const struct planner_input *in, struct teams *t, struct err *err)
{
    free(t->pairs);
    t->pairs = NULL;
    t->n_pairs = 0;
    if (in->cluster->n_pairs == 0 || t->n < 2)
        return ST_OK;
    t->pairs = calloc(t->n * (t->n - 1) / 2, sizeof(*t->pairs));
    if (!t->pairs)
        return err_set(err, ST_NOMEM, "a plan of %zu nodes", in->cluster->n_nodes);
    for (size_t a = 0; a < t->n; a++)
        for (size_t b = a + 1; b < t->n; b++)
            t->pairs[t->n_pairs++] = pair_of(in, t, a, b);
    return ST_OK;
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

static struct cost_cluster teams_cluster(const struct teams *t)
{
    return (struct cost_cluster){ t->as_nodes, t->n, t->pairs, t->n_pairs };
}

/* All streams, one stream and the prompt sum rows of different numbers. */
static void predict(const struct planner_input *in, struct teams *t,
                    const struct chain_result *chain, struct plan_prediction *ret)
{
    const struct cost_cluster cluster = teams_cluster(t);
    const double chunk = (double)size_min(in->workload->prompt_tokens, COST_CHUNK_ROWS);
    const double rows[] = { in->workload->streams / cost_flights(in->workload, chain->n_stages), 1,
                            chunk };
    struct plan_prediction p[ARRAY_LEN(rows)];

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        (void)make_teams(in, t, rows[i]); /* they hold what they held for other rows */
        cost_predict(&cluster, in->shape, in->workload, chain->stages, chain->n_stages, &p[i]);
    }
    *ret = p[0];
    ret->tokens_per_s_one = p[1].tokens_per_s_one;
    ret->first_token_s = p[2].first_token_s;
}

/* Take the pipeline over these teams where it is better than the one there is. */
static enum status try_teams(const struct planner_input *in, struct teams *t, size_t size,
                             struct plan_option *ret, struct err *err)
{
    struct plan_prediction prediction;
    struct chain_result chain;
    struct cost_cluster cluster;
    enum status s;

    t->size = size;
    t->n = t->n_nodes / size + (t->n_nodes % size > 0);
    if (!make_teams(in, t, in->workload->streams / cost_flights(in->workload, t->n)))
        return ST_OK;
    s = make_pairs(in, t, err);
    if (s != ST_OK)
        return s;
    cluster = teams_cluster(t);
    s = chain_solve(&cluster, in->shape, in->workload, CHAIN_STEPS_MAX / 8, &chain, err);
    if (s != ST_OK)
        return s == ST_NOMEM ? s : ST_OK;
    ret->n_steps += chain.n_steps;
    ret->is_exact &= chain.is_exact;
    t->is_one_better |= chain.n_stages == 1;
    predict(in, t, &chain, &prediction);
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
        if (in->team_size == 0 || in->team_size == size)
            s = try_teams(in, &t, size, ret, err);
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
    free(t.pairs);
    free(t.units);
    return s;
}
