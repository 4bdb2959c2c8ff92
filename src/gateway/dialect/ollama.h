/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/dialect/ollama.h - Ollama's API: what its routes share.
 *
 * Requests are read as OpenAI's are, once translated (ollama.c); answers are lines of JSON
 * (ollama_answer.c); what it says of models is in ollama_models.c.
 *
 * Source: Ollama, docs/api.md; what ollama-python 0.6 reads
 */
#ifndef POMONA_GATEWAY_DIALECT_OLLAMA_H
#define POMONA_GATEWAY_DIALECT_OLLAMA_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "contract/model_info.h"
#include "gateway/http/api_error.h"

/* The version whose API this is: clients turn features on by it. */
#define OLLAMA_VERSION "0.13.0"

enum { OLLAMA_TIME_MAX = 40, OLLAMA_WHAT_MAX = 1024 };

/* {"error":"words"} */
void ollama_render_error(const struct api_error *e, struct buf *out);
extern const struct error_shape ollama_errors;

/* The time in RFC 3339, with nanoseconds.  unix_s 0: now */
void ollama_time(int64_t unix_s, char ret_text[OLLAMA_TIME_MAX]);

/* "model" or, older, "name". */
struct ollama_name {
    char name[OLLAMA_WHAT_MAX]; /* as it was sent */
    char model[MODEL_NAME_MAX]; /* without ":latest" */
    bool streams;
};
enum status ollama_name_parse(const json_t *body, struct ollama_name *ret_name,
                              struct api_error *e);

/* Without ":latest", which is the same model. */
void ollama_strip_tag(char *model);

void ollama_render_tags(const struct model_info *models, size_t n, struct buf *out);

/* context_tokens  [n], of the instances that run */
void ollama_render_ps(const struct model_info *models, const uint32_t *context_tokens, size_t n,
                      struct buf *out);
void ollama_render_show(const struct model_info *model, struct buf *out);

#endif
