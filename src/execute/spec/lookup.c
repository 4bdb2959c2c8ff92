/* SPDX-License-Identifier: Apache-2.0 */
/* execute/spec/lookup.c - guess the next tokens from where the last ones occurred before.
 *
 * A pair is named by its end: the position after its second token, which is
 * where its continuation starts.  Pairs of one hash form a chain, newest
 * first, as in the dictionary coders: `newest` holds the heads, `older` the
 * links.  Distinct pairs may share a chain; comparing tokens sorts them out.
 */
#include "execute/spec/lookup.h"

#include <stdlib.h>

enum { BITS_MIN = 6, BITS_MAX = 16 };

/* Enough heads for chains of about one pair, up to a size that stays in cache. */
static uint32_t bits_for(uint32_t n_limit)
{
    uint32_t bits = BITS_MIN;

    while (bits < BITS_MAX && (1u << bits) < n_limit)
        bits++;
    return bits;
}

enum status lookup_init(struct lookup *l, uint32_t n_limit, struct err *err)
{
    *l = (struct lookup){ .n_limit = n_limit, .n_bits = bits_for(n_limit) };
    l->newest = calloc((size_t)1 << l->n_bits, sizeof(*l->newest));
    l->older = calloc((size_t)n_limit + 1, sizeof(*l->older));
    if (!l->newest || !l->older) {
        lookup_release(l);
        return err_set(err, ST_NOMEM, "an index of %u tokens", n_limit);
    }
    l->n_indexed = LOOKUP_MATCH_MIN;
    return ST_OK;
}

void lookup_release(struct lookup *l)
{
    free(l->newest);
    free(l->older);
    *l = (struct lookup){ 0 };
}

/* Fibonacci hashing (Knuth, The Art of Computer Programming 3, section 6.4) of the pair that
 * ends at `end`. */
static uint32_t hash_at(const struct lookup *l, const int32_t *tokens, uint32_t end)
{
    const uint64_t pair = (uint64_t)(uint32_t)tokens[end - 2] << 32 | (uint32_t)tokens[end - 1];

    return (uint32_t)(pair * 0x9E3779B97F4A7C15u >> (64 - l->n_bits));
}

/* Pairs that end before n_tokens: the last one is the question, not an answer. */
static void learn(struct lookup *l, const int32_t *tokens, uint32_t n_tokens)
{
    for (; l->n_indexed < n_tokens; l->n_indexed++) {
        uint32_t *head = &l->newest[hash_at(l, tokens, l->n_indexed)];

        l->older[l->n_indexed] = *head;
        *head = l->n_indexed;
    }
}

static uint32_t match_length(const int32_t *tokens, uint32_t n_tokens, uint32_t end)
{
    const uint32_t most = end < LOOKUP_MATCH_MAX ? end : LOOKUP_MATCH_MAX;
    uint32_t n = 0;

    while (n < most && tokens[end - 1 - n] == tokens[n_tokens - 1 - n])
        n++;
    return n;
}

/* The end of the best earlier place, 0 where there is none. */
static uint32_t find(const struct lookup *l, const int32_t *tokens, uint32_t n_tokens,
                     uint32_t *ret_match)
{
    uint32_t end = l->newest[hash_at(l, tokens, n_tokens)], best = 0, longest = 0;

    for (int i = 0; i < LOOKUP_TRIES && end > 0 && longest < LOOKUP_MATCH_MAX; i++) {
        const uint32_t match = match_length(tokens, n_tokens, end);

        if (match >= LOOKUP_MATCH_MIN && match > longest) {
            longest = match;
            best = end;
        }
        end = l->older[end];
    }
    *ret_match = longest;
    return best;
}

uint32_t lookup_guess(struct lookup *l, const int32_t *tokens, uint32_t n_tokens, uint32_t n_max,
                      int32_t *ret_guess, uint32_t *ret_match)
{
    uint32_t end;

    *ret_match = 0;
    if (n_tokens <= LOOKUP_MATCH_MIN || n_max == 0)
        return 0;
    learn(l, tokens, n_tokens);
    end = find(l, tokens, n_tokens, ret_match);
    if (end == 0)
        return 0;
    /* A place closer to the end than the guess is long goes on with the guess itself: a loop. */
    for (uint32_t i = 0; i < n_max; i++)
        ret_guess[i] = end + i < n_tokens ? tokens[end + i] : ret_guess[end + i - n_tokens];
    return n_max;
}
