/* SPDX-License-Identifier: Apache-2.0 */
/* execute/runner/batch.h - tokens on their way from the computing thread to one gateway. */
#ifndef POMONA_EXECUTE_RUNNER_BATCH_H
#define POMONA_EXECUTE_RUNNER_BATCH_H

#include "contract/token_stream.h"
#include "net/channel.h"

struct batch_token {
    uint64_t id;
    int32_t token;
    float logprob;
    enum finish_reason finish;
    uint32_t n_cached_tokens;
    size_t first_top, n_top; /* in the batch's top */
};

struct batch {
    uint64_t gateway;
    struct batch_token *tokens; /* [n_tokens] */
    size_t n_tokens, tokens_capacity;
    struct token_logprob *top; /* [n_top] */
    size_t n_top, top_capacity;
    struct batch *next;
};

struct batch *batch_new(uint64_t gateway); /* NULL without memory */
void batch_free(struct batch *batch);      /* NULL is allowed */

/* Errors  ST_NOMEM */
enum status batch_add(struct batch *batch, uint64_t id, const struct token_event *event);

/* Errors  ST_NOMEM; nothing was sent */
enum status batch_send(const struct batch *batch, struct channel *channel);

#endif
