/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/dialect/tools.h - functions that a model may call, and those that it called before.
 *
 * Whatever a dialect's own shape, the rest of Pomona has OpenAI's:
 * {"type":"function","function":{"name","description","parameters"}}, which is what chat templates
 * are written for.
 */
#ifndef POMONA_GATEWAY_DIALECT_TOOLS_H
#define POMONA_GATEWAY_DIALECT_TOOLS_H

#include "gateway/dialect/api_request.h"
#include "gateway/http/api_error.h"

enum { TOOLS_MAX = 1024, CALLS_MAX = 256 /* of one message */ };

/* Letters, digits, '_', '-' and '.', 1 to TOOL_NAME_MAX - 1 of them. */
bool tool_name_is_valid(const char *name);

/* Append a function to `list`.
 * description, parameters  borrowed, may be NULL: none
 * param                    where in the request it is, for the error */
enum status tools_add(json_t *list, const char *name, json_t *description, json_t *parameters,
                      const char *param, struct api_error *e);

/* Take over `list` as what may be called, unless r->tool_choice is TOOLS_NONE: to r->tools, and to
 * r->variables, which must be there.  Checks that what must be called is there.
 * list  taken */
enum status tools_offer(json_t *list, struct api_request *r, struct api_error *e);

/* `tools`, `tool_choice` and `parallel_tool_calls` of chat completions, and the older `functions` and
 * `function_call`. */
enum status tools_parse(const json_t *body, struct api_request *r, struct api_error *e);

/* A call as a template wants it: arguments are an object where they are one.
 * arguments  JSON as text, of n bytes
 * Returns    NULL: no memory */
json_t *tool_call_for_template(const char *id, const char *name, const char *arguments, size_t n);

/* The calls of an assistant's message, `tool_calls` or `function_call`, into `made`.
 * param  path of the message */
enum status tool_calls_parse(const json_t *message, json_t *made, const char *param,
                             struct api_error *e);

#endif
