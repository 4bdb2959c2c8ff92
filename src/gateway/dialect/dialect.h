/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/dialect/dialect.h - one API's JSON: how a request is read and an answer written.
 *
 * To add one: a file beside openai_chat.c with a const struct dialect, named
 * below, and a row in routes[] (gateway.c).
 */
#ifndef POMONA_GATEWAY_DIALECT_DIALECT_H
#define POMONA_GATEWAY_DIALECT_DIALECT_H

#include "contract/reply.h"
#include "gateway/dialect/api_request.h"
#include "gateway/http/api_error.h"

struct answer;
struct answer_choice;

struct dialect {
    const char *name;
    const char *id_prefix; /* "chatcmpl-" */
    const char *object;    /* of a whole answer */
    const char *chunk;     /* of an event */

    /* Fill `r`, which api_request_init() prepared; on error what was filled
     * stays for api_request_release(), and `e` says what is wrong. */
    enum status (*parse)(const json_t *body, struct api_request *r, struct api_error *e);

    /* One choice of a whole answer, from what was collected. */
    void (*choice)(const struct answer_choice *c, uint32_t index, struct buf *out);

    /* The events a delta makes; its logprobs were collected before. */
    void (*events)(struct answer *a, const struct reply_delta *delta, struct buf *out);

    /* The choice of an event that brings no text of it; NULL: how far a prompt is is not told. */
    void (*silent)(struct answer *a, uint32_t choice, struct buf *out);

    /* TASK_LOAD: the whole answer. */
    void (*loaded)(const struct api_request *r, const char *model, struct buf *out);

    /* TASK_EMBED: the whole answer. */
    void (*vectors)(const struct api_request *r, const struct reply_vectors *vectors,
                    struct buf *out);

    /* Append logprobs to those collected. */
    void (*collect)(struct answer_choice *c, const struct reply_logprob *logprobs, size_t n);

    const char *call_prefix; /* of the ids of calls; NULL: "call_" */

    /* Where an answer has another frame than OpenAI's choices, all of it is written by these; else
     * they are NULL.  begin comes before the first delta, end after the last; then there is no
     * [DONE]. */
    void (*whole)(const struct answer *a, const struct reply_usage *usage, struct buf *out);
    void (*begin)(struct answer *a, const struct reply_usage *usage, struct buf *out);
    void (*end)(struct answer *a, const struct reply_usage *usage, struct buf *out);
    void (*fail)(struct answer *a, const struct api_error *e, struct buf *out);
    const char *content_type; /* of a stream; NULL: of server-sent events */
    const char *keep_alive;   /* an event; NULL: a comment */
    bool keeps_text;          /* a stream's deltas are collected, too */
};

extern const struct dialect openai_chat;
extern const struct dialect openai_completions;

extern const struct dialect anthropic_messages;
extern const struct dialect openai_responses;

/* Of these parse() alone is there: what they ask for is no generated text. */
extern const struct dialect tokenize;
extern const struct dialect detokenize;
extern const struct dialect apply_template;
extern const struct dialect count_input_tokens;
extern const struct dialect anthropic_count;
extern const struct dialect responses_count;

/* Of these parse() and vectors(). */
extern const struct dialect openai_embeddings;
extern const struct dialect rerank_jina;
extern const struct dialect rerank_tei;
extern const struct dialect ollama_embed;
extern const struct dialect ollama_embeddings;

extern const struct dialect ollama_chat;
extern const struct dialect ollama_generate;

#endif
