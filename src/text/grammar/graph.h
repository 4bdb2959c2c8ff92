/* SPDX-License-Identifier: Apache-2.0 */
/* text/grammar/graph.h - a grammar while it is built: nodes, and edges that consume, call or skip.
 *
 * Thompson's construction (1968, CACM 11(6), "Regular expression search algorithm"): a piece of a
 * rule has one node where it begins and one where it ends, and what is built last lies last in
 * the arrays, so a piece is copied by copying a range.
 *
 * A graph remembers that it ran into a bound or out of memory; graph_status() tells once.
 */
#ifndef POMONA_TEXT_GRAMMAR_GRAPH_H
#define POMONA_TEXT_GRAMMAR_GRAPH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

enum edge_kind {
    EDGE_EMPTY,
    EDGE_BYTES, /* consumes a byte of low..high */
    EDGE_CALL,  /* consumes what rule `rule` does */
};

struct graph_edge {
    uint32_t from, to;
    uint32_t rule;
    uint8_t kind, low, high;
};

struct graph {
    struct graph_edge *edges; /* [n_edges] */
    size_t n_edges, capacity;
    uint32_t n_nodes;
    enum status status;
};

/* A part of a graph: nodes first_node.. and edges first_edge.., up to n_*. */
struct graph_piece {
    uint32_t start, end;
    uint32_t first_node, n_nodes;
    size_t first_edge, n_edges;
};

void graph_release(struct graph *g);
enum status graph_status(const struct graph *g, struct err *err);

uint32_t graph_node(struct graph *g);
void graph_add(struct graph *g, const struct graph_edge *edge);
void graph_skip(struct graph *g, uint32_t from, uint32_t to); /* an EDGE_EMPTY */
void graph_bytes(struct graph *g, uint32_t from, uint32_t to, uint8_t low, uint8_t high);

/* Append a copy of what lies in `piece` of `of`, which may be `g` itself. */
struct graph_piece graph_copy(struct graph *g, const struct graph *of,
                              const struct graph_piece *piece);

/* Characters as UTF-8 between two nodes. */
struct char_range {
    uint32_t low, high;
};

enum { CHAR_LAST = 0x10FFFF, CHAR_RANGES_MAX = 512 };

/* ranges  [n], n <= CHAR_RANGES_MAX, in any order, may overlap; sorted on return
 * is_not  what is in none of them */
void graph_chars(struct graph *g, uint32_t from, uint32_t to, struct char_range *ranges, size_t n,
                 bool is_not);

/* Write the bytes of `c` to ret [4]; returns how many.  0: not a character. */
size_t utf8_write(uint32_t c, uint8_t *ret);

#endif
