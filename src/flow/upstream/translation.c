/* SPDX-License-Identifier: Apache-2.0 */
/* flow/upstream/translation.c - a request of another dialect that an upstream answers as a chat. */
#include "flow/upstream/translation.h"

#include <stdlib.h>

#include "base/clock.h"
#include "flow/upstream/chat_events.h"
#include "flow/upstream/one_answer.h"
#include "gateway/dialect/answer.h"
#include "gateway/http/sse.h"

enum { BYTES_OF_A_TOKEN = 4 };

struct translation {
    struct exchange *x;
    struct api_request request;
    struct answer *answer;
    struct chat_events *events;
    struct buf out;
    bool has_begun;
    bool has_lost;     /* something did not fit in memory: the answer has a hole */
    uint64_t n_tokens; /* of an answer in one piece, which then is `out` */
};

/* How long the prompt is, as long as the upstream did not say it: some dialects tell it first. */
static struct reply_usage usage_of(const struct translation *t)
{
    struct reply_usage usage = chat_events_usage(t->events);
    size_t n;

    (void)exchange_body(t->x, &n);
    if (usage.prompt_tokens == 0)
        usage.prompt_tokens = n / BYTES_OF_A_TOKEN + 1;
    return usage;
}

static void send(struct translation *t)
{
    if (buf_status(&t->out) != ST_OK)
        t->has_lost = true;
    else if (t->out.len > 0)
        sse_send(t->x, &t->out);
}

void translation_start(struct translation *t)
{
    const struct dialect *dialect = t->request.dialect;
    const struct reply_usage usage = usage_of(t);

    if (t->has_begun || !t->request.streams)
        return;
    t->has_begun = true;
    if (dialect->content_type)
        exchange_stream_start(t->x, dialect->content_type);
    else
        sse_start(t->x);
    buf_clear(&t->out);
    answer_begin(t->answer, &usage, &t->out);
    send(t);
}

static void on_delta(void *arg, const struct reply_delta *delta)
{
    struct translation *t = arg;

    if (!t->request.streams) {
        answer_collect(t->answer, delta);
        return;
    }
    translation_start(t);
    buf_clear(&t->out);
    answer_events(t->answer, delta, &t->out);
    send(t);
}

static enum status begin(struct translation *t, struct err *err)
{
    enum status s = one_answer_is_asked(&t->request) ? ST_OK
                                                     : answer_new(&t->request, t->request.model,
                                                                  clock_unix_s(), &t->answer, err);

    return s == ST_OK ? chat_events_new(t->request.n, on_delta, t, &t->events, err) : s;
}

static void end(struct translation *t)
{
    answer_free(t->answer);
    chat_events_free(t->events);
    t->answer = NULL;
    t->events = NULL;
}

enum status translation_new(struct exchange *x, struct api_request *request,
                            struct translation **ret_translation, struct err *err)
{
    struct translation *t = calloc(1, sizeof(*t));
    enum status s;

    if (!t)
        return err_set(err, ST_NOMEM, "a request for an upstream");
    t->x = x;
    t->request = *request;
    s = begin(t, err);
    if (s == ST_OK) {
        *ret_translation = t;
        return ST_OK;
    }
    end(t);
    free(t);
    return s;
}

void translation_free(struct translation *t)
{
    if (!t)
        return;
    end(t);
    buf_release(&t->out);
    api_request_release(&t->request);
    free(t);
}

struct reservation *translation_take_reservation(struct translation *t)
{
    struct reservation *reservation = t->request.reservation;

    t->request.reservation = NULL;
    return reservation;
}

const struct api_request *translation_request(const struct translation *t)
{
    return &t->request;
}

static enum status checked(const struct translation *t, enum status s, struct err *err)
{
    if (s == ST_OK && (t->has_lost || buf_status(&t->out) != ST_OK))
        return err_set(err, ST_NOMEM, "an upstream's answer");
    return s;
}

enum status translation_feed(struct translation *t, const char *bytes, size_t n, struct err *err)
{
    return checked(t, chat_events_feed(t->events, bytes, n, err), err);
}

enum status translation_whole(struct translation *t, const char *body, size_t n, struct err *err)
{
    if (one_answer_is_asked(&t->request))
        return one_answer_write(&t->request, body, n, &t->out, &t->n_tokens, err);
    return checked(t, chat_events_whole(t->events, body, n, err), err);
}

void translation_keep_alive(struct translation *t)
{
    translation_start(t);
    if (t->has_begun)
        sse_keep_alive(t->x, t->request.dialect->keep_alive);
}

enum status translation_again(struct translation *t, struct err *err)
{
    end(t);
    t->has_lost = false;
    return begin(t, err);
}

void translation_finish(struct translation *t)
{
    struct reply_usage usage;
    struct buf body = { 0 };
    struct api_error e;

    if (one_answer_is_asked(&t->request)) {
        exchange_reply(t->x, 200, "application/json", &t->out);
        return;
    }
    translation_start(t);
    chat_events_finish(t->events);
    usage = usage_of(t);
    if (!t->request.streams) {
        answer_whole(t->answer, &usage, &body);
        exchange_reply(t->x, 200, "application/json", &body);
        return;
    }
    answer_end(t->answer, &usage, &body);
    if (t->has_lost || buf_status(&body) != ST_OK) {
        (void)api_error_set(&e, API_OVERLOADED, NULL, "There is no memory for this answer.");
        buf_release(&body);
        translation_fail(t, &e);
        return;
    }
    sse_send(t->x, &body);
    buf_release(&body);
    if (t->request.dialect->end)
        exchange_stream_end(t->x);
    else
        sse_finish(t->x);
}

void translation_fail(struct translation *t, const struct api_error *e)
{
    if (!t->has_begun) {
        exchange_fail(t->x, e);
        return;
    }
    if (!t->request.dialect->fail) {
        sse_fail(t->x, e);
        return;
    }
    buf_clear(&t->out);
    t->request.dialect->fail(t->answer, e, &t->out);
    sse_send(t->x, &t->out);
    exchange_stream_end(t->x);
}

const char *translation_id(const struct translation *t)
{
    return t->answer ? t->answer->id : "";
}

bool translation_has_begun(const struct translation *t)
{
    return t->has_begun;
}

uint64_t translation_n_tokens(const struct translation *t)
{
    const struct reply_usage usage = chat_events_usage(t->events);

    if (t->n_tokens > 0)
        return t->n_tokens;
    return usage.prompt_tokens > 0 ? usage.prompt_tokens + usage.completion_tokens : 0;
}
