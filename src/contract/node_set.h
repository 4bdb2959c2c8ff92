/* SPDX-License-Identifier: Apache-2.0 */
/* contract/node_set.h - the nodes a model may be placed on: stage 3 to stage 4. */
#ifndef POMONA_CONTRACT_NODE_SET_H
#define POMONA_CONTRACT_NODE_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "contract/node_speed.h"
#include "contract/plan.h"

enum { NODES_MAX = 64 };

/* One node as select/ sees it: a copy, made by flow/ from cluster/. */
struct node_view {
    char name[NODE_NAME_MAX];
    bool is_alive;
    bool holds_model;       /* the model's file is in its store, digest equal */
    bool may_fetch;         /* an alive node or a hub gives the file, and this one can take it */
    bool is_local;          /* the node that asks */
    bool is_draining;       /* it is to hold nothing */
    uint32_t step_version;  /* that its ranks speak: one instance, one version */
    uint32_t ring_position; /* order around the ring: position in the configuration */
    uint64_t memory_bytes;  /* what Pomona may use there in all */
    uint64_t memory_used_bytes; /* by instances placed already */
    struct node_speed speed;    /* where it is known */
    struct node_machine machine;
    double score; /* set by select/: the highest are taken first when not all are needed */
};

struct node_set {
    size_t n_nodes;
    struct node_view nodes[NODES_MAX]; /* in ring order */
};

#endif
