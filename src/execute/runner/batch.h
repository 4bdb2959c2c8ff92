/* SPDX-License-Identifier: Apache-2.0 */
/* execute/runner/batch.h - tokens on their way from the computing thread to one gateway. */
#ifndef POMONA_EXECUTE_RUNNER_BATCH_H
#define POMONA_EXECUTE_RUNNER_BATCH_H

#include <stdbool.h>

#include "contract/token_stream.h"
#include "net/channel.h"

struct batch_token {
    uint64_t id;
    int32_t token;
    float logprob;
    enum finish_reason finish;
    uint32_t n_cached_tokens;
    uint32_t n_computed;
    bool is_prompt;
    size_t first_top, n_top;       /* in the batch's top */
    size_t first_number, n_vector; /* in the batch's numbers */
};

struct batch {
    uint64_t gateway;
    struct batch_token *tokens; /* [n_tokens] */
    size_t n_tokens, tokens_capacity;
    struct token_logprob *top; /* [n_top] */
    size_t n_top, top_capacity;
    float *numbers; /* [n_numbers]: of vectors */
    size_t n_numbers, numbers_capacity;
    struct batch *next;
};

struct batch *batch_new(uint64_t gateway); /* NULL without memory */
void batch_free(struct batch *batch);      /* NULL is allowed */

/* Errors  ST_NOMEM */
enum status batch_add(struct batch *batch, uint64_t id, const struct token_event *event);

/* Errors  ST_NOMEM; nothing was sent */
enum status batch_send(const struct batch *batch, struct channel *channel);

#endif
