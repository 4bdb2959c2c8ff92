/* SPDX-License-Identifier: Apache-2.0 */
/* text/grammar/compile.c - from a graph of rules to an automaton without empty edges.
 *
 *   parse     text -> one piece of graph for each rule                          parse.c
 *   expand    rules that are small and without loops are copied to their calls
 *   close     empty edges are followed once and for all
 *   finish    what leads nowhere is removed, what cannot be run is refused      trim.c
 *
 * Copying spares calls where a token runs over a rule's end.  Rules with loops, strings above
 * all, stay calls, so that their nodes, whose masks are the costly ones, are few.
 */
#include <stdlib.h>
#include <string.h>

#include "text/grammar/automaton.h"
#include "text/grammar/parse.h"

enum {
    COPY_NODES_MAX = 96,                      /* a rule of more nodes stays a call */
    COPIES_NODES_MAX = GRAMMAR_NODES_MAX / 2, /* and all do beyond this */
    WORK_MAX = 20000000,                      /* empty edges followed */
    NOT_NUMBERED = UINT32_MAX,
};

enum progress { NOT_SEEN, UNDER_WAY, EXPANDED };

struct compiler {
    struct rules rules;
    uint32_t root;
    enum progress *progress;    /* [rules.n] */
    uint32_t *order;            /* [rules.n]: a stack of rules under way */
    size_t *cursor;             /* [rules.n]: next edge of each */
    struct graph graph;         /* expanded */
    struct graph_piece *pieces; /* [rules.n], in `graph` */

    uint32_t *first;   /* [graph.n_nodes + 1]: edges of each node, in `by_node` */
    uint32_t *by_node; /* [graph.n_edges] */
    uint32_t *number;  /* [graph.n_nodes]: in the automaton, or NOT_NUMBERED */
    uint32_t *nodes;   /* [graph.n_nodes]: the other way */
    uint32_t *seen;    /* [graph.n_nodes]: by whose closure, as a number + 1 */
    uint32_t *stack;   /* [graph.n_nodes] */
    uint8_t *is_end;   /* [graph.n_nodes] */
    size_t n_work;
    uint32_t capacity; /* of the automaton's edges */
    const uint8_t *usable;
    struct grammar *g;
};

static bool may_be_copied(const struct compiler *c, uint32_t rule)
{
    return !c->rules.rules[rule].has_loop && c->pieces[rule].n_nodes <= COPY_NODES_MAX &&
           c->graph.n_nodes < COPIES_NODES_MAX;
}

static void copy_edge(struct compiler *c, const struct graph_edge *edge, uint32_t offset)
{
    struct graph_edge copy = *edge;
    struct graph_piece callee;

    copy.from += offset;
    copy.to += offset;
    if (edge->kind != EDGE_CALL || c->progress[edge->rule] != EXPANDED ||
        !may_be_copied(c, edge->rule)) {
        graph_add(&c->graph, &copy);
        return;
    }
    callee = graph_copy(&c->graph, &c->graph, &c->pieces[edge->rule]);
    graph_skip(&c->graph, copy.from, callee.start);
    graph_skip(&c->graph, callee.end, copy.to);
}

/* The rules it calls were expanded before it, but for those that call it in turn. */
static void expand_rule(struct compiler *c, uint32_t rule)
{
    const struct graph_piece *of = &c->rules.rules[rule].piece;
    struct graph_piece *piece = &c->pieces[rule];
    const uint32_t offset = c->graph.n_nodes - of->first_node;

    *piece = (struct graph_piece){ .start = of->start + offset,
                                   .end = of->end + offset,
                                   .first_node = c->graph.n_nodes,
                                   .first_edge = c->graph.n_edges };
    c->graph.n_nodes += of->n_nodes;
    if (c->graph.n_nodes > GRAMMAR_NODES_MAX)
        c->graph.status = ST_RANGE;
    for (size_t i = 0; i < of->n_edges && c->graph.status == ST_OK; i++)
        copy_edge(c, &c->rules.graph.edges[of->first_edge + i], offset);
    piece->n_nodes = c->graph.n_nodes - piece->first_node;
    piece->n_edges = c->graph.n_edges - piece->first_edge;
    c->progress[rule] = EXPANDED;
}

/* Go on with the rule on top of the stack: a rule that it calls goes first.  Returns whether one
 * does. */
static bool descend(struct compiler *c, uint32_t *n)
{
    const uint32_t rule = c->order[*n - 1];
    const struct graph_piece *of = &c->rules.rules[rule].piece;

    while (c->cursor[rule] < of->n_edges) {
        const struct graph_edge *e = &c->rules.graph.edges[of->first_edge + c->cursor[rule]++];

        if (e->kind != EDGE_CALL || c->progress[e->rule] != NOT_SEEN)
            continue;
        c->progress[e->rule] = UNDER_WAY;
        c->order[(*n)++] = e->rule;
        return true;
    }
    return false;
}

static enum status expand(struct compiler *c, struct err *err)
{
    const uint32_t n_rules = c->rules.n;
    uint32_t n = 1;

    c->progress = calloc(n_rules, sizeof(*c->progress));
    c->order = calloc(n_rules, sizeof(*c->order));
    c->cursor = calloc(n_rules, sizeof(*c->cursor));
    c->pieces = calloc(n_rules, sizeof(*c->pieces));
    if (!c->progress || !c->order || !c->cursor || !c->pieces)
        return err_set(err, ST_NOMEM, "a grammar");
    c->order[0] = c->root;
    c->progress[c->root] = UNDER_WAY;
    while (n > 0 && c->graph.status == ST_OK)
        if (!descend(c, &n))
            expand_rule(c, c->order[--n]);
    return graph_status(&c->graph, err);
}

/* Edges of each node together: a counting sort. */
static enum status index_edges(struct compiler *c, struct err *err)
{
    const uint32_t n_nodes = c->graph.n_nodes;

    c->first = calloc((size_t)n_nodes + 2, sizeof(*c->first));
    c->by_node = calloc(c->graph.n_edges + 1, sizeof(*c->by_node));
    c->number = calloc(n_nodes, sizeof(*c->number));
    c->nodes = calloc(n_nodes, sizeof(*c->nodes));
    c->seen = calloc(n_nodes, sizeof(*c->seen));
    c->stack = calloc(n_nodes, sizeof(*c->stack));
    c->is_end = calloc(n_nodes, 1);
    if (!c->first || !c->by_node || !c->number || !c->nodes || !c->seen || !c->stack || !c->is_end)
        return err_set(err, ST_NOMEM, "a grammar");
    for (size_t i = 0; i < c->graph.n_edges; i++)
        c->first[c->graph.edges[i].from + 2]++;
    for (uint32_t i = 0; i < n_nodes; i++)
        c->first[i + 2] += c->first[i + 1];
    for (size_t i = 0; i < c->graph.n_edges; i++)
        c->by_node[c->first[c->graph.edges[i].from + 1]++] = (uint32_t)i;
    memset(c->number, 0xFF, n_nodes * sizeof(*c->number));
    for (uint32_t i = 0; i < c->rules.n; i++)
        if (c->progress[i] == EXPANDED)
            c->is_end[c->pieces[i].end] = 1;
    return ST_OK;
}

/* The node's number in the automaton: given when it is first asked for. */
static uint32_t number_of(struct compiler *c, uint32_t node)
{
    if (c->number[node] == NOT_NUMBERED) {
        c->nodes[c->g->n_nodes] = node;
        c->number[node] = c->g->n_nodes++;
    }
    return c->number[node];
}

static enum status keep_edge(struct compiler *c, const struct grammar_edge *edge, struct err *err)
{
    struct grammar *g = c->g;

    if (g->n_edges == c->capacity) {
        const uint32_t capacity = c->capacity > 0 ? 2 * c->capacity : 1024;
        struct grammar_edge *edges = realloc(g->edges, capacity * sizeof(*edges));

        if (!edges)
            return err_set(err, ST_NOMEM, "a grammar");
        g->edges = edges;
        c->capacity = capacity;
    }
    if (g->n_edges == GRAMMAR_EDGES_MAX)
        return graph_status(&(struct graph){ .status = ST_RANGE }, err);
    g->edges[g->n_edges++] = *edge;
    return ST_OK;
}

/* An edge over the bytes of low..high that can be produced. */
static enum status keep_bytes(struct compiler *c, const struct graph_edge *e, uint32_t to,
                              struct err *err)
{
    enum status s = ST_OK;

    for (unsigned b = e->low; b <= e->high && s == ST_OK; b++) {
        struct grammar_edge edge = { .to = to, .callee = BYTES_EDGE, .low = (uint8_t)b };

        if (c->usable && !c->usable[b])
            continue;
        while (b < e->high && (!c->usable || c->usable[b + 1]))
            b++;
        edge.high = (uint8_t)b;
        s = keep_edge(c, &edge, err);
    }
    return s;
}

static enum status follow(struct compiler *c, const struct graph_edge *e, uint32_t stamp,
                          uint32_t *n, struct err *err)
{
    if (e->kind == EDGE_EMPTY) {
        c->n_work++;
        if (c->seen[e->to] != stamp)
            c->stack[(*n)++] = e->to;
        c->seen[e->to] = stamp;
        return ST_OK;
    }
    if (e->kind == EDGE_BYTES)
        return keep_bytes(c, e, number_of(c, e->to), err);
    return keep_edge(c,
                     &(struct grammar_edge){ .to = number_of(c, e->to),
                                             .callee = number_of(c, c->pieces[e->rule].start) },
                     err);
}

/* What can be done from automaton node `number` once empty edges are followed. */
static enum status close_node(struct compiler *c, uint32_t number, struct err *err)
{
    const uint32_t stamp = number + 1;
    struct grammar_node node = { .first_edge = c->g->n_edges };
    enum status s = ST_OK;
    uint32_t n = 0;

    c->stack[n++] = c->nodes[number];
    c->seen[c->nodes[number]] = stamp;
    while (n > 0 && s == ST_OK) {
        const uint32_t at = c->stack[--n];

        node.is_end |= c->is_end[at] != 0;
        for (uint32_t i = c->first[at]; i < c->first[at + 1] && s == ST_OK; i++)
            s = follow(c, &c->graph.edges[c->by_node[i]], stamp, &n, err);
        if (c->n_work > WORK_MAX)
            return graph_status(&(struct graph){ .status = ST_RANGE }, err);
    }
    node.n_edges = c->g->n_edges - node.first_edge;
    c->g->nodes[number] = node;
    return s;
}

static int by_edge(const void *a, const void *b)
{
    const struct grammar_edge *x = a, *y = b;

    if (x->callee != y->callee)
        return x->callee > y->callee ? -1 : 1; /* edges over bytes first */
    if (x->low != y->low)
        return x->low < y->low ? -1 : 1;
    if (x->high != y->high)
        return x->high < y->high ? -1 : 1;
    return (x->to > y->to) - (x->to < y->to);
}

/* In order, and each once. */
static void sort_edges(struct grammar *g, struct grammar_node *node)
{
    struct grammar_edge *edges = g->edges + node->first_edge;
    uint32_t n = 0;

    if (node->n_edges < 2)
        return;
    qsort(edges, node->n_edges, sizeof(*edges), by_edge);
    for (uint32_t i = 0; i < node->n_edges; i++)
        if (n == 0 || by_edge(&edges[n - 1], &edges[i]) != 0)
            edges[n++] = edges[i];
    g->n_edges -= node->n_edges - n; /* they are the last */
    node->n_edges = n;
}

static enum status close(struct compiler *c, struct err *err)
{
    enum status s = ST_OK;

    c->g->nodes = calloc(c->graph.n_nodes, sizeof(*c->g->nodes));
    if (!c->g->nodes)
        return err_set(err, ST_NOMEM, "a grammar");
    c->g->start = number_of(c, c->pieces[c->root].start);
    for (uint32_t i = 0; i < c->g->n_nodes && s == ST_OK; i++) {
        s = close_node(c, i, err);
        if (s == ST_OK)
            sort_edges(c->g, &c->g->nodes[i]);
    }
    return s;
}

static enum status finish(struct compiler *c, struct err *err)
{
    uint32_t *starts = calloc(c->rules.n, sizeof(*starts)), n = 0;
    enum status s;

    if (!starts)
        return err_set(err, ST_NOMEM, "a grammar");
    for (uint32_t i = 0; i < c->rules.n; i++)
        if (c->progress[i] == EXPANDED && c->number[c->pieces[i].start] != NOT_NUMBERED)
            starts[n++] = c->number[c->pieces[i].start];
    s = automaton_finish(c->g, starts, n, err);
    free(starts);
    return s;
}

static void release(struct compiler *c)
{
    rules_release(&c->rules);
    graph_release(&c->graph);
    free(c->progress);
    free(c->order);
    free(c->cursor);
    free(c->pieces);
    free(c->first);
    free(c->by_node);
    free(c->number);
    free(c->nodes);
    free(c->seen);
    free(c->stack);
    free(c->is_end);
}

enum status grammar_compile(const char *text, size_t n, const uint8_t *usable,
                            struct grammar **ret_grammar, struct err *err)
{
    struct compiler c = { .usable = usable };
    enum status s;

    if (n > GRAMMAR_BYTES_MAX)
        return err_set(err, ST_RANGE, "a grammar of %zu bytes is longer than %d", n,
                       GRAMMAR_BYTES_MAX);
    c.g = calloc(1, sizeof(*c.g));
    if (!c.g)
        return err_set(err, ST_NOMEM, "a grammar");
    s = rules_parse(text, n, &c.rules, &c.root, err);
    if (s == ST_OK)
        s = expand(&c, err);
    if (s == ST_OK)
        s = index_edges(&c, err);
    if (s == ST_OK)
        s = close(&c, err);
    if (s == ST_OK)
        s = finish(&c, err);
    if (s == ST_OK) {
        *ret_grammar = c.g;
        c.g = NULL;
    }
    grammar_free(c.g);
    release(&c);
    return s;
}

void grammar_free(struct grammar *g)
{
    if (!g)
        return;
    free(g->nodes);
    free(g->edges);
    free(g);
}
