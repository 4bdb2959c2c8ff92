/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/dialect/api_request.h - a request as a client wrote it, checked and free of its dialect.
 *
 * Everything a later stage reads was checked by a dialect's parse(): types,
 * ranges, and the limits of contract/request.h.  What is not known yet (the
 * model's tokens, how much context is left) is decided in flow/.
 */
#ifndef POMONA_GATEWAY_DIALECT_API_REQUEST_H
#define POMONA_GATEWAY_DIALECT_API_REQUEST_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "contract/request.h"

enum { STOP_TOKENS_MAX = 64, TOOL_NAME_MAX = 129 /* NUL included */ };

struct call_texts;
struct reservation;
struct dialect;
struct responses_store;
struct known_grammars;

/* What is asked for. */
enum api_task {
    TASK_GENERATE = 0,
    TASK_TOKENIZE,   /* the prompt as tokens */
    TASK_DETOKENIZE, /* the prompt, tokens, as text */
    TASK_TEMPLATE,   /* the conversation as the model's template writes it */
    TASK_COUNT,      /* how many tokens the prompt is */
    TASK_LOAD,       /* that there is such a model */
    TASK_EMBED,      /* one vector for each prompt */
};

enum tool_choice {
    TOOLS_AUTO = 0, /* as the model likes */
    TOOLS_NONE,
    TOOLS_REQUIRED, /* at least one call */
    TOOLS_NAMED,    /* one of `tool_name` */
};

/* One prompt of a completion: text, or tokens where `tokens` is set. */
struct api_prompt {
    char *text; /* owned; NULL for tokens */
    size_t n_text;
    int32_t *tokens; /* owned */
    size_t n_tokens;
};

struct api_request {
    const struct dialect *dialect;
    enum api_task task;
    char model[MODEL_NAME_MAX]; /* "" where the client left it open */

    json_t *variables;          /* chat: what the template is rendered with; owned.  Else NULL */
    struct api_prompt *prompts; /* completions: [n_prompts], owned */
    size_t n_prompts;           /* 1 for a chat */
    uint32_t n;                 /* choices of each prompt */
    bool adds_special;          /* TASK_TOKENIZE: the model's first token, where it wants one */
    bool parses_special;        /* the same: special tokens written in the text count as such */
    bool with_pieces;           /* the same: each token's text is given too */

    char *suffix;    /* completions: what follows the text that is asked for; owned */
    bool echoes;     /* completions: the prompt comes before the answer */
    bool makes_none; /* with `echoes`: no token is to be generated */

    enum pooling pooling; /* TASK_EMBED */
    uint32_t n_dims;      /* TASK_EMBED: of each vector; 0: all the model has */
    bool writes_base64;   /* the same: rather than numbers */
    bool returns_texts;   /* ranking: with each document's text */
    uint32_t n_best;      /* ranking: so many alone; 0: all */

    uint32_t max_tokens; /* 0: as many as the context holds */
    uint32_t min_tokens;
    bool ignores_eos;
    bool has_seed;
    struct sampling sampling; /* logit_bias is owned */
    struct logit_bias *logit_bias;
    json_t *bias_texts; /* the same by text, which is not yet tokens: [[text, bias]...]; owned */

    json_t *tools; /* what may be called (tools.h); owned.  NULL: nothing */
    enum tool_choice tool_choice;
    char tool_name[TOOL_NAME_MAX];
    bool calls_once;       /* the first call ends the answer */
    bool holds_calls;      /* a call that the model likes to make is held to its schema, too */
    bool answers_function; /* chat completions: in the shape before there were tools */
    uint32_t thought_tokens_max; /* more, and the model is made to answer; 0: no bound */

    uint64_t owner;                /* the tenant as the guard knows it; 0: it asks nobody */
    struct responses_store *store; /* what went before, of one dialect; lent */
    struct call_texts *call_texts; /* lent; NULL: none are known */
    json_t *context; /* what the dialect needs to write its answer; owned, may be NULL */

    struct known_grammars *known_grammars; /* lent; NULL: none is known */
    json_t *schema; /* what `grammar` was made of, true: any object; owned.  NULL: of no schema */
    char *grammar;  /* as in struct generation; owned */
    char *grammar_trigger; /* as in struct generation; owned */

    char *stops[REQUEST_STOPS_MAX]; /* owned */
    size_t n_stops;
    bool includes_stop;
    int32_t stop_tokens[STOP_TOKENS_MAX];
    size_t n_stop_tokens;

    uint64_t tenant;     /* who asks, as far as the request says */
    uint64_t cache_salt; /* as the request says; 0: it says none */
    uint64_t session;    /* what it goes on with, as far as the request says; 0: nothing */
    enum priority priority;

    struct reservation *reservation; /* what was reserved for it, owned; NULL: nothing */

    bool streams;
    bool tells_progress;     /* a stream says how much of the prompt is computed */
    bool includes_usage;     /* a usage event at the end of a stream */
    bool counts_tokens;      /* each event says how many tokens made the text so far */
    uint64_t n_known_tokens; /* the client has what these made: repeat.h */
};

void api_request_init(struct api_request *r);
void api_request_release(struct api_request *r);

#endif
