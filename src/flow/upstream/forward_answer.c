/* SPDX-License-Identifier: Apache-2.0 */
/* flow/upstream/forward_answer.c - what comes back from an upstream, and what that says of it. */
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/log.h"
#include "flow/upstream/forward_priv.h"
#include "gateway/http/sse.h"

enum {
    OK = 200,
    UNAUTHORIZED = 401,
    FORBIDDEN = 403,
    TOO_MANY = 429,
    SERVER_ERROR = 500,
    BAD_GATEWAY = 502,
    UNAVAILABLE = 503,
    LATE = 504,
    OVERLOADED = 529, /* Anthropic's word for 503 */
    LEFT_ALONE_S_MAX = 60,
    LEFT_ALONE_S = 1,
};

bool forward_is_stream(const struct forward *f)
{
    return f->streams && f->head.status == OK &&
           strncasecmp(f->head.type, "text/event-stream", 17) == 0;
}

/* Too much to do there: it is left alone for as long as it asks, and that is no failure. */
static bool is_busy(int status, uint32_t retry_after_s)
{
    return status == TOO_MANY || status == OVERLOADED ||
           (status == UNAVAILABLE && retry_after_s > 0);
}

static bool may_be_better_elsewhere(int status)
{
    return status == TOO_MANY || status == BAD_GATEWAY || status == UNAVAILABLE || status == LATE ||
           status == OVERLOADED;
}

bool forward_on_head(void *arg, const struct http_answer_head *head)
{
    struct forward *f = arg;

    f->head = *head;
    return true;
}

/* The first sign of an answer: its prompt waits no more. */
static void note_first(struct forward *f, uint64_t now_ns)
{
    struct upstream *u = f->at;

    if (!f->is_waiting)
        return;
    f->is_waiting = false;
    u->n_waiting_tokens -= f->wanted.n_prompt_tokens;
    f->first_ns = u->measured_ns = now_ns;
    pace_first(&u->pace, f->n_waiting_tokens, (double)(now_ns - f->sent_ns) / (double)NS_PER_S);
}

static bool translate(struct forward *f, const char *bytes, size_t n)
{
    struct err err;
    const enum status s = translation_feed(f->words, bytes, n, &err);

    f->is_streaming = translation_has_begun(f->words);
    if (s != ST_OK)
        log_with(LOG_WARN, "an answer cannot be read", log_text("request_id", exchange_id(f->x)),
                 log_text("upstream", f->at->settings->name), log_text("error", err.words));
    return s == ST_OK;
}

/* Whole events [n] for the client. False: the first says that it failed there, so nothing went out. */
static bool pass_on(struct forward *f, const char *bytes, size_t n)
{
    struct events_seen seen = { .n_events = f->seen.n_events,
                                .resume_tokens = f->seen.resume_tokens };
    const bool is_first = f->is_waiting;

    events_look(&seen, bytes, n);
    if (seen.has_error && is_first && !f->is_streaming)
        return false;
    if (seen.n_events > f->seen.n_events)
        note_first(f, f->last_ns);
    forward_count_events(f, &seen, bytes, n);
    f->seen = seen;
    if (f->words)
        return translate(f, bytes, n);
    if (!f->is_streaming)
        sse_start(f->x);
    f->is_streaming = true;
    exchange_stream_send(f->x, bytes, n);
    return true;
}

/* Comments alone do not begin a stream: an error's status may follow yet. */
static bool has_data(const char *bytes, size_t n)
{
    struct events_seen seen = { 0 };

    events_look(&seen, bytes, n);
    return seen.n_events > 0 || seen.is_done;
}

static bool stream_bytes(struct forward *f, const char *bytes, size_t n)
{
    size_t n_whole;

    if (f->held.len == 0 && events_whole(bytes, n) == n && (f->is_streaming || has_data(bytes, n)))
        return pass_on(f, bytes, n);
    buf_append(&f->held, bytes, n);
    if (buf_status(&f->held) != ST_OK || f->held.len > FORWARD_EVENT_MAX)
        return false;
    n_whole = events_whole(f->held.data, f->held.len);
    if (n_whole == 0 || (!f->is_streaming && !has_data(f->held.data, n_whole)))
        return true;
    if (!pass_on(f, f->held.data, n_whole))
        return false;
    buf_consume(&f->held, n_whole);
    return true;
}

bool forward_on_bytes(void *arg, const char *bytes, size_t n)
{
    struct forward *f = arg;

    f->last_ns = clock_ns();
    if (forward_is_stream(f))
        return stream_bytes(f, bytes, n);
    if (f->held.len + n > FORWARD_ANSWER_MAX)
        return false;
    buf_append(&f->held, bytes, n);
    return buf_status(&f->held) == ST_OK;
}

static void leave_alone(struct forward *f)
{
    uint32_t s = f->head.retry_after_s ? f->head.retry_after_s : LEFT_ALONE_S;

    if (s > LEFT_ALONE_S_MAX)
        s = LEFT_ALONE_S_MAX;
    f->at->not_before_ns = clock_ns() + s * NS_PER_S;
}

/* What its own key is refused with says nothing about the client's. */
static bool is_our_key(int status)
{
    return status == UNAUTHORIZED || status == FORBIDDEN;
}

static void note_answer(struct forward *f)
{
    const int status = f->head.status;

    if (is_busy(status, f->head.retry_after_s))
        leave_alone(f);
    else if (status >= SERVER_ERROR)
        upstream_failed(f->at, f->model_there, "it answers with an error of its own");
    else
        upstream_succeeded(f->at, f->model_there);
}

static void note_pace(struct forward *f)
{
    static const double KEEP = 0.95;

    if (!forward_is_stream(f) || f->seen.n_events == 0)
        return;
    pace_answer(&f->at->pace, f->seen.n_events,
                (double)(f->last_ns - f->first_ns) / (double)NS_PER_S, f->at->n_outstanding);
    f->pool->answer_tokens = KEEP * f->pool->answer_tokens + (1 - KEEP) * (double)f->seen.n_events;
}

static void end_stream(struct forward *f)
{
    struct exchange *x = f->x;

    forward_count_end(f);
    exchange_on_close(x, NULL, NULL);
    f->x = NULL;
    if (f->words) {
        f->n_used_tokens = translation_n_tokens(f->words);
        translation_finish(f->words);
    } else {
        exchange_stream_end(x);
    }
    forward_free(f);
}

/* What an upstream's refusal is in the words of another dialect. */
static enum api_error_kind kind_of(int status)
{
    static const struct {
        int status;
        enum api_error_kind kind;
    } rows[] = {
        { 400, API_INVALID },  { 404, API_MODEL_NOT_FOUND },   { 413, API_TOO_LARGE },
        { 422, API_INVALID },  { TOO_MANY, API_OVERLOADED },   { UNAVAILABLE, API_OVERLOADED },
        { LATE, API_TIMEOUT }, { OVERLOADED, API_OVERLOADED }, { 501, API_NOT_DONE },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (rows[i].status == status)
            return rows[i].kind;
    }
    return API_UPSTREAM;
}

/* Its words are about the request, not about the server: those of its own faults stay here. */
static void translate_refusal(struct forward *f)
{
    struct exchange *x = f->x;
    json_t *whole = json_loadb(buf_text(&f->held), f->held.len, 0, NULL);
    const json_t *error = json_object_get(whole, "error");
    const char *words =
        json_string_value(json_is_object(error) ? json_object_get(error, "message") : error);
    const char *code = json_string_value(json_object_get(error, "code"));
    enum api_error_kind kind = kind_of(f->head.status);
    struct api_error e;

    if (kind == API_INVALID && code && strcmp(code, "context_length_exceeded") == 0)
        kind = API_CONTEXT_LENGTH;
    (void)api_error_set(&e, kind, NULL, "%s",
                        words && f->head.status < SERVER_ERROR
                            ? words
                            : "The server of this model cannot answer now.");
    e.retry_ms = f->head.retry_after_s * UINT64_C(1000);
    json_decref(whole);
    forward_count_end(f);
    exchange_on_close(x, NULL, NULL);
    f->x = NULL;
    translation_fail(f->words, &e);
    forward_free(f);
}

/* It was to be a stream, and came in one piece. */
static void translate_whole(struct forward *f)
{
    struct err err;

    if (translation_whole(f->words, buf_text(&f->held), f->held.len, &err) == ST_OK) {
        end_stream(f);
        return;
    }
    log_with(LOG_WARN, "an answer cannot be read", log_text("request_id", exchange_id(f->x)),
             log_text("upstream", f->at ? f->at->settings->name : NULL),
             log_text("error", err.words));
    forward_fail(f, API_UPSTREAM, "The server of this model gave no answer that can be read.");
}

void forward_reply(struct forward *f)
{
    struct exchange *x = f->x;
    struct buf body = f->held;

    if (f->words && f->head.status == OK) {
        translate_whole(f);
        return;
    }
    if (f->words) {
        translate_refusal(f);
        return;
    }
    forward_count_end(f);
    f->n_used_tokens = f->tally.total_tokens;
    f->held = (struct buf){ 0 };
    exchange_on_close(x, NULL, NULL);
    f->x = NULL;
    if (f->head.retry_after_s > 0)
        exchange_retry_after(x, f->head.retry_after_s);
    exchange_reply(x, f->head.status, f->head.type[0] ? f->head.type : "application/json", &body);
    forward_free(f);
}

/* Did all of the stream come? A connection that ends early looks whole where nothing says its length. */
static bool is_complete(const struct forward *f)
{
    return !forward_is_stream(f) || !f->ends_with_done || f->seen.is_done || f->seen.has_error;
}

static void on_whole(struct forward *f)
{
    note_pace(f);
    note_answer(f);
    if (is_our_key(f->head.status)) {
        log_with(LOG_WARN, "an upstream refuses the key it is sent",
                 log_text("request_id", exchange_id(f->x)),
                 log_text("upstream", f->at->settings->name));
        forward_fail(f, API_UPSTREAM, "The server of this model does not know this gateway.");
        return;
    }
    if (may_be_better_elsewhere(f->head.status) && !f->is_streaming && f->n_tries <= RETRIES_MAX &&
        f->pool->n > 1) {
        f->has_answer = true;
        forward_again(f, "a server was too busy, or failed");
        return;
    }
    if (f->is_streaming && (f->head.status != OK || !forward_is_stream(f))) {
        forward_again(f, "the server that was to go on with the answer did not");
        return;
    }
    if (f->is_streaming || forward_is_stream(f)) {
        if (f->words)
            translation_start(f->words);
        else if (!f->is_streaming)
            sse_start(f->x);
        f->is_streaming = true;
        if (f->held.len > 0 && !f->words) /* an event without its end is none to a reader */
            exchange_stream_send(f->x, f->held.data, f->held.len);
        end_stream(f);
    } else {
        forward_reply(f);
    }
}

void forward_on_end(void *arg, enum http_end end, const char *why)
{
    struct forward *f = arg;

    f->call = NULL;
    if (end == HTTP_END_WHOLE && is_complete(f)) {
        on_whole(f);
        return;
    }
    upstream_failed(f->at, f->model_there, end == HTTP_END_WHOLE ? "its stream stopped" : why);
    if (end == HTTP_END_LATE) { /* it may be at work yet: asking another would double that */
        forward_fail(f, API_TIMEOUT, "The server of this model did not answer in time.");
        return;
    }
    forward_again(f, "a server of this model failed");
}
