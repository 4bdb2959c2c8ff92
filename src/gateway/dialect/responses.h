/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/dialect/responses.h - what the files of OpenAI's Responses dialect share.
 *
 * The context of a request (struct api_request) is
 *
 *   {"response": what the answer repeats of the request, "custom": [names of tools of free text],
 *    "input": [its items], "turns": [what was said so far, but for instructions],
 *    "user": who asks, as a number, "stores": whether the answer is kept}
 *
 * of which "input", "turns" and "user" go into the record of what is kept (responses_store.h).
 */
#ifndef POMONA_GATEWAY_DIALECT_RESPONSES_H
#define POMONA_GATEWAY_DIALECT_RESPONSES_H

#include "gateway/dialect/answer.h"

/* `input`, appended to `list` as messages of a template. */
enum status responses_input(const struct api_request *r, const json_t *input, json_t *list,
                            struct api_error *e);

/* `input` as a list of items, each with an id, as they are told again.  Given, as below. */
json_t *responses_input_items(const json_t *input);

/* A new id of an item, "msg_...". */
void responses_make_id(const char *prefix, char ret_id[REQUEST_ID_MAX]);

/* Items of an output.  Given: json_decref(); NULL: no memory. */
json_t *responses_thoughts(const char *id, const char *text, size_t n);
json_t *responses_message(const char *id, const char *text, size_t n, const struct buf *logprobs,
                          const char *status);
json_t *responses_call(const char *id, const struct answer_call *call, const char *arguments,
                       size_t n);

void responses_whole(const struct answer *a, const struct reply_usage *usage, struct buf *out);
void responses_begin(struct answer *a, const struct reply_usage *usage, struct buf *out);
void responses_events(struct answer *a, const struct reply_delta *delta, struct buf *out);
void responses_end(struct answer *a, const struct reply_usage *usage, struct buf *out);
void responses_fail(struct answer *a, const struct api_error *e, struct buf *out);

/* The response of an answer that somebody canceled. */
void responses_canceled(const struct answer *a, struct buf *out);

#endif
