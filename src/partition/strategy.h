/* SPDX-License-Identifier: Apache-2.0 */
/* partition/strategy.h - the strategies of the planner's table, and what they share.
 *
 * A strategy fills in parts, prediction and the counters of `ret`, and returns
 *   ST_OK                 it is possible
 *   ST_FULL, ST_RANGE     it is not; ret->reason says why, and what would help
 *   ST_NOMEM              neither is known
 */
#ifndef POMONA_PARTITION_STRATEGY_H
#define POMONA_PARTITION_STRATEGY_H

#include "partition/planner.h"

typedef enum status strategy_fn(const struct planner_input *in, struct plan_option *ret,
                                struct err *err);

strategy_fn strategy_single, strategy_ring, strategy_pipeline, strategy_tensor, strategy_hybrid,
    strategy_replicate;

/* Parts and prediction of a pipeline. */
enum status strategy_from_stages(const struct planner_input *in, const struct cost_stage *stages,
                                 size_t n_stages, struct plan_option *ret, struct err *err);

/* Add one part, of `role` with `share` of each of the layers. */
void strategy_add_part(const struct planner_input *in, struct plan_option *ret,
                       struct plan_part part, enum cost_role role);

/* "needs 12.3 GB more on studio-3, or a context of at most 8192 tokens": after `why`. */
void strategy_tell_single(const struct planner_input *in, struct plan_option *ret);
void strategy_tell_pipeline(const struct planner_input *in, struct plan_option *ret);

/* A team of nodes that split every layer, seen as one node (strategy/team.c). */
struct team {
    struct cost_node node;           /* of the times for the rows asked */
    uint32_t units[PLAN_SHARDS_MAX]; /* [n_members], of n_kv_heads */
};

/* Whole KV heads go one by one to the member that would be done first among
 * those with room.  False: their memory does not hold n_layers layers.
 * members  [n_members], indices; 1..PLAN_SHARDS_MAX, not more than there are heads */
bool team_make(const struct planner_input *in, const uint32_t *members, size_t n_members,
               uint32_t n_layers, double rows, struct team *ret);

/* Whether any node is pinned, to take part (`least`) or to a number of layers. */
bool strategy_pins_layers(const struct planner_input *in);

#endif
