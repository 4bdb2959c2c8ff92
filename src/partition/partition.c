/* SPDX-License-Identifier: Apache-2.0 */
/* partition/partition.c - choose how many nodes, cut the layers, size the KV pool.
 *
 *   options -> task (what one shard costs) -> nodes, fewest first -> layers -> plan
 *
 * A cut is right when its layers add up to the model's, each node has at
 * least one, and none is over its memory with KV for one whole context.  The
 * pool is then made as large as the tightest node allows, up to what was
 * wanted.  How layers are cut is split.c.
 */
#include "partition/partition.h"

#include <stdio.h>
#include <string.h>

#include "base/size.h"
#include "partition/split.h"

enum {
    CONTEXT_DEFAULT_TOKENS = 8192,
    SEQUENCES_DEFAULT = 16,
    SEQUENCES_MAX = 4096,
    /* The pool is handed out in pages; a multiple of every page size in use
     * leaves none of it unused. */
    POOL_UNIT_TOKENS = 64,
};

static const double GIB = 1024.0 * 1024.0 * 1024.0;

uint64_t split_pool_round(uint64_t tokens)
{
    return tokens / POOL_UNIT_TOKENS * POOL_UNIT_TOKENS;
}

static uint64_t pool_of_one_context(uint32_t context_tokens)
{
    return split_pool_round((uint64_t)context_tokens + POOL_UNIT_TOKENS - 1);
}

enum status split_task_init(struct split_task *task, const struct model_info *model,
                            const struct partition_options *options, struct err *err)
{
    const uint32_t trained = model->context_tokens;
    uint32_t context = options->context_tokens;
    uint32_t n_sequences = options->n_sequences ? options->n_sequences : SEQUENCES_DEFAULT;
    uint32_t least = options->least_sequences ? options->least_sequences : 1;

    if (model->n_layer == 0 || model->layer_bytes == 0 || trained == 0)
        return err_set(err, ST_RANGE, "'%s' says nothing of its layers or context", model->name);
    if (context > trained)
        return err_set(err, ST_RANGE, "'%s' was trained for %u tokens of context, %u are asked",
                       model->name, trained, context);
    if (context == 0)
        context = trained < CONTEXT_DEFAULT_TOKENS ? trained : CONTEXT_DEFAULT_TOKENS;
    if (n_sequences > SEQUENCES_MAX)
        n_sequences = SEQUENCES_MAX;
    if (least > SEQUENCES_MAX)
        least = SEQUENCES_MAX;
    if (n_sequences < least)
        n_sequences = least;

    task->model = model;
    task->context_tokens = context;
    task->kv_format = options->kv_format;
    task->draft_bytes = options->draft ? split_draft_bytes(options->draft, context) : 0;
    task->least_tokens = pool_of_one_context(context) * least;
    task->wanted_tokens = pool_of_one_context(context) * n_sequences;
    return ST_OK;
}

static void take(const struct node_set *all, const bool *is_taken, struct node_set *ret_nodes)
{
    ret_nodes->n_nodes = 0;
    for (size_t i = 0; i < all->n_nodes; i++)
        if (is_taken[i])
            ret_nodes->nodes[ret_nodes->n_nodes++] = all->nodes[i];
}

static double rank_by_score(const struct node_view *node)
{
    return node->score;
}

static double rank_by_memory(const struct node_view *node)
{
    return (double)node_free_bytes(node);
}

/* The k nodes that rank highest, in the order of `all`; the earlier of equals. */
static void take_highest(const struct node_set *all, size_t k,
                         double (*rank)(const struct node_view *), struct node_set *ret_nodes)
{
    bool is_taken[NODES_MAX] = { false };

    for (size_t n = 0; n < k; n++) {
        size_t best = all->n_nodes;

        for (size_t i = 0; i < all->n_nodes; i++)
            if (!is_taken[i] &&
                (best == all->n_nodes || rank(&all->nodes[i]) > rank(&all->nodes[best])))
                best = i;
        is_taken[best] = true;
    }
    take(all, is_taken, ret_nodes);
}

/* The words of ST_FULL: what is missing and who has how much. */
static enum status tell_full(const struct split_task *task, const struct node_set *nodes,
                             struct err *err)
{
    const uint64_t needed = split_needed_bytes(task);
    char list[256] = "";
    double available = 0;
    size_t len = 0;

    for (size_t i = 0; i < nodes->n_nodes; i++) {
        const double free_gib = (double)node_free_bytes(&nodes->nodes[i]) / GIB;

        available += free_gib;
        if (len < sizeof(list))
            len += (size_t)snprintf(list + len, sizeof(list) - len, "%s'%s' %.2f", len ? ", " : "",
                                    nodes->nodes[i].name, free_gib);
    }
    return err_set(
        err, ST_FULL,
        "'%s' needs %.2f GiB with one context of %u tokens, in whole layers of %.2f GiB; "
        "the nodes have %.2f GiB left (%s)",
        task->model->name, (double)needed / GIB, task->context_tokens,
        (double)split_layer_bytes(task) / GIB, available, list);
}

/* As few nodes as hold the model.  Scores decide among equals in number; if
 * the highest scored are too small, the largest may still do. */
static enum status choose_fewest(const struct split_task *task, const struct node_set *all,
                                 struct node_set *ret_nodes, uint32_t *ret_layers, struct err *err)
{
    const size_t most = size_min(all->n_nodes, task->model->n_layer);

    for (size_t k = 1; k <= most; k++) {
        take_highest(all, k, rank_by_score, ret_nodes);
        if (split_by_memory(task, ret_nodes, ret_layers))
            return ST_OK;
        take_highest(all, k, rank_by_memory, ret_nodes);
        if (split_by_memory(task, ret_nodes, ret_layers))
            return ST_OK;
    }
    return tell_full(task, all, err);
}

static enum status check_split(const struct model_info *model, const struct node_set *nodes,
                               const struct partition_options *options, struct err *err)
{
    uint64_t sum = 0;

    if (options->n_split != nodes->n_nodes)
        return err_set(err, ST_RANGE, "the split names %zu parts for %zu nodes", options->n_split,
                       nodes->n_nodes);
    for (size_t i = 0; i < options->n_split; i++) {
        if (options->split[i] == 0)
            return err_set(err, ST_RANGE, "the split gives node '%s' no layer",
                           nodes->nodes[i].name);
        sum += options->split[i];
    }
    if (sum != model->n_layer)
        return err_set(err, ST_RANGE, "the split adds up to %llu layers, '%s' has %u",
                       (unsigned long long)sum, model->name, model->n_layer);
    return ST_OK;
}

static enum status choose_split(const struct split_task *task, const struct node_set *nodes,
                                const struct partition_options *options, uint32_t *ret_layers,
                                struct err *err)
{
    const enum status s = check_split(task->model, nodes, options, err);

    if (s != ST_OK)
        return s;
    for (size_t i = 0; i < nodes->n_nodes; i++) {
        ret_layers[i] = options->split[i];
        if (options->split[i] > split_capacity(task, nodes, i))
            return tell_full(task, nodes, err);
    }
    return ST_OK;
}

static enum status choose(const struct split_task *task, const struct node_set *nodes,
                          const struct partition_options *options, struct node_set *ret_nodes,
                          uint32_t *ret_layers, struct err *err)
{
    if (!options->split && !options->uses_all_nodes)
        return choose_fewest(task, nodes, ret_nodes, ret_layers, err);
    *ret_nodes = *nodes;
    if (options->split)
        return choose_split(task, nodes, options, ret_layers, err);
    if (nodes->n_nodes > task->model->n_layer)
        return err_set(err, ST_RANGE, "'%s' has %u layers, fewer than the %zu nodes named",
                       task->model->name, task->model->n_layer, nodes->n_nodes);
    return split_by_memory(task, nodes, ret_layers) ? ST_OK : tell_full(task, nodes, err);
}

/* The largest pool that every node can hold beside its weights. */
static uint64_t pool_tokens(const struct split_task *task, const struct node_set *nodes,
                            const uint32_t *layers)
{
    uint64_t tokens = task->wanted_tokens;

    for (size_t i = 0; i < nodes->n_nodes; i++) {
        const uint64_t room = split_room_tokens(task, nodes, i, layers[i]);

        if (room < tokens)
            tokens = room;
    }
    tokens = split_pool_round(tokens);
    return tokens > task->least_tokens ? tokens : task->least_tokens;
}

enum status partition_plan(const struct model_info *model, const struct node_set *nodes,
                           const struct partition_options *options, struct plan *ret_plan,
                           struct err *err)
{
    uint32_t layers[NODES_MAX] = { 0 };
    struct node_set used = { 0 };
    struct plan plan = { 0 };
    struct split_task task;
    enum status s;

    if (nodes->n_nodes == 0)
        return err_set(err, ST_NOTFOUND, "no node can hold '%s'", model->name);
    s = split_task_init(&task, model, options, err);
    if (s == ST_OK)
        s = choose(&task, nodes, options, &used, layers, err);
    if (s != ST_OK)
        return s;

    memcpy(plan.model, model->name, sizeof(plan.model));
    if (options->draft)
        memcpy(plan.draft, options->draft->name, sizeof(plan.draft));
    plan.context_tokens = task.context_tokens;
    plan.kv_format = task.kv_format;
    plan.kv_tokens = pool_tokens(&task, &used, layers);
    for (size_t i = 0; i < used.n_nodes; i++) {
        struct plan_shard *shard = &plan.shards[plan.n_shards++];

        memcpy(shard->node, used.nodes[i].name, sizeof(shard->node));
        shard->first_layer = i > 0 ? shard[-1].first_layer + shard[-1].n_layers : 0;
        shard->n_layers = layers[i];
        shard->weight_bytes = split_weight_bytes(&task, &used, i, layers[i]);
        shard->kv_bytes = split_kv_bytes(&task, layers[i], plan.kv_tokens);
    }
    *ret_plan = plan;
    return ST_OK;
}
