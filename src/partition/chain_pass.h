/* SPDX-License-Identifier: Apache-2.0 */
/* partition/chain_pass.h - one pass of the dynamic program of chain.h. */
#ifndef POMONA_PARTITION_CHAIN_PASS_H
#define POMONA_PARTITION_CHAIN_PASS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "partition/cost.h"

struct chain_node {
    double layer_s, output_s; /* at the rows of this pass */
    uint32_t capacity[N_COST_ROLES];
    uint32_t least; /* >= 1: of layers, where the node is used */
    bool is_required;
    uint32_t group;
};

struct chain_problem {
    const struct chain_node *nodes; /* [n_nodes] in ring order */
    size_t n_nodes;
    uint32_t n_layers;
    size_t n_groups;
    const double *hop_s;  /* [from][to], of the rows of this pass */
    const double *back_s; /* [last][first], of a token */
};

/* Tables of a pass; their size bounds what it may be asked. */
struct chain_tables;

/* *ret given: chain_tables_free().
 * Errors  ST_NOMEM; ST_RANGE  too large to try */
enum status chain_tables_new(size_t n_nodes, size_t n_rounds, uint32_t n_layers, size_t n_groups,
                             struct chain_tables **ret, struct err *err);
void chain_tables_free(struct chain_tables *t); /* NULL is allowed */

/* Steps that a pass takes at most. */
uint64_t chain_pass_steps(const struct chain_problem *p, size_t n_rounds);

/* The least time of a flight.
 * n_stages    exactly so many, 0: any number
 * first       the group of the first node
 * slowest     no stage takes longer; INFINITY: no bound
 * ret_stages  [n_layers], ret_n of them; untouched where there is none
 * Returns     the time; INFINITY: there is none */
double chain_pass(struct chain_tables *t, const struct chain_problem *p, size_t n_stages,
                  uint32_t first, double slowest, struct cost_stage *ret_stages, size_t *ret_n,
                  uint64_t *n_steps);

#endif
