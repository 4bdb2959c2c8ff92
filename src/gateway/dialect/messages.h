/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/dialect/messages.h - a chat's messages as a template wants them.
 *
 * Content comes as a string, as parts or as null; templates get one string.
 */
#ifndef POMONA_GATEWAY_DIALECT_MESSAGES_H
#define POMONA_GATEWAY_DIALECT_MESSAGES_H

#include "gateway/dialect/api_request.h"
#include "gateway/http/api_error.h"

enum { MESSAGES_MAX = 4096 };

/* Fill r->variables: {"messages":[{"role","content"}...],"add_generation_prompt":true} and the
 * template's options that were asked for. */
enum status messages_parse(const json_t *body, struct api_request *r, struct api_error *e);

/* The answer goes on with the last message, which has to be the assistant's: r->variables say so.
 * param  what an error is said to be in */
enum status messages_continue(struct api_request *r, const char *param, struct api_error *e);

/* Is the last message the assistant's words, and no call? */
bool messages_end_in_words(const json_t *messages);

#endif
