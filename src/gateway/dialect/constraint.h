/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/dialect/constraint.h - what a request says of the answer's form, as one grammar.
 *
 *     response_format      OpenAI: text, json_object, json_schema; also json_object with a schema
 *     grammar, json_schema llama.cpp: GBNF, a JSON schema
 *     guided_json, guided_regex, guided_choice, guided_grammar, structured_outputs   vLLM
 *
 * One of them at most.  A form that cannot be held is refused here; nothing is left out of it.
 *
 * Source  OpenAI API reference, "Structured outputs"; vLLM's "Structured Outputs"; llama.cpp's
 *         server
 */
#ifndef POMONA_GATEWAY_DIALECT_CONSTRAINT_H
#define POMONA_GATEWAY_DIALECT_CONSTRAINT_H

#include "gateway/dialect/api_request.h"
#include "gateway/http/api_error.h"

/* Does a body of any dialect ask for a form of its answer?  Reading that may take milliseconds. */
bool constraint_is_asked(const json_t *body);

/* Fill r->grammar where the request constrains its answer. */
enum status constraint_parse(const json_t *body, struct api_request *r, struct api_error *e);

/* A schema becomes r->grammar; for dialects with a place of their own for it.
 * param  what an error is said to be in */
enum status constraint_of_schema(const json_t *schema, const char *param, struct api_request *r,
                                 struct api_error *e);

/* Any object of JSON becomes r->grammar. */
enum status constraint_of_object(const char *param, struct api_request *r, struct api_error *e);

/* Does grammar text compile?  If not it is refused: `param` cannot be held.
 * kind  as below */
enum status constraint_check(const struct buf *text, const char *param, enum api_error_kind kind,
                             const struct api_request *r, struct api_error *e);

/* Grammar text becomes r->grammar; refused where it does not compile.
 * kind  of error: API_GRAMMAR or API_SCHEMA */
enum status constraint_take(struct buf *text, const char *param, enum api_error_kind kind,
                            struct api_request *r, struct api_error *e);

#endif
