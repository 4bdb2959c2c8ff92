/* SPDX-License-Identifier: Apache-2.0 */
/* partition/chain_pass.c - one pass of the dynamic program of chain.h.
 *
 * A round is the number of stages before a node where stages are counted,
 * else there is one round for all.  Nodes are visited once, in ring order,
 * rounds from the last to the first, so that a node follows only others.
 *
 *   best[round][group][l]   least reach() of the nodes seen, and from which node
 *   before[node][round][l]  the node before, of arrive()
 *   taken[node][round][l]   layers of the node, of reach()
 */
#include "partition/chain_pass.h"

#include <math.h>
#include <stdlib.h>

#include "base/size.h"

enum { CELLS_MAX = 1 << 26 };

struct chain_tables {
    size_t n_nodes, n_rounds, n_groups, n_cells; /* n_cells = n_layers + 1 */
    double *best;
    uint16_t *best_node;
    uint16_t *before, *taken;
    double *arrive, *reach;
    uint32_t *window;
};

/* One pass over the tables. */
struct pass {
    struct chain_tables *t;
    const struct chain_problem *p;
    bool counts;
    size_t n_rounds;
    uint32_t first_group;
    double slowest;
    size_t first_required, last_required; /* of pinned nodes; n_nodes and 0: none */
    uint64_t n_steps;

    double total; /* the best answer so far */
    size_t last_node, last_round;
    uint32_t last_layers;
};

enum status chain_tables_new(size_t n_nodes, size_t n_rounds, uint32_t n_layers, size_t n_groups,
                             struct chain_tables **ret, struct err *err)
{
    const size_t n_cells = (size_t)n_layers + 1;
    struct chain_tables *t = NULL;
    size_t n_best, n_all;

    if (n_nodes >= UINT16_MAX || n_layers >= UINT16_MAX ||
        !size_mul(n_rounds * n_groups, n_cells, &n_best) || n_best > CELLS_MAX ||
        !size_mul(n_nodes * n_rounds, n_cells, &n_all) || n_all > CELLS_MAX)
        return err_set(err, ST_RANGE, "%zu nodes and %u layers are too many to plan a pipeline",
                       n_nodes, n_layers);
    t = calloc(1, sizeof(*t));
    if (!t)
        return err_set(err, ST_NOMEM, "a plan of %zu nodes", n_nodes);
    t->n_nodes = n_nodes;
    t->n_rounds = n_rounds;
    t->n_groups = n_groups;
    t->n_cells = n_cells;
    t->best = calloc(n_best, sizeof(*t->best));
    t->best_node = calloc(n_best, sizeof(*t->best_node));
    t->before = calloc(n_all, sizeof(*t->before));
    t->taken = calloc(n_all, sizeof(*t->taken));
    t->arrive = calloc(n_cells, sizeof(*t->arrive));
    t->reach = calloc(n_cells, sizeof(*t->reach));
    t->window = calloc(n_cells, sizeof(*t->window));
    if (!t->best || !t->best_node || !t->before || !t->taken || !t->arrive || !t->reach ||
        !t->window) {
        chain_tables_free(t);
        return err_set(err, ST_NOMEM, "a plan of %zu nodes", n_nodes);
    }
    *ret = t;
    return ST_OK;
}

void chain_tables_free(struct chain_tables *t)
{
    if (!t)
        return;
    free(t->best);
    free(t->best_node);
    free(t->before);
    free(t->taken);
    free(t->arrive);
    free(t->reach);
    free(t->window);
    free(t);
}

/* arrive() of one group and one more, the window, the answer, and best[] again. */
enum { STEPS_PER_CELL = 5 };

uint64_t chain_pass_steps(const struct chain_problem *p, size_t n_rounds)
{
    return (uint64_t)p->n_nodes * n_rounds * (p->n_layers + 1) * (p->n_groups + STEPS_PER_CELL);
}

static size_t best_at(const struct chain_tables *t, size_t round, size_t group)
{
    return (round * t->n_groups + group) * t->n_cells;
}

static size_t node_at(const struct pass *a, size_t node, size_t round)
{
    return (node * a->t->n_rounds + round) * a->t->n_cells;
}

/* The most layers of `node` in `role` within memory and the bound on a stage. */
static uint32_t most_layers(const struct pass *a, const struct chain_node *node,
                            enum cost_role role)
{
    const double output_s = role == COST_LAST || role == COST_ONLY ? node->output_s : 0;
    const double room = (a->slowest - output_s) / node->layer_s;
    const uint32_t capacity = node->capacity[role];

    if (!(room >= 1))
        return 0;
    return room < capacity ? (uint32_t)room : capacity;
}

/* May this node be the first of the pipeline, in this round? */
static bool may_be_first(const struct pass *a, size_t k, size_t round)
{
    return round == 0 && a->p->nodes[k].group == a->first_group && k <= a->first_required;
}

/* arrive[l] for l >= 1; arrive[0] is the first node's and has a role of its own. */
static void fill_arrive(struct pass *a, size_t k, size_t round)
{
    struct chain_tables *t = a->t;
    const uint32_t n_layers = a->p->n_layers, group = a->p->nodes[k].group;
    uint16_t *before = t->before + node_at(a, k, round);

    for (uint32_t l = 0; l < n_layers; l++)
        t->arrive[l] = INFINITY;
    if (a->counts && round == 0)
        return;
    for (size_t g = 0; g < t->n_groups; g++) {
        const size_t at = best_at(t, a->counts ? round - 1 : 0, g);
        const double hop = a->p->hop_s[g * t->n_groups + group];

        for (uint32_t l = 1; l < n_layers; l++)
            if (t->best[at + l] + hop < t->arrive[l]) {
                t->arrive[l] = t->best[at + l] + hop;
                before[l] = t->best_node[at + l];
            }
    }
    a->n_steps += (uint64_t)t->n_groups * n_layers;
}

static double key(const struct chain_tables *t, const struct chain_node *node, uint32_t place)
{
    return t->arrive[place] - node->layer_s * place;
}

/* reach[l]: m layers after arrive[l - m], least <= m <= most.  The window
 * holds places l - m by rising arrive[] - layer_s * place: its front is the best. */
static void fill_reach(struct pass *a, size_t k, size_t round)
{
    struct chain_tables *t = a->t;
    const struct chain_node *node = &a->p->nodes[k];
    const uint32_t most = most_layers(a, node, COST_MIDDLE), n_layers = a->p->n_layers;
    uint16_t *taken = t->taken + node_at(a, k, round);
    uint32_t front = 0, end = 0;

    for (uint32_t l = 0; l < n_layers; l++) {
        t->reach[l] = INFINITY;
        if (l > node->least) {
            const uint32_t place = l - node->least;

            while (end > front && key(t, node, t->window[end - 1]) >= key(t, node, place))
                end--;
            t->window[end++] = place;
        }
        while (front < end && t->window[front] + most < l)
            front++;
        if (front < end) {
            t->reach[l] = key(t, node, t->window[front]) + node->layer_s * l;
            taken[l] = (uint16_t)(l - t->window[front]);
        }
    }
    if (may_be_first(a, k, round))
        for (uint32_t l = node->least; l <= most_layers(a, node, COST_FIRST) && l < n_layers; l++)
            if (node->layer_s * l < t->reach[l]) {
                t->reach[l] = node->layer_s * l;
                taken[l] = (uint16_t)l;
            }
    a->n_steps += 3 * (uint64_t)n_layers;
}

static void offer(struct pass *a, double total, size_t k, size_t round, uint32_t n_layers)
{
    if (!(total < a->total))
        return;
    a->total = total;
    a->last_node = k;
    a->last_round = round;
    a->last_layers = n_layers;
}

/* Answers that end at node k. */
static void try_answers(struct pass *a, size_t k, size_t round)
{
    const struct chain_node *node = &a->p->nodes[k];
    const uint32_t n_layers = a->p->n_layers, most = most_layers(a, node, COST_LAST);
    const double end_s =
        node->output_s + a->p->back_s[node->group * a->p->n_groups + a->first_group];

    if (k < a->last_required || (a->counts && round + 1 != a->n_rounds))
        return;
    for (uint32_t m = node->least; m <= most && m < n_layers; m++)
        offer(a, a->t->arrive[n_layers - m] + m * node->layer_s + end_s, k, round, m);
    if (may_be_first(a, k, round) && node->least <= n_layers &&
        most_layers(a, node, COST_ONLY) >= n_layers)
        offer(a, n_layers * node->layer_s + node->output_s, k, round, n_layers);
    a->n_steps += n_layers;
}

/* From now on the node may be the one before: after a pinned one, only it. */
static void remember(struct pass *a, size_t k, size_t round)
{
    struct chain_tables *t = a->t;
    const struct chain_node *node = &a->p->nodes[k];
    const size_t at = best_at(t, round, node->group);

    if (node->is_required)
        for (size_t i = 0; i < t->n_groups * t->n_cells; i++)
            t->best[best_at(t, round, 0) + i] = INFINITY;
    for (uint32_t l = 1; l < a->p->n_layers; l++)
        if (t->reach[l] < t->best[at + l]) {
            t->best[at + l] = t->reach[l];
            t->best_node[at + l] = (uint16_t)k;
        }
    a->n_steps += a->p->n_layers;
}

static void trace(const struct pass *a, struct cost_stage *ret_stages, size_t *ret_n)
{
    const struct chain_tables *t = a->t;
    size_t n = 0, k = a->last_node, round = a->last_round;
    uint32_t m = a->last_layers, l = a->p->n_layers;

    for (;;) {
        ret_stages[n++] = (struct cost_stage){ .node = (uint32_t)k, .n_layers = m };
        l -= m;
        if (l == 0)
            break;
        k = t->before[node_at(a, k, round) + l];
        round -= a->counts;
        m = t->taken[node_at(a, k, round) + l];
    }
    for (size_t i = 0; i < n / 2; i++) {
        const struct cost_stage other = ret_stages[i];

        ret_stages[i] = ret_stages[n - 1 - i];
        ret_stages[n - 1 - i] = other;
    }
    *ret_n = n;
}

double chain_pass(struct chain_tables *t, const struct chain_problem *p, size_t n_stages,
                  uint32_t first, double slowest, struct cost_stage *ret_stages, size_t *ret_n,
                  uint64_t *n_steps)
{
    struct pass a = { .t = t,
                      .p = p,
                      .counts = n_stages > 0,
                      .n_rounds = n_stages > 0 ? n_stages : 1,
                      .first_group = first,
                      .slowest = slowest,
                      .first_required = p->n_nodes,
                      .total = INFINITY };

    for (size_t k = 0; k < p->n_nodes; k++)
        if (p->nodes[k].is_required) {
            a.last_required = k;
            a.first_required = size_min(a.first_required, k);
        }
    for (size_t i = 0; i < a.n_rounds * t->n_groups * t->n_cells; i++)
        t->best[i] = INFINITY;
    for (size_t k = 0; k < p->n_nodes; k++)
        for (size_t round = size_min(a.n_rounds, k + 1); round-- > 0;) {
            fill_arrive(&a, k, round);
            try_answers(&a, k, round);
            fill_reach(&a, k, round);
            remember(&a, k, round);
        }
    *n_steps += a.n_steps;
    if (isfinite(a.total))
        trace(&a, ret_stages, ret_n);
    return a.total;
}
