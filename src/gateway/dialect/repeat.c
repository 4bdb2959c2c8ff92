/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/dialect/repeat.c - a request that is repeated at another node goes on where its client is. */
#include "gateway/dialect/repeat.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

enum { DIGITS_MAX = 7 }; /* of REPEAT_TOKENS_MAX */

static enum status read_key(const char *key, struct api_request *request, struct api_error *e)
{
    const size_t n = strlen(key);
    size_t n_good = 0;

    while (n_good < n && isgraph((unsigned char)key[n_good]))
        n_good++;
    if (n == 0 || n > REPEAT_KEY_MAX || n_good < n)
        return api_error_set(e, API_INVALID_VALUE, REPEAT_KEY_HEADER,
                             "An idempotency key has 1 to %d visible ASCII characters.",
                             REPEAT_KEY_MAX);
    request->counts_tokens = request->streams;
    if (request->has_seed)
        return ST_OK;
    request->sampling.seed = XXH3_64bits(key, n);
    request->has_seed = true;
    return ST_OK;
}

static enum status read_tokens(const char *tokens, struct api_request *request, struct api_error *e)
{
    const size_t n = strspn(tokens, "0123456789");
    const long value = n > 0 && n <= DIGITS_MAX && !tokens[n] ? strtol(tokens, NULL, 10) : -1;

    if (value < 0 || value > REPEAT_TOKENS_MAX)
        return api_error_set(e, API_INVALID_VALUE, REPEAT_TOKENS_HEADER,
                             "Say how many tokens are there already: 0 to %d.", REPEAT_TOKENS_MAX);
    if (!request->streams || request->n_prompts * request->n != 1)
        return api_error_set(e, API_INVALID_VALUE, REPEAT_TOKENS_HEADER,
                             "Only a stream of one choice can go on where it ended.");
    request->n_known_tokens = (uint64_t)value;
    return ST_OK;
}

enum status repeat_read(const char *key, const char *tokens, struct api_request *request,
                        struct api_error *e)
{
    enum status s = ST_OK;

    if (tokens && !key)
        return api_error_set(e, API_MISSING, REPEAT_KEY_HEADER,
                             "A request that goes on has the idempotency key it began with.");
    if (key)
        s = read_key(key, request, e);
    if (s == ST_OK && tokens)
        s = read_tokens(tokens, request, e);
    return s;
}
