/* SPDX-License-Identifier: Apache-2.0 */
/* partition/chain.h - the fastest pipeline there is: which nodes, and how many layers on each.
 *
 * Nodes keep their ring order; any may be left out unless it is pinned.  The
 * pipeline that cost_cycle_s() finds fastest is searched by dynamic
 * programming over layers x nodes:
 *
 *   arrive(k, l)  least time to reach node k with l layers placed before it
 *                 = min over the node before, of reach(i, l) + hop(i, k)
 *   reach(k, l)   least time with l layers placed, node k the last used so far
 *                 = min over m of arrive(k, l - m) + m * layer time of k
 *   answer        min over k, m of arrive(k, L - m) + m * layer time + output + way back
 *
 * m is bounded by the memory of k in its role (the first node holds the
 * embedding, the last the output matrix) and by pins.  The inner minimum
 * slides (a monotone queue), and nodes with the same links form a group of
 * which only the best matters, so one pass costs O(nodes * layers * groups).
 * The way back depends on the first node: one pass for each group it may be in.
 *
 * One stream: the answer is the least sum, one search.  Many streams: the
 * cycle is max(sum, flights * slowest stage), and rows of a flight depend on
 * the number of stages R.  For each R, passes that count stages and bound the
 * slowest stage by B halve the range of B in which a better answer may be.  An R
 * is skipped where flights * (the least B for which R nodes hold all layers,
 * whatever their order) is no better than what was found.
 *
 * The result is the best there is to CHAIN_TOLERANCE, unless the steps that the
 * caller allows are used up; then it is the best so far, and is_exact says so.
 */
#ifndef POMONA_PARTITION_CHAIN_H
#define POMONA_PARTITION_CHAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "partition/cost.h"

enum { CHAIN_STEPS_MAX = 200000000 }; /* inner steps, a few nanoseconds each */

#define CHAIN_TOLERANCE 1e-4

struct chain_result {
    struct cost_stage *stages; /* given: free(); [n_stages] */
    size_t n_stages;
    uint64_t n_steps; /* taken, at most those allowed */
    bool is_exact;
};

/* most_steps  CHAIN_STEPS_MAX, or fewer where several searches share a second
 * Errors  ST_FULL  these nodes cannot hold the model; ST_NOMEM; ST_RANGE  too many nodes or layers */
enum status chain_solve(const struct cost_cluster *cluster, const struct plan_shape *shape,
                        const struct plan_workload *workload, uint64_t most_steps,
                        struct chain_result *ret, struct err *err);

#endif
