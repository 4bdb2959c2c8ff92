/* SPDX-License-Identifier: Apache-2.0 */
/* text/grammar/trim.c - the last checks of an automaton, and what the run wants to know of it. */
#include <stdlib.h>
#include <string.h>

#include "text/grammar/automaton.h"

/* Edges by the node that they wait for: a call waits for its callee and for where it returns. */
struct waiting {
    uint32_t *first; /* [n_nodes + 1] */
    uint32_t *edges;
    uint32_t *from;  /* [n_edges]: the node of each edge */
    uint32_t *queue; /* [n_nodes] */
};

static bool is_call(const struct grammar_edge *e)
{
    return e->callee != BYTES_EDGE;
}

static void waiting_release(struct waiting *w)
{
    free(w->first);
    free(w->edges);
    free(w->from);
    free(w->queue);
}

static enum status waiting_init(struct waiting *w, const struct grammar *g)
{
    w->first = calloc((size_t)g->n_nodes + 2, sizeof(*w->first));
    w->edges = calloc(2 * (size_t)g->n_edges + 1, sizeof(*w->edges));
    w->from = calloc((size_t)g->n_edges + 1, sizeof(*w->from));
    w->queue = calloc(g->n_nodes, sizeof(*w->queue));
    if (!w->first || !w->edges || !w->from || !w->queue)
        return ST_NOMEM;
    for (uint32_t i = 0; i < g->n_nodes; i++)
        for (uint32_t k = 0; k < g->nodes[i].n_edges; k++)
            w->from[g->nodes[i].first_edge + k] = i;
    for (uint32_t i = 0; i < g->n_edges; i++) {
        w->first[g->edges[i].to + 2]++;
        if (is_call(&g->edges[i]))
            w->first[g->edges[i].callee + 2]++;
    }
    for (uint32_t i = 0; i < g->n_nodes; i++)
        w->first[i + 2] += w->first[i + 1];
    for (uint32_t i = 0; i < g->n_edges; i++) {
        w->edges[w->first[g->edges[i].to + 1]++] = i;
        if (is_call(&g->edges[i]))
            w->edges[w->first[g->edges[i].callee + 1]++] = i;
    }
    return ST_OK;
}

/* Mark the nodes from which a rule's end can be reached: with bytes, or without any. */
static void mark_ends(const struct grammar *g, struct waiting *w, bool with_bytes, uint8_t *marks)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < g->n_nodes; i++) {
        marks[i] = g->nodes[i].is_end;
        if (marks[i])
            w->queue[n++] = i;
    }
    while (n > 0) {
        const uint32_t at = w->queue[--n];

        for (uint32_t i = w->first[at]; i < w->first[at + 1]; i++) {
            const struct grammar_edge *e = &g->edges[w->edges[i]];
            const uint32_t from = w->from[w->edges[i]];
            const bool leads =
                is_call(e) ? marks[e->to] && marks[e->callee] : with_bytes && marks[e->to];

            if (!leads || marks[from])
                continue;
            marks[from] = 1;
            w->queue[n++] = from;
        }
    }
}

static void remove_dead(struct grammar *g, const uint8_t *is_alive)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < g->n_nodes; i++) {
        struct grammar_node *node = &g->nodes[i];
        const uint32_t first = n;

        for (uint32_t k = 0; k < node->n_edges; k++) {
            const struct grammar_edge *e = &g->edges[node->first_edge + k];

            if (is_alive[e->to] && (!is_call(e) || is_alive[e->callee]))
                g->edges[n++] = *e;
        }
        node->first_edge = first;
        node->n_edges = n - first;
    }
    g->n_edges = n;
}

/* The rules that `start` calls before any byte, in ret [*ret_n]. */
static void first_calls(const struct grammar *g, uint32_t start, const uint8_t *is_empty,
                        uint32_t *seen, uint32_t stamp, uint32_t *stack, uint32_t *ret,
                        uint32_t *ret_n)
{
    uint32_t n = 0;

    stack[n++] = start;
    seen[start] = stamp;
    while (n > 0) {
        const struct grammar_node *node = &g->nodes[stack[--n]];

        for (uint32_t k = 0; k < node->n_edges; k++) {
            const struct grammar_edge *e = &g->edges[node->first_edge + k];

            if (!is_call(e))
                continue;
            ret[(*ret_n)++] = e->callee;
            if (is_empty[e->callee] && seen[e->to] != stamp) {
                seen[e->to] = stamp;
                stack[n++] = e->to;
            }
        }
    }
}

/* Kahn's order of the rules by whom each calls first; what is left over calls itself. */
static bool has_left_recursion(const struct grammar *g, const uint32_t *starts, uint32_t n_starts,
                               const uint8_t *is_empty, uint32_t *scratch)
{
    uint32_t *seen = scratch, *stack = seen + g->n_nodes, *n_callers = stack + g->n_nodes;
    uint32_t *calls = n_callers + g->n_nodes, n_done = 0, n_ready = 0, stamp = 1;
    uint32_t *ready = calls + g->n_edges;

    for (uint32_t i = 0; i < n_starts; i++) {
        uint32_t n = 0;

        first_calls(g, starts[i], is_empty, seen, stamp++, stack, calls, &n);
        for (uint32_t k = 0; k < n; k++)
            n_callers[calls[k]]++;
    }
    for (uint32_t i = 0; i < n_starts; i++)
        if (n_callers[starts[i]] == 0)
            ready[n_ready++] = starts[i];
    while (n_ready > 0) {
        const uint32_t at = ready[--n_ready];
        uint32_t n = 0;

        n_done++;
        first_calls(g, at, is_empty, seen, stamp++, stack, calls, &n);
        for (uint32_t k = 0; k < n; k++)
            if (--n_callers[calls[k]] == 0)
                ready[n_ready++] = calls[k];
    }
    return n_done < n_starts;
}

static enum status check(struct grammar *g, const uint32_t *starts, uint32_t n_starts,
                         struct waiting *w, uint8_t *marks, struct err *err)
{
    const size_t n_scratch = 4 * (size_t)g->n_nodes + g->n_edges + n_starts;
    uint32_t *scratch;
    bool is_left;

    mark_ends(g, w, true, marks);
    if (!marks[g->start])
        return err_set(err, ST_FORMAT,
                       "no text satisfies the grammar: a rule goes on for ever, or asks for bytes "
                       "that the model has no token for");
    remove_dead(g, marks);
    waiting_release(w);
    *w = (struct waiting){ 0 };
    scratch = calloc(n_scratch + 1, sizeof(*scratch));
    if (!scratch || waiting_init(w, g) != ST_OK) {
        free(scratch);
        return err_set(err, ST_NOMEM, "a grammar");
    }
    mark_ends(g, w, false, marks);
    is_left = has_left_recursion(g, starts, n_starts, marks, scratch);
    free(scratch);
    return is_left ? err_set(err, ST_FORMAT,
                             "a rule of the grammar calls itself before it consumes anything "
                             "(left recursion); write it as a repetition")
                   : ST_OK;
}

/* SplitMix64's finalizer (Steele et al. 2014). */
static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9u;
    x = (x ^ x >> 27) * 0x94D049BB133111EBu;
    return x ^ x >> 31;
}

/* Nodes are told apart by ever longer texts, as Moore's minimisation (1956) does; calls by whom
 * they call and where they return to. */
static enum status fill_kinds(struct grammar *g)
{
    uint64_t *next = calloc(g->n_nodes, sizeof(*next));

    if (!next)
        return ST_NOMEM;
    for (uint32_t round = 0; round <= LOOKAHEAD_BYTES; round++) {
        for (uint32_t i = 0; i < g->n_nodes; i++) {
            const struct grammar_node *node = &g->nodes[i];
            uint64_t sum = mix(node->is_end ? 3 : 5);

            for (uint32_t k = 0; round > 0 && k < node->n_edges; k++) {
                const struct grammar_edge *e = &g->edges[node->first_edge + k];
                const uint64_t label = is_call(e) ? (uint64_t)e->callee << 32 | e->to
                                                  : (uint64_t)e->low << 8 | e->high;

                sum += mix(mix(label + is_call(e)) + (is_call(e) ? 1 : g->nodes[e->to].kind));
            }
            next[i] = mix(sum);
        }
        for (uint32_t i = 0; i < g->n_nodes; i++)
            g->nodes[i].kind = next[i];
    }
    free(next);
    return ST_OK;
}

static void fill_groups(struct grammar *g)
{
    uint8_t begins[257] = { 0 };

    for (uint32_t i = 0; i < g->n_edges; i++) {
        if (is_call(&g->edges[i]))
            continue;
        begins[g->edges[i].low] = 1;
        begins[g->edges[i].high + 1] = 1;
    }
    begins[0] = 1;
    g->n_groups = 0;
    for (unsigned b = 0; b < 256; b++) {
        if (begins[b])
            g->byte_of[g->n_groups++] = (uint8_t)b;
        g->group_of[b] = (uint8_t)(g->n_groups - 1);
    }
}

enum status automaton_finish(struct grammar *g, const uint32_t *starts, uint32_t n_starts,
                             struct err *err)
{
    uint8_t *marks = calloc(g->n_nodes, 1);
    struct waiting w = { 0 };
    enum status s = ST_OK;

    if (!marks || waiting_init(&w, g) != ST_OK)
        s = err_set(err, ST_NOMEM, "a grammar");
    if (s == ST_OK)
        s = check(g, starts, n_starts, &w, marks, err);
    if (s == ST_OK && fill_kinds(g) != ST_OK)
        s = err_set(err, ST_NOMEM, "a grammar");
    if (s == ST_OK)
        fill_groups(g);
    free(marks);
    waiting_release(&w);
    return s;
}
