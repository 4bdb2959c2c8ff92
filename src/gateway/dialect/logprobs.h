/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/dialect/logprobs.h - log probabilities as most APIs write them, a list of objects. */
#ifndef POMONA_GATEWAY_DIALECT_LOGPROBS_H
#define POMONA_GATEWAY_DIALECT_LOGPROBS_H

#include "gateway/dialect/answer.h"

/* For struct dialect: into c->logprobs[0],
 * {"token","logprob","bytes","top_logprobs":[{"token","logprob","bytes"}...]}... */
void logprobs_collect(struct answer_choice *c, const struct reply_logprob *logprobs, size_t n);

#endif
