/* SPDX-License-Identifier: Apache-2.0 */
/* aggregate/aggregate.h - stage 6: tokens of one choice become text.
 *
 * Detokenises whole characters, tells words, thoughts and calls of functions
 * apart (speech.h), holds back what may be the start of a stop string, cuts at
 * a stop string, pairs logprobs with the text they made, and counts usage.
 *
 * Stop strings match bytes across token borders.  While the end of the text
 * is a proper prefix of a stop string it is held; at a match the text before
 * it is given out and the choice finishes with FINISH_STOP.  They are looked
 * for in words alone, and logprobs are those of words.
 *
 * Threads  the caller's; no state is shared
 */
#ifndef POMONA_AGGREGATE_AGGREGATE_H
#define POMONA_AGGREGATE_AGGREGATE_H

#include <stdbool.h>

#include "aggregate/speech.h"
#include "base/status.h"
#include "contract/reply.h"
#include "contract/token_stream.h"
#include "text/tokenizer/tokenizer.h"

struct aggregate;

struct aggregate_options {
    const struct tokenizer *tokenizer; /* borrowed, must outlive it */
    const char *const *stops;          /* [n_stops], borrowed during aggregate_new() */
    size_t n_stops;
    bool includes_stop; /* keep the stop string in the text */
    bool wants_logprobs;
    bool scores_stop; /* a stop token has its logprob told, too, though it is no text */
    struct speech_options speech;
    const struct speech_format *marks; /* special tokens that are text here; NULL: none */
    bool calls_once;                   /* the first call ends the choice */
    uint32_t choice;
};

typedef void reply_fn(void *arg, const struct reply_delta *delta);

enum status aggregate_new(const struct aggregate_options *options, reply_fn *fn, void *arg,
                          struct aggregate **ret_aggregate, struct err *err);
void aggregate_free(struct aggregate *aggregate); /* NULL is allowed */

/* One token of the stream; fn is called for what it makes visible, if
 * anything.  *ret_finished: this choice is over, by the event's finish or by
 * a stop string (then the caller cancels the sequence). */
enum status aggregate_push(struct aggregate *aggregate, const struct token_event *event,
                           bool *ret_finished, struct err *err);

/* Tokens pushed so far, stop tokens included; and those of them that were thoughts. */
uint64_t aggregate_n_tokens(const struct aggregate *aggregate);
uint64_t aggregate_n_thought_tokens(const struct aggregate *aggregate);

/* The model thinks, and has not begun to answer. */
bool aggregate_is_thinking(const struct aggregate *aggregate);

#endif
