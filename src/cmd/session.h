/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/session.h - a model opened whole in this process, and answers from it.
 *
 * What `run` and `chat` share: from a model's name to text on the way out.
 *
 *   messages --template--> text --tokenizer--> tokens --driver--> tokens --aggregate--> text
 *
 * Threads  the main thread; answers may be stopped from a signal handler
 */
#ifndef POMONA_CMD_SESSION_H
#define POMONA_CMD_SESSION_H

#include <jansson.h>
#include <signal.h>
#include <stddef.h>

#include "cmd/cmd.h"
#include "cmd/options.h"
#include "contract/request.h"
#include "execute/local.h"
#include "model/model.h"
#include "model/store/store.h"

/* How to open a model and how to answer: the targets of SESSION_ROWS. */
struct session_options {
    const char *system; /* NULL: the template's own */
    uint32_t max_tokens;
    double temperature, top_p, min_p, repetition_penalty;
    uint32_t top_k;
    uint64_t seed;
    uint32_t n_threads;      /* 0: all cores */
    uint32_t context_tokens; /* 0: the model's, at most 8192 */
    const char *engine;      /* NULL: the default */
    const char *kernels;     /* NULL: the best of this machine */
    const char *kv;          /* NULL: f16 */
    uint32_t activations;    /* bits; 0: 16 */
    const char *draft;       /* name or path of the draft model; NULL: none */
    bool without_guesses;    /* as struct generation has it */
};

/* Defaults; the seed is a fresh random one. */
void session_options_init(struct session_options *o);

enum { SESSION_THREADS_MAX = 1024, SESSION_CONTEXT_MAX = 1 << 20 };

/* clang-format off */
#define SESSION_ROWS(o)                                                                             \
    { "system", 's', "TEXT", "system prompt", OPTION_TEXT, &(o)->system, 0, 0 },                    \
    { "max-tokens", 'n', "N", "longest answer, in tokens (default 1024)", OPTION_U32,               \
      &(o)->max_tokens, 1, SESSION_CONTEXT_MAX },                                                   \
    { "temperature", 0, "T", "0 is greedy (default 0.7)", OPTION_REAL, &(o)->temperature, 0, 2 },   \
    { "top-p", 0, "P", "sample from the likeliest tokens of total probability P (default 0.95)",    \
      OPTION_REAL, &(o)->top_p, 0, 1 },                                                             \
    { "top-k", 0, "K", "sample from the K likeliest tokens (default 0: all)", OPTION_U32,           \
      &(o)->top_k, 0, SESSION_CONTEXT_MAX },                                                        \
    { "min-p", 0, "P", "drop tokens less likely than P times the likeliest (default 0)",            \
      OPTION_REAL, &(o)->min_p, 0, 1 },                                                             \
    { "repetition-penalty", 0, "R", "above 1 avoids repetition (default 1)", OPTION_REAL,           \
      &(o)->repetition_penalty, 0.01, 10 },                                                         \
    { "seed", 0, "N", "the same seed gives the same answer (default random)", OPTION_U64,           \
      &(o)->seed, 0, 0 },                                                                           \
    { "threads", 't', "N", "threads that compute (default all cores)", OPTION_U32,                  \
      &(o)->n_threads, 1, SESSION_THREADS_MAX },                                                    \
    { "context", 'c', "N", "longest conversation, in tokens (default the model's, at most 8192)",   \
      OPTION_U32, &(o)->context_tokens, 16, SESSION_CONTEXT_MAX },                                  \
    { "engine", 0, "NAME", "what computes: cpu, or mlx, the GPU of a Mac (default cpu)",            \
      OPTION_TEXT, &(o)->engine, 0, 0 },                                                            \
    { "kernels", 0, "NAME", "which kernels compute: ref, avx2, neon, ... (default the best)",       \
      OPTION_TEXT, &(o)->kernels, 0, 0 },                                                           \
    { "kv", 0, "FORMAT", "how keys and values are kept: f16, q8_0 (default f16)", OPTION_TEXT,      \
      &(o)->kv, 0, 0 },                                                                             \
    { "activations", 0, "BITS", "of numbers that meet quantised weights: 16, or 8, which is faster",\
      OPTION_U32, &(o)->activations, 1, 32 },                                                       \
    { "draft", 0, "MODEL", "a small model of the same vocabulary that guesses tokens ahead",        \
      OPTION_TEXT, &(o)->draft, 0, 0 },                                                             \
    { "no-spec", 0, NULL, "guess no tokens ahead: the same answer, slower where it repeats",        \
      OPTION_FLAG, &(o)->without_guesses, 0, 0 }
/* clang-format on */

struct session {
    struct model *model;
    struct tokenizer *tokenizer;
    struct template *template; /* NULL: the model has none */
    struct model *draft;       /* NULL: none guesses */
    struct local *local;
};

/* Find `name_or_path` in the store, open it, load it; loading shows its progress.
 * ret_session  given; release with session_close(); untouched on error
 * Errors       as store_find(), model_open(), local_open() */
enum status session_open(const struct app *app, const char *name_or_path,
                         const struct session_options *options, struct session *ret_session,
                         struct err *err);
void session_close(struct session *session); /* zeroed is allowed */

/* Find a model's file: ret_entry as store_find() fills it. */
enum status session_find(const struct app *app, const char *name_or_path,
                         struct store_entry *ret_entry, struct err *err);

/* Append the tokens of a conversation, its next answer begun.
 * messages  borrowed array of {"role","content"}
 * Errors    ST_NOTFOUND  the model has no template; as template_render() */
enum status session_encode_chat(const struct session *session, json_t *messages,
                                struct tokens *ret_tokens, struct err *err);

/* Append the tokens of `text` as it is, with what the model wants before any text. */
enum status session_encode_raw(const struct session *session, const char *text,
                               struct tokens *ret_tokens, struct err *err);

struct answer {
    size_t n_prompt;
    uint64_t n_tokens;         /* generated, stop token included */
    double first_token_s;      /* from the call of session_answer() */
    double decode_s;           /* from the first token to the last */
    enum finish_reason finish; /* FINISH_CANCELED: stopped */
};

/* Tokens after the first, a second; 0 where there are none. */
double answer_rate(const struct answer *answer);

typedef void text_fn(void *arg, const char *text, size_t n_text);

/* Generate one answer, calling `fn` for each piece of its text.
 * stop        may be NULL; becomes non-zero (a signal handler sets it): end after this token
 * ret_answer  untouched on error
 * Errors      ST_RANGE  the prompt does not fit the context; as driver_step() */
enum status session_answer(const struct session *session, const struct session_options *options,
                           const struct tokens *prompt, const volatile sig_atomic_t *stop,
                           text_fn *fn, void *arg, struct answer *ret_answer, struct err *err);

#endif
