/* SPDX-License-Identifier: Apache-2.0 */
/* text/grammar/sets.h - sets of (node, stack), kept and numbered, and the steps between them. */
#ifndef POMONA_TEXT_GRAMMAR_SETS_H
#define POMONA_TEXT_GRAMMAR_SETS_H

#include <stdbool.h>
#include <stdint.h>

#include "text/grammar/automaton.h"

enum {
    STACK_EMPTY = 0,
    STACK_UNKNOWN = 1, /* a mask that holds whatever is below */

    SET_UNKNOWN = 0, /* a step that was not taken yet */
    SET_DEAD = 1,

    SETS_MAX = 1 << 15,
    STACKS_MAX = 1 << 16,
    ITEMS_MAX = 1 << 20,
    STEPS_MAX = 1 << 22,
    UNKNOWN_DEPTH_MAX = 64, /* calls that one token begins */
};

struct stack_entry {
    uint32_t node, below; /* where to return to */
    uint32_t depth;
};

struct item {
    uint32_t node, stack;
};

struct item_set {
    uint32_t first, n; /* items: those whose nodes have edges over bytes */
    uint32_t steps;    /* first of its row; 0: none yet */
    bool may_end;      /* the grammar may */
    bool leaves;       /* what is below STACK_UNKNOWN goes on here */
};

struct sets {
    const struct grammar *g;
    struct stack_entry *stacks;
    uint32_t n_stacks, stacks_capacity;
    uint32_t *stack_slots; /* [2 * STACKS_MAX] */
    struct item *items;
    uint32_t n_items, items_capacity;
    struct item_set *sets;
    uint32_t n_sets, sets_capacity;
    uint32_t *set_slots; /* [2 * SETS_MAX] */
    uint32_t *steps;     /* rows of g->n_groups sets */
    uint32_t n_steps, steps_capacity;
    bool is_full; /* a step came out dead for lack of room */

    struct item *todo, *found; /* of the set being made */
    uint32_t n_todo, n_found;
    struct item *seen; /* a hash table; valid where seen_stamp is `stamp` */
    uint32_t *seen_stamp, stamp, n_seen;
    bool may_end, leaves;
};

enum status sets_init(struct sets *s, const struct grammar *g);
void sets_release(struct sets *s);
void sets_clear(struct sets *s); /* forget all, keep the memory */
bool sets_are_half_full(const struct sets *s);

/* The set of `node` over `stack`, with all that follows without a byte. */
uint32_t sets_begin(struct sets *s, uint32_t node, uint32_t stack);

/* The set without what follows: of a node that has edges over bytes. */
uint32_t sets_alone(struct sets *s, uint32_t node, uint32_t stack);

uint32_t sets_compute_step(struct sets *s, uint32_t set, uint8_t byte);

static inline uint32_t sets_step(struct sets *s, uint32_t set, uint8_t byte)
{
    const uint32_t row = s->sets[set].steps;
    const uint32_t known = row != 0 ? s->steps[row + s->g->group_of[byte]] : SET_UNKNOWN;

    return known != SET_UNKNOWN ? known : sets_compute_step(s, set, byte);
}

#endif
