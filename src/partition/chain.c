/* SPDX-License-Identifier: Apache-2.0 */
/* partition/chain.c - search the fastest pipeline with passes of the dynamic program.
 *
 *   groups -> one stream:   a pass for each group of the first node
 *          -> many streams: stages R by rising least cycle -> halve the bound on a stage
 */
#include "partition/chain.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "partition/chain_pass.h"

/* Everything that a search owns. */
struct search {
    const struct cost_cluster *cluster;
    const struct plan_shape *shape;
    const struct plan_workload *workload;
    struct chain_problem p;
    struct chain_node *nodes;
    uint32_t *member; /* [n_groups], a node of each group */
    uint32_t *other;  /* [n_groups], another one; the same where there is none */
    double *hop_s, *back_s;
    struct chain_tables *tables;
    size_t n_stages_max;
    uint32_t *counts; /* of layers_in(), [n_layers + 1] */

    struct cost_stage *stages, *best_stages;
    size_t n_best;
    double best_s; /* cycle of best_stages */
    uint64_t n_steps, most_steps;
    bool is_exact;
};

static bool is_measured(const struct cost_cluster *cluster, size_t k)
{
    for (size_t i = 0; i < cluster->n_pairs; i++)
        if (cluster->pairs[i].a == k || cluster->pairs[i].b == k)
            return true;
    return false;
}

static bool has_same_ports(const struct cost_node *a, const struct cost_node *b)
{
    if (a->n_ports != b->n_ports)
        return false;
    for (size_t i = 0; i < a->n_ports; i++) {
        const struct cost_port *p = &a->ports[i], *q = &b->ports[i];

        if (p->network != q->network || fabs(p->latency_s - q->latency_s) > 0 ||
            fabs(p->bytes_per_s - q->bytes_per_s) > 0)
            return false;
    }
    return true;
}

/* Nodes with the same ports are alike to every other; one with measured links to nobody. */
static void make_groups(struct search *s)
{
    for (size_t k = 0; k < s->p.n_nodes; k++) {
        size_t g = s->p.n_groups;

        if (!is_measured(s->cluster, k))
            for (g = 0; g < s->p.n_groups; g++)
                if (!is_measured(s->cluster, s->member[g]) &&
                    has_same_ports(&s->cluster->nodes[k], &s->cluster->nodes[s->member[g]]))
                    break;
        if (g == s->p.n_groups) {
            s->member[g] = (uint32_t)k;
            s->p.n_groups++;
        }
        s->nodes[k].group = (uint32_t)g;
        s->other[g] = (uint32_t)k;
    }
}

static void make_nodes(struct search *s)
{
    const uint32_t n_layers = s->shape->info.n_layer;

    for (size_t k = 0; k < s->p.n_nodes; k++) {
        const struct cost_node *from = &s->cluster->nodes[k];
        struct chain_node *node = &s->nodes[k];

        node->least = from->least_layers > 0 ? from->least_layers : 1;
        node->is_required = from->least_layers > 0;
        for (unsigned role = 0; role < N_COST_ROLES; role++) {
            node->capacity[role] =
                cost_capacity(s->shape, s->workload, (enum cost_role)role, from->memory_bytes);
            if (node->capacity[role] > from->most_layers)
                node->capacity[role] = from->most_layers;
        }
    }
    s->p.n_layers = n_layers;
}

/* Times at `rows` rows a step. */
static void set_rows(struct search *s, double rows)
{
    const double attended = s->workload->prompt_tokens;
    const double bytes = cost_row_bytes(s->shape, rows);

    for (size_t k = 0; k < s->p.n_nodes; k++) {
        const struct node_speed *speed = &s->cluster->nodes[k].speed;

        s->nodes[k].layer_s = cost_layer_s(s->shape, s->workload, speed, rows, attended);
        s->nodes[k].output_s = cost_output_s(s->shape, speed, rows);
    }
    for (size_t g = 0; g < s->p.n_groups; g++)
        for (size_t h = 0; h < s->p.n_groups; h++) {
            const uint32_t to = g == h ? s->other[h] : s->member[h];

            s->hop_s[g * s->p.n_groups + h] = cost_hop_s(s->cluster, s->member[g], to, bytes);
            s->back_s[g * s->p.n_groups + h] = cost_hop_s(s->cluster, s->member[g], to, 0);
        }
}

static enum status search_init(struct search *s, struct err *err)
{
    const size_t n = s->cluster->n_nodes;
    const uint32_t n_layers = s->shape->info.n_layer;
    size_t n_pairs;

    s->p.n_nodes = n;
    s->nodes = calloc(n, sizeof(*s->nodes));
    s->member = calloc(n, sizeof(*s->member));
    s->other = calloc(n, sizeof(*s->other));
    s->stages = calloc(n_layers, sizeof(*s->stages));
    s->best_stages = calloc(n_layers, sizeof(*s->best_stages));
    s->counts = calloc((size_t)n_layers + 1, sizeof(*s->counts));
    if (!s->nodes || !s->member || !s->other || !s->stages || !s->best_stages || !s->counts)
        return err_set(err, ST_NOMEM, "a plan of %zu nodes", n);
    make_groups(s);
    make_nodes(s);
    n_pairs = s->p.n_groups * s->p.n_groups;
    s->hop_s = calloc(n_pairs, sizeof(*s->hop_s));
    s->back_s = calloc(n_pairs, sizeof(*s->back_s));
    if (!s->hop_s || !s->back_s)
        return err_set(err, ST_NOMEM, "the links of %zu nodes", n);
    s->p.nodes = s->nodes;
    s->p.hop_s = s->hop_s;
    s->p.back_s = s->back_s;
    s->n_stages_max =
        s->workload->streams > 1 ? size_min(size_min(n, n_layers), (size_t)PLAN_SHARDS_MAX) : 1;
    s->best_s = INFINITY;
    s->is_exact = true;
    return chain_tables_new(n, s->n_stages_max, n_layers, s->p.n_groups, &s->tables, err);
}

static void search_release(struct search *s)
{
    free(s->nodes);
    free(s->member);
    free(s->other);
    free(s->hop_s);
    free(s->back_s);
    free(s->counts);
    free(s->stages);
    free(s->best_stages);
    chain_tables_free(s->tables);
}

/* A pass for each group of the first node; the best of them is offered as the
 * answer.  Returns its flight time; ret_slowest its longest stage. */
static double pass_all(struct search *s, size_t n_stages, double bound, double *ret_slowest)
{
    double least = INFINITY;

    for (uint32_t g = 0; g < s->p.n_groups; g++) {
        const uint64_t most = chain_pass_steps(&s->p, n_stages > 0 ? n_stages : 1);
        size_t n = 0;
        double one, cycle, slowest;

        if (s->n_steps + most > s->most_steps) {
            s->is_exact = false;
            break;
        }
        one = chain_pass(s->tables, &s->p, n_stages, g, bound, s->stages, &n, &s->n_steps);
        if (!isfinite(one))
            continue;
        (void)cost_flight_s(s->cluster, s->shape, s->workload, s->stages, n,
                            s->workload->streams / cost_flights(s->workload, n), &slowest, NULL);
        cycle = cost_cycle_s(s->cluster, s->shape, s->workload, s->stages, n);
        if (cycle < s->best_s) {
            s->best_s = cycle;
            s->n_best = n;
            memcpy(s->best_stages, s->stages, n * sizeof(*s->stages));
        }
        if (one < least) {
            least = one;
            *ret_slowest = slowest;
        }
    }
    return least;
}

/* The most layers that n_stages nodes compute within `bound` each, in any
 * order and as if none held embedding or output: never too few. */
static uint32_t layers_in(struct search *s, size_t n_stages, double bound)
{
    uint32_t sum = 0, n_layers = s->p.n_layers;

    memset(s->counts, 0, ((size_t)n_layers + 1) * sizeof(*s->counts));
    for (size_t k = 0; k < s->p.n_nodes; k++) {
        const double room = bound / s->nodes[k].layer_s;
        const uint32_t capacity = s->nodes[k].capacity[COST_MIDDLE];

        s->counts[room < capacity ? (uint32_t)room : capacity]++;
    }
    for (uint32_t m = n_layers; m > 0 && sum < n_layers && n_stages > 0; m--)
        for (uint32_t i = 0; i < s->counts[m] && sum < n_layers && n_stages > 0; i++, n_stages--)
            sum += m;
    s->n_steps += s->p.n_nodes + n_layers;
    return sum;
}

/* No pipeline of n_stages has a shorter longest stage; INFINITY: they hold too few layers. */
static double least_bound(struct search *s, size_t n_stages)
{
    double low = 0, high = 0;

    for (size_t k = 0; k < s->p.n_nodes; k++)
        high = fmax(high, s->nodes[k].layer_s * s->p.n_layers);
    if (layers_in(s, n_stages, high) < s->p.n_layers)
        return INFINITY;
    while (high - low > high * CHAIN_TOLERANCE / 4) {
        const double middle = low + (high - low) / 2;

        if (layers_in(s, n_stages, middle) < s->p.n_layers)
            low = middle;
        else
            high = middle;
    }
    return low;
}

/* Halve the range in which the longest stage of a better pipeline of n_stages may be. */
static void search_stages(struct search *s, size_t n_stages, double low)
{
    const double flights = cost_flights(s->workload, n_stages);
    double high = s->best_s / flights, slowest = 0;
    /* the loosest bound first: no sum is less, whatever the bound */
    const double least = pass_all(s, n_stages, high, &slowest);

    if (!isfinite(least))
        return;
    if (flights * slowest <= least)
        return; /* the cycle is the sum already */
    high = fmin(s->best_s / flights, slowest);
    while (s->is_exact && high - low > high * CHAIN_TOLERANCE &&
           s->best_s > fmax(least, flights * low) * (1 + CHAIN_TOLERANCE)) {
        const double middle = low + (high - low) / 2;
        const double one = pass_all(s, n_stages, middle, &slowest);

        if (!isfinite(one) || one >= flights * slowest)
            low = middle; /* within the bound nothing is better than this sum */
        else
            high = slowest;
    }
}

struct round {
    size_t n_stages;
    double bound, cycle; /* of the longest stage, of everything: no less is possible */
};

static int by_cycle(const void *a, const void *b)
{
    const struct round *x = a, *y = b;

    return (x->cycle > y->cycle) - (x->cycle < y->cycle);
}

static void search_many(struct search *s)
{
    struct round rounds[PLAN_SHARDS_MAX];
    double slowest;

    for (size_t r = 1; r <= s->n_stages_max; r++) {
        const double flights = cost_flights(s->workload, r);

        set_rows(s, s->workload->streams / flights);
        rounds[r - 1].n_stages = r;
        rounds[r - 1].bound = least_bound(s, r);
        rounds[r - 1].cycle = flights * rounds[r - 1].bound;
    }
    set_rows(s, s->workload->streams); /* something to compare with, at little cost */
    (void)pass_all(s, 0, INFINITY, &slowest);
    qsort(rounds, s->n_stages_max, sizeof(rounds[0]), by_cycle);
    for (size_t i = 0; i < s->n_stages_max; i++) {
        if (!(rounds[i].cycle < s->best_s * (1 - CHAIN_TOLERANCE)))
            break;
        set_rows(s, s->workload->streams / cost_flights(s->workload, rounds[i].n_stages));
        search_stages(s, rounds[i].n_stages, rounds[i].bound);
    }
}

/* A pinned node without room for what it is pinned to: no pass finds that soon enough. */
static bool pins_fit(const struct search *s)
{
    for (size_t k = 0; k < s->p.n_nodes; k++)
        if (s->nodes[k].is_required && s->nodes[k].capacity[COST_MIDDLE] < s->nodes[k].least)
            return false;
    return true;
}

enum status chain_solve(const struct cost_cluster *cluster, const struct plan_shape *shape,
                        const struct plan_workload *workload, uint64_t most_steps,
                        struct chain_result *ret, struct err *err)
{
    struct search s = {
        .cluster = cluster, .shape = shape, .workload = workload, .most_steps = most_steps
    };
    double slowest;
    enum status st;

    st = search_init(&s, err);
    if (st != ST_OK)
        goto out;
    if (pins_fit(&s) && workload->streams > 1) {
        search_many(&s);
    } else if (pins_fit(&s)) {
        set_rows(&s, 1);
        (void)pass_all(&s, 0, INFINITY, &slowest);
    }
    if (!isfinite(s.best_s)) {
        st = err_set(err, ST_FULL, "these nodes cannot hold '%s'", shape->info.name);
        goto out;
    }
    *ret = (struct chain_result){ s.best_stages, s.n_best, s.n_steps, s.is_exact };
    s.best_stages = NULL;
out:
    search_release(&s);
    return st;
}
