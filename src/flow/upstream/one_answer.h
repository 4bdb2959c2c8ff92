/* SPDX-License-Identifier: Apache-2.0 */
/* flow/upstream/one_answer.h - answers that come in one piece, in the words of the client's dialect: counts and vectors.
 *
 * Pure.  Source: OpenAI API reference, "Embeddings"; for counts, what Pomona and llama-server answer at
 *        /v1/chat/completions/input_tokens
 */
#ifndef POMONA_FLOW_UPSTREAM_ONE_ANSWER_H
#define POMONA_FLOW_UPSTREAM_ONE_ANSWER_H

#include "base/buf.h"
#include "gateway/dialect/api_request.h"

/* Is it asked for one?  Else for text. */
bool one_answer_is_asked(const struct api_request *r);

/* body          of the upstream [n]
 * ret_n_tokens  what it cost
 * Errors        ST_FORMAT  it is not what was asked for; ST_NOMEM */
enum status one_answer_write(const struct api_request *r, const char *body, size_t n,
                             struct buf *out, uint64_t *ret_n_tokens, struct err *err);

#endif
