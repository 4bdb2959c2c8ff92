/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/dialect/api_request.h - a request as a client wrote it, checked and free of its dialect.
 *
 * Everything a later stage reads was checked by a dialect's parse(): types,
 * ranges, and the limits of contract/request.h.  What is not known yet (the
 * model's tokens, how much context is left) is decided in flow/.
 */
#ifndef POMONA_GATEWAY_DIALECT_API_REQUEST_H
#define POMONA_GATEWAY_DIALECT_API_REQUEST_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "contract/request.h"

enum { STOP_TOKENS_MAX = 64 };

struct admission;
struct dialect;

/* One prompt of a completion: text, or tokens where `tokens` is set. */
struct api_prompt {
    char *text; /* owned; NULL for tokens */
    size_t n_text;
    int32_t *tokens; /* owned */
    size_t n_tokens;
};

struct api_request {
    const struct dialect *dialect;
    char model[MODEL_NAME_MAX]; /* "" where the client left it open */

    json_t *variables;          /* chat: what the template is rendered with; owned.  Else NULL */
    struct api_prompt *prompts; /* completions: [n_prompts], owned */
    size_t n_prompts;           /* 1 for a chat */
    uint32_t n;                 /* choices of each prompt */

    uint32_t max_tokens; /* 0: as many as the context holds */
    uint32_t min_tokens;
    bool ignores_eos;
    bool has_seed;
    struct sampling sampling; /* logit_bias is owned */
    struct logit_bias *logit_bias;

    char *stops[REQUEST_STOPS_MAX]; /* owned */
    size_t n_stops;
    bool includes_stop;
    int32_t stop_tokens[STOP_TOKENS_MAX];
    size_t n_stop_tokens;

    uint64_t tenant; /* who asks, as far as the request says */
    enum priority priority;

    struct admission *admission; /* what was reserved for it, owned; NULL: nothing */

    bool streams;
    bool includes_usage;     /* a usage event at the end of a stream */
    bool counts_tokens;      /* each event says how many tokens made the text so far */
    uint64_t n_known_tokens; /* the client has what these made: repeat.h */
};

void api_request_init(struct api_request *r);
void api_request_release(struct api_request *r);

#endif
