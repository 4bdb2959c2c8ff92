/* SPDX-License-Identifier: Apache-2.0 */
/* text/grammar/run.h - a grammar at work over a vocabulary: what may come next.
 *
 * A grammar that calls rules needs a stack, and one that is ambiguous several at once.  A state is
 * a set of (node, stack); stacks share what they have in common, sets that occur are kept and
 * numbered, and so are the steps from one to another by a byte, so text that was seen before
 * costs one look-up a byte.
 *
 * A mask says which tokens may follow a state.  What a token does within its own rule depends on
 * a node alone, not on the stack below it: that part is computed once for each kind of node, over
 * the whole vocabulary, and kept.  Only tokens that leave the rule and go on are tried on the
 * stack itself; they are few.  The mask of a state that was asked for lately is kept whole.
 *
 * Bounds  stacks RUN_DEPTH_MAX deep: what nests deeper is not allowed; RUN_SET_MAX (node, stack)
 *         in one state; sets, steps and masks of about 48 MiB in all, then all is forgotten
 *         and states are stale, to be made anew from the text so far
 * Memory  tables grow by doubling up to those bounds; nothing is allocated for text and masks
 *         that are known already
 * Threads one owner thread for a run, its states included
 * Source  Dong et al. 2024, "XGrammar", arXiv:2411.15100, sections 3.1 (masks of what does not
 *         depend on the stack) and 3.3 (stacks as a tree); Willard and Louf 2023,
 *         arXiv:2307.09702 (masks of the states of an automaton)
 */
#ifndef POMONA_TEXT_GRAMMAR_RUN_H
#define POMONA_TEXT_GRAMMAR_RUN_H

#include <stdbool.h>

#include "text/grammar/grammar.h"
#include "text/grammar/vocab.h"

enum {
    RUN_DEPTH_MAX = 512,
    RUN_SET_MAX = 4096,
};

struct grammar_run;

/* grammar  taken, also on error
 * vocab    borrowed, must outlive the run
 * Errors   ST_NOMEM */
enum status grammar_run_new(struct grammar *grammar, const struct grammar_vocab *vocab,
                            struct grammar_run **ret_run, struct err *err);
void grammar_run_free(struct grammar_run *run); /* NULL is allowed */

/* A value: copying it is a fork. */
struct grammar_state {
    uint32_t set, epoch;
};

void grammar_state_init(struct grammar_run *run, struct grammar_state *ret_state);

/* Forget what is kept where that fills more than half of its room.  Call it before the others
 * and look for stale states after it. */
void grammar_run_make_room(struct grammar_run *run);
bool grammar_state_is_stale(const struct grammar_run *run, const struct grammar_state *state);

/* Go on by `bytes`.  false: the grammar does not allow them here; the state is as it was. */
bool grammar_state_accept(struct grammar_run *run, struct grammar_state *state, const char *bytes,
                          size_t n);

bool grammar_state_may_end(const struct grammar_run *run, const struct grammar_state *state);
bool grammar_state_must_end(const struct grammar_run *run, const struct grammar_state *state);

/* Which tokens may come next: bit t % 32 of ret_mask[t / 32], [(n_tokens + 31) / 32], lent until
 * the next call with this run.  Tokens that end an answer are the caller's.
 * Errors  ST_NOMEM; ST_RANGE  the grammar is too ambiguous here */
enum status grammar_state_mask(struct grammar_run *run, const struct grammar_state *state,
                               const uint32_t **ret_mask, struct err *err);

#endif
