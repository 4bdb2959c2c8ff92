/* SPDX-License-Identifier: Apache-2.0 */
/* flow/planning.h - ask the planner about the nodes of the running cluster. */
#ifndef POMONA_FLOW_PLANNING_H
#define POMONA_FLOW_PLANNING_H

#include "cluster/cluster.h"
#include "contract/node_set.h"
#include "gateway/admin/place_request.h"
#include "partition/overrides.h"
#include "partition/partition.h"
#include "partition/planner.h"

/* A question, its answer, and all that both refer to. */
struct planning {
    struct cost_node nodes[NODES_MAX]; /* in the order of the node set */
    struct cost_pair *pairs;           /* measured, of these nodes */
    struct cost_cluster cluster;
    struct plan_shape shape;
    struct plan_workload workload;
    struct plan_overrides overrides;
    struct planner_input input;
    struct plan_report report;
};

/* Cost every strategy for `model` on `nodes`, over the links that `cluster` measured.
 * request  NULL: nothing is asked but the model
 * draft    a model that guesses beside the last layers; NULL: none
 * ret      given: planning_free()
 * Errors   ST_RANGE, ST_NOTFOUND  what was asked makes no sense, with the parameter; ST_NOMEM */
enum status planning_new(const struct cluster *cluster, const struct model_info *model,
                         const struct node_set *nodes, const struct place_request *request,
                         enum kv_format kv_format, const struct model_info *draft,
                         struct planning **ret, struct api_error *e);
void planning_free(struct planning *planning); /* NULL is allowed */

/* Tokens a second of one stream alone in an instance that has this plan, by what is known of its nodes
 * and their links now; of teams as the planner would cut them.  NAN: nobody knows. */
double planning_predict(const struct cluster *cluster, const struct model_info *model,
                        const struct node_set *nodes, const struct plan *plan);

/* The parts of the chosen plan where it has teams.
 * ret_parts  [NODES_MAX]
 * False      it has none, or nothing is chosen */
bool planning_teams(const struct planning *planning, const struct node_set *nodes,
                    struct node_set *ret_nodes, struct partition_part *ret_parts);

/* The nodes and layers of the chosen plan; of several copies, of the first.
 * ret_layers  [NODES_MAX]
 * False       nothing is chosen */
bool planning_split(const struct planning *planning, const struct node_set *nodes,
                    struct node_set *ret_nodes, uint32_t *ret_layers);

#endif
