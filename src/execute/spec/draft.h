/* SPDX-License-Identifier: Apache-2.0 */
/* execute/spec/draft.h - a second, small model that drafts for the sequences of a driver.
 *
 * It has the vocabulary of the first and runs whole in the driver's process,
 * with KV pages of its own.  Its keys and values follow the sequence: what it drafted
 * and the first model did not choose is written over by the next rows.  When its pages
 * are all taken, a sequence goes without drafts.
 *
 * A token is drafted as the first model's is chosen: by the sampler, with the sequence's
 * settings, seed and position.  So a greedy sequence gets greedy drafts; and where a
 * sequence is sampled, two models that agree on the probabilities draw the same token,
 * as both draw with the same number.
 *
 * Threads  the driver's
 * Memory   nothing is allocated after draft_new() and draft_join()
 */
#ifndef POMONA_EXECUTE_SPEC_DRAFT_H
#define POMONA_EXECUTE_SPEC_DRAFT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "contract/request.h"
#include "engine/engine.h"
#include "execute/spec/pay.h"

struct draft;

struct draft_options {
    struct engine_shard *shard; /* borrowed: a whole model */
    uint32_t n_vocab;
    uint32_t context_tokens;       /* longer sequences go without drafts */
    uint32_t page_tokens, n_pages; /* as given to the engine */
    uint32_t max_rows;             /* as given to the engine, >= max_sequences */
    uint32_t max_sequences;        /* that draft in one step; as max_logit_rows to the engine */
};

enum status draft_new(const struct draft_options *options, struct draft **ret_draft,
                      struct err *err);
void draft_free(struct draft *draft); /* NULL is allowed */

struct draft_sequence {
    uint32_t *pages; /* [n_pages] taken so far */
    uint32_t n_pages, n_pages_max;
    uint32_t n_computed;          /* positions whose keys and values are in the pages */
    int32_t made[PAY_DRAFTS_MAX]; /* positions made_at .. made_at + n_made */
    uint32_t made_at, n_made;
};

/* n_limit  tokens the sequence may come to have.  Errors: ST_NOMEM */
enum status draft_join(const struct draft *draft, uint32_t n_limit,
                       struct draft_sequence *ret_sequence, struct err *err);
void draft_leave(struct draft *draft, struct draft_sequence *sequence); /* zeroed is allowed */

/* What a sequence needs to draft. */
struct draft_ask {
    struct draft_sequence *sequence;
    const struct sampling *how;
    int32_t *tokens; /* [n_tokens], and room for n_wanted more: used as scratch */
    uint32_t n_prompt, n_tokens;
    const int32_t *banned; /* [n_banned]: not allowed before the position banned_until */
    size_t n_banned;
    uint32_t banned_until;
    uint32_t n_wanted; /* <= PAY_DRAFTS_MAX */
};

/* How many of ask->n_wanted could be drafted now, all or 0: pages are taken for them, and what
 * the sequence did not become is forgotten.
 * ret_is_behind  whether draft_catch_up() is wanted first */
uint32_t draft_ready(struct draft *draft, const struct draft_ask *ask, bool *ret_is_behind);

/* Compute some of the positions the sequence is ahead by.  After draft_ready(). */
enum status draft_catch_up(struct draft *draft, const struct draft_ask *ask, struct err *err);

/* Draft ask->n_wanted (>= 1) tokens for each of n asks (<= max_sequences) into
 * sequence->made.  After draft_ready() of each.
 * Errors  as the engine's step and the sampler */
enum status draft_make(struct draft *draft, const struct draft_ask *asks, uint32_t n,
                       struct err *err);

#endif
