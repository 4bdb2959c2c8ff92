/* SPDX-License-Identifier: Apache-2.0 */
/* contract/token_stream.h - tokens as they are computed: stage 5 to stage 6. */
#ifndef POMONA_CONTRACT_TOKEN_STREAM_H
#define POMONA_CONTRACT_TOKEN_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "contract/request.h"

struct token_logprob {
    int32_t token;
    float logprob; /* natural logarithm, of the model's own distribution:
                                   * before temperature, penalties and bias */
};

struct token_event {
    uint32_t sequence; /* index within the request, 0.. */
    int32_t token;     /* -1 where the event only ends the sequence */
    float logprob;
    const struct token_logprob *top; /* [n_top], most likely first; lent during the call */
    size_t n_top;
    bool is_prompt;      /* a token of the prompt that was asked to be scored */
    uint32_t n_computed; /* not 0: no token, but so much of what it began with is computed; with
                          * n_cached_tokens, and token -1.  Where it was asked for */
    const float *vector; /* [n_vector], where one was asked for: with the finish, and token -1;
                                * lent during the call */
    size_t n_vector;
    enum finish_reason finish; /* FINISH_NONE: more follow.  A stop token is reported with its
                                   * finish; it is not part of the text but counts in usage */
    uint32_t
        n_cached_tokens; /* of the prompt, found in the KV cache; in the first event of a token */
    uint64_t
        admitted_ns; /* clock_ns() of the driver, when it ceased to wait; in the driver's process alone */
};

/* Called once for each token, and once with `failure` set, `event` NULL, when
 * the stream broke; nothing follows a failure. */
typedef void token_stream_fn(void *arg, const struct token_event *event, const struct err *failure);

#endif
