/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/dialect/answer.h - an answer being written, whole or as events.
 *
 * Deltas of all choices go in as they come; out comes JSON in the dialect's
 * shape.  An answer is used in one way: answer_collect() and answer_whole(),
 * or answer_events() and answer_usage_event().
 *
 * Threads  the loop's
 */
#ifndef POMONA_GATEWAY_DIALECT_ANSWER_H
#define POMONA_GATEWAY_DIALECT_ANSWER_H

#include "base/buf.h"
#include "contract/reply.h"
#include "gateway/dialect/dialect.h"

enum { LOGPROB_LISTS = 4 };

struct answer_choice {
    struct buf text;
    struct buf logprobs[LOGPROB_LISTS]; /* the dialect's; elements of JSON arrays */
    size_t n_characters;                /* of the tokens with logprobs so far */
    bool wants_logprobs;
    bool has_begun; /* its first event was written */
    enum finish_reason finish;
};

struct answer {
    const struct dialect *dialect;
    char id[REQUEST_ID_MAX];
    struct buf head; /* of a whole answer: {"id":...,"system_fingerprint":"..." */
    struct buf event_head;
    bool includes_usage, counts_tokens;
    struct answer_choice *choices; /* [n_choices] */
    size_t n_choices;
};

/* request  borrowed
 * model    the name to show */
enum status answer_new(const struct api_request *request, const char *model, int64_t created_unix_s,
                       struct answer **ret_answer, struct err *err);
void answer_free(struct answer *a); /* NULL is allowed */

void answer_collect(struct answer *a, const struct reply_delta *delta);
void answer_whole(const struct answer *a, const struct reply_usage *usage, struct buf *out);

void answer_events(struct answer *a, const struct reply_delta *delta, struct buf *out);
void answer_usage_event(const struct answer *a, const struct reply_usage *usage, struct buf *out);

/* For dialects: one event with one choice.  Between the two calls comes the choice's object.
 * delta  what the client has with this event; NULL where it brings nothing of the text */
void answer_event_begin(const struct answer *a, struct buf *out);
void answer_event_end(const struct answer *a, const struct reply_delta *delta, struct buf *out);

/* "stop" with its quotes, or null. */
void answer_finish_word(enum finish_reason finish, struct buf *out);

#endif
