/* SPDX-License-Identifier: Apache-2.0 */
/* partition/overrides.h - what people know better than the planner.
 *
 *   studio-1=40        exactly 40 layers there
 *   studio-2=10-30     10 to 30
 *   studio-3           it takes part, with a layer or more
 *   !studio-3          it does not; studio-3=0 says the same
 *   strategy=pipeline  this one, whatever is predicted
 *   strategy=hybrid:2  with so many nodes in each team, fewer in the last where they do not go round
 *
 * Separated by commas or lines; a # begins a comment until the end of its line.
 */
#ifndef POMONA_PARTITION_OVERRIDES_H
#define POMONA_PARTITION_OVERRIDES_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "contract/plan.h"
#include "partition/cost.h"

enum { OVERRIDES_PINS_MAX = 128, OVERRIDES_STRATEGY_MAX = 32, OVERRIDES_BYTES_MAX = 16384 };

struct plan_pin {
    char node[NODE_NAME_MAX];
    uint32_t least, most; /* layers; UINT32_MAX: no bound */
};

struct plan_overrides {
    struct plan_pin pins[OVERRIDES_PINS_MAX];
    size_t n_pins;
    char strategy[OVERRIDES_STRATEGY_MAX]; /* "": the planner chooses */
    uint32_t team_size;                    /* of hybrid; 0: the planner chooses */
};

/* Errors  ST_RANGE  with the words that are wrong */
enum status overrides_parse(const char *text, struct plan_overrides *ret, struct err *err);

/* Set least_layers and most_layers of the nodes that are pinned.
 * Errors  ST_NOTFOUND  a node is not among them */
enum status overrides_apply(const struct plan_overrides *overrides, struct cost_node *nodes,
                            size_t n_nodes, struct err *err);

#endif
