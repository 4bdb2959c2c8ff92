/* SPDX-License-Identifier: Apache-2.0 */
/* partition/split.h - what a shard costs, and layers in proportion to memory.
 *
 * Sizes come from files and from peers, so sums saturate instead of wrapping:
 * a model too large to be true does not fit.  Pure.
 */
#ifndef POMONA_PARTITION_SPLIT_H
#define POMONA_PARTITION_SPLIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "contract/kv_format.h"
#include "contract/model_info.h"
#include "contract/node_set.h"

struct split_task {
    const struct model_info *model;
    uint32_t context_tokens;
    enum kv_format kv_format;
    uint64_t draft_bytes;   /* of the draft model, beside the last layers; 0: none */
    uint64_t least_tokens;  /* KV pool for one context */
    uint64_t wanted_tokens; /* KV pool wished for, >= least_tokens */
};

struct partition_options;

/* Errors  ST_RANGE  the model says nothing of its layers, or more context is asked than it has */
enum status split_task_init(struct split_task *task, const struct model_info *model,
                            const struct partition_options *options, struct err *err);

/* Whole pages of any size in use, rounded down. */
uint64_t split_pool_round(uint64_t tokens);

uint64_t node_free_bytes(const struct node_view *node);

/* Weights of `n_layers` at position `i` of `nodes`, embedding or output included. */
uint64_t split_weight_bytes(const struct split_task *task, const struct node_set *nodes, size_t i,
                            uint32_t n_layers);
uint64_t split_kv_bytes(const struct split_task *task, uint32_t n_layers, uint64_t kv_tokens);

/* A draft model, with its KV pool. */
uint64_t split_draft_bytes(const struct model_info *draft, uint32_t context_tokens);

/* One layer, with its part of the least KV pool. */
uint64_t split_layer_bytes(const struct split_task *task);

/* The whole model, with the least KV pool. */
uint64_t split_needed_bytes(const struct split_task *task);

/* Layers that position `i` can hold with the least KV pool. */
uint32_t split_capacity(const struct split_task *task, const struct node_set *nodes, size_t i);

/* Tokens of KV that position `i` has room for beside `n_layers`; UINT64_MAX: no bound. */
uint64_t split_room_tokens(const struct split_task *task, const struct node_set *nodes, size_t i,
                           uint32_t n_layers);

/* Of one layer. */
uint64_t split_kv_bytes_per_token(const struct split_task *task);

/* Layers for every node of `nodes`: in proportion to what it has left after
 * embedding and output, at least one each, none over its capacity.
 * ret_layers  [nodes->n_nodes]; undefined where false is returned
 * Returns false where these nodes cannot hold the model. */
bool split_by_memory(const struct split_task *task, const struct node_set *nodes,
                     uint32_t *ret_layers);

#endif
