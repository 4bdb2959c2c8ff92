/* SPDX-License-Identifier: Apache-2.0 */
/* contract/reply.h - text as it is to be shown: stage 6 back to stage 1. */
#ifndef POMONA_CONTRACT_REPLY_H
#define POMONA_CONTRACT_REPLY_H

#include <stddef.h>
#include <stdint.h>

#include "contract/request.h"

/* One token's entry for a logprobs field.  Bytes may be part of a character. */
struct reply_candidate {
    const char *bytes;
    size_t n_bytes;
    int32_t token;
    float logprob; /* NAN: nothing is known, as of the first token of a prompt */
};

struct reply_logprob {
    struct reply_candidate chosen;
    const struct reply_candidate *top; /* [n_top] */
    size_t n_top;
};

/* What a piece of an answer is. */
enum reply_part {
    REPLY_TEXT = 0,       /* for the eyes of who asked */
    REPLY_REASONING,      /* what the model thought before */
    REPLY_TOOL_NAME,      /* a call of a function begins: its whole name */
    REPLY_TOOL_ARGUMENTS, /* more of that call's arguments, which are a JSON object */
};

/* More of one choice.  Everything is lent during the call. */
struct reply_delta {
    uint32_t choice;
    enum reply_part part;
    uint32_t call;    /* which call of the choice, from 0; with REPLY_TOOL_* */
    const char *text; /* whole UTF-8 characters; may be empty */
    size_t n_text;
    uint64_t n_tokens; /* of the choice, that made its text up to the end of this */
    const struct reply_logprob *logprobs; /* of the tokens that made `text`; empty if not asked */
    size_t n_logprobs;
    enum finish_reason finish; /* not FINISH_NONE: the last delta of this choice */
    const char *stop;          /* the stop string that ended it; NULL: none did */
};

/* Vectors of length 1 in place of text. */
struct reply_vectors {
    const float *rows; /* [n_rows][n_dims]: one for each prompt, in order */
    size_t n_rows, n_dims;
    const char *model; /* the name to show */
    uint64_t prompt_tokens;
    uint64_t total_ns;
};

/* How far a prompt is. */
struct reply_progress {
    uint32_t choice;
    uint64_t n_total, n_cached, n_computed; /* tokens; those cached are computed, too */
    uint64_t elapsed_ms;                    /* since the instance was asked */
};

struct reply_usage {
    uint64_t prompt_tokens;
    uint64_t completion_tokens; /* stop tokens included */
    uint64_t cached_tokens;
    uint64_t reasoning_tokens; /* of completion_tokens */
};

#endif
