/* SPDX-License-Identifier: Apache-2.0 */
/* flow/upstream/chat_request.h - a request of any dialect as a chat completion, the one API that every upstream speaks.
 *
 * What changes the answer is sent or the upstream is not asked (chat_request_needs()); what a strict server would
 * refuse as unknown is sent to those kinds alone that know it.  Of text a stream is always asked for, with usage at its
 * end; a count and vectors come in one piece (one_answer.h).
 *
 * Pure.  Source: OpenAI API reference, "Chat completions", "Completions"; vLLM documentation, "Extra parameters"
 */
#ifndef POMONA_FLOW_UPSTREAM_CHAT_REQUEST_H
#define POMONA_FLOW_UPSTREAM_CHAT_REQUEST_H

#include "base/buf.h"
#include "gateway/dialect/api_request.h"

/* What a kind of upstream can do: bits. */
enum {
    CHAT_EXTRAS =
        1u << 0, /* takes top_k, min_p, repetition_penalty, chat_template_kwargs, min_tokens, ... */
    CHAT_SCHEMA = 1u << 1,  /* holds an answer to response_format */
    CHAT_GRAMMAR = 1u << 2, /* holds an answer to `grammar`, GBNF */
    CHAT_COUNTS =
        1u << 3, /* says how many tokens a chat is, at /v1/chat/completions/input_tokens */
    CHAT_ALL = CHAT_EXTRAS | CHAT_SCHEMA | CHAT_GRAMMAR | CHAT_COUNTS,
};

/* Is this something that upstreams are asked for? */
bool chat_request_is_one(const struct api_request *r);

/* Without these an upstream would answer something else than what was asked for. */
unsigned chat_request_needs(const struct api_request *r);

/* The address: "/v1/chat/completions"; "/v1/completions" where the prompt is a text; of counts and of vectors. */
const char *chat_request_path(const struct api_request *r);

/* can     of the upstream
 * Returns given: json_decref(); NULL: no memory */
json_t *chat_request_body(const struct api_request *r, const char *model, unsigned can);

#endif
