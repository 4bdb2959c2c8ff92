/* SPDX-License-Identifier: Apache-2.0 */
/* text/grammar/graph.c - nodes and edges of a grammar while it is built. */
#include "text/grammar/graph.h"

#include <stdlib.h>

#include "text/grammar/grammar.h"

enum { DRAFT_EDGES_MAX = 4 * GRAMMAR_NODES_MAX };

void graph_release(struct graph *g)
{
    free(g->edges);
    *g = (struct graph){ 0 };
}

enum status graph_status(const struct graph *g, struct err *err)
{
    if (g->status == ST_RANGE)
        return err_set(err, ST_RANGE,
                       "the grammar is too large: more than %d states; make repetitions, choices "
                       "or lengths smaller",
                       GRAMMAR_NODES_MAX);
    return g->status == ST_OK ? ST_OK : err_set(err, g->status, "a grammar");
}

uint32_t graph_node(struct graph *g)
{
    if (g->n_nodes >= GRAMMAR_NODES_MAX) {
        g->status = g->status == ST_OK ? ST_RANGE : g->status;
        return g->n_nodes - 1;
    }
    return g->n_nodes++;
}

static bool grow(struct graph *g, size_t n_more)
{
    size_t capacity = g->capacity > 0 ? g->capacity : 256;
    struct graph_edge *edges;

    if (g->status != ST_OK)
        return false;
    if (g->n_edges + n_more > DRAFT_EDGES_MAX) {
        g->status = ST_RANGE;
        return false;
    }
    while (capacity < g->n_edges + n_more)
        capacity *= 2;
    if (capacity == g->capacity)
        return true;
    edges = realloc(g->edges, capacity * sizeof(*edges));
    if (!edges) {
        g->status = ST_NOMEM;
        return false;
    }
    g->edges = edges;
    g->capacity = capacity;
    return true;
}

void graph_add(struct graph *g, const struct graph_edge *edge)
{
    const struct graph_edge copy = *edge; /* it may lie in what grows */

    if (grow(g, 1))
        g->edges[g->n_edges++] = copy;
}

void graph_skip(struct graph *g, uint32_t from, uint32_t to)
{
    graph_add(g, &(struct graph_edge){ .from = from, .to = to, .kind = EDGE_EMPTY });
}

void graph_bytes(struct graph *g, uint32_t from, uint32_t to, uint8_t low, uint8_t high)
{
    graph_add(g, &(struct graph_edge){
                     .from = from, .to = to, .kind = EDGE_BYTES, .low = low, .high = high });
}

struct graph_piece graph_copy(struct graph *g, const struct graph *of,
                              const struct graph_piece *piece)
{
    const uint32_t base = g->n_nodes;
    struct graph_piece copy = {
        .start = piece->start - piece->first_node + base,
        .end = piece->end - piece->first_node + base,
        .first_node = base,
        .n_nodes = piece->n_nodes,
        .first_edge = g->n_edges,
        .n_edges = piece->n_edges,
    };

    if (piece->n_nodes > GRAMMAR_NODES_MAX - base && g->status == ST_OK)
        g->status = ST_RANGE;
    if (!grow(g, piece->n_edges))
        return *piece;
    for (size_t i = 0; i < piece->n_edges; i++) {
        struct graph_edge edge = of->edges[piece->first_edge + i];

        edge.from += base - piece->first_node;
        edge.to += base - piece->first_node;
        g->edges[g->n_edges++] = edge;
    }
    g->n_nodes += piece->n_nodes;
    return copy;
}
