/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/dialect/ollama_priv.h - how Ollama's requests are read, for the table of its dialects. */
#ifndef POMONA_GATEWAY_DIALECT_OLLAMA_PRIV_H
#define POMONA_GATEWAY_DIALECT_OLLAMA_PRIV_H

#include "gateway/dialect/api_request.h"
#include "gateway/http/api_error.h"

enum status ollama_parse_chat(const json_t *body, struct api_request *r, struct api_error *e);
enum status ollama_parse_generate(const json_t *body, struct api_request *r, struct api_error *e);
enum status ollama_parse_embed(const json_t *body, struct api_request *r, struct api_error *e);

#endif
