/* SPDX-License-Identifier: Apache-2.0 */
/* partition/planner.h - every way to run a model on these nodes, costed; and the best of them.
 *
 * Each strategy gives a plan with a prediction, or the reason that there is
 * none and what would make it possible.  The one predicted fastest for the asked
 * workload is chosen; where two are within
 * PLANNER_TIE of each other, the simpler one, which is the earlier row.  Those with teams are chosen
 * where they are asked for by name alone: their sums make other roundings than one node's.
 *
 * To add a strategy: a file in strategy/, its declaration in strategy.h, a row
 * of strategies[] in planner.c.
 *
 * Pure: no clock, no randomness; the same input gives the same plans.
 */
#ifndef POMONA_PARTITION_PLANNER_H
#define POMONA_PARTITION_PLANNER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "partition/cost.h"

enum { PLANNER_STRATEGIES_MAX = 8, PLAN_REASON_MAX = 256 };

#define PLANNER_TIE 0.01

/* What one node does in a plan. */
struct plan_part {
    uint32_t node;  /* index in the cluster */
    uint32_t group; /* of a replica, or of a stage that several nodes share; from 0 */
    uint32_t first_layer, n_layers;
    double share; /* of each layer: 1 unless layers are split */
    uint64_t weight_bytes, kv_bytes, work_bytes;
};

struct plan_option {
    const char *strategy;
    const char *blocker; /* why it is not chosen though it is possible; NULL: it may be */
    bool has_teams;      /* groups are teams of one instance; else copies of it */
    bool is_possible;
    bool is_exact;                /* no better plan of this kind exists, to 0.01 % */
    char reason[PLAN_REASON_MAX]; /* where it is not possible: why, and what would help */
    struct plan_prediction prediction;
    struct plan_part *parts; /* [n_parts] */
    size_t n_parts;
    uint64_t n_steps; /* of a search, 0 for none */
};

struct plan_report {
    struct plan_option options[PLANNER_STRATEGIES_MAX]; /* [n_options], in the table's order */
    size_t n_options;
    size_t chosen; /* n_options: none can be executed here */
};

struct planner_input {
    const struct cost_cluster *cluster; /* speeds complete, pins set */
    const struct plan_shape *shape;
    const struct plan_workload *workload;
    const char *strategy; /* forced; NULL or "": the best */
    uint32_t team_size;   /* of each team of hybrid; 0: the best */
};

/* Fill in what was not said: one stream, context and prompt of the model's size or the
 * defaults of cost.h.
 * Errors  ST_RANGE  more context than the model has, or a model that says nothing of its layers */
enum status planner_workload(const struct plan_shape *shape, struct plan_workload *workload,
                             struct err *err);

/* *ret given: planner_release().
 * Errors  ST_RANGE  no nodes, or there is no strategy of the forced name; ST_NOMEM */
enum status planner_run(const struct planner_input *input, struct plan_report *ret,
                        struct err *err);
void planner_release(struct plan_report *report);

/* The chosen option; NULL: there is none. */
const struct plan_option *planner_chosen(const struct plan_report *report);

#endif
