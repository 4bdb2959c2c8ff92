/* SPDX-License-Identifier: Apache-2.0 */
/* execute/sample/best.h - the largest logits of a row, where a sampler needs no others.
 *
 * Members of a team have some tokens' logits each.  What the sampler makes of a row is often known by
 * the few largest alone: then each member sends as many of its own as could be among them, and the
 * merged list gives the token that all logits would give.  In order: larger logits first, the
 * lower token among equals.
 *
 * How many that is: 1 where the largest is taken, else top-k of them, and as many more as may be
 * lowered (penalties, tokens that are not allowed, negative bias).  Where something could raise a
 * token, or the draw is from all (no top-k) or from what a grammar allows, all logits are needed.
 * Logprobs need their sum, too: each member tells its own, and the merged one is the whole one's but
 * for rounding of doubles.
 *
 * Pure.
 */
#ifndef POMONA_EXECUTE_SAMPLE_BEST_H
#define POMONA_EXECUTE_SAMPLE_BEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "contract/request.h"

enum {
    BEST_MAX = 256,
    /* What is asked of a row: a number of logits, and this bit for their sum; 0: all logits. */
    BEST_WITH_SUM = 1 << 16,
    BEST_COUNT_MASK = BEST_WITH_SUM - 1,
};

struct best_entry {
    float logit; /* finite */
    int32_t token;
};

struct best_list {
    struct best_entry entries[BEST_MAX]; /* [n], in order */
    uint32_t n;
    double max, sum; /* sum of e^(logit - max) over all finite logits, where it was asked for */
};

/* What to ask of the row that follows n_tokens, n_prompt of them a prompt, where n_banned tokens are
 * not allowed. */
uint32_t best_ask(const struct sampling *how, size_t n_prompt, size_t n_tokens, size_t n_banned);

/* Is it something that best_ask() may say? */
bool best_is_ask(uint32_t ask);

/* Bytes that a member with n_outputs tokens sends of a row. */
size_t best_bytes(uint32_t ask, uint32_t n_outputs);

size_t best_bytes_max(uint32_t n_outputs);

/* Those bytes, where `ask` is not 0.
 * logits   [n_outputs], of the tokens from first_token on
 * scratch  [n_outputs] */
void best_pick(const float *logits, uint32_t n_outputs, uint32_t first_token, uint32_t ask,
               float *scratch, void *ret_bytes);

/* Add what a member sent; `list` begins as best_clear() leaves it, and members come in one order.
 * A token that the member does not have is left out. */
void best_clear(struct best_list *list);
void best_merge(struct best_list *list, const void *bytes, uint32_t n_outputs, uint32_t first_token,
                uint32_t ask);

#endif
