/* SPDX-License-Identifier: Apache-2.0 */
/* flow/planning.c - ask the planner about the nodes of the running cluster. */
#include "flow/planning.h"

#include <stdlib.h>
#include <string.h>

static void take_nodes(struct planning *p, const struct node_set *nodes,
                       const struct place_request *request)
{
    const bool is_split = request && request->n_split == nodes->n_nodes;

    for (size_t i = 0; i < nodes->n_nodes; i++) {
        const struct node_view *from = &nodes->nodes[i];
        struct cost_node *to = &p->nodes[i];

        memcpy(to->name, from->name, sizeof(to->name));
        if (from->memory_bytes > from->memory_used_bytes)
            to->memory_bytes = from->memory_bytes - from->memory_used_bytes;
        to->speed = from->speed;
        cost_complete(&to->speed);
        to->most_layers = UINT32_MAX;
        if (request && request->n_nodes > 0)
            to->least_layers = 1;
        if (is_split)
            to->least_layers = to->most_layers = request->split[i];
    }
    p->cluster = (struct cost_cluster){ .nodes = p->nodes, .n_nodes = nodes->n_nodes };
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

enum status planning_new(const struct model_info *model, const struct node_set *nodes,
                         const struct place_request *request, enum kv_format kv_format,
                         const struct model_info *draft, struct planning **ret, struct api_error *e)
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
    s = take_request(p, request, e);
    if (s != ST_OK)
        goto out;
    s = planner_workload(&p->shape, &p->workload, &err);
    if (s == ST_OK && draft)
        p->workload.draft_bytes = draft_bytes(draft, p->workload.context_tokens);
    p->input =
        (struct planner_input){ &p->cluster, &p->shape, &p->workload, p->overrides.strategy };
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
    if (planning)
        planner_release(&planning->report);
    free(planning);
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
