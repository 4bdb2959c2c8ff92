/* SPDX-License-Identifier: Apache-2.0 */
/* partition/partition.h - stage 4: which layers run where.
 *
 * Layers go to nodes in ring order, in proportion to the memory each may
 * still use; the embedding counts at the first node, the output matrix at
 * the last.  As few nodes as hold the model are used unless nodes were named:
 * every extra node adds a hop to each token.  Pure.
 */
#ifndef POMONA_PARTITION_PARTITION_H
#define POMONA_PARTITION_PARTITION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "contract/model_info.h"
#include "contract/node_set.h"
#include "contract/plan.h"

struct partition_options {
    const uint32_t *split;    /* [n_split] layers of each node in order; NULL: by memory */
    size_t n_split;           /* the nodes in `nodes` where split is set */
    bool uses_all_nodes;      /* nodes were named: each gets at least one layer */
    uint32_t context_tokens;  /* 0: the model's, at most 8192 */
    uint32_t n_sequences;     /* KV for so many full contexts is wanted; 0: 16.  Fewer are given
                                 * where memory is short, never less than one */
    uint32_t least_sequences; /* fewer full contexts than that are no plan; 0: 1 */
    enum kv_format kv_format;
    const struct model_info *draft; /* borrowed; guesses beside the last layers; NULL: none */
};

/* What one node has where layers are split over teams; nodes of the same layers, which follow one
 * another, are a team. */
struct partition_part {
    uint32_t first_layer, n_layers;
    uint32_t share; /* as in struct plan_shard; 0: it has its layers alone */
};

/* A plan of these parts.
 * parts    [nodes->n_nodes], in the order of the nodes
 * options  without a split
 * Errors   ST_FULL   a part does not fit its node: the words say which
 *          ST_RANGE  the parts do not cover the model's layers */
enum status partition_teams(const struct model_info *model, const struct node_set *nodes,
                            const struct partition_part *parts,
                            const struct partition_options *options, struct plan *ret_plan,
                            struct err *err);

/* Errors  ST_FULL   the model does not fit: the words say needed and available
 *         ST_RANGE  the split does not add up to the model's layers, has a zero, or a wrong count */
enum status partition_plan(const struct model_info *model, const struct node_set *nodes,
                           const struct partition_options *options, struct plan *ret_plan,
                           struct err *err);

#endif
