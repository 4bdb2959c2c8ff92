/* SPDX-License-Identifier: Apache-2.0 */
/* partition/strategy/replicate.c - whole copies of the model on several nodes; streams are shared out.
 *
 * n copies serve streams/n each.  Every n is tried, on the n fastest nodes
 * that hold the model with the context of so many streams.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "partition/strategy.h"

struct copies {
    const struct planner_input *in;
    uint32_t *nodes; /* those allowed, fastest first */
    size_t n_nodes;
    uint32_t *chosen, *best; /* [n_nodes] */
    size_t n_best;
    double best_rate;
};

static double reads_s(const struct planner_input *in, uint32_t k)
{
    const struct cost_stage stage = { k, in->shape->info.n_layer };

    return cost_flight_s(in->cluster, in->shape, in->workload, &stage, 1, 1, NULL, NULL);
}

struct speed {
    double s;
    uint32_t node;
};

static int by_time(const void *a, const void *b)
{
    const struct speed *x = a, *y = b;

    if (x->s < y->s || x->s > y->s)
        return x->s < y->s ? -1 : 1;
    return (x->node > y->node) - (x->node < y->node);
}

static enum status sort_nodes(struct copies *c, struct err *err)
{
    const struct cost_cluster *cluster = c->in->cluster;
    struct speed *speeds = calloc(cluster->n_nodes, sizeof(*speeds));

    c->nodes = calloc(cluster->n_nodes, sizeof(*c->nodes));
    c->chosen = calloc(cluster->n_nodes, sizeof(*c->chosen));
    c->best = calloc(cluster->n_nodes, sizeof(*c->best));
    if (!speeds || !c->nodes || !c->chosen || !c->best) {
        free(speeds);
        return err_set(err, ST_NOMEM, "a plan of %zu nodes", cluster->n_nodes);
    }
    for (uint32_t k = 0; k < cluster->n_nodes; k++)
        if (cluster->nodes[k].most_layers > 0)
            speeds[c->n_nodes++] = (struct speed){ reads_s(c->in, k), k };
    qsort(speeds, c->n_nodes, sizeof(*speeds), by_time);
    for (size_t i = 0; i < c->n_nodes; i++)
        c->nodes[i] = speeds[i].node;
    free(speeds);
    return ST_OK;
}

static struct plan_workload share_of(const struct planner_input *in, size_t n, size_t i)
{
    struct plan_workload w = *in->workload;

    w.streams = (uint32_t)(in->workload->streams / n + (i < in->workload->streams % n));
    return w;
}

/* Tokens/s of n copies; 0 where fewer nodes hold one. */
static double try_copies(struct copies *c, size_t n)
{
    const struct planner_input *in = c->in;
    const uint32_t n_layers = in->shape->info.n_layer;
    double rate = 0;
    size_t n_chosen = 0;

    for (size_t i = 0; i < c->n_nodes && n_chosen < n; i++) {
        const struct plan_workload w = share_of(in, n, n_chosen);
        const struct cost_stage stage = { c->nodes[i], n_layers };

        if (cost_capacity(in->shape, &w, COST_ONLY, in->cluster->nodes[c->nodes[i]].memory_bytes) <
            n_layers)
            continue;
        rate += w.streams / cost_cycle_s(in->cluster, in->shape, &w, &stage, 1);
        c->chosen[n_chosen++] = c->nodes[i];
    }
    return n_chosen == n ? rate : 0;
}

static enum status make_parts(const struct copies *c, struct plan_option *ret, struct err *err)
{
    const struct planner_input *in = c->in;
    const size_t n = c->n_best;
    double joules = 0;
    bool knows_watts = true;

    ret->parts = calloc(n, sizeof(*ret->parts));
    if (!ret->parts)
        return err_set(err, ST_NOMEM, "a plan of %zu copies", n);
    for (size_t i = 0; i < n; i++) {
        const struct plan_workload w = share_of(in, n, i);
        const struct planner_input one = { in->cluster, in->shape, &w, NULL, 0 };
        const struct cost_stage stage = { c->best[i], in->shape->info.n_layer };
        const struct plan_part part = {
            .node = stage.node, .group = (uint32_t)i, .n_layers = stage.n_layers, .share = 1
        };
        struct plan_prediction p;

        strategy_add_part(&one, ret, part, COST_ONLY);
        cost_predict(in->cluster, in->shape, &w, &stage, 1, &p);
        if (i == 0)
            ret->prediction = p; /* the fastest answers one stream, and first */
        if (p.load_s > ret->prediction.load_s)
            ret->prediction.load_s = p.load_s;
        joules += p.joules_per_token * p.tokens_per_s;
        knows_watts &= p.joules_per_token > 0;
    }
    ret->prediction.tokens_per_s = c->best_rate;
    ret->prediction.joules_per_token = knows_watts ? joules / c->best_rate : 0;
    return ST_OK;
}

enum status strategy_replicate(const struct planner_input *in, struct plan_option *ret,
                               struct err *err)
{
    struct copies c = { .in = in };
    enum status s = ST_FULL;

    if (in->workload->streams < 2)
        (void)snprintf(ret->reason, sizeof(ret->reason),
                       "one stream needs one copy: ask for more streams");
    else if (strategy_pins_layers(in))
        (void)snprintf(ret->reason, sizeof(ret->reason), "pins of layers leave no whole copies");
    else
        s = sort_nodes(&c, err);
    for (size_t n = 2; s == ST_OK && n <= c.n_nodes && n <= in->workload->streams; n++) {
        const double rate = try_copies(&c, n);

        if (rate > c.best_rate) {
            c.best_rate = rate;
            c.n_best = n;
            memcpy(c.best, c.chosen, n * sizeof(*c.best));
        }
    }
    if (s == ST_OK && c.n_best == 0) {
        (void)snprintf(ret->reason, sizeof(ret->reason),
                       "needs two nodes that each hold the whole model");
        s = ST_FULL;
    }
    if (s == ST_OK)
        s = make_parts(&c, ret, err);
    free(c.nodes);
    free(c.chosen);
    free(c.best);
    return s;
}
