/* SPDX-License-Identifier: Apache-2.0 */
/* flow/planning.c - ask the planner about the nodes of the running cluster. */
#include "flow/planning.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "flow/placement.h"

static void take_nodes(struct planning *p, const struct node_set *nodes,
                       const struct place_request *request)
{
    const bool is_split =
        request && request->n_split == nodes->n_nodes && !placement_asks_for_team(request);

    for (size_t i = 0; i < nodes->n_nodes; i++) {
        const struct node_view *from = &nodes->nodes[i];
        struct cost_node *to = &p->nodes[i];

        memcpy(to->name, from->name, sizeof(to->name));
        if (from->memory_bytes > from->memory_used_bytes)
            to->memory_bytes = from->memory_bytes - from->memory_used_bytes;
        to->speed = from->speed;
        cost_complete(&to->speed);
        to->machine = from->machine;
        cost_complete(&to->machine.speed);
        to->most_layers = UINT32_MAX;
        if (request && request->n_nodes > 0)
            to->least_layers = 1;
        if (is_split)
            to->least_layers = to->most_layers = request->split[i];
    }
    p->cluster = (struct cost_cluster){ .nodes = p->nodes, .n_nodes = nodes->n_nodes };
}

static size_t index_of(const struct planning *p, const char *name)
{
    size_t i = 0;

    while (i < p->cluster.n_nodes && strcmp(p->nodes[i].name, name) != 0)
        i++;
    return i;
}

static int by_nodes(const void *a, const void *b)
{
    const struct cost_pair *x = a, *y = b;

    if (x->a != y->a)
        return x->a < y->a ? -1 : 1;
    return (x->b > y->b) - (x->b < y->b);
}

/* Both ends measured a pair, each its way out; the slower counts, as a ring uses either. */
static size_t merge_pairs(struct cost_pair *pairs, size_t n)
{
    size_t n_kept = 0;

    qsort(pairs, n, sizeof(*pairs), by_nodes);
    for (size_t i = 0; i < n; i++) {
        struct cost_pair *last = n_kept > 0 ? &pairs[n_kept - 1] : NULL;

        if (!last || by_nodes(last, &pairs[i]) != 0) {
            pairs[n_kept++] = pairs[i];
            continue;
        }
        last->latency_s = fmax(last->latency_s, pairs[i].latency_s);
        last->bytes_per_s = fmin(last->bytes_per_s, pairs[i].bytes_per_s);
    }
    return n_kept;
}

/* The best link of each pair of nodes, as the planner wants them. */
static enum status take_links(struct planning *p, const struct cluster *cluster,
                              struct api_error *e)
{
    struct cluster_link *links;
    const size_t n = cluster_links(cluster, &links);

    if (n == 0)
        return ST_OK;
    p->pairs = calloc(n, sizeof(*p->pairs));
    if (!p->pairs) {
        free(links);
        (void)api_error_set(e, API_OVERLOADED, NULL, "There is no memory for this request.");
        return ST_NOMEM;
    }
    for (size_t i = 0; i < n; i++) {
        const size_t a = index_of(p, links[i].from), b = index_of(p, links[i].to);

        if (!links[i].is_best || a == p->cluster.n_nodes || b == p->cluster.n_nodes)
            continue;
        p->pairs[p->cluster.n_pairs++] =
            (struct cost_pair){ (uint32_t)(a < b ? a : b), (uint32_t)(a < b ? b : a),
                                links[i].latency_s, links[i].bytes_per_s };
    }
    free(links);
    p->cluster.n_pairs = merge_pairs(p->pairs, p->cluster.n_pairs);
    p->cluster.pairs = p->pairs;
    return ST_OK;
}

static enum status take_request(struct planning *p, const struct place_request *request,
                                struct api_error *e)
{
    struct err err = { 0 };
    enum status s;

    if (!request)
        return ST_OK;
    p->workload.streams = request->streams;
    p->workload.context_tokens = request->context_tokens;
    p->workload.prompt_tokens = request->prompt_tokens;
    if (request->has_kv_format)
        p->workload.kv_format = request->kv_format;
    p->workload.sums = request->sums;
    s = overrides_parse(request->overrides, &p->overrides, &err);
    if (s == ST_OK)
        s = overrides_apply(&p->overrides, p->nodes, p->cluster.n_nodes, &err);
    if (s != ST_OK)
        (void)api_error_set(e, API_INVALID_VALUE, "overrides", "%s", err.words);
    return s;
}

/* As partition_plan() counts it. */
static uint64_t draft_bytes(const struct model_info *draft, uint32_t context_tokens)
{
    return draft->file_bytes + draft->n_layer * draft->kv_bytes_per_token * PLAN_DRAFT_CONTEXTS *
                                   (uint64_t)context_tokens;
}

enum status planning_new(const struct cluster *cluster, const struct model_info *model,
                         const struct node_set *nodes, const struct place_request *request,
                         enum kv_format kv_format, const struct model_info *draft,
                         struct planning **ret, struct api_error *e)
{
    struct planning *p = calloc(1, sizeof(*p));
    struct err err = { 0 };
    enum status s;

    if (!p) {
        (void)api_error_set(e, API_OVERLOADED, NULL, "There is no memory for this request.");
        return ST_NOMEM;
    }
    p->workload.kv_format = kv_format;
    plan_shape_of(model, &p->shape);
    take_nodes(p, nodes, request);
    s = take_links(p, cluster, e);
    if (s == ST_OK)
        s = take_request(p, request, e);
    if (s != ST_OK)
        goto out;
    s = planner_workload(&p->shape, &p->workload, &err);
    if (s == ST_OK && draft)
        p->workload.draft_bytes = draft_bytes(draft, p->workload.context_tokens);
    p->input = (struct planner_input){ &p->cluster, &p->shape, &p->workload, p->overrides.strategy,
                                       p->overrides.team_size };
    if (s == ST_OK)
        s = planner_run(&p->input, &p->report, &err);
    if (s == ST_NOMEM)
        (void)api_error_set(e, API_OVERLOADED, NULL, "%s", err.words);
    else if (s != ST_OK)
        (void)api_error_set(e, API_INVALID_VALUE,
                            p->overrides.strategy[0] ? "overrides" : "context", "%s", err.words);
out:
    if (s == ST_OK)
        *ret = p;
    else
        planning_free(p);
    return s;
}

void planning_free(struct planning *planning)
{
    if (!planning)
        return;
    planner_release(&planning->report);
    free(planning->pairs);
    free(planning);
}

/* The nodes of the plan alone, in its order, empty.  False: one is not there. */
static bool take_placed(struct planning *p, const struct node_set *nodes, const struct plan *plan)
{
    struct node_set *placed = calloc(1, sizeof(*placed));

    for (size_t i = 0; placed && i < plan->n_shards; i++)
        for (size_t k = 0; k < nodes->n_nodes; k++)
            if (strcmp(nodes->nodes[k].name, plan->shards[i].node) == 0) {
                placed->nodes[placed->n_nodes] = nodes->nodes[k];
                placed->nodes[placed->n_nodes++].memory_used_bytes = 0;
                break;
            }
    if (placed && placed->n_nodes == plan->n_shards)
        take_nodes(p, placed, NULL);
    free(placed);
    return p->cluster.n_nodes == plan->n_shards;
}

static double predict_stages(const struct planning *p, const struct plan *plan)
{
    struct cost_stage stages[PLAN_SHARDS_MAX];
    struct plan_prediction prediction;

    for (size_t i = 0; i < plan->n_shards; i++)
        stages[i] = (struct cost_stage){ (uint32_t)i, plan->shards[i].n_layers };
    cost_predict(&p->cluster, &p->shape, &p->workload, stages, plan->n_shards, &prediction);
    return prediction.tokens_per_s_one;
}

static double predict_teams(struct planning *p, const struct plan *plan)
{
    const struct plan_option *chosen = NULL;
    uint32_t size = 1; /* of the first team, which only the last one may be smaller than */

    while (size < plan->n_shards && plan_is_same_team(plan, size))
        size++;
    p->input = (struct planner_input){ &p->cluster, &p->shape, &p->workload,
                                       placement_strategy(plan), size };
    if (planner_run(&p->input, &p->report, NULL) == ST_OK)
        chosen = planner_chosen(&p->report);
    return chosen ? chosen->prediction.tokens_per_s_one : (double)NAN;
}

double planning_predict(const struct cluster *cluster, const struct model_info *model,
                        const struct node_set *nodes, const struct plan *plan)
{
    struct planning *p = calloc(1, sizeof(*p));
    struct api_error ignored;
    double tokens_per_s = (double)NAN;

    if (!p)
        return tokens_per_s;
    p->workload = (struct plan_workload){ .kv_format = plan->kv_format,
                                          .sums = plan->sums,
                                          .context_tokens = plan->context_tokens };
    plan_shape_of(model, &p->shape);
    if (take_placed(p, nodes, plan) && take_links(p, cluster, &ignored) == ST_OK &&
        planner_workload(&p->shape, &p->workload, NULL) == ST_OK)
        tokens_per_s = plan_has_teams(plan) ? predict_teams(p, plan) : predict_stages(p, plan);
    planning_free(p);
    return tokens_per_s;
}

/* Shares are whole numbers: of the heads that the planner dealt. */
bool planning_teams(const struct planning *planning, const struct node_set *nodes,
                    struct node_set *ret_nodes, struct partition_part *ret_parts)
{
    const struct plan_option *chosen = planner_chosen(&planning->report);

    if (!chosen || !chosen->has_teams)
        return false;
    ret_nodes->n_nodes = 0;
    for (size_t i = 0; i < chosen->n_parts; i++) {
        const struct plan_part *part = &chosen->parts[i];
        const bool is_alone = !(part->share < 1);

        ret_parts[i] = (struct partition_part){
            .first_layer = part->first_layer,
            .n_layers = part->n_layers,
            .share = is_alone ? 0 : (uint32_t)lround(part->share * planning->shape.n_kv_heads),
        };
        ret_nodes->nodes[ret_nodes->n_nodes++] = nodes->nodes[part->node];
    }
    return true;
}

bool planning_split(const struct planning *planning, const struct node_set *nodes,
                    struct node_set *ret_nodes, uint32_t *ret_layers)
{
    const struct plan_option *chosen = planner_chosen(&planning->report);

    ret_nodes->n_nodes = 0;
    for (size_t i = 0; chosen && i < chosen->n_parts; i++)
        if (chosen->parts[i].group == 0) {
            ret_layers[ret_nodes->n_nodes] = chosen->parts[i].n_layers;
            ret_nodes->nodes[ret_nodes->n_nodes++] = nodes->nodes[chosen->parts[i].node];
        }
    return ret_nodes->n_nodes > 0;
}
