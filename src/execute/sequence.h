/* SPDX-License-Identifier: Apache-2.0 */
/* execute/sequence.h - one generation inside a driver: its tokens and its pages.
 *
 * Threads  the driver's
 * Memory   everything is allocated when the sequence is made, for its whole length
 */
#ifndef POMONA_EXECUTE_SEQUENCE_H
#define POMONA_EXECUTE_SEQUENCE_H

#include <stdbool.h>
#include <stdint.h>

#include "contract/token_stream.h"
#include "execute/constrain.h"
#include "execute/spec/spec.h"

struct sequence {
    uint64_t id;
    uint32_t tag; /* the caller's number, repeated in each event */
    token_stream_fn *fn;
    void *arg;

    struct sampling sampling; /* logit_bias is our own copy */
    int32_t *stop_tokens;     /* [n_stop_tokens] */
    size_t n_stop_tokens;
    uint32_t min_tokens;
    bool ignores_eos;
    enum pooling pooling;
    bool scores_prompt;
    uint64_t cache_salt;
    bool tells_progress;
    uint32_t n_told; /* positions told to be computed */
    bool makes_none; /* scores alone are wanted */
    float *pool;     /* [n_pool]: POOLING_MEAN, the sum so far; POOLING_LAST, the row */
    uint32_t n_pool;
    uint32_t n_scored; /* tokens of the prompt told */

    int32_t *tokens; /* [n_limit]: prompt, then answer, then guesses */
    uint32_t n_prompt, n_tokens, n_limit;
    uint32_t n_given;    /* tokens it began with: the prompt, and what there was of the answer */
    uint32_t n_drafts;   /* tokens guessed after the known ones, to be verified by the next step;
                          * n_tokens + n_drafts < n_limit */
    uint32_t n_sent;     /* positions computed or under way */
    uint32_t n_computed; /* positions whose keys and values are in the pages of every rank */
    uint32_t n_flights;  /* steps under way that hold rows of it */
    uint32_t *pages;     /* [n_pages], taken as it grows; room for n_limit tokens */
    uint32_t n_pages;
    uint32_t n_kept;          /* of them, from the first, in the tree of prefixes */
    uint32_t n_cached_tokens; /* of those it began with, found in that tree */

    uint32_t tenant; /* its place in fair.h */
    enum priority priority;

    struct spec_sequence spec;    /* the driver's to join and leave */
    struct constraint constraint; /* the same */

    struct trace_context trace;         /* for which request it is; may be none */
    char request_id[TRACE_REQUEST_MAX]; /* the same */
    uint32_t slot;                      /* in steps, from 1; 0: other ranks do not trace it */
    bool is_marked;                     /* they know what the slot stands for */
    uint64_t admitted_ns;               /* clock_ns(), of the first time */

    bool is_running; /* admitted */
    bool was_admitted;
    bool is_over; /* finished or canceled: fn is not called again */
};

/* n_limit  prompt and answer, > generation->n_prompt
 * n_pages  for n_limit tokens
 * n_hidden of a row, for sequences that are pooled
 * Errors   ST_NOMEM */
enum status sequence_new(const struct generation *generation, uint32_t n_limit, uint32_t n_pages,
                         uint32_t n_hidden, struct sequence **ret_sequence, struct err *err);
void sequence_free(struct sequence *sequence); /* NULL is allowed; pages are the driver's to free */

/* Why the sequence ends with `token`, its newest; FINISH_NONE where it goes on. */
enum finish_reason sequence_finish(const struct sequence *sequence, int32_t token);

/* Is its prompt computed, or under way? */
bool sequence_is_decoding(const struct sequence *sequence);

/* Must every token of its prompt be computed, cached or not? */
bool sequence_needs_every_row(const struct sequence *sequence);

/* Rows of logits of a span of its rows [start, end). */
uint32_t sequence_logit_rows(const struct sequence *sequence, uint32_t start, uint32_t end);

/* May it not end yet? */
bool sequence_must_go_on(const struct sequence *sequence);

#endif
