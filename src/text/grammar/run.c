/* SPDX-License-Identifier: Apache-2.0 */
/* text/grammar/run.c - states of a grammar, and the masks of tokens that may follow them. */
#include "text/grammar/run.h"

#include <stdlib.h>
#include <string.h>

#include "text/grammar/sets.h"

enum {
    KINDS_MAX = 2048,
    KIND_SLOTS = 2 * KINDS_MAX,
    KIND_BYTES_MAX = 16 << 20, /* of kinds' masks */
    LIST_MAX = 512,            /* a mask of fewer tokens is a list */
    MASKS = 32,                /* whole ones kept */
    MASK_STEPS_MAX = 8 << 20,  /* through the vocabulary, for one mask: some 30 ms */
};

/* What the tokens do from a node, whatever is below it. */
struct kind {
    uint64_t kind;
    uint32_t *mask; /* allowed; NULL: they are a list */
    uint32_t *list; /* [n_list] */
    uint32_t *open; /* [n_open]: below these nodes of the vocabulary it depends on the stack */
    uint32_t n_list, n_open;
};

/* On the way through the vocabulary. */
struct walk {
    uint32_t sets[VOCAB_TOKEN_BYTES_MAX + 1];  /* after so many bytes */
    uint32_t nodes[VOCAB_TOKEN_BYTES_MAX + 1]; /* of the vocabulary */
    bool has_left[VOCAB_TOKEN_BYTES_MAX + 1];
    bool is_of_kind; /* the stack below is not known */
};

struct grammar_run {
    struct grammar *g;
    const struct grammar_vocab *v;
    uint32_t n_words, epoch;
    struct sets sets;

    struct kind *kinds; /* [KINDS_MAX] */
    uint32_t n_kinds;
    uint32_t *kind_slots; /* [KIND_SLOTS]: numbers + 1 */
    size_t n_kind_bytes;
    uint32_t *allowed; /* [n_words]: scratch */
    uint32_t *list;    /* [LIST_MAX] */
    uint32_t n_allowed;
    uint32_t *open; /* [n_open] */
    uint32_t n_open, open_capacity;
    bool has_failed;  /* there was no memory, or it took too long */
    uint32_t n_steps; /* of the mask being made */
    uint32_t refused; /* a set whose mask took too long; SET_UNKNOWN: none */

    uint32_t *masks; /* [MASKS][n_words] */
    uint32_t mask_sets[MASKS];
    uint32_t next_mask;
    struct walk walk;
};

enum status grammar_run_new(struct grammar *grammar, const struct grammar_vocab *vocab,
                            struct grammar_run **ret_run, struct err *err)
{
    struct grammar_run *r = calloc(1, sizeof(*r));
    bool is_made = false;

    if (r) {
        r->g = grammar;
        r->v = vocab;
        r->n_words = (vocab->n_tokens + 31) / 32;
        r->kinds = calloc(KINDS_MAX, sizeof(*r->kinds));
        r->kind_slots = calloc(KIND_SLOTS, sizeof(*r->kind_slots));
        r->allowed = calloc(r->n_words, sizeof(*r->allowed));
        r->list = calloc(LIST_MAX, sizeof(*r->list));
        r->masks = calloc((size_t)MASKS * r->n_words, sizeof(*r->masks));
        is_made = sets_init(&r->sets, grammar) == ST_OK && automaton_fill_kinds(grammar) == ST_OK &&
                  r->kinds && r->kind_slots && r->allowed && r->list && r->masks;
    } else {
        grammar_free(grammar);
    }
    if (!is_made) {
        grammar_run_free(r);
        return err_set(err, ST_NOMEM, "a grammar over %u tokens", vocab->n_tokens);
    }
    *ret_run = r;
    return ST_OK;
}

static void forget_kinds(struct grammar_run *r)
{
    for (uint32_t i = 0; i < r->n_kinds; i++) {
        free(r->kinds[i].mask);
        free(r->kinds[i].list);
        free(r->kinds[i].open);
    }
    r->n_kinds = 0;
    r->n_kind_bytes = 0;
}

void grammar_run_free(struct grammar_run *r)
{
    if (!r)
        return;
    forget_kinds(r);
    sets_release(&r->sets);
    grammar_free(r->g);
    free(r->kinds);
    free(r->kind_slots);
    free(r->allowed);
    free(r->list);
    free(r->open);
    free(r->masks);
    free(r);
}

void grammar_run_make_room(struct grammar_run *r)
{
    const bool has_kinds = r->n_kind_bytes > KIND_BYTES_MAX / 2 || r->n_kinds > KINDS_MAX / 2;

    if (!sets_are_half_full(&r->sets) && !has_kinds)
        return;
    sets_clear(&r->sets);
    if (has_kinds) {
        forget_kinds(r);
        memset(r->kind_slots, 0, KIND_SLOTS * sizeof(*r->kind_slots));
    }
    memset(r->mask_sets, 0, sizeof(r->mask_sets));
    r->refused = SET_UNKNOWN;
    r->epoch++;
}

void grammar_state_init(struct grammar_run *r, struct grammar_state *ret_state)
{
    *ret_state = (struct grammar_state){ sets_begin(&r->sets, r->g->start, STACK_EMPTY), r->epoch };
}

bool grammar_state_is_stale(const struct grammar_run *r, const struct grammar_state *state)
{
    return state->epoch != r->epoch;
}

bool grammar_state_accept(struct grammar_run *r, struct grammar_state *state, const char *bytes,
                          size_t n)
{
    uint32_t set = state->set;

    for (size_t i = 0; i < n && set != SET_DEAD; i++)
        set = sets_step(&r->sets, set, (uint8_t)bytes[i]);
    if (set == SET_DEAD)
        return false;
    state->set = set;
    return true;
}

bool grammar_state_may_end(const struct grammar_run *r, const struct grammar_state *state)
{
    return r->sets.sets[state->set].may_end;
}

bool grammar_state_must_end(const struct grammar_run *r, const struct grammar_state *state)
{
    return r->sets.sets[state->set].n == 0;
}

static void allow(struct grammar_run *r, uint32_t node)
{
    for (uint32_t i = r->v->first[node]; i < r->v->first[node + 1]; i++) {
        const uint32_t token = r->v->sorted[i];

        r->allowed[token / 32] |= 1u << token % 32;
        if (r->n_allowed < LIST_MAX)
            r->list[r->n_allowed] = token;
        r->n_allowed++;
    }
}

static void leave_open(struct grammar_run *r, uint32_t node)
{
    if (r->n_open == r->open_capacity) {
        const uint32_t capacity = r->open_capacity > 0 ? 2 * r->open_capacity : 256;
        uint32_t *open = realloc(r->open, capacity * sizeof(*open));

        if (!open) {
            r->has_failed = true;
            return;
        }
        r->open = open;
        r->open_capacity = capacity;
    }
    r->open[r->n_open++] = node;
}

/* Through nodes begin..end of the vocabulary, in preorder; walk->sets is known down to the parent of
 * the first. */
static void walk(struct grammar_run *r, struct walk *w, uint32_t begin, uint32_t end)
{
    const struct grammar_vocab *v = r->v;
    uint32_t i = begin;

    while (i < end && !r->has_failed) {
        const uint32_t depth = v->depth[i];
        const bool has_left = w->has_left[depth - 1];
        const uint32_t set = sets_step(&r->sets, w->sets[depth - 1], v->byte[i]);

        if (++r->n_steps > MASK_STEPS_MAX)
            r->has_failed = true;
        if (set == SET_DEAD || (w->is_of_kind && depth > LOOKAHEAD_BYTES)) {
            if (w->is_of_kind && (has_left || set != SET_DEAD))
                leave_open(r, i);
            i = v->next[i];
            continue;
        }
        w->sets[depth] = set;
        w->nodes[depth] = i;
        w->has_left[depth] = has_left || r->sets.sets[set].leaves;
        allow(r, i);
        i++;
    }
}

static void begin_walk(struct walk *w, uint32_t set, bool is_of_kind)
{
    w->sets[0] = set;
    w->nodes[0] = 0;
    w->has_left[0] = false;
    w->is_of_kind = is_of_kind;
}

static void *copy_words(const uint32_t *words, size_t n)
{
    void *copy = malloc((n + 1) * sizeof(*words));

    if (copy && n > 0)
        memcpy(copy, words, n * sizeof(*words));
    return copy;
}

/* What was allowed and left open becomes the kind's. */
static bool keep_kind(struct grammar_run *r, struct kind *k)
{
    const bool is_list = r->n_allowed <= LIST_MAX;

    k->n_list = is_list ? r->n_allowed : 0;
    k->n_open = r->n_open;
    k->open = copy_words(r->open, r->n_open);
    k->list = is_list ? copy_words(r->list, r->n_allowed) : NULL;
    k->mask = is_list ? NULL : copy_words(r->allowed, r->n_words);
    r->n_kind_bytes +=
        ((size_t)k->n_open + (is_list ? r->n_allowed : r->n_words)) * sizeof(uint32_t);
    if (k->open && (k->list || k->mask))
        return true;
    free(k->open);
    free(k->list);
    free(k->mask);
    return false;
}

/* NULL: no memory, or no room. */
static const struct kind *kind_of(struct grammar_run *r, uint32_t node)
{
    const uint64_t kind = r->g->nodes[node].kind;
    uint64_t at = kind;

    for (; r->kind_slots[at % KIND_SLOTS] != 0; at++) {
        const struct kind *known = &r->kinds[r->kind_slots[at % KIND_SLOTS] - 1];

        if (known->kind == kind)
            return known;
    }
    if (r->n_kinds == KINDS_MAX)
        return NULL;
    memset(r->allowed, 0, r->n_words * sizeof(*r->allowed));
    r->n_allowed = r->n_open = 0;
    begin_walk(&r->walk, sets_alone(&r->sets, node, STACK_UNKNOWN), true);
    walk(r, &r->walk, 1, r->v->n_nodes);
    r->kinds[r->n_kinds] = (struct kind){ .kind = kind };
    if (r->has_failed || r->sets.is_full || !keep_kind(r, &r->kinds[r->n_kinds]))
        return NULL;
    r->kind_slots[at % KIND_SLOTS] = ++r->n_kinds;
    return &r->kinds[r->n_kinds - 1];
}

/* The walk's sets down to the parent of a node.  Returns false where the way there is dead. */
static bool go_to(struct grammar_run *r, struct walk *w, uint32_t node)
{
    const struct grammar_vocab *v = r->v;
    uint32_t path[VOCAB_TOKEN_BYTES_MAX + 1], d = v->depth[node] - 1u;

    for (uint32_t i = v->parent[node]; d > 0 && w->nodes[d] != i; i = v->parent[i])
        path[d--] = i;
    while (++d < v->depth[node]) {
        const uint32_t set = sets_step(&r->sets, w->sets[d - 1], v->byte[path[d]]);

        w->nodes[d] = path[d];
        w->sets[d] = set;
        w->has_left[d] = false;
    }
    return w->sets[v->depth[node] - 1] != SET_DEAD;
}

static void add_kind(struct grammar_run *r, struct walk *w, const struct kind *k, uint32_t *mask)
{
    for (uint32_t i = 0; i < k->n_list; i++)
        mask[k->list[i] / 32] |= 1u << k->list[i] % 32;
    for (uint32_t i = 0; k->mask && i < r->n_words; i++)
        mask[i] |= k->mask[i];
    for (uint32_t i = 0; i < k->n_open; i++)
        if (go_to(r, w, k->open[i]))
            walk(r, w, k->open[i], r->v->next[k->open[i]]);
}

/* Is it so deep that the stack's bound matters to tokens? */
static bool is_deep(const struct grammar_run *r, const struct item_set *set)
{
    for (uint32_t i = 0; i < set->n; i++)
        if (r->sets.stacks[r->sets.items[set->first + i].stack].depth + UNKNOWN_DEPTH_MAX >
            RUN_DEPTH_MAX)
            return true;
    return false;
}

static void fill_mask(struct grammar_run *r, uint32_t set, uint32_t *mask)
{
    const struct item_set of = r->sets.sets[set];
    struct walk w;

    memset(w.nodes, 0xFF, sizeof(w.nodes));
    begin_walk(&w, set, false);
    memset(mask, 0, r->n_words * sizeof(*mask));
    if (is_deep(r, &of)) {
        memset(r->allowed, 0, r->n_words * sizeof(*r->allowed));
        walk(r, &w, 1, r->v->n_nodes);
        memcpy(mask, r->allowed, r->n_words * sizeof(*mask));
        return;
    }
    for (uint32_t i = 0; i < of.n && !r->has_failed; i++) {
        const struct kind *k = kind_of(r, r->sets.items[of.first + i].node);

        if (!k) {
            r->has_failed = true;
            return;
        }
        memset(r->allowed, 0, r->n_words * sizeof(*r->allowed));
        add_kind(r, &w, k, mask);
        for (uint32_t j = 0; k->n_open > 0 && j < r->n_words; j++)
            mask[j] |= r->allowed[j];
    }
}

enum status grammar_state_mask(struct grammar_run *r, const struct grammar_state *state,
                               const uint32_t **ret_mask, struct err *err)
{
    uint32_t *mask;

    for (uint32_t i = 0; i < MASKS; i++) {
        if (r->mask_sets[i] == state->set) {
            *ret_mask = r->masks + (size_t)i * r->n_words;
            return ST_OK;
        }
    }
    r->has_failed = state->set == r->refused;
    r->n_steps = 0;
    mask = r->masks + (size_t)r->next_mask * r->n_words;
    r->mask_sets[r->next_mask] = 0;
    if (!r->has_failed)
        fill_mask(r, state->set, mask);
    if (r->n_steps > MASK_STEPS_MAX || r->n_kinds == KINDS_MAX)
        r->refused = state->set;
    if (r->has_failed || r->sets.is_full)
        return err_set(err, ST_RANGE, "the grammar leaves too many ways to go on from here");
    r->mask_sets[r->next_mask] = state->set;
    r->next_mask = (r->next_mask + 1) % MASKS;
    *ret_mask = mask;
    return ST_OK;
}
