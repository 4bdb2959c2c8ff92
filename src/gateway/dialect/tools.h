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

/* With `strict`, arguments are held to the schema, and one that cannot be held is refused.
 * tool        where `strict` may stand
 * parameters  the schema; may be NULL */
enum status tools_hold(const json_t *tool, const json_t *parameters, struct api_request *r,
                       const char *param, struct api_error *e);

/* The same as tools_add() for a tool of free text: the model is shown a function of one
 * string, `input`.  It is told of the format, a regular expression or a Lark grammar, and held to it; one that
 * cannot be held is refused.
 * tool   {"name","description","format"}
 * names  of such tools; this one's is added */
enum status tools_add_custom(json_t *list, json_t *names, const json_t *tool, struct api_request *r,
                             const char *param, struct api_error *e);

/* context  as in struct api_request: {"custom": names}; NULL is allowed */
bool tools_is_custom(const json_t *context, const char *name);

/* The free text in a call's arguments.  Given: json_decref(), a string; NULL: no memory. */
json_t *tools_custom_input(const char *arguments, size_t n);

/* Leave in `list` what `allowed` names: [{"name"} or {"function" or "custom": {"name"}}...]. */
enum status tools_keep(json_t *list, const json_t *allowed, const char *param, struct api_error *e);

/* Take over `list` as what may be called, unless r->tool_choice is TOOLS_NONE: to r->tools, and to
 * r->variables, which must be there.  Checks that what must be called is there.
 * list  taken */
enum status tools_offer(json_t *list, struct api_request *r, struct api_error *e);

/* What `choice` wants: "auto", "none", "required", {"type":"function","function":{"name"}}, or
 * {"type":"allowed_tools",...}, which leaves in `list` what it names.
 * choice  may be NULL: as the model likes */
enum status tools_choose(const json_t *choice, const char *param, json_t *list,
                         struct api_request *r, struct api_error *e);

/* `tools`, `tool_choice` and `parallel_tool_calls` of chat completions, and the older `functions` and
 * `function_call`. */
enum status tools_parse(const json_t *body, struct api_request *r, struct api_error *e);

/* A call as a template wants it: arguments are an object where they are one, and one that remembers how
 * it was written (TEMPLATE_WRITTEN).
 * arguments  JSON as text, of n bytes
 * Returns    NULL: no memory */
json_t *tool_call_for_template(const char *id, const char *name, const char *arguments, size_t n);

/* The same of arguments that are an object.
 * arguments  borrowed; NULL: {} */
json_t *tool_call_of_object(const struct api_request *r, const char *id, const char *name,
                            const json_t *arguments);

/* The calls of an assistant's message, `tool_calls` or `function_call`, into `made`.
 * param  path of the message */
enum status tool_calls_parse(const struct api_request *r, const json_t *message, json_t *made,
                             const char *param, struct api_error *e);

#endif
