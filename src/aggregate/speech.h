/* SPDX-License-Identifier: Apache-2.0 */
/* aggregate/speech.h - a model's text, told apart into words, thoughts and calls as it grows.
 *
 *   WORDS --thought opens--> THOUGHTS --it closes--> WORDS --call opens--> CALL --it closes--> WORDS
 *
 * What may become a mark is held until it is one or is none.  Arguments of a
 * call are given out as they come, once its name is known.  What begins as a
 * call and is none is words.  Thoughts come before all words, or not at all.
 *
 * The pieces do not depend on how the text was cut.  Memory: the longest mark,
 * and a call as far as its name is not known.
 */
#ifndef POMONA_AGGREGATE_SPEECH_H
#define POMONA_AGGREGATE_SPEECH_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "aggregate/tool_call.h"
#include "base/buf.h"
#include "contract/reply.h"
#include "text/speech_format.h"

struct speech_options {
    const struct thought_format *thoughts; /* NULL: not told apart.  Borrowed, as are the others */
    const struct tool_format *tools;       /* NULL: nothing is called */
    const json_t *functions; /* what may be called, in OpenAI's shape; NULL: unknown */
    bool begins_in_thoughts; /* the prompt opened them */
};

/* Bytes begin..end of all that was pushed made this. */
struct speech_piece {
    enum reply_part part;
    uint32_t call;
    const char *text;
    size_t n;
    uint64_t begin, end;
};
typedef void speech_fn(void *arg, const struct speech_piece *piece);

enum speech_state { SPEECH_WORDS, SPEECH_THOUGHTS, SPEECH_CALL };

struct speech {
    struct speech_options options;
    speech_fn *fn;
    void *arg;
    enum speech_state state;
    struct buf held;
    uint64_t consumed; /* bytes before `held` */
    bool has_thought, has_words, has_begun;
    bool has_opened; /* the model wrote the mark before its thoughts once more */
    struct tool_call call;
    uint32_t n_calls; /* begun */
    bool calls_again; /* in a list: another may follow without a mark */
};

void speech_init(struct speech *s, const struct speech_options *options, speech_fn *fn, void *arg);
void speech_release(struct speech *s);

/* More text; fn is called for each piece it completes.  is_last: nothing follows. */
void speech_push(struct speech *s, const char *text, size_t n, bool is_last);

/* Calls that are complete. */
uint32_t speech_n_done(const struct speech *s);

#endif
