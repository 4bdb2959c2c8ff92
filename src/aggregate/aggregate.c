/* SPDX-License-Identifier: Apache-2.0 */
/* aggregate/aggregate.c - stage 6: tokens of one choice become text.
 *
 *   token --detokenizer--> text --speech--> words --stops--> given out | held | cut
 *                                    \----> thoughts, calls --------> given out
 *
 * `words` holds what was told and not given out yet; it ends at byte
 * `words_end` of the text.  Where a stop string cuts, logprobs of tokens whose
 * text is cut in part or whole are dropped with it; so are those of tokens
 * that made no words.
 */
#include "aggregate/aggregate.h"

#include <stdlib.h>

#include "aggregate/pending.h"
#include "aggregate/stops.h"
#include "base/buf.h"

struct aggregate {
    struct aggregate_options options; /* stops are in `stops` */
    reply_fn *fn;
    void *arg;
    struct detokenizer detokenizer;
    struct speech speech;
    struct stops stops;
    struct pending pending;
    struct buf decoded; /* of one token */
    struct buf words;
    uint64_t n_decoded, words_end; /* bytes of the text */
    uint64_t n_tokens, n_thought_tokens;
    bool has_called, is_finished;
};

static void on_piece(void *arg, const struct speech_piece *piece);

enum status aggregate_new(const struct aggregate_options *options, reply_fn *fn, void *arg,
                          struct aggregate **ret_aggregate, struct err *err)
{
    struct aggregate *a = calloc(1, sizeof(*a));
    enum status s;

    if (!a)
        return err_set(err, ST_NOMEM, "a choice of the answer");
    s = stops_init(&a->stops, options->stops, options->n_stops, err);
    if (s != ST_OK) {
        free(a);
        return s;
    }
    a->options = *options;
    a->options.stops = NULL;
    a->fn = fn;
    a->arg = arg;
    detokenizer_init(&a->detokenizer, options->tokenizer);
    speech_init(&a->speech, &options->speech, on_piece, a);
    *ret_aggregate = a;
    return ST_OK;
}

void aggregate_free(struct aggregate *a)
{
    if (!a)
        return;
    stops_release(&a->stops);
    pending_release(&a->pending);
    speech_release(&a->speech);
    buf_release(&a->decoded);
    buf_release(&a->words);
    free(a);
}

uint64_t aggregate_n_tokens(const struct aggregate *a)
{
    return a->n_tokens;
}

uint64_t aggregate_n_thought_tokens(const struct aggregate *a)
{
    return a->n_thought_tokens;
}

bool aggregate_is_thinking(const struct aggregate *a)
{
    return a->speech.state == SPEECH_THOUGHTS;
}

/* Give out the first `n` bytes held.  Nothing to show and not the end: no call. */
static void give(struct aggregate *a, size_t n, enum finish_reason finish, const char *stop)
{
    const uint64_t end = a->words_end - (a->words.len - n);
    const size_t n_logprobs = pending_ready(&a->pending, end);
    const struct reply_delta delta = {
        .choice = a->options.choice,
        .text = buf_text(&a->words),
        .n_text = n,
        .n_tokens = a->n_tokens,
        .logprobs = a->pending.entries,
        .n_logprobs = n_logprobs,
        .finish = finish == FINISH_STOP && a->has_called ? FINISH_TOOL_CALLS : finish,
        .stop = stop,
    };

    if (n == 0 && finish == FINISH_NONE)
        return; /* logprobs of tokens without text leave with the next text */
    a->fn(a->arg, &delta);
    pending_drop(&a->pending, n_logprobs);
    buf_consume(&a->words, n);
}

static void finish(struct aggregate *a, size_t n, enum finish_reason reason, const char *stop)
{
    a->is_finished = true;
    give(a, n, reason, stop);
}

static void on_words(struct aggregate *a, const struct speech_piece *piece)
{
    struct stop_match match;

    if (piece->begin > a->words_end) /* what came between was no words */
        pending_drop(&a->pending, pending_ready(&a->pending, piece->begin));
    buf_append(&a->words, piece->text, piece->n);
    a->words_end = piece->end;
    if (stops_find(&a->stops, buf_text(&a->words), a->words.len, &match))
        finish(a, a->options.includes_stop ? match.end : match.start, FINISH_STOP, match.word);
    else
        give(a, a->words.len - stops_held(&a->stops, buf_text(&a->words), a->words.len),
             FINISH_NONE, NULL);
}

/* Thoughts and calls cannot become a stop string, so what was held for one is words. */
static void on_other(struct aggregate *a, const struct speech_piece *piece)
{
    const struct reply_delta delta = {
        .choice = a->options.choice,
        .part = piece->part,
        .call = piece->call,
        .text = piece->text,
        .n_text = piece->n,
        .n_tokens = a->n_tokens,
    };

    give(a, a->words.len, FINISH_NONE, NULL);
    a->has_called = a->has_called || piece->part == REPLY_TOOL_NAME;
    a->fn(a->arg, &delta);
    pending_drop(&a->pending, pending_ready(&a->pending, piece->end));
    a->words_end = piece->end;
}

static void on_piece(void *arg, const struct speech_piece *piece)
{
    struct aggregate *a = arg;

    if (a->is_finished)
        return;
    if (piece->part == REPLY_TEXT)
        on_words(a, piece);
    else
        on_other(a, piece);
}

/* Does the token of this event add to the text? */
static bool is_shown(const struct token_event *event)
{
    return event->token >= 0 && event->finish != FINISH_STOP;
}

/* A mark of the model's is a special token in some vocabularies. */
static bool is_mark(const struct aggregate *a, int32_t token)
{
    size_t n;
    const char *bytes;

    if (!a->options.marks || tokenizer_kind(a->options.tokenizer, token) != TOKEN_CONTROL)
        return false;
    bytes = tokenizer_bytes(a->options.tokenizer, token, &n);
    return speech_format_is_mark(a->options.marks, bytes, n);
}

static enum status decode(struct aggregate *a, const struct token_event *event, struct err *err)
{
    if (is_mark(a, event->token)) {
        size_t n;
        const char *bytes = tokenizer_bytes(a->options.tokenizer, event->token, &n);

        detokenizer_flush(&a->detokenizer, &a->decoded);
        buf_append(&a->decoded, bytes, n);
    } else {
        detokenizer_push(&a->detokenizer, event->token, &a->decoded);
    }
    if (!a->options.wants_logprobs)
        return ST_OK;
    return pending_add(&a->pending, a->options.tokenizer, event, a->n_decoded + a->decoded.len,
                       err);
}

static void count(struct aggregate *a, const struct token_event *event)
{
    if (event->token < 0)
        return;
    a->n_tokens++;
    if (aggregate_is_thinking(a))
        a->n_thought_tokens++;
}

enum status aggregate_push(struct aggregate *a, const struct token_event *event, bool *ret_finished,
                           struct err *err)
{
    const bool is_last = event->finish != FINISH_NONE;
    enum status s = ST_OK;

    if (a->is_finished) { /* tokens on their way when a stop string ended the choice */
        *ret_finished = true;
        return ST_OK;
    }
    buf_clear(&a->decoded);
    count(a, event);
    if (is_shown(event))
        s = decode(a, event, err);
    if (is_last)
        detokenizer_flush(&a->detokenizer, &a->decoded);
    if (s == ST_OK && event->finish == FINISH_STOP && event->token >= 0 && a->options.scores_stop)
        s = pending_add(&a->pending, a->options.tokenizer, event, a->n_decoded + a->decoded.len,
                        err);
    if (s == ST_OK)
        speech_push(&a->speech, buf_text(&a->decoded), a->decoded.len, is_last);
    a->n_decoded += a->decoded.len;
    if (s == ST_OK && (buf_status(&a->decoded) != ST_OK || buf_status(&a->words) != ST_OK ||
                       buf_status(&a->speech.held) != ST_OK))
        s = err_set(err, ST_NOMEM, "hold the text of an answer");
    if (s != ST_OK)
        return s;
    if (!a->is_finished && is_last)
        finish(a, a->words.len, event->finish, NULL);
    else if (!a->is_finished && a->options.calls_once && speech_n_done(&a->speech) > 0)
        finish(a, a->words.len, FINISH_STOP, NULL);
    *ret_finished = a->is_finished;
    return ST_OK;
}
