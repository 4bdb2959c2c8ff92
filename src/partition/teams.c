/* SPDX-License-Identifier: Apache-2.0 */
/* partition/teams.c - a plan of parts, some of which split their layers.
 *
 * Each part must hold its share of the weights with KV for one whole context; the pool is then
 * as large as the tightest node allows.  Heads are dealt whole (contract/portion.h), and how
 * many a model has is an estimate here, so keys and values are counted rounded up.
 */
#include <math.h>
#include <string.h>

#include "contract/portion.h"
#include "partition/partition.h"
#include "partition/saturate.h"
#include "partition/shape.h"
#include "partition/split.h"

static const double GB = 1e9;

struct teams_task {
    struct split_task split;
    const struct node_set *nodes;
    const struct partition_part *parts;
    struct plan *plan; /* its shards have their layers and shares */
    double n_kv_heads;
};

static uint64_t part_of(uint64_t bytes, double fraction)
{
    return fraction < 1 ? (uint64_t)((double)bytes * fraction) : bytes;
}

/* The embedding is whole on every member of the first team. */
static uint64_t weight_bytes(const struct teams_task *t, size_t i)
{
    const struct model_info *model = t->split.model;
    const struct partition_part *part = &t->parts[i];
    const bool is_last = part->first_layer + part->n_layers == model->n_layer;
    const uint64_t cut = saturate_add(saturate_mul(part->n_layers, model->layer_bytes),
                                      is_last ? model->output_bytes : 0);
    uint64_t bytes = saturate_add(part_of(cut, plan_fraction(t->plan, i)),
                                  part->first_layer == 0 ? model->embedding_bytes : 0);

    if (model->file_bytes > 0 && bytes > model->file_bytes)
        bytes = model->file_bytes;
    return saturate_add(bytes, i + 1 == t->plan->n_shards ? t->split.draft_bytes : 0);
}

static uint64_t kv_bytes_per_token(const struct teams_task *t, size_t i)
{
    const double heads = ceil(plan_fraction(t->plan, i) * t->n_kv_heads) / t->n_kv_heads;
    const uint64_t all = saturate_mul(t->parts[i].n_layers, split_kv_bytes_per_token(&t->split));

    return part_of(all, heads);
}

/* Tokens that node `i` has room for; UINT64_MAX: no bound. */
static uint64_t room_tokens(const struct teams_task *t, size_t i)
{
    const uint64_t free_bytes = node_free_bytes(&t->nodes->nodes[i]);
    const uint64_t weights = weight_bytes(t, i), per_token = kv_bytes_per_token(t, i);

    if (weights > free_bytes)
        return 0;
    return per_token > 0 ? (free_bytes - weights) / per_token : UINT64_MAX;
}

/* The pool, once every node holds its part. */
static enum status size_pool(const struct teams_task *t, struct err *err)
{
    const struct split_task *split = &t->split;
    uint64_t tokens = split->wanted_tokens;

    for (size_t i = 0; i < t->plan->n_shards; i++) {
        const uint64_t room = room_tokens(t, i);
        const uint64_t needed = saturate_add(
            weight_bytes(t, i), saturate_mul(kv_bytes_per_token(t, i), split->least_tokens));

        if (room < split->least_tokens)
            return err_set(err, ST_FULL,
                           "node '%s' needs %.2f GB for its part of '%s' with one context of %u "
                           "tokens, and has %.2f GB left",
                           t->nodes->nodes[i].name, (double)needed / GB, split->model->name,
                           split->context_tokens,
                           (double)node_free_bytes(&t->nodes->nodes[i]) / GB);
        tokens = room < tokens ? room : tokens;
    }
    tokens = split_pool_round(tokens);
    t->plan->kv_tokens = tokens > split->least_tokens ? tokens : split->least_tokens;
    return ST_OK;
}

static enum status take_parts(const struct teams_task *t, struct err *err)
{
    struct plan *plan = t->plan;
    uint64_t n_layers;
    enum status s;

    if (t->nodes->n_nodes > PLAN_SHARDS_MAX)
        return err_set(err, ST_RANGE, "an instance of %zu nodes, at most %d are possible",
                       t->nodes->n_nodes, PLAN_SHARDS_MAX);
    plan->n_shards = t->nodes->n_nodes;
    for (size_t i = 0; i < plan->n_shards; i++) {
        memcpy(plan->shards[i].node, t->nodes->nodes[i].name, sizeof(plan->shards[i].node));
        plan->shards[i].first_layer = t->parts[i].first_layer;
        plan->shards[i].n_layers = t->parts[i].n_layers;
        plan->shards[i].share = t->parts[i].share;
    }
    s = plan_check(plan, &n_layers, err);
    if (s == ST_OK && n_layers == t->split.model->n_layer)
        return ST_OK;
    return err_set(err, ST_RANGE,
                   "the parts do not cover the %u layers of '%s', or have a share "
                   "beyond %d",
                   t->split.model->n_layer, t->split.model->name, PORTION_SHARE_MAX);
}

enum status partition_teams(const struct model_info *model, const struct node_set *nodes,
                            const struct partition_part *parts,
                            const struct partition_options *options, struct plan *ret_plan,
                            struct err *err)
{
    struct plan plan = { 0 };
    struct teams_task t = { .nodes = nodes, .parts = parts, .plan = &plan };
    struct plan_shape shape;
    enum status s = split_task_init(&t.split, model, options, err);

    if (s != ST_OK)
        return s;
    plan_shape_of(model, &shape);
    t.n_kv_heads = shape.n_kv_heads;
    s = take_parts(&t, err);
    if (s == ST_OK)
        s = size_pool(&t, err);
    if (s != ST_OK)
        return s;
    memcpy(plan.model, model->name, sizeof(plan.model));
    if (options->draft)
        memcpy(plan.draft, options->draft->name, sizeof(plan.draft));
    plan.context_tokens = t.split.context_tokens;
    plan.kv_format = t.split.kv_format;
    for (size_t i = 0; i < plan.n_shards; i++) {
        plan.shards[i].weight_bytes = weight_bytes(&t, i);
        plan.shards[i].kv_bytes = saturate_mul(kv_bytes_per_token(&t, i), plan.kv_tokens);
    }
    *ret_plan = plan;
    return ST_OK;
}
