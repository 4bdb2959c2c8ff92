/* SPDX-License-Identifier: Apache-2.0 */
/* contract/request.h - what a client asked for, free of any API dialect: stage 1 to the others.
 *
 * A request holds n prompts x n choices; choice i*n + j is the j-th answer to
 * prompt i.  Limits below are checked by the dialects, so later stages rely
 * on them.
 */
#ifndef POMONA_CONTRACT_REQUEST_H
#define POMONA_CONTRACT_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "contract/model_info.h"
#include "contract/trace.h"

enum {
    REQUEST_ID_MAX = 48,
    REQUEST_CHOICES_MAX = 8,   /* n */
    REQUEST_PROMPTS_MAX = 64,  /* prompts of one legacy completion */
    REQUEST_INPUTS_MAX = 2048, /* texts of one request for embeddings, or to rank */
    REQUEST_STOPS_MAX = 16,
    REQUEST_STOP_BYTES_MAX = 256,
    REQUEST_LOGIT_BIAS_MAX = 1024,
    REQUEST_TOP_LOGPROBS_MAX = 20,
    REQUEST_GRAMMAR_BYTES_MAX = 1 << 20,
    REQUEST_TRIGGER_BYTES_MAX = 256,
};

struct logit_bias {
    int32_t token;
    float bias; /* -100..100, added to the logit */
};

/* How a token is chosen.  sampling_init() gives the defaults. */
struct sampling {
    float temperature;        /* 0..2; 0 is greedy */
    float top_p;              /* 0..1; 1 is off */
    float min_p;              /* 0..1; 0 is off */
    uint32_t top_k;           /* 0 is off */
    float repetition_penalty; /* > 0; 1 is off; prompt and answer */
    float presence_penalty;   /* -2..2; answer only */
    float frequency_penalty;  /* -2..2; answer only */
    uint64_t seed;            /* the same seed and request give the same tokens */
    bool wants_logprobs;
    uint32_t n_top_logprobs;             /* 0..REQUEST_TOP_LOGPROBS_MAX */
    const struct logit_bias *logit_bias; /* [n_logit_bias], borrowed */
    size_t n_logit_bias;
};

void sampling_init(struct sampling *s);

enum priority {
    PRIORITY_INTERACTIVE = 0, /* somebody waits for it */
    PRIORITY_BATCH,           /* computed where nothing interactive needs the place */
};

/* What is wanted of a sequence in place of tokens. */
enum pooling {
    POOLING_NONE = 0, /* tokens */
    POOLING_MEAN,     /* one vector: the mean of the rows of all its tokens after the output norm */
    POOLING_LAST,     /* one vector: the row of its last token after the output norm */
};

/* One sequence to generate: what a driver is given.
 *
 * An answer that another instance began goes on where the tokens it has are given after the
 * prompt: the last n_prior of `prompt`.  What follows is what would have followed there, bit for
 * bit, as a token depends on the seed, its position, and which tokens before it are an answer. */
struct generation {
    const int32_t *prompt; /* [n_prompt], n_prompt > n_prior */
    size_t n_prompt;
    size_t n_prior;             /* 0: the answer begins here */
    uint32_t max_tokens;        /* of the answer, n_prior of them there already: > n_prior */
    uint32_t min_tokens;        /* of the answer; end of text is not allowed before */
    bool ignores_eos;           /* go on after end of text */
    const int32_t *stop_tokens; /* end of text, end of turn, and the client's: [n_stop_tokens] */
    size_t n_stop_tokens;
    enum pooling pooling; /* not POOLING_NONE: no tokens are made, max_tokens is 1 */
    bool scores_prompt;   /* first an event for each token of the prompt but the first, with its
                           * logprob; max_tokens may then be 0, and n_prior is 0 */
    uint64_t cache_salt;  /* keys and values are shared with generations of the same alone */
    bool tells_progress;  /* events say how much of the prompt is computed */
    bool without_guesses; /* no tokens are guessed ahead: the answer is the same */
    struct sampling sampling;
    const char *grammar;         /* GBNF as text/grammar/grammar.h reads it, whose `root` the answer
                                  * has to be; NULL: any text */
    const char *grammar_trigger; /* NULL: from the first token.  Else the answer is free until this
                                  * text occurs in it; what follows that is the grammar's, to the end */
    uint64_t tenant;             /* who asks: tenants are served in turn; 0 is one like any other */
    enum priority priority;
    struct trace_context trace;         /* for which request it is, where that is known */
    char request_id[TRACE_REQUEST_MAX]; /* the same; "": not known */
};

enum finish_reason {
    FINISH_NONE = 0, /* still running */
    FINISH_STOP,     /* a stop token or a stop string */
    FINISH_LENGTH,   /* max_tokens, or the context is full */
    FINISH_CANCELED,
    FINISH_TOOL_CALLS, /* it waits for results of functions; made by stage 6, no driver says it */
};

/* The OpenAI word: "stop", "length", "tool_calls"; NULL for FINISH_NONE. */
const char *finish_reason_word(enum finish_reason reason);

#endif
