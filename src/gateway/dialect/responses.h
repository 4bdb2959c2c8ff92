/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/dialect/responses.h - what the files of OpenAI's Responses dialect share.
 *
 * The context of a request (struct api_request) is
 *
 *   {"response": what the answer repeats of the request, "custom": [names of tools of free text],
 *    "turns": [what was said so far, but for instructions], "stores": whether the answer is kept}
 */
#ifndef POMONA_GATEWAY_DIALECT_RESPONSES_H
#define POMONA_GATEWAY_DIALECT_RESPONSES_H

#include "gateway/dialect/answer.h"

/* `input`, appended to `list` as messages of a template. */
enum status responses_input(const json_t *input, json_t *list, struct api_error *e);

/* Items of an output.  Given: json_decref(); NULL: no memory. */
json_t *responses_thoughts(const char *id, const char *text, size_t n);
json_t *responses_message(const char *id, const char *text, size_t n, const char *status);
json_t *responses_call(const char *id, const struct answer_call *call, const char *arguments,
                       size_t n, bool is_custom);

/* The free text that a custom tool is given, in its arguments.  Given, as above: a string. */
json_t *responses_custom_input(const char *arguments, size_t n);

bool responses_is_custom(const struct answer *a, const struct answer_call *call);

void responses_whole(const struct answer *a, const struct reply_usage *usage, struct buf *out);
void responses_begin(struct answer *a, const struct reply_usage *usage, struct buf *out);
void responses_events(struct answer *a, const struct reply_delta *delta, struct buf *out);
void responses_end(struct answer *a, const struct reply_usage *usage, struct buf *out);
void responses_fail(struct answer *a, const struct api_error *e, struct buf *out);

#endif
