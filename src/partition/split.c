/* SPDX-License-Identifier: Apache-2.0 */
/* partition/split.c - what a shard costs, and layers in proportion to memory.
 *
 * Rounding is by largest remainder (Hamilton's method), kept inside
 * 1..capacity of each node: every node starts at its quota rounded down and
 * clamped, then single layers go to the node furthest below its quota, or
 * come off the one furthest above, until the sum is right.
 */
#include "partition/split.h"

#include "partition/saturate.h"

uint64_t node_free_bytes(const struct node_view *node)
{
    return node->memory_bytes > node->memory_used_bytes
               ? node->memory_bytes - node->memory_used_bytes
               : 0;
}

/* Embedding at the first node, output matrix at the last.  Where both are on
 * one node and tied they are one matrix, which split_weight_bytes() bounds by
 * the file's size. */
static uint64_t fixed_bytes(const struct split_task *task, const struct node_set *nodes, size_t i)
{
    uint64_t bytes = 0;

    if (i == 0)
        bytes = saturate_add(bytes, task->model->embedding_bytes);
    if (i + 1 == nodes->n_nodes)
        bytes = saturate_add(bytes, task->model->output_bytes);
    return bytes;
}

static uint64_t draft_bytes(const struct split_task *task, const struct node_set *nodes, size_t i)
{
    return i + 1 == nodes->n_nodes ? task->draft_bytes : 0;
}

uint64_t split_weight_bytes(const struct split_task *task, const struct node_set *nodes, size_t i,
                            uint32_t n_layers)
{
    const struct model_info *model = task->model;
    const uint64_t bytes =
        saturate_add(saturate_mul(n_layers, model->layer_bytes), fixed_bytes(task, nodes, i));

    return saturate_add(model->file_bytes > 0 && bytes > model->file_bytes ? model->file_bytes
                                                                           : bytes,
                        draft_bytes(task, nodes, i));
}

/* Of one layer; what the model says is for f16, and whatever a peer says must do no harm. */
uint64_t split_kv_bytes_per_token(const struct split_task *task)
{
    const uint64_t bytes = task->model->kv_bytes_per_token;

    return task->kv_format == KV_F16 ? bytes : kv_format_bytes(task->kv_format, bytes / 2);
}

uint64_t split_kv_bytes(const struct split_task *task, uint32_t n_layers, uint64_t kv_tokens)
{
    return saturate_mul(saturate_mul(n_layers, split_kv_bytes_per_token(task)), kv_tokens);
}

uint64_t split_draft_bytes(const struct model_info *draft, uint32_t context_tokens)
{
    const uint64_t n_tokens = saturate_mul(context_tokens, PLAN_DRAFT_CONTEXTS);

    return saturate_add(
        draft->file_bytes,
        saturate_mul(saturate_mul(draft->n_layer, draft->kv_bytes_per_token), n_tokens));
}

uint64_t split_layer_bytes(const struct split_task *task)
{
    return saturate_add(task->model->layer_bytes, split_kv_bytes(task, 1, task->least_tokens));
}

uint64_t split_needed_bytes(const struct split_task *task)
{
    const struct node_set one = { .n_nodes = 1 };
    const uint32_t n = task->model->n_layer;

    return saturate_add(split_weight_bytes(task, &one, 0, n),
                        split_kv_bytes(task, n, task->least_tokens));
}

static bool holds(const struct split_task *task, const struct node_set *nodes, size_t i,
                  uint32_t n_layers)
{
    return saturate_add(split_weight_bytes(task, nodes, i, n_layers),
                        split_kv_bytes(task, n_layers, task->least_tokens)) <=
           node_free_bytes(&nodes->nodes[i]);
}

/* Cost grows with the layers, so the most that fit is found by halving. */
uint32_t split_capacity(const struct split_task *task, const struct node_set *nodes, size_t i)
{
    uint32_t fits = 0, fails = task->model->n_layer + 1;

    while (fails - fits > 1) {
        const uint32_t middle = fits + (fails - fits) / 2;

        if (holds(task, nodes, i, middle))
            fits = middle;
        else
            fails = middle;
    }
    return fits;
}

uint64_t split_room_tokens(const struct split_task *task, const struct node_set *nodes, size_t i,
                           uint32_t n_layers)
{
    const uint64_t free_bytes = node_free_bytes(&nodes->nodes[i]);
    const uint64_t weights = split_weight_bytes(task, nodes, i, n_layers);
    const uint64_t per_token = saturate_mul(n_layers, split_kv_bytes_per_token(task));

    if (per_token == 0)
        return UINT64_MAX;
    return free_bytes > weights ? (free_bytes - weights) / per_token : 0;
}

/* What a node can give to layers, for its share of them; never 0, so that
 * shares stay defined. */
static double quota_weight(const struct split_task *task, const struct node_set *nodes, size_t i)
{
    const uint64_t free_bytes = node_free_bytes(&nodes->nodes[i]);
    const uint64_t fixed = saturate_add(fixed_bytes(task, nodes, i), draft_bytes(task, nodes, i));

    return free_bytes > fixed ? (double)(free_bytes - fixed) : 1.0;
}

struct seat {
    double quota;
    uint32_t capacity;
};

/* The node to give one layer to (+1) or to take one from (-1); n_nodes for none. */
static size_t next_to_change(const struct seat *seats, const uint32_t *layers, size_t n_nodes,
                             int direction)
{
    size_t best = n_nodes;
    double best_need = 0;

    for (size_t i = 0; i < n_nodes; i++) {
        const double need = direction * (seats[i].quota - (double)layers[i]);

        if (direction > 0 ? layers[i] >= seats[i].capacity : layers[i] <= 1)
            continue;
        if (best == n_nodes || need > best_need) {
            best = i;
            best_need = need;
        }
    }
    return best;
}

static uint32_t clamp(double quota, uint32_t capacity)
{
    if (quota < 1.0)
        return 1;
    return quota >= (double)capacity ? capacity : (uint32_t)quota;
}

bool split_by_memory(const struct split_task *task, const struct node_set *nodes,
                     uint32_t *ret_layers)
{
    const uint32_t n_layer = task->model->n_layer;
    struct seat seats[NODES_MAX];
    double all_weight = 0;
    uint64_t sum = 0;

    for (size_t i = 0; i < nodes->n_nodes; i++) {
        seats[i].capacity = split_capacity(task, nodes, i);
        if (seats[i].capacity == 0)
            return false;
        sum += seats[i].capacity;
        all_weight += quota_weight(task, nodes, i);
    }
    if (sum < n_layer || nodes->n_nodes > n_layer)
        return false;

    sum = 0;
    for (size_t i = 0; i < nodes->n_nodes; i++) {
        seats[i].quota = n_layer * quota_weight(task, nodes, i) / all_weight;
        ret_layers[i] = clamp(seats[i].quota, seats[i].capacity);
        sum += ret_layers[i];
    }
    for (; sum < n_layer; sum++)
        ret_layers[next_to_change(seats, ret_layers, nodes->n_nodes, +1)]++;
    for (; sum > n_layer; sum--)
        ret_layers[next_to_change(seats, ret_layers, nodes->n_nodes, -1)]--;
    return true;
}
