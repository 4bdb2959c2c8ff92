/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/dialect/repeat.h - a request that is repeated at another node goes on where its client is.
 *
 *   Idempotency-Key: KEY         the same request with the same key has the same tokens on every node:
 *                                where it brings no seed, the key is the seed
 *   Pomona-Resume-Tokens: N      the client has what the first N tokens made; they are computed
 *                                again, not sent again
 *
 * Nothing is kept for it, so a node that died takes nothing along: whoever repeats
 * a request repeats its body, too.  Each chunk of a stream with a key says how many tokens made
 * the text up to its end ("resume_tokens"), as a chunk need not be one token: characters and what
 * may become a stop string are held back.
 */
#ifndef POMONA_GATEWAY_DIALECT_REPEAT_H
#define POMONA_GATEWAY_DIALECT_REPEAT_H

#include "gateway/dialect/api_request.h"
#include "gateway/http/api_error.h"

#define REPEAT_KEY_HEADER    "Idempotency-Key"
#define REPEAT_TOKENS_HEADER "Pomona-Resume-Tokens"

enum { REPEAT_KEY_MAX = 255, REPEAT_TOKENS_MAX = 1 << 20 };

/* Apply the headers, NULL where there is none, to what a dialect parsed.
 * Errors  ST_FORMAT, with `e` filled */
enum status repeat_read(const char *key, const char *tokens, struct api_request *request,
                        struct api_error *e);

#endif
