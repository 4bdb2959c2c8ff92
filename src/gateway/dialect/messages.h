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

#endif
