/* SPDX-License-Identifier: Apache-2.0 */
/* text/grammar/automaton.h - a compiled grammar: what grammar.h promises, as the run reads it. */
#ifndef POMONA_TEXT_GRAMMAR_AUTOMATON_H
#define POMONA_TEXT_GRAMMAR_AUTOMATON_H

#include <stdbool.h>
#include <stdint.h>

#include "text/grammar/grammar.h"

enum {
    BYTES_EDGE = UINT32_MAX, /* grammar_edge.callee of an edge that consumes a byte */
    LOOKAHEAD_BYTES = 32,    /* of grammar_node.kind */
};

struct grammar_edge {
    uint32_t to;     /* for a call: where it returns to */
    uint32_t callee; /* the node a called rule begins at, or BYTES_EDGE */
    uint8_t low, high;
};

struct grammar_node {
    uint32_t first_edge, n_edges; /* no empty ones */
    bool is_end;                  /* the rule may end here */
    uint64_t kind;                /* nodes of one kind accept the same texts of at most
                                   * LOOKAHEAD_BYTES bytes, and are left by the same ones */
};

struct grammar {
    struct grammar_node *nodes; /* [n_nodes] */
    struct grammar_edge *edges; /* [n_edges] */
    uint32_t n_nodes, n_edges;
    uint32_t start;
    uint8_t group_of[256]; /* bytes that no edge tells apart are one group */
    uint8_t byte_of[256];  /* one byte of each group */
    uint32_t n_groups;
};

/* Remove edges that lead to no end, refuse what has none or calls itself first, and fill kinds and
 * groups.  trim.c
 * calls  the start nodes of rules, as edges name them: [n_starts] */
enum status automaton_finish(struct grammar *grammar, const uint32_t *starts, uint32_t n_starts,
                             struct err *err);

#endif
