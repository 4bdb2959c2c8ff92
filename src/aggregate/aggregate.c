/* SPDX-License-Identifier: Apache-2.0 */
/* aggregate/aggregate.c - stage 6: tokens of one choice become text.
 *
 *   token --detokenizer--> text --stops--> given out | held | cut
 *
 * `text` holds what was decoded and not given out yet; `given` counts the
 * bytes before it.  Where a stop string cuts, logprobs of tokens whose text
 * is cut in part or whole are dropped with it.
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
    struct stops stops;
    struct pending pending;
    struct buf text;
    uint64_t given; /* bytes */
    uint64_t n_tokens;
    bool is_finished;
};

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
    *ret_aggregate = a;
    return ST_OK;
}

void aggregate_free(struct aggregate *a)
{
    if (!a)
        return;
    stops_release(&a->stops);
    pending_release(&a->pending);
    buf_release(&a->text);
    free(a);
}

uint64_t aggregate_n_tokens(const struct aggregate *a)
{
    return a->n_tokens;
}

/* Give out the first `n` bytes held.  Nothing to show and not the end: no call. */
static void give(struct aggregate *a, size_t n, enum finish_reason finish)
{
    const size_t n_logprobs = pending_ready(&a->pending, a->given + n);
    const struct reply_delta delta = {
        .choice = a->options.choice,
        .text = buf_text(&a->text),
        .n_text = n,
        .n_tokens = a->n_tokens,
        .logprobs = a->pending.entries,
        .n_logprobs = n_logprobs,
        .finish = finish,
    };

    if (n == 0 && finish == FINISH_NONE)
        return; /* logprobs of tokens without text leave with the next text */
    a->fn(a->arg, &delta);
    pending_drop(&a->pending, n_logprobs);
    buf_consume(&a->text, n);
    a->given += n;
}

/* Does the token of this event add to the text? */
static bool is_shown(const struct token_event *event)
{
    return event->token >= 0 && event->finish != FINISH_STOP;
}

static enum status decode(struct aggregate *a, const struct token_event *event, struct err *err)
{
    detokenizer_push(&a->detokenizer, event->token, &a->text);
    if (!a->options.wants_logprobs)
        return ST_OK;
    return pending_add(&a->pending, a->options.tokenizer, event, a->given + a->text.len, err);
}

enum status aggregate_push(struct aggregate *a, const struct token_event *event, bool *ret_finished,
                           struct err *err)
{
    struct stop_match match;
    enum status s = ST_OK;

    if (a->is_finished) { /* tokens on their way when a stop string ended the choice */
        *ret_finished = true;
        return ST_OK;
    }
    if (event->token >= 0)
        a->n_tokens++;
    if (is_shown(event))
        s = decode(a, event, err);
    if (event->finish != FINISH_NONE)
        detokenizer_flush(&a->detokenizer, &a->text);
    if (s == ST_OK && event->finish == FINISH_STOP && event->token >= 0 && a->options.scores_stop)
        s = pending_add(&a->pending, a->options.tokenizer, event, a->given + a->text.len, err);
    if (s == ST_OK && buf_status(&a->text) != ST_OK)
        s = err_set(err, ST_NOMEM, "hold the text of an answer");
    if (s != ST_OK)
        return s;

    if (stops_find(&a->stops, buf_text(&a->text), a->text.len, &match)) {
        a->is_finished = true;
        give(a, a->options.includes_stop ? match.end : match.start, FINISH_STOP);
    } else if (event->finish != FINISH_NONE) {
        a->is_finished = true;
        give(a, a->text.len, event->finish);
    } else {
        give(a, a->text.len - stops_held(&a->stops, buf_text(&a->text), a->text.len), FINISH_NONE);
    }
    *ret_finished = a->is_finished;
    return ST_OK;
}
