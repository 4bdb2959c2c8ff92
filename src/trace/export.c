/* SPDX-License-Identifier: Apache-2.0 */
/* trace/export.c - spans on their way to a collector. */
#include "trace/export.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "metrics/metrics.h"
#include "net/http_client.h"

enum {
    CONNECT_MS = 2000,
    ANSWER_MAX_BYTES = 64 << 10,
    URL_MAX = API_TRACES_URL_MAX + 16,
    LOST_FULL = 0, /* values of METRIC_SPANS_LOST */
    LOST_REFUSED,
    LOST_UNREACHABLE,
};

static const char path[] = "/v1/traces";

struct export
{
    struct http_client *client;
    struct loop_timer *timer;
    struct export_options o;
    char url[URL_MAX]; /* "": nowhere */
    struct api_traces settings;
    char *resource; /* owned */

    char *spans[EXPORT_QUEUE_MAX]; /* a ring of [n_spans] from `first` */
    size_t first, n_spans;

    struct buf body; /* the batch that is sent, or tried again */
    size_t n_in_body;
    unsigned n_tries;
    struct http_call *call; /* NULL: none is under way */
    struct http_answer_head head;
    struct buf answer;
    bool is_failing; /* said in the log */
};

static void lose(unsigned reason, size_t n)
{
    metric_add(METRIC_SPANS_LOST, reason, n);
}

static void forget_batch(struct export *e)
{
    buf_release(&e->body);
    e->n_in_body = 0;
    e->n_tries = 0;
}

static void forget_all(struct export *e)
{
    http_call_cancel(e->call);
    e->call = NULL;
    if (e->timer)
        loop_timer_stop(e->timer);
    forget_batch(e);
    for (; e->n_spans > 0; e->n_spans--, e->first = (e->first + 1) % EXPORT_QUEUE_MAX)
        free(e->spans[e->first]);
}

/* A batch is one ResourceSpans with one ScopeSpans. */
static void make_batch(struct export *e)
{
    const char *between = "";

    buf_printf(&e->body,
               "{\"resourceSpans\":[{\"resource\":%s,\"scopeSpans\":[{\"scope\":{\"name\":"
               "\"pomona\",\"version\":\"" POMONA_VERSION "\"},\"spans\":[",
               e->resource);
    while (e->n_spans > 0 && e->n_in_body < EXPORT_BATCH_MAX) {
        buf_puts(&e->body, between);
        buf_puts(&e->body, e->spans[e->first]);
        between = ",";
        free(e->spans[e->first]);
        e->first = (e->first + 1) % EXPORT_QUEUE_MAX;
        e->n_spans--;
        e->n_in_body++;
    }
    buf_puts(&e->body, "]}]}]}");
    if (buf_status(&e->body) == ST_OK)
        return;
    lose(LOST_FULL, e->n_in_body);
    forget_batch(e);
}

static void say_failing(struct export *e, const char *why)
{
    if (!e->is_failing)
        log_warn("traces do not reach their collector: %s", why);
    e->is_failing = true;
}

static void batch_over(struct export *e)
{
    forget_batch(e);
    if (e->n_spans > 0)
        loop_timer_once(e->timer, e->n_spans >= EXPORT_BATCH_MAX ? 0 : e->o.delay_ms);
}

/* "Partial Success": an answer of 200 may say how many spans were not taken. */
static void batch_taken(struct export *e)
{
    json_t *answer = json_loadb(buf_text(&e->answer), e->answer.len, 0, NULL);
    const json_t *part = json_object_get(answer, "partialSuccess");
    const json_t *rejected = json_object_get(part, "rejectedSpans");
    const long long n = json_is_string(rejected) ? strtoll(json_string_value(rejected), NULL, 10)
                                                 : json_integer_value(rejected);
    const size_t n_lost = n <= 0 ? 0 : (size_t)n > e->n_in_body ? e->n_in_body : (size_t)n;

    json_decref(answer);
    lose(LOST_REFUSED, n_lost);
    metric_add(METRIC_SPANS_SENT, 0, e->n_in_body - n_lost);
    if (e->is_failing)
        log_info("traces reach their collector again");
    e->is_failing = false;
    batch_over(e);
}

/* "Failures" and "OTLP/HTTP Throttling": what the collector asks for, else longer each time, and not all at once. */
static uint32_t wait_ms(const struct export *e)
{
    uint64_t ms = (uint64_t)e->o.backoff_ms << (e->n_tries - 1);

    if (e->head.retry_after_s > 0)
        ms = e->head.retry_after_s * UINT64_C(1000);
    else
        ms += random_u64() % (ms / 2 + 1);
    return ms < EXPORT_WAIT_MAX_MS ? (uint32_t)ms : EXPORT_WAIT_MAX_MS;
}

static bool may_try_again(int status)
{
    return status == 429 || status == 502 || status == 503 || status == 504;
}

static void try_again(struct export *e, const char *why)
{
    say_failing(e, why);
    if (e->n_tries < EXPORT_TRIES_MAX) {
        loop_timer_once(e->timer, wait_ms(e));
        return;
    }
    lose(LOST_UNREACHABLE, e->n_in_body);
    batch_over(e);
}

static bool on_head(void *arg, const struct http_answer_head *head)
{
    struct export *e = arg;

    e->head = *head;
    return true;
}

static bool on_bytes(void *arg, const char *bytes, size_t n)
{
    struct export *e = arg;

    if (e->answer.len + n <= ANSWER_MAX_BYTES) /* of a longer one nothing is believed */
        buf_append(&e->answer, bytes, n);
    return true;
}

static void on_end(void *arg, enum http_end end, const char *why)
{
    struct export *e = arg;

    e->call = NULL;
    if (end != HTTP_END_WHOLE) {
        try_again(e, why);
    } else if (e->head.status >= 200 && e->head.status < 300) {
        batch_taken(e);
    } else if (may_try_again(e->head.status)) {
        try_again(e, "it is too busy");
    } else {
        say_failing(e, "it refuses them; are its address and the headers right?");
        lose(LOST_REFUSED, e->n_in_body);
        batch_over(e);
    }
}

static void send_batch(struct export *e)
{
    const char *headers[API_TRACES_HEADERS_MAX + 1] = { "Content-Type: application/json" };
    struct http_call_options options = {
        .url = e->url,
        .headers = headers,
        .n_headers = e->settings.n_headers + 1,
        .body = e->body.data,
        .n_body = e->body.len,
        .connect_ms = CONNECT_MS,
        .total_ms = EXPORT_TIMEOUT_MS,
        .on_head = on_head,
        .on_bytes = on_bytes,
        .on_end = on_end,
        .arg = e,
    };
    struct err err;

    for (unsigned i = 0; i < e->settings.n_headers; i++)
        headers[i + 1] = e->settings.headers[i];
    buf_clear(&e->answer);
    e->head = (struct http_answer_head){ 0 };
    e->n_tries++;
    if (http_call_start(e->client, &options, &e->call, &err) != ST_OK)
        try_again(e, err.words);
}

static void on_time(void *arg)
{
    struct export *e = arg;

    if (e->call)
        return;
    if (e->n_in_body == 0 && e->n_spans > 0)
        make_batch(e);
    if (e->n_in_body > 0)
        send_batch(e);
}

void export_add(struct export *e, char *span)
{
    if (!e->url[0] || e->n_spans == EXPORT_QUEUE_MAX) {
        lose(LOST_FULL, 1);
        free(span);
        return;
    }
    e->spans[(e->first + e->n_spans++) % EXPORT_QUEUE_MAX] = span;
    if (e->n_in_body > 0) /* what is under way comes first */
        return;
    if (e->n_spans == 1)
        loop_timer_once(e->timer, e->o.delay_ms);
    else if (e->n_spans == EXPORT_BATCH_MAX)
        loop_timer_once(e->timer, 0);
}

void export_flush(struct export *e)
{
    if (e->n_in_body == 0 && e->n_spans > 0)
        loop_timer_once(e->timer, 0);
}

bool export_is_idle(const struct export *e)
{
    return e->n_in_body == 0 && e->n_spans == 0;
}

/* "OTLP/HTTP Request": the path is below the endpoint; one that is there already stays. */
static void make_url(struct export *e, const char *endpoint)
{
    size_t n = strlen(endpoint);

    while (n > 0 && endpoint[n - 1] == '/')
        n--;
    if (n >= sizeof(path) &&
        strncmp(endpoint + n - (sizeof(path) - 1), path, sizeof(path) - 1) == 0)
        n -= sizeof(path) - 1;
    e->url[0] = '\0';
    if (n > 0)
        (void)snprintf(e->url, sizeof(e->url), "%.*s%s", (int)n, endpoint, path);
}

enum status export_use(struct export *e, const struct api_traces *settings, const char *resource,
                       struct err *err)
{
    char *copy = strdup(resource);

    if (!copy)
        return err_set(err, ST_NOMEM, "the settings of traces");
    free(e->resource);
    e->resource = copy;
    e->settings = *settings;
    make_url(e, settings->endpoint);
    if (!e->url[0])
        forget_all(e);
    return ST_OK;
}

enum status export_new(struct loop *loop, const struct export_options *options,
                       struct export **ret_export, struct err *err)
{
    struct export *e = calloc(1, sizeof(*e));
    enum status s = ST_OK;

    if (!e || loop_timer_new(loop, on_time, e, &e->timer) != ST_OK)
        s = err_set(err, ST_NOMEM, "the sending of traces");
    if (s == ST_OK)
        s = http_client_new(loop, &e->client, err);
    if (s != ST_OK) {
        export_free(e);
        return s;
    }
    e->o = *options;
    if (e->o.delay_ms == 0)
        e->o.delay_ms = EXPORT_DELAY_MS;
    if (e->o.backoff_ms == 0)
        e->o.backoff_ms = EXPORT_BACKOFF_MS;
    *ret_export = e;
    return ST_OK;
}

void export_free(struct export *e)
{
    if (!e)
        return;
    forget_all(e);
    http_client_free(e->client);
    loop_timer_free(e->timer);
    buf_release(&e->answer);
    free(e->resource);
    free(e);
}
