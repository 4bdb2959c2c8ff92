/* SPDX-License-Identifier: Apache-2.0 */
/* text/grammar/sets.c - sets of (node, stack), kept and numbered, and the steps between them. */
#include "text/grammar/sets.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "text/grammar/run.h"

enum {
    SEEN_SLOTS = 4 * RUN_SET_MAX,
    SEEN_MAX = 2 * RUN_SET_MAX,
    FIRST_CAPACITY = 256,
};

enum status sets_init(struct sets *s, const struct grammar *g)
{
    *s = (struct sets){ .g = g };
    s->stack_slots = calloc(2 * STACKS_MAX, sizeof(*s->stack_slots));
    s->set_slots = calloc(2 * SETS_MAX, sizeof(*s->set_slots));
    s->todo = calloc(SEEN_MAX + 1, sizeof(*s->todo));
    s->found = calloc(RUN_SET_MAX + 1, sizeof(*s->found));
    s->seen = calloc(SEEN_SLOTS, sizeof(*s->seen));
    s->seen_stamp = calloc(SEEN_SLOTS, sizeof(*s->seen_stamp));
    s->stacks_capacity = s->items_capacity = s->sets_capacity = FIRST_CAPACITY;
    s->steps_capacity = 16 * FIRST_CAPACITY;
    s->stacks = calloc(s->stacks_capacity, sizeof(*s->stacks));
    s->items = calloc(s->items_capacity, sizeof(*s->items));
    s->sets = calloc(s->sets_capacity, sizeof(*s->sets));
    s->steps = calloc(s->steps_capacity, sizeof(*s->steps));
    if (!s->stack_slots || !s->set_slots || !s->todo || !s->found || !s->seen || !s->seen_stamp ||
        !s->stacks || !s->items || !s->sets || !s->steps)
        return ST_NOMEM;
    sets_clear(s);
    return ST_OK;
}

void sets_release(struct sets *s)
{
    free(s->stack_slots);
    free(s->set_slots);
    free(s->todo);
    free(s->found);
    free(s->seen);
    free(s->seen_stamp);
    free(s->stacks);
    free(s->items);
    free(s->sets);
    free(s->steps);
}

void sets_clear(struct sets *s)
{
    memset(s->stack_slots, 0, 2 * STACKS_MAX * sizeof(*s->stack_slots));
    memset(s->set_slots, 0, 2 * SETS_MAX * sizeof(*s->set_slots));
    s->n_stacks = 2; /* STACK_EMPTY, STACK_UNKNOWN */
    s->n_sets = 2;   /* SET_UNKNOWN, SET_DEAD */
    memset(s->stacks, 0, 2 * sizeof(*s->stacks));
    s->stacks[STACK_UNKNOWN].depth = RUN_DEPTH_MAX - UNKNOWN_DEPTH_MAX;
    memset(s->sets, 0, 2 * sizeof(*s->sets));
    s->n_items = 0;
    s->n_steps = 1; /* row 0 is none */
    s->is_full = false;
}

bool sets_are_half_full(const struct sets *s)
{
    return s->is_full || s->n_sets > SETS_MAX / 2 || s->n_stacks > STACKS_MAX / 2 ||
           s->n_items > ITEMS_MAX / 2 || s->n_steps > STEPS_MAX / 2;
}

/* Room for n more of what may be `max`; false: there is none. */
static bool reserve(void *at, uint32_t n_used, uint32_t n, uint32_t *capacity, uint32_t max,
                    size_t item_bytes)
{
    void **items = at;
    uint32_t wanted = *capacity;
    void *grown;

    if (n > max || n_used > max - n)
        return false;
    while (wanted < n_used + n)
        wanted *= 2;
    if (wanted == *capacity)
        return true;
    grown = realloc(*items, wanted * item_bytes);
    if (!grown)
        return false;
    *items = grown;
    *capacity = wanted;
    return true;
}

static uint64_t hash_pair(uint32_t a, uint32_t b)
{
    const uint64_t x = ((uint64_t)a << 32 | b) * 0x9E3779B97F4A7C15u;

    return x ^ x >> 29;
}

/* `below` with `node` on top.  0: too deep, or no room. */
static uint32_t push(struct sets *s, uint32_t node, uint32_t below)
{
    const uint32_t depth = s->stacks[below].depth + 1;
    uint64_t at = hash_pair(node, below);

    for (;; at++) {
        const uint32_t i = s->stack_slots[at % (2 * STACKS_MAX)];

        if (i == 0)
            break;
        if (s->stacks[i].node == node && s->stacks[i].below == below)
            return i;
    }
    if (depth > RUN_DEPTH_MAX)
        return 0;
    if (!reserve(&s->stacks, s->n_stacks, 1, &s->stacks_capacity, STACKS_MAX, sizeof(*s->stacks))) {
        s->is_full = true;
        return 0;
    }
    s->stacks[s->n_stacks] = (struct stack_entry){ node, below, depth };
    s->stack_slots[at % (2 * STACKS_MAX)] = s->n_stacks;
    return s->n_stacks++;
}

/* Note that `node` over `stack` is to be followed, once. */
static void visit(struct sets *s, uint32_t node, uint32_t stack)
{
    uint64_t at = hash_pair(node, stack);

    for (;; at++) {
        const uint32_t i = (uint32_t)(at % SEEN_SLOTS);

        if (s->seen_stamp[i] != s->stamp) {
            s->seen_stamp[i] = s->stamp;
            s->seen[i] = (struct item){ node, stack };
            break;
        }
        if (s->seen[i].node == node && s->seen[i].stack == stack)
            return;
    }
    if (s->n_seen == SEEN_MAX) {
        s->is_full = true;
        return;
    }
    s->n_seen++;
    s->todo[s->n_todo++] = (struct item){ node, stack };
}

static void call(struct sets *s, const struct grammar_edge *e, uint32_t stack)
{
    const struct grammar_node *back = &s->g->nodes[e->to];

    /* Nothing follows in this rule: what is called returns to whom this one does. */
    if (!back->is_end || back->n_edges > 0) {
        stack = push(s, e->to, stack);
        if (stack == 0)
            return;
    }
    visit(s, e->callee, stack);
}

static void leave(struct sets *s, uint32_t stack)
{
    if (stack == STACK_EMPTY)
        s->may_end = true;
    else if (stack == STACK_UNKNOWN)
        s->leaves = true;
    else
        visit(s, s->stacks[stack].node, s->stacks[stack].below);
}

/* What follows from `todo` without a byte, into `found`. */
static void close(struct sets *s)
{
    while (s->n_todo > 0) {
        const struct item it = s->todo[--s->n_todo];
        const struct grammar_node *node = &s->g->nodes[it.node];
        const struct grammar_edge *edges = s->g->edges + node->first_edge;

        if (node->n_edges > 0 && edges[0].callee == BYTES_EDGE) {
            if (s->n_found == RUN_SET_MAX)
                s->is_full = true;
            else
                s->found[s->n_found++] = it;
        }
        for (uint32_t i = node->n_edges; i > 0 && edges[i - 1].callee != BYTES_EDGE; i--)
            call(s, &edges[i - 1], it.stack);
        if (node->is_end)
            leave(s, it.stack);
    }
}

static void begin(struct sets *s)
{
    s->n_found = s->n_todo = s->n_seen = 0;
    s->may_end = s->leaves = false;
    if (++s->stamp == 0) {
        memset(s->seen_stamp, 0, SEEN_SLOTS * sizeof(*s->seen_stamp));
        s->stamp = 1;
    }
}

static int by_item(const void *a, const void *b)
{
    const struct item *x = a, *y = b;

    if (x->node != y->node)
        return x->node < y->node ? -1 : 1;
    return (x->stack > y->stack) - (x->stack < y->stack);
}

static bool is_found(const struct sets *s, uint32_t i)
{
    const struct item_set *set = &s->sets[i];

    return set->n == s->n_found && set->may_end == s->may_end && set->leaves == s->leaves &&
           memcmp(s->items + set->first, s->found, s->n_found * sizeof(*s->found)) == 0;
}

/* The number of the set in `found`. */
static uint32_t number(struct sets *s)
{
    uint64_t at;

    if (s->is_full || (s->n_found == 0 && !s->may_end && !s->leaves))
        return SET_DEAD;
    if (s->n_found > 1)
        qsort(s->found, s->n_found, sizeof(*s->found), by_item);
    at = XXH3_64bits_withSeed(s->found, s->n_found * sizeof(*s->found),
                              (s->may_end ? 2u : 0u) + (s->leaves ? 1u : 0u));
    for (;; at++) {
        const uint32_t i = s->set_slots[at % (2 * SETS_MAX)];

        if (i == 0)
            break;
        if (is_found(s, i))
            return i;
    }
    if (!reserve(&s->sets, s->n_sets, 1, &s->sets_capacity, SETS_MAX, sizeof(*s->sets)) ||
        !reserve(&s->items, s->n_items, s->n_found, &s->items_capacity, ITEMS_MAX,
                 sizeof(*s->items))) {
        s->is_full = true;
        return SET_DEAD;
    }
    if (s->n_found > 0)
        memcpy(s->items + s->n_items, s->found, s->n_found * sizeof(*s->found));
    s->sets[s->n_sets] = (struct item_set){
        .first = s->n_items, .n = s->n_found, .may_end = s->may_end, .leaves = s->leaves
    };
    s->n_items += s->n_found;
    s->set_slots[at % (2 * SETS_MAX)] = s->n_sets;
    return s->n_sets++;
}

uint32_t sets_begin(struct sets *s, uint32_t node, uint32_t stack)
{
    begin(s);
    visit(s, node, stack);
    close(s);
    return number(s);
}

uint32_t sets_alone(struct sets *s, uint32_t node, uint32_t stack)
{
    begin(s);
    s->found[s->n_found++] = (struct item){ node, stack };
    return number(s);
}

static uint32_t *row_of(struct sets *s, uint32_t set)
{
    const uint32_t n = s->g->n_groups;

    if (s->sets[set].steps == 0) {
        if (!reserve(&s->steps, s->n_steps, n, &s->steps_capacity, STEPS_MAX, sizeof(*s->steps)))
            return NULL;
        memset(s->steps + s->n_steps, 0, n * sizeof(*s->steps));
        s->sets[set].steps = s->n_steps;
        s->n_steps += n;
    }
    return s->steps + s->sets[set].steps;
}

uint32_t sets_compute_step(struct sets *s, uint32_t set, uint8_t byte)
{
    const struct item_set from = s->sets[set];
    const uint8_t group = s->g->group_of[byte];
    uint32_t to, *row;

    if (set == SET_DEAD || s->is_full)
        return SET_DEAD;
    begin(s);
    for (uint32_t i = 0; i < from.n; i++) {
        const struct item it = s->items[from.first + i];
        const struct grammar_node *node = &s->g->nodes[it.node];
        const struct grammar_edge *e = s->g->edges + node->first_edge;

        for (uint32_t k = 0; k < node->n_edges && e[k].callee == BYTES_EDGE; k++)
            if (e[k].low <= byte && byte <= e[k].high)
                visit(s, e[k].to, it.stack);
    }
    close(s);
    to = number(s);
    row = row_of(s, set);
    if (!row)
        s->is_full = true;
    else if (!s->is_full)
        row[group] = to;
    return s->is_full ? SET_DEAD : to;
}
