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

enum { LOGPROB_LISTS = 4, CALL_ID_MAX = 40, ANSWER_CALLS_MAX = 256 };

struct answer_call {
    char id[CALL_ID_MAX];
    struct buf name, arguments;
    bool is_custom; /* of a tool of free text (tools.h) */
    bool is_told;   /* the same: a stream's client has its text */
};

struct answer_choice {
    struct buf text;
    struct buf logprobs[LOGPROB_LISTS]; /* the dialect's; elements of JSON arrays */
    size_t n_characters;                /* of the tokens with logprobs so far */
    bool wants_logprobs;
    bool answers_function; /* as in struct api_request */
    bool has_begun;        /* its first event was written */
    struct buf thoughts;
    struct answer_call *calls; /* [n_calls] */
    size_t n_calls;
    enum finish_reason finish;
    char stop[REQUEST_STOP_BYTES_MAX + 1]; /* the stop string that ended it; "": none did */
};

struct answer {
    const struct dialect *dialect;
    char id[REQUEST_ID_MAX];
    struct buf head; /* of a whole answer: {"id":...,"system_fingerprint":"..." */
    struct buf event_head;
    char model[MODEL_NAME_MAX]; /* the name to show */
    int64_t created_unix_s;
    uint64_t begun_ns, first_ns; /* clock_ns(): made, and given the first delta */
    bool includes_usage, counts_tokens;
    json_t *context;   /* the dialect's own, from struct api_request; owned */
    uint64_t n_events; /* the dialect's own counters, of a stream */
    uint32_t n_blocks;
    bool has_block;        /* one is open, */
    enum reply_part block; /* of this kind */
    char item_id[REQUEST_ID_MAX];
    struct buf item;               /* its text */
    struct buf item_logprobs;      /* as in struct answer_choice */
    struct answer_call call;       /* where it is a call; buffers are the choice's */
    json_t *output;                /* what is complete; owned */
    struct responses_store *store; /* borrowed; NULL: nothing is kept */
    struct call_texts *call_texts; /* the same */
    uint64_t owner;                /* as in struct api_request */
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

/* Of a stream, in this order; begin and end do nothing for most dialects. */
void answer_begin(struct answer *a, const struct reply_usage *usage, struct buf *out);
void answer_events(struct answer *a, const struct reply_delta *delta, struct buf *out);
/* An event that says how far a prompt is; nothing where the dialect has none. */
void answer_progress(struct answer *a, const struct reply_progress *progress, struct buf *out);
void answer_skip(struct answer *a,
                 const struct reply_delta *delta); /* instead: the client has it */
void answer_end(struct answer *a, const struct reply_usage *usage, struct buf *out);
void answer_usage_event(const struct answer *a, const struct reply_usage *usage, struct buf *out);

/* For dialects: one event with one choice.  Between the two calls comes the choice's object.
 * delta  what the client has with this event; NULL where it brings nothing of the text */
void answer_event_begin(const struct answer *a, struct buf *out);
void answer_event_end(const struct answer *a, const struct reply_delta *delta, struct buf *out);

/* A call's arguments as an object on one line; {} where they are none, as those that were cut. */
void answer_arguments(const struct answer_call *call, struct buf *out);

/* "stop" with its quotes, or null. */
void answer_finish_word(enum finish_reason finish, struct buf *out);

#endif
