/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/dialect/anthropic.h - what the files of Anthropic's Messages dialect share. */
#ifndef POMONA_GATEWAY_DIALECT_ANTHROPIC_H
#define POMONA_GATEWAY_DIALECT_ANTHROPIC_H

#include "gateway/dialect/answer.h"

/* `system` and `messages` as a template wants them, into `list`.  A block of `system` that begins
 * with "x-anthropic-" is left out: agents put there what changes with each request, and a prompt
 * that differs in its first words is found in no cache. */
enum status anthropic_conversation(const struct api_request *r, const json_t *body, json_t *list,
                                   struct api_error *e);

void anthropic_whole(const struct answer *a, const struct reply_usage *usage, struct buf *out);
void anthropic_begin(struct answer *a, const struct reply_usage *usage, struct buf *out);
void anthropic_events(struct answer *a, const struct reply_delta *delta, struct buf *out);
void anthropic_end(struct answer *a, const struct reply_usage *usage, struct buf *out);
void anthropic_fail(struct answer *a, const struct api_error *e, struct buf *out);

#endif
