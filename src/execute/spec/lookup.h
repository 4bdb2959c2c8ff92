/* SPDX-License-Identifier: Apache-2.0 */
/* execute/spec/lookup.h - guess the next tokens from where the last ones occurred before.
 *
 * Answers that quote, edit or summarise their prompt repeat runs of it.  An
 * index of every pair of neighbouring tokens finds the earlier places that end
 * as the sequence ends now; the place with the longest common past (the
 * newest among equals) is followed by the guess.
 *
 * Each token is indexed once, and one guess compares at most LOOKUP_TRIES
 * places of LOOKUP_MATCH_MAX tokens, so the work for a token is bounded.
 *
 * Threads  the driver's
 * Memory   nothing is allocated after lookup_init(): 8 bytes a token, at most 12
 */
#ifndef POMONA_EXECUTE_SPEC_LOOKUP_H
#define POMONA_EXECUTE_SPEC_LOOKUP_H

#include <stdint.h>

#include "base/status.h"

enum {
    LOOKUP_MATCH_MIN = 2, /* one common token says too little */
    LOOKUP_MATCH_MAX = 16,
    LOOKUP_TRIES = 16,
};

struct lookup {
    uint32_t *newest; /* [1 << n_bits]: end of the newest pair of this hash, 0 for none */
    uint32_t *older;  /* [n_limit]: end of the pair before the one that ends here */
    uint32_t n_bits, n_limit;
    uint32_t n_indexed; /* pairs that end before this position are in the index */
};

/* For a sequence of at most n_limit tokens.  Errors: ST_NOMEM */
enum status lookup_init(struct lookup *lookup, uint32_t n_limit, struct err *err);
void lookup_release(struct lookup *lookup); /* zeroed is allowed */

/* Guess what follows tokens[n_tokens - 1].
 *
 * tokens      [n_tokens], n_tokens <= n_limit: those of the last call, and more
 * ret_guess   [n_max]
 * ret_match   how many tokens before the guess agree; 0 where there is none
 * Returns the number of guessed tokens: n_max, or 0 */
uint32_t lookup_guess(struct lookup *lookup, const int32_t *tokens, uint32_t n_tokens,
                      uint32_t n_max, int32_t *ret_guess, uint32_t *ret_match);

#endif
