/* SPDX-License-Identifier: Apache-2.0 */
/* flow/placement.c - from a model to a plan: what requests and the admin API share. */
#include "flow/placement.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "flow/planning.h"
#include "partition/partition.h"
#include "select/select.h"

enum status placement_nodes(struct service *service, const struct model_info *model,
                            const struct place_request *request, struct node_set *ret_nodes,
                            struct api_error *e)
{
    const char *names[NODES_MAX];
    struct select_options options = { 0 };
    struct node_set *all = calloc(1, sizeof(*all));
    struct err err = { 0 };
    enum status s;

    if (!all)
        return api_error_set(e, API_OVERLOADED, NULL, "There is no memory for this request.");
    if (request && request->n_nodes > 0) {
        for (size_t i = 0; i < request->n_nodes; i++)
            names[i] = request->nodes[i];
        options = (struct select_options){ names, request->n_nodes };
    }
    cluster_nodes(service->cluster, model->name, all);
    s = select_nodes(model, all, &options, ret_nodes, &err);
    free(all);
    if (s == ST_OK)
        return ST_OK;
    if (options.n_nodes > 0)
        (void)api_error_set(e, API_INVALID_VALUE, "nodes", "%s", err.words);
    else
        (void)api_error_set(e, API_NO_NODES, NULL, "%s", err.words);
    return s;
}

/* The model that guesses for `model`, as a node of the cluster holds it. */
static enum status find_draft(struct service *service, const struct model_info *model,
                              const char *name, struct model_info *ret_draft, struct api_error *e)
{
    if (!service_find_model(service, name, ret_draft))
        return api_error_set(e, API_INVALID_VALUE, "draft", "No node of the cluster holds '%s'.",
                             name);
    if (ret_draft->n_vocab != model->n_vocab)
        return api_error_set(e, API_INVALID_VALUE, "draft",
                             "'%s' has %u tokens and '%s' has %u: not one vocabulary.", name,
                             ret_draft->n_vocab, model->name, model->n_vocab);
    return ST_OK;
}

/* Why the planner chose nothing that was pinned: the words of the strategy asked for, else of
 * pipeline, which has a plan whenever any pipeline has. */
static enum status no_choice(const struct planning *planning, struct api_error *e)
{
    const char *name = planning->overrides.strategy[0] ? planning->overrides.strategy : "pipeline";

    for (size_t i = 0; i < planning->report.n_options; i++) {
        const struct plan_option *o = &planning->report.options[i];

        if (strcmp(o->strategy, name) == 0)
            (void)api_error_set(e, API_OVERLOADED, "overrides", "%s: %s.", name,
                                o->is_possible && o->blocker ? o->blocker : o->reason);
    }
    return ST_FULL;
}

/* What runs where: layers of each node, or parts of teams. */
struct layout {
    enum { LAYOUT_NONE, LAYOUT_LAYERS, LAYOUT_TEAMS } kind;
    struct node_set nodes;
    uint32_t layers[NODES_MAX];
    struct partition_part parts[NODES_MAX];
};

/* Nodes and layers as the planner chooses them; LAYOUT_NONE leaves
 * the choice to partition_plan(), whose words say what is missing. */
static enum status choose(struct service *service, const struct model_info *model,
                          const struct node_set *nodes, const struct place_request *request,
                          const struct partition_options *options, struct layout *ret,
                          struct api_error *e)
{
    struct planning *planning = NULL;
    enum status s = planning_new(service->cluster, model, nodes, request, options->kv_format,
                                 options->draft, &planning, e);

    if (s != ST_OK)
        return s;
    if (planning_teams(planning, nodes, &ret->nodes, ret->parts))
        ret->kind = LAYOUT_TEAMS;
    else if (planning_split(planning, nodes, &ret->nodes, ret->layers))
        ret->kind = LAYOUT_LAYERS;
    else if (planning->overrides.n_pins > 0 || planning->overrides.strategy[0])
        s = no_choice(planning, e);
    planning_free(planning);
    return s;
}

const char *placement_strategy(const struct plan *plan)
{
    const struct plan_shard *first = &plan->shards[0], *last = &plan->shards[plan->n_shards - 1];

    if (!plan_has_teams(plan))
        return "";
    return first->n_layers == last->n_layers && first->first_layer == last->first_layer ? "tensor"
                                                                                        : "hybrid";
}

void placement_ask_for(const char *strategy, struct place_request *request)
{
    if (strategy[0])
        (void)snprintf(request->overrides, sizeof(request->overrides), "strategy=%s", strategy);
}

bool placement_asks_for_team(const struct place_request *request)
{
    struct plan_overrides overrides;

    return request->n_split > 0 && overrides_parse(request->overrides, &overrides, NULL) == ST_OK &&
           strcmp(overrides.strategy, "tensor") == 0;
}

/* All nodes are one team, and the split is their shares. */
static enum status take_shares(const struct model_info *model, const struct node_set *nodes,
                               const struct place_request *request, struct layout *ret,
                               struct api_error *e)
{
    if (request->n_split != nodes->n_nodes)
        return api_error_set(e, API_INVALID_VALUE, "split",
                             "The split has %zu shares for %zu nodes: name the nodes.",
                             request->n_split, nodes->n_nodes);
    ret->kind = LAYOUT_TEAMS;
    ret->nodes = *nodes;
    for (size_t i = 0; i < nodes->n_nodes; i++)
        ret->parts[i] =
            (struct partition_part){ .n_layers = model->n_layer, .share = request->split[i] };
    return ST_OK;
}

static enum status plan_layout(const struct model_info *model, const struct node_set *nodes,
                               const struct layout *layout, struct partition_options *options,
                               struct plan *ret_plan, struct err *err)
{
    if (layout->kind == LAYOUT_TEAMS)
        return partition_teams(model, &layout->nodes, layout->parts, options, ret_plan, err);
    if (layout->kind == LAYOUT_LAYERS) {
        options->split = layout->layers;
        options->n_split = layout->nodes.n_nodes;
        nodes = &layout->nodes;
    }
    return partition_plan(model, nodes, options, ret_plan, err);
}

static enum status make_plan(struct service *service, const struct model_info *model,
                             const struct node_set *nodes, const struct place_request *request,
                             struct partition_options *options, struct plan *ret_plan,
                             struct api_error *e)
{
    struct layout *layout = calloc(1, sizeof(*layout));
    struct err err = { 0 };
    enum status s = ST_OK;

    if (!layout)
        return api_error_set(e, API_OVERLOADED, NULL, "There is no memory for this request.");
    if (request && placement_asks_for_team(request))
        s = take_shares(model, nodes, request, layout, e);
    else if (!options->split)
        s = choose(service, model, nodes, request, options, layout, e);
    if (s != ST_OK)
        goto out;
    s = plan_layout(model, nodes, layout, options, ret_plan, &err);
    if (s == ST_RANGE)
        (void)api_error_set(e, API_INVALID_VALUE, options->n_split > 0 ? "split" : "context", "%s",
                            err.words);
    else if (s != ST_OK)
        (void)api_error_set(e, API_OVERLOADED, NULL, "%s", err.words);
out:
    free(layout);
    return s;
}

static void leave_out(struct node_set *nodes, const char *name)
{
    size_t n_kept = 0;

    for (size_t i = 0; i < nodes->n_nodes; i++)
        if (strcmp(nodes->nodes[i].name, name) != 0)
            nodes->nodes[n_kept++] = nodes->nodes[i];
    nodes->n_nodes = n_kept;
}

/* Of two nodes that do not reach each other the one with less of the model is left out, and the
 * plan is made again.  Who names nodes may know that they do again. */
static enum status make_connected_plan(struct service *service, const struct model_info *model,
                                       const struct node_set *nodes,
                                       const struct place_request *request,
                                       struct partition_options *options, struct plan *ret_plan,
                                       struct api_error *e)
{
    const struct partition_options asked = *options; /* a plan's layout is left in it */
    struct node_set *kept = calloc(1, sizeof(*kept));
    enum status s;
    size_t a, b;

    if (!kept)
        return api_error_set(e, API_OVERLOADED, NULL, "There is no memory for this request.");
    *kept = *nodes;
    while ((s = make_plan(service, model, kept, request, options, ret_plan, e)) == ST_OK &&
           !options->uses_all_nodes && cluster_cut_pair(service->cluster, ret_plan, &a, &b)) {
        const struct plan_shard *x = &ret_plan->shards[a], *y = &ret_plan->shards[b];

        leave_out(kept, x->weight_bytes < y->weight_bytes ? x->node : y->node);
        *options = asked;
    }
    free(kept);
    return s;
}

enum status placement_draft(struct service *service, const struct model_info *model,
                            const struct place_request *request, struct model_info *ret_draft,
                            bool *ret_has_draft, struct api_error *e)
{
    *ret_has_draft = request && request->draft[0];
    return *ret_has_draft ? find_draft(service, model, request->draft, ret_draft, e) : ST_OK;
}

enum status placement_plan(struct service *service, const struct model_info *model,
                           const struct node_set *nodes, const struct place_request *request,
                           struct plan *ret_plan, struct api_error *e)
{
    struct partition_options options = { .kv_format = service->kv_format };
    struct model_info draft;
    bool has_draft;
    enum status s = placement_draft(service, model, request, &draft, &has_draft, e);

    if (s != ST_OK)
        return s;
    if (has_draft)
        options.draft = &draft;
    if (request) {
        options.split = request->n_split > 0 ? request->split : NULL;
        options.n_split = request->n_split;
        options.uses_all_nodes = request->n_nodes > 0;
        options.context_tokens = request->context_tokens;
        options.n_sequences = request->streams;
        if (request->has_kv_format)
            options.kv_format = request->kv_format;
    }
    s = make_connected_plan(service, model, nodes, request, &options, ret_plan, e);
    if (s != ST_OK)
        return s;
    ret_plan->activations =
        request && request->has_activations ? request->activations : service->activations;
    ret_plan->transport = request ? request->transport : TRANSPORT_TCP;
    ret_plan->sums = request ? request->sums : SUM_F32;
    return ST_OK;
}

bool placement_join(struct service *service, const struct model_info *model,
                    const struct place_request *request, struct plan *ret_plan)
{
    struct cluster_instance *instances;
    const size_t n = service_instances(service, &instances);
    bool found = false;

    for (size_t i = 0; i < n && !found; i++) {
        found = strcmp(instances[i].view.model, model->name) == 0 &&
                (!request || (instances[i].plan.kv_format == request->kv_format &&
                              instances[i].plan.activations == request->activations &&
                              instances[i].plan.sums == request->sums));
        if (found)
            *ret_plan = instances[i].plan;
    }
    free(instances);
    return found;
}

void placement_error(const struct err *failure, struct api_error *ret)
{
    enum api_error_kind kind = API_INTERNAL;

    if (failure->status == ST_PEER || failure->status == ST_DEADLINE)
        kind = API_UPSTREAM;
    if (failure->status == ST_NOTFOUND)
        kind = API_NO_NODES;
    if (failure->status == ST_FULL || failure->status == ST_NOMEM)
        kind = API_OVERLOADED;
    (void)api_error_set(ret, kind, NULL, "The model could not be placed: %s", failure->words);
}

static void on_placed_early(void *arg, bool done, const struct cluster_instance *instance,
                            const struct err *failure)
{
    (void)arg;
    if (done && !instance)
        log_with(LOG_ERROR, "the model could not be placed", log_text("error", failure->words));
}

enum status service_place(struct service *service, const char *name, struct err *err)
{
    struct plan *plan = calloc(1, sizeof(*plan));
    struct node_set *nodes = calloc(1, sizeof(*nodes));
    const struct place_order order = { plan, PLACE_NEEDED };
    struct model_info model;
    struct api_error e;
    uint64_t ticket;
    enum status s = ST_OK;

    if (!plan || !nodes)
        s = err_set(err, ST_NOMEM, "a plan for '%s'", name);
    else if (!service_find_model(service, name, &model))
        s = err_set(err, ST_NOTFOUND, "no node of the cluster holds '%s'", name);
    if (s == ST_OK) {
        s = placement_nodes(service, &model, NULL, nodes, &e);
        if (s == ST_OK)
            s = placement_plan(service, &model, nodes, NULL, plan, &e);
        if (s != ST_OK)
            (void)err_set(err, s, "%s", e.message);
    }
    if (s == ST_OK)
        s = cluster_place(service->cluster, &order, on_placed_early, NULL, &ticket, err);
    free(nodes);
    free(plan);
    return s;
}
