/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/dialect/answer.c - an answer being written, whole or as events. */
#include "gateway/dialect/answer.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/random.h"
#include "gateway/dialect/call_texts.h"
#include "gateway/dialect/tools.h"
#include "gateway/http/json_out.h"
#include "gateway/http/sse.h"

static void write_head(const struct answer *a, const char *object, const char *model,
                       int64_t created, struct buf *out)
{
    buf_printf(out, "{\"id\":\"%s\",\"object\":\"%s\",\"created\":%" PRId64 ",\"model\":", a->id,
               object, created);
    json_out_text(out, model);
    buf_puts(out, ",\"system_fingerprint\":\"pomona-" POMONA_VERSION "\",\"choices\":[");
}

static void choice_init(struct answer_choice *c, const struct api_request *request)
{
    c->wants_logprobs = request->sampling.wants_logprobs;
    c->answers_function = request->answers_function;
}

enum status answer_new(const struct api_request *request, const char *model, int64_t created_unix_s,
                       struct answer **ret_answer, struct err *err)
{
    struct answer *a = calloc(1, sizeof(*a));
    char digits[25];

    if (!a)
        goto no_memory;
    a->dialect = request->dialect;
    a->context = json_incref(request->context);
    a->store = request->store;
    a->call_texts = request->call_texts;
    a->owner = request->owner;
    a->created_unix_s = created_unix_s;
    a->begun_ns = clock_ns();
    (void)snprintf(a->model, sizeof(a->model), "%s", model);
    a->includes_usage = request->includes_usage;
    a->counts_tokens = request->counts_tokens;
    a->n_choices = request->n_prompts * request->n;
    a->choices = calloc(a->n_choices, sizeof(*a->choices));
    if (!a->choices)
        goto no_memory;
    for (size_t i = 0; i < a->n_choices; i++)
        choice_init(&a->choices[i], request);
    random_hex(digits, 12);
    (void)snprintf(a->id, sizeof(a->id), "%s%s", a->dialect->id_prefix, digits);
    if (!a->dialect->whole) {
        write_head(a, a->dialect->object, model, created_unix_s, &a->head);
        write_head(a, a->dialect->chunk, model, created_unix_s, &a->event_head);
    }
    if (buf_status(&a->head) != ST_OK || buf_status(&a->event_head) != ST_OK)
        goto no_memory;
    *ret_answer = a;
    return ST_OK;

no_memory:
    answer_free(a);
    return err_set(err, ST_NOMEM, "write an answer");
}

static void choice_release(struct answer_choice *c)
{
    buf_release(&c->text);
    buf_release(&c->thoughts);
    for (size_t i = 0; i < c->n_calls; i++) {
        buf_release(&c->calls[i].name);
        buf_release(&c->calls[i].arguments);
    }
    free(c->calls);
    for (size_t i = 0; i < LOGPROB_LISTS; i++)
        buf_release(&c->logprobs[i]);
}

void answer_free(struct answer *a)
{
    if (!a)
        return;
    for (size_t i = 0; a->choices && i < a->n_choices; i++)
        choice_release(&a->choices[i]);
    free(a->choices);
    json_decref(a->context);
    json_decref(a->output);
    buf_release(&a->item);
    buf_release(&a->item_logprobs);
    buf_release(&a->head);
    buf_release(&a->event_head);
    free(a);
}

/* Past the bound, and without memory, the answer has a hole, which is told where it is written. */
static void begin_call(struct answer *a, struct answer_choice *c, const struct reply_delta *delta)
{
    const char *prefix = a->dialect->call_prefix ? a->dialect->call_prefix : "call_";
    struct answer_call *grown = NULL;
    char digits[25];

    if (c->n_calls < ANSWER_CALLS_MAX)
        grown = realloc(c->calls, (c->n_calls + 1) * sizeof(*grown));
    if (!grown) {
        c->text.failed = true;
        return;
    }
    c->calls = grown;
    grown += c->n_calls++;
    *grown = (struct answer_call){ 0 };
    random_hex(digits, 12);
    (void)snprintf(grown->id, sizeof(grown->id), "%s%s", prefix, digits);
    buf_append(&grown->name, delta->text, delta->n_text);
    grown->is_custom = tools_is_custom(a->context, buf_text(&grown->name));
}

static void add_arguments(struct answer_choice *c, const struct reply_delta *delta)
{
    if (c->n_calls > 0)
        buf_append(&c->calls[c->n_calls - 1].arguments, delta->text, delta->n_text);
}

/* For the turns that follow. */
static void keep_calls(const struct answer *a, const struct answer_choice *c)
{
    for (size_t i = 0; a->call_texts && i < c->n_calls; i++) {
        const struct answer_call *call = &c->calls[i];

        if (buf_status(&call->name) == ST_OK && buf_status(&call->arguments) == ST_OK)
            call_texts_put(a->call_texts, a->owner, buf_text(&call->name),
                           buf_text(&call->arguments), call->arguments.len);
    }
}

static void note_end(const struct answer *a, struct answer_choice *c,
                     const struct reply_delta *delta)
{
    c->finish = delta->finish;
    if (delta->finish != FINISH_NONE)
        keep_calls(a, c);
    if (delta->stop)
        (void)snprintf(c->stop, sizeof(c->stop), "%s", delta->stop);
}

static void note_first(struct answer *a)
{
    if (a->first_ns == 0)
        a->first_ns = clock_ns();
}

void answer_collect(struct answer *a, const struct reply_delta *delta)
{
    struct answer_choice *c = &a->choices[delta->choice];

    note_first(a);
    switch (delta->part) {
    case REPLY_TEXT: buf_append(&c->text, delta->text, delta->n_text); break;
    case REPLY_REASONING: buf_append(&c->thoughts, delta->text, delta->n_text); break;
    case REPLY_TOOL_NAME: begin_call(a, c, delta); break;
    case REPLY_TOOL_ARGUMENTS: add_arguments(c, delta); break;
    }
    if (a->dialect->collect)
        a->dialect->collect(c, delta->logprobs, delta->n_logprobs);
    note_end(a, c, delta);
}

/* Something of it did not fit in memory: an answer with a hole is none. */
static bool has_hole(const struct answer_choice *c)
{
    bool has = c->text.failed || c->thoughts.failed;

    for (size_t i = 0; i < LOGPROB_LISTS; i++)
        has |= c->logprobs[i].failed;
    for (size_t i = 0; i < c->n_calls; i++)
        has |= c->calls[i].name.failed || c->calls[i].arguments.failed;
    return has;
}

static void write_usage(const struct reply_usage *usage, struct buf *out)
{
    buf_printf(out,
               "{\"prompt_tokens\":%" PRIu64 ",\"completion_tokens\":%" PRIu64
               ",\"total_tokens\":%" PRIu64 ",\"prompt_tokens_details\":{\"cached_tokens\":%" PRIu64
               "},\"completion_tokens_details\":{\"reasoning_tokens\":%" PRIu64 "}}",
               usage->prompt_tokens, usage->completion_tokens,
               usage->prompt_tokens + usage->completion_tokens, usage->cached_tokens,
               usage->reasoning_tokens);
}

void answer_whole(const struct answer *a, const struct reply_usage *usage, struct buf *out)
{
    for (size_t i = 0; i < a->n_choices; i++)
        out->failed |= has_hole(&a->choices[i]);
    if (a->dialect->whole) {
        a->dialect->whole(a, usage, out);
        return;
    }
    buf_append(out, a->head.data, a->head.len);
    for (size_t i = 0; i < a->n_choices; i++) {
        if (i > 0)
            buf_putc(out, ',');
        a->dialect->choice(&a->choices[i], (uint32_t)i, out);
    }
    buf_puts(out, "],\"usage\":");
    write_usage(usage, out);
    buf_putc(out, '}');
}

void answer_begin(struct answer *a, const struct reply_usage *usage, struct buf *out)
{
    if (a->dialect->begin)
        a->dialect->begin(a, usage, out);
}

void answer_events(struct answer *a, const struct reply_delta *delta, struct buf *out)
{
    struct answer_choice *c = &a->choices[delta->choice];

    note_first(a);
    if (a->dialect->keeps_text) {
        answer_collect(a, delta);
    } else {
        if (delta->part == REPLY_TOOL_NAME)
            begin_call(a, c, delta);
        else if (delta->part == REPLY_TOOL_ARGUMENTS)
            add_arguments(c, delta);
        if (a->dialect->collect)
            a->dialect->collect(c, delta->logprobs, delta->n_logprobs);
        note_end(a, c, delta);
    }
    a->dialect->events(a, delta, out);
    out->failed |= has_hole(c);
    for (size_t i = 0; i < LOGPROB_LISTS; i++)
        buf_clear(&c->logprobs[i]);
}

/* As llama.cpp's server tells it: of `total`, `processed` are there, `cache` of them from before. */
void answer_progress(struct answer *a, const struct reply_progress *p, struct buf *out)
{
    if (!a->dialect->silent)
        return;
    answer_event_begin(a, out);
    a->dialect->silent(a, p->choice, out);
    buf_printf(out,
               "],\"prompt_progress\":{\"total\":%" PRIu64 ",\"cache\":%" PRIu64
               ",\"processed\":%" PRIu64 ",\"time_ms\":%" PRIu64 "}%s}",
               p->n_total, p->n_cached, p->n_computed, p->elapsed_ms,
               a->includes_usage ? ",\"usage\":null" : "");
    sse_event_end(out);
}

void answer_skip(struct answer *a, const struct reply_delta *delta)
{
    if (delta->part == REPLY_TOOL_NAME)
        begin_call(a, &a->choices[delta->choice], delta);
    else if (delta->part == REPLY_TOOL_ARGUMENTS)
        add_arguments(&a->choices[delta->choice], delta);
}

void answer_end(struct answer *a, const struct reply_usage *usage, struct buf *out)
{
    if (a->dialect->end)
        a->dialect->end(a, usage, out);
    else if (a->includes_usage)
        answer_usage_event(a, usage, out);
}

void answer_usage_event(const struct answer *a, const struct reply_usage *usage, struct buf *out)
{
    sse_event_begin(out);
    buf_append(out, a->event_head.data, a->event_head.len);
    buf_puts(out, "],\"usage\":");
    write_usage(usage, out);
    buf_putc(out, '}');
    sse_event_end(out);
}

void answer_event_begin(const struct answer *a, struct buf *out)
{
    sse_event_begin(out);
    buf_append(out, a->event_head.data, a->event_head.len);
}

void answer_event_end(const struct answer *a, const struct reply_delta *delta, struct buf *out)
{
    buf_putc(out, ']');
    if (a->counts_tokens && delta)
        buf_printf(out, ",\"resume_tokens\":%" PRIu64, delta->n_tokens);
    buf_puts(out, a->includes_usage ? ",\"usage\":null}" : "}");
    sse_event_end(out);
}

void answer_finish_word(enum finish_reason finish, struct buf *out)
{
    const char *word = finish_reason_word(finish);

    if (word)
        json_out_text(out, word);
    else
        buf_puts(out, "null");
}

void answer_arguments(const struct answer_call *call, struct buf *out)
{
    const char *given = buf_text(&call->arguments);
    json_t *object = json_loadb(given, call->arguments.len, 0, NULL);

    if (!object && call->arguments.len > 0) /* cut, or there was no memory: then this succeeds */
        object = json_loadb(given, call->arguments.len, 0, NULL);
    if (json_is_object(object))
        json_out_value(out, object);
    else
        buf_puts(out, "{}");
    json_decref(object);
}
