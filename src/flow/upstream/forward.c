/* SPDX-License-Identifier: Apache-2.0 */
/* flow/upstream/forward.c - one request that an upstream answers: its life, and its tries. */
#include "flow/upstream/forward.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "flow/count.h"
#include "flow/upstream/body.h"
#include "flow/upstream/chat_request.h"
#include "flow/upstream/forward_priv.h"
#include "gateway/dialect/repeat.h"
#include "gateway/guard/access.h"
#include "gateway/guard/reservation.h"
#include "gateway/http/sse.h"
#include "metrics/metrics.h"

void forward_leave(struct forward *f)
{
    struct upstream *u = f->at;

    http_call_cancel(f->call);
    f->call = NULL;
    forward_trace_end(f);
    if (!u)
        return;
    breaker_leave(&u->breakers[f->model_there]);
    u->n_outstanding--;
    if (f->is_waiting)
        u->n_waiting_tokens -= f->wanted.n_prompt_tokens;
    f->is_waiting = false;
    f->at = NULL;
}

/* A stream says nothing of its prompt, and each of its events is about a token. */
static void settle(struct forward *f)
{
    uint64_t n = f->n_used_tokens;

    if (n == 0 && f->seen.n_events > 0)
        n = f->wanted.n_prompt_tokens +
            (f->seen.resume_tokens ? f->seen.resume_tokens : f->seen.n_events);
    reservation_end(f->reservation, n, n > 0);
}

void forward_free(struct forward *f)
{
    settle(f);
    if (f->x)
        exchange_on_close(f->x, NULL, NULL);
    forward_leave(f);
    retry_budget_end(&f->pool->budget, f->is_retrying);
    *f->link = f->next;
    if (f->next)
        f->next->link = f->link;
    f->pool->n_forwards--;
    loop_timer_free(f->wait);
    buf_release(&f->held);
    buf_release(&f->sent);
    json_decref(f->body);
    translation_free(f->words);
    free(f);
}

static void client_left(void *arg)
{
    struct forward *f = arg;

    log_with(LOG_DEBUG, "the client left", log_text("request_id", exchange_id(f->x)),
             log_text("model", f->model));
    metric_add(METRIC_LEFT, 0, 1);
    f->x = NULL;
    forward_free(f);
}

void forward_fail(struct forward *f, enum api_error_kind kind, const char *words)
{
    struct exchange *x = f->x;
    struct api_error e;

    (void)api_error_set(&e, kind, NULL, "%s", words);
    flow_count_failure(api_error_http(kind));
    log_with(LOG_WARN, "a request failed", log_text("request_id", exchange_id(x)),
             log_text("model", f->model), log_text("error", words));
    exchange_on_close(x, NULL, NULL);
    f->x = NULL;
    if (f->words)
        translation_fail(f->words, &e);
    else if (f->is_streaming)
        sse_fail(x, &e);
    else
        exchange_fail(x, &e);
    forward_free(f);
}

/* An instance of this cluster answers, or goes on. */
static void answer_here(struct forward *f)
{
    struct pool *pool = f->pool;
    struct exchange *x = f->x;
    const struct dialect *dialect = f->dialect;
    char tokens[24];

    exchange_on_close(x, NULL, NULL);
    if (f->seen.resume_tokens > 0) {
        (void)snprintf(tokens, sizeof(tokens), "%llu", (unsigned long long)f->seen.resume_tokens);
        exchange_take_header(x, REPEAT_KEY_HEADER, f->key);
        exchange_take_header(x, REPEAT_TOKENS_HEADER, tokens);
    }
    f->x = NULL;
    forward_free(f);
    pool->locals.answer(pool->locals.arg, x, dialect);
}

/* Who cannot go on with a stream counts as tried. */
static uint64_t who_cannot(const struct forward *f)
{
    uint64_t mask = f->tried;

    for (size_t i = 0; f->seen.n_events > 0 && i < f->pool->n; i++) {
        if (!f->pool->upstreams[i].kind->can_resume)
            mask |= UINT64_C(1) << i;
    }
    return mask;
}

/* What a dialect began to write from an upstream's answer no instance can go on with. */
static bool may_answer_here(const struct forward *f)
{
    return f->dialect && !(f->words && translation_has_begun(f->words));
}

/* The last upstream's own words, where it said any, are better than ours. */
static void give_up(struct forward *f, enum api_error_kind kind, const char *words)
{
    if (f->has_answer)
        forward_reply(f);
    else
        forward_fail(f, kind, words);
}

void forward_try(struct forward *f)
{
    int who;

    f->wanted.random = random_u64();
    who = pool_choose(f->pool, f->model, who_cannot(f), may_answer_here(f), &f->wanted,
                      &f->model_there);
    if (who == POOL_LOCAL) {
        answer_here(f);
        return;
    }
    if (who == POOL_NONE) {
        give_up(f, API_NO_NODES, "No server of this model answers.");
        return;
    }
    f->at = &f->pool->upstreams[who];
    f->tried |= UINT64_C(1) << who;
    f->n_tries++;
    if (!forward_send(f))
        forward_fail(f, API_OVERLOADED, "There is no memory for this request.");
}

static void on_wait(void *arg)
{
    forward_try(arg);
}

/* Of what was translated for a client that waits for the whole, nothing went out. */
static bool is_out(const struct forward *f)
{
    return f->seen.n_events > 0 && !(f->words && !translation_has_begun(f->words));
}

static bool begin_anew(struct forward *f)
{
    struct err err;

    if (is_out(f) || !f->words)
        return true;
    f->seen = (struct events_seen){ 0 };
    f->tally = (struct tally){ 0 };
    return translation_again(f->words, &err) == ST_OK;
}

static bool may_try_again(struct forward *f)
{
    if (f->n_tries > RETRIES_MAX || (is_out(f) && (!f->may_resume || f->seen.resume_tokens == 0)))
        return false;
    if (f->is_retrying)
        return true;
    f->is_retrying = retry_budget_take(&f->pool->budget);
    return f->is_retrying;
}

void forward_again(struct forward *f, const char *why)
{
    span_fail(f->span, "it failed, and was asked for elsewhere");
    forward_leave(f);
    if (!f->has_answer)
        buf_clear(&f->held);
    if (!may_try_again(f)) {
        give_up(f, API_UPSTREAM, why);
        return;
    }
    if (!begin_anew(f) ||
        (!f->wait && loop_timer_new(f->pool->loop, on_wait, f, &f->wait) != ST_OK)) {
        forward_fail(f, API_OVERLOADED, "There is no memory for this request.");
        return;
    }
    log_with(LOG_INFO, "asking another server", log_text("request_id", exchange_id(f->x)),
             log_text("model", f->model), log_text("error", why));
    loop_timer_once(f->wait, retry_wait_ms(f->n_tries - 1, random_u64()));
}

/* A stream that says nothing for long is kept open by comments, once the upstream has taken it. */
static void tick(struct forward *f, uint64_t now_ns)
{
    if (!f->call || !forward_is_stream(f) ||
        now_ns - f->last_ns < FORWARD_KEEP_ALIVE_MS * NS_PER_MS)
        return;
    f->last_ns = now_ns;
    if (f->words) {
        translation_keep_alive(f->words);
        f->is_streaming = translation_has_begun(f->words);
        return;
    }
    if (!f->is_streaming)
        sse_start(f->x);
    f->is_streaming = true;
    sse_keep_alive(f->x, NULL);
}

void forward_tick_all(void *arg)
{
    struct pool *pool = arg;
    const uint64_t now_ns = clock_ns();

    for (struct forward *f = pool->forwards; f; f = f->next)
        tick(f, now_ns);
}

void pool_abort(struct pool *pool)
{
    while (pool->forwards)
        forward_fail(pool->forwards, API_SHUTTING_DOWN, "This node is shutting down.");
}

bool pool_cancel(struct pool *pool, const struct exchange *x, const char *id)
{
    for (struct forward *f = pool->forwards; f; f = f->next) {
        if (!f->words || strcmp(translation_id(f->words), id) != 0 ||
            !access_may_end(x, translation_request(f->words)->owner))
            continue;
        forward_fail(f, API_CANCELED, "The answer was canceled.");
        return true;
    }
    return false;
}

static const char *session_header(struct exchange *x)
{
    static const char *const names[] = { "X-Session-Affinity", "X-Claude-Code-Session-Id",
                                         "X-Conversation-Id", "session_id" };
    const char *value = NULL;

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]) && !value; i++)
        value = exchange_header(x, names[i]);
    return value;
}

static bool is_true(const json_t *body, const char *field)
{
    return json_is_true(json_object_get(body, field));
}

static void take_request(struct forward *f, const struct forward_request *request)
{
    const char *key = exchange_header(f->x, REPEAT_KEY_HEADER);
    const json_t *n = json_object_get(request->body, "n");
    size_t n_text;

    (void)exchange_body(f->x, &n_text);
    f->dialect = request->dialect;
    f->body = json_incref((json_t *)(uintptr_t)request->body);
    (void)snprintf(f->model, sizeof(f->model), "%s",
                   json_string_value(json_object_get(request->body, "model")));
    (void)snprintf(f->path, sizeof(f->path), "%s", request->path);
    f->streams = is_true(request->body, "stream");
    f->ends_with_done = strstr(f->path, "/completions") != NULL; /* chat's, and the older ones' */
    f->may_resume = f->ends_with_done && f->streams && (!n || json_integer_value(n) == 1);
    if (key && strlen(key) < sizeof(f->key))
        (void)snprintf(f->key, sizeof(f->key), "%s", key);
    else if (f->may_resume)
        random_hex(f->key, 16);
    f->wanted = body_measure(n_text, request->body, session_header(f->x), f->pool->answer_tokens);
    if (f->pool->policy == &balance_prefix_affinity) /* nobody else looks at it */
        f->wanted.prefix = body_prefix(request->body);
    f->wanted.turn = f->pool->n_turns++;
    f->wanted.random = random_u64();
}

static struct forward *forward_new(struct pool *pool, struct exchange *x,
                                   const struct forward_request *request)
{
    struct forward *f = malloc(sizeof(*f));

    if (!f)
        return NULL;
    *f = (struct forward){ .pool = pool, .x = x };
    f->begun_ns = f->last_ns = clock_ns();
    take_request(f, request);
    f->link = &pool->forwards;
    f->next = pool->forwards;
    if (f->next)
        f->next->link = &f->next;
    pool->forwards = f;
    pool->n_forwards++;
    retry_budget_begin(&pool->budget);
    return f;
}

/* One gateway before this one is enough: two that know each other would pass a request on for ever. */
static bool is_for_upstreams(const struct pool *pool, const struct exchange *x, const char *model)
{
    return model && strlen(model) < MODEL_NAME_MAX && pool_has_model(pool, model) &&
           !exchange_header(x, FORWARDED_HEADER);
}

static void refuse(struct exchange *x)
{
    exchange_fail(
        x, &(struct api_error){ .kind = API_OVERLOADED,
                                .message = "This node passes on as many requests as it can." });
}

/* To the one that was chosen first. */
static void begin(struct forward *f, int who, size_t model_there)
{
    exchange_on_close(f->x, client_left, f);
    f->model_there = model_there;
    f->at = &f->pool->upstreams[who];
    f->tried |= UINT64_C(1) << who;
    f->n_tries = 1;
    if (!forward_send(f))
        forward_fail(f, API_OVERLOADED, "There is no memory for this request.");
}

static void forget(struct forward *f)
{
    f->x = NULL;
    forward_free(f);
}

bool forward_start(struct pool *pool, struct exchange *x, const struct forward_request *request)
{
    const char *model = json_string_value(json_object_get(request->body, "model"));
    struct forward *f;
    struct api_error e;
    size_t m;
    int who;

    if (!is_for_upstreams(pool, x, model))
        return false;
    f = pool->n_forwards < FORWARDS_MAX ? forward_new(pool, x, request) : NULL;
    if (!f) {
        refuse(x);
        return true;
    }
    who = pool_choose(pool, model, 0, f->dialect != NULL, &f->wanted, &m);
    if (who == POOL_LOCAL) {
        forget(f);
        return false;
    }
    if (pool->locals.reserve(pool->locals.arg, x, request->body, &f->reservation, &e) != ST_OK) {
        forget(f);
        exchange_fail(x, &e);
        return true;
    }
    begin(f, who, m); /* an upstream serves it, so there is somebody */
    return true;
}

/* Those who would answer something else count as tried. */
static uint64_t who_is_unable(const struct pool *pool, unsigned needs)
{
    uint64_t mask = 0;

    for (size_t i = 0; i < pool->n; i++) {
        if ((pool->upstreams[i].kind->can & needs) != needs)
            mask |= UINT64_C(1) << i;
    }
    return mask;
}

/* The translation takes the request over; the forward pays what was reserved for it. */
static bool take_words(struct forward *f, struct api_request *request)
{
    struct err err;

    if (translation_new(f->x, request, &f->words, &err) != ST_OK)
        return false;
    f->reservation = translation_take_reservation(f->words);
    return true;
}

bool forward_translated(struct pool *pool, struct exchange *x, struct api_request *request)
{
    struct forward_request asked = { chat_request_path(request), request->dialect, NULL };
    const uint64_t unable = who_is_unable(pool, chat_request_needs(request));
    struct forward *f = NULL;
    json_t *body;
    size_t m;
    int who;

    if (!chat_request_is_one(request) || !is_for_upstreams(pool, x, request->model))
        return false;
    body = chat_request_body(request, request->model, CHAT_EXTRAS);
    asked.body = body;
    if (body && pool->n_forwards < FORWARDS_MAX)
        f = forward_new(pool, x, &asked);
    json_decref(body);
    if (!f)
        goto refused;
    f->tried = unable;
    who = pool_choose(pool, request->model, unable, true, &f->wanted, &m);
    if (who == POOL_LOCAL) {
        forget(f);
        return false;
    }
    if (who == POOL_NONE) {
        struct api_error e;

        (void)api_error_set(&e, API_UNSUPPORTED, NULL,
                            "No server of this model can do what this request asks for, such as a "
                            "form of the answer or a count of tokens.");
        forget(f);
        api_request_release(request);
        exchange_fail(x, &e);
        return true;
    }
    if (!take_words(f, request)) {
        forget(f);
        goto refused;
    }
    begin(f, who, m);
    return true;

refused:
    api_request_release(request);
    refuse(x);
    return true;
}
