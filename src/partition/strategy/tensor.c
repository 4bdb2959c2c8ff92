/* SPDX-License-Identifier: Apache-2.0 */
/* partition/strategy/tensor.c - every layer split over a team of nodes (team.c).
 *
 * Teams are the k nodes that read fastest, k from 2 to the number of KV heads.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "partition/strategy.h"

struct rated {
    double gbs;
    uint32_t node;
};

static int by_speed(const void *a, const void *b)
{
    const struct rated *x = a, *y = b;

    if (x->gbs < y->gbs || x->gbs > y->gbs)
        return x->gbs > y->gbs ? -1 : 1;
    return (x->node > y->node) - (x->node < y->node);
}

static int by_place(const void *a, const void *b)
{
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

/* Pinned nodes first, then the fastest; how many are pinned. */
static enum status rank_nodes(const struct planner_input *in, struct rated **ret, size_t *ret_n,
                              size_t *ret_pinned, struct err *err)
{
    const struct cost_cluster *c = in->cluster;
    struct rated *all = calloc(c->n_nodes, sizeof(*all));
    size_t n = 0, n_pinned = 0;

    if (!all)
        return err_set(err, ST_NOMEM, "a plan of %zu nodes", c->n_nodes);
    for (uint32_t k = 0; k < c->n_nodes; k++)
        if (c->nodes[k].least_layers > 0)
            all[n++] = (struct rated){ c->nodes[k].speed.memory_gbs, k };
    n_pinned = n;
    for (uint32_t k = 0; k < c->n_nodes; k++)
        if (c->nodes[k].least_layers == 0 && c->nodes[k].most_layers > 0)
            all[n++] = (struct rated){ c->nodes[k].speed.memory_gbs, k };
    qsort(all + n_pinned, n - n_pinned, sizeof(*all), by_speed);
    *ret = all;
    *ret_n = n;
    *ret_pinned = n_pinned;
    return ST_OK;
}

/* One stream, all streams and the prompt sum rows of different numbers. */
static bool predict(const struct planner_input *in, const uint32_t *members, size_t n,
                    struct plan_prediction *ret)
{
    const uint32_t n_layers = in->shape->info.n_layer;
    const struct cost_stage stage = { 0, n_layers };
    const double chunk = (double)size_min(in->workload->prompt_tokens, COST_CHUNK_ROWS);
    const double rows[] = { in->workload->streams, 1, chunk };
    struct plan_prediction p[ARRAY_LEN(rows)];

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct team team;
        const struct cost_cluster one = { .nodes = &team.node, .n_nodes = 1 };

        if (!team_make(in, members, n, n_layers, rows[i], &team))
            return false;
        cost_predict(&one, in->shape, in->workload, &stage, 1, &p[i]);
    }
    *ret = p[0];
    ret->tokens_per_s_one = p[1].tokens_per_s_one;
    ret->first_token_s = p[2].first_token_s;
    return true;
}

static enum status make_parts(const struct planner_input *in, const uint32_t *members, size_t n,
                              struct plan_option *ret, struct err *err)
{
    const uint32_t n_layers = in->shape->info.n_layer;
    struct team team;

    ret->parts = calloc(n, sizeof(*ret->parts));
    if (!ret->parts)
        return err_set(err, ST_NOMEM, "a plan of %zu nodes", n);
    (void)team_make(in, members, n, n_layers, 1, &team);
    for (size_t i = 0; i < n; i++) {
        const struct plan_part part = { .node = members[i],
                                        .n_layers = n_layers,
                                        .share = (double)team.units[i] / in->shape->n_kv_heads };

        strategy_add_part(in, ret, part, COST_ONLY);
    }
    return ST_OK;
}

enum status strategy_tensor(const struct planner_input *in, struct plan_option *ret,
                            struct err *err)
{
    uint32_t members[PLAN_SHARDS_MAX], best[PLAN_SHARDS_MAX];
    struct plan_prediction prediction;
    struct rated *nodes = NULL;
    size_t n = 0, n_pinned = 0, n_best = 0, most;
    enum status s;

    if (strategy_pins_layers(in)) {
        (void)snprintf(ret->reason, sizeof(ret->reason),
                       "pins of layers: every node has a part of all");
        return ST_FULL;
    }
    s = rank_nodes(in, &nodes, &n, &n_pinned, err);
    if (s != ST_OK)
        return s;
    most = size_min(size_min(n, in->shape->n_kv_heads), (size_t)PLAN_SHARDS_MAX);
    for (size_t k = size_max(2, n_pinned); k <= most; k++) {
        for (size_t i = 0; i < k; i++)
            members[i] = nodes[i].node;
        qsort(members, k, sizeof(members[0]), by_place);
        if (predict(in, members, k, &prediction) &&
            (n_best == 0 || prediction.tokens_per_s > ret->prediction.tokens_per_s)) {
            ret->prediction = prediction;
            n_best = k;
            memcpy(best, members, k * sizeof(best[0]));
        }
    }
    free(nodes);
    if (n_best > 0)
        return make_parts(in, best, n_best, ret, err);
    if (n < 2)
        (void)snprintf(ret->reason, sizeof(ret->reason), "needs two nodes or more");
    else
        (void)snprintf(ret->reason, sizeof(ret->reason),
                       "no 2 to %zu nodes hold their parts of %u KV heads: needs more memory or a "
                       "shorter context",
                       most, in->shape->n_kv_heads);
    return ST_FULL;
}
