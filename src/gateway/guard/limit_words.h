/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/guard/limit_words.h - limits as clients are told them: headers and refusals. */
#ifndef POMONA_GATEWAY_GUARD_LIMIT_WORDS_H
#define POMONA_GATEWAY_GUARD_LIMIT_WORDS_H

#include "gateway/guard/limits.h"
#include "gateway/http/exchange.h"

/* Set x-ratelimit-*, or what Anthropic's clients read; where there is a limit. */
void limit_headers(struct exchange *x, const struct limits_view *view);

/* what  the model, or "requests"; who: whose limit it is.  Always returns ST_FULL. */
enum status limit_error(const struct limits_answer *answer, const char *what, const char *who,
                        struct api_error *e);

#endif
