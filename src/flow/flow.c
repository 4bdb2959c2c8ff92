/* SPDX-License-Identifier: Apache-2.0 */
/* flow/flow.c - the life of one request, top to bottom.
 *
 * Read this file first.  Each stage is a folder under src/ with the same
 * name; each hand-over is a header under src/contract/ with the same name.
 * Stages never include one another: they meet only here.
 *
 *   HTTP --gateway--> request --balance--> route --select--> node_set
 *        --partition--> plan --execute--> token_stream --aggregate--> reply
 *
 * A stage that has to wait (for a file, a placing, tokens) says so; whatever
 * it waits for calls flow_wake(), and the stage is entered again from the
 * loop.  So a flow ends in no other place than flow_run(), flow_tick() and
 * the client's leaving, and never inside a callback of a connection.
 *
 * A request outlives its instance.  Where that is lost, stages 2 to 5 are done
 * once more: another ready instance goes on at once, else one is placed on the
 * nodes that are left, and the client sees nothing but a pause.  Each choice
 * keeps the tokens it has (struct choice), the sampler has no other state, and what stage 6
 * holds stays as it is, so the answer is the one it would have been.  outage.h
 * says how long this goes on.
 */
#include "flow/flow.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/size.h"
#include "flow/encoding.h"
#include "flow/flow_priv.h"
#include "gateway/dialect/responses.h"
#include "gateway/guard/reservation.h"
#include "gateway/http/sse.h"
#include "metrics/metrics.h"

static const struct stage {
    const char *name;
    enum step (*enter)(struct flow *f);
} stages[] = {
    { "gateway", flow_prompt },      /* 1  API gateway           f->prompts */
    { "balance", flow_balance },     /* 2  load balancer         f->route   */
    { "select", flow_select },       /* 3  node selection        f->nodes   */
    { "partition", flow_partition }, /* 4  model partitioning    a plan, placed */
    { "execute", flow_execute },     /* 5  inference execution   tokens     */
    { "aggregate", flow_aggregate }, /* 6  response aggregation  the reply  */
};

enum { STAGE_BALANCE = 1, STAGE_EXECUTE = 4 };

enum step flow_fail(struct flow *f, enum api_error_kind kind, const struct err *err)
{
    if (!f->has_failed)
        (void)api_error_set(&f->failure, kind, NULL, "%s", err->words);
    f->has_failed = true;
    return STEP_FAIL;
}

/* Pay for the tokens there are.  What failed before its first token was our fault: it costs nothing. */
static void settle(struct flow *f)
{
    const struct reply_usage usage = flow_usage(f);
    const bool is_paid =
        usage.completion_tokens > 0 || (f->request.task == TASK_EMBED && !f->has_failed);

    reservation_end(f->request.reservation,
                    is_paid ? usage.prompt_tokens + usage.completion_tokens : 0,
                    usage.completion_tokens > 0 || !f->has_failed);
    f->request.reservation = NULL;
}

void flow_free(struct flow *f)
{
    flow_trace_end(f);
    if (f->x)
        exchange_on_close(f->x, NULL, NULL);
    *f->link = f->next;
    if (f->next)
        f->next->link = f->link;
    f->service->n_flows--;
    admission_leave(&f->service->admission, &f->ticket);
    settle(f);
    flow_execute_release(f);
    flow_place_release(f);
    encoding_leave(f);
    text_cache_forget(f->service->texts, &f->text_waiter);
    text_cache_put(f->service->texts, f->text);
    for (size_t i = 0; f->prompts && i < f->request.n_prompts; i++)
        tokens_release(&f->prompts[i]);
    free(f->prompts);
    answer_free(f->answer);
    free(f->vectors);
    buf_release(&f->events);
    buf_release(&f->rendered);
    api_request_release(&f->request);
    loop_timer_free(f->wake);
    free(f);
}

struct flow *flow_next(const struct flow *f)
{
    return f->next;
}

bool flow_is_called(const struct flow *f, const char *id)
{
    return f->answer && strcmp(f->answer->id, id) == 0;
}

uint64_t flow_owner(const struct flow *f)
{
    return f->request.owner;
}

bool flow_cancel_response(struct flow *f, const char *id, uint64_t owner, struct buf *out)
{
    struct api_error e;

    if (!flow_is_called(f, id) || f->request.owner != owner ||
        f->request.dialect != &openai_responses)
        return false;
    responses_canceled(f->answer, out);
    (void)api_error_set(&e, API_CANCELED, NULL, "The response was canceled.");
    flow_abort(f, &e);
    return true;
}

static void client_left(void *arg)
{
    struct flow *f = arg;

    log_with(LOG_DEBUG, "the client left", log_text("request_id", exchange_id(f->x)),
             log_text("stage", stages[f->stage].name));
    metric_add(METRIC_LEFT, 0, 1);
    f->x = NULL;
    flow_free(f);
}

/* In the dialect's own words. */
static void fail_stream(struct flow *f, const struct api_error *e)
{
    buf_clear(&f->events);
    f->request.dialect->fail(f->answer, e, &f->events);
    sse_send(f->x, &f->events);
    exchange_stream_end(f->x);
}

void flow_abort(struct flow *f, const struct api_error *e)
{
    struct exchange *x = f->x;

    flow_count_failure(api_error_http(e->kind));
    if (f->outage.n_losses > 0)
        metrics_failed_over(false);
    log_with(LOG_WARN, "a request failed", log_text("request_id", exchange_id(x)),
             log_text("model", f->model.name[0] ? f->model.name : NULL),
             log_text("stage", stages[f->stage].name),
             log_text("error", api_error_code(e->kind) ? api_error_code(e->kind) : "invalid"));
    exchange_on_close(x, NULL, NULL);
    if (f->is_streaming && f->request.dialect->fail)
        fail_stream(f, e);
    else if (f->is_streaming)
        sse_fail(x, e);
    else
        exchange_fail(x, e);
    f->x = NULL;
    flow_free(f);
}

/* Back to stage 2, unless it is time to give up.  False: it is. */
static bool look_again(struct flow *f)
{
    uint32_t wait_ms;

    if (!outage_go_on(&f->outage, f->setback, clock_ns(), &wait_ms))
        return false;
    log_with(LOG_INFO, "looking for an instance again", log_text("request_id", exchange_id(f->x)),
             log_text("model", f->model.name), log_count("wait_ms", wait_ms),
             log_text("error", f->failure.message));
    if (f->setback == SETBACK_LOSS) {
        flow_trace_loss(f);
        memcpy(f->lost_instance, f->route.instance_id, sizeof(f->lost_instance));
        f->loss_until_ns = deadline_after_ms(FLOW_LOSS_MS);
    }
    flow_execute_suspend(f);
    flow_place_release(f);
    f->route = (struct route){ 0 };
    f->has_failed = false;
    f->setback = SETBACK_NONE;
    f->stage = STAGE_BALANCE;
    loop_timer_once(f->wake, wait_ms);
    return true;
}

static void flow_run(void *arg)
{
    struct flow *f = arg;

    if (f->has_failed) {
        if (!look_again(f))
            flow_abort(f, &f->failure);
        return;
    }
    for (; f->stage < ARRAY_LEN(stages); f->stage++) {
        enum step step = stages[f->stage].enter(f);

        if (step == STEP_WAIT)
            return;
        if (step == STEP_DONE)
            break;
        if (step == STEP_FAIL) {
            flow_wake(f); /* from the loop: it may be tried again */
            return;
        }
    }
    f->x = NULL; /* a stage answered */
    flow_free(f);
}

void flow_wake(struct flow *f)
{
    loop_timer_once(f->wake, 0);
}

static bool is_over_deadline(const struct flow *f, uint64_t now_ns)
{
    const uint64_t allowed_ms = f->stage < STAGE_EXECUTE ? FLOW_PLACE_MS : FLOW_SILENCE_MS;
    const uint64_t placing_ns = f->outage.begun_ns ? f->outage.begun_ns : f->begun_ns;
    const uint64_t since_ns = f->stage < STAGE_EXECUTE ? placing_ns : f->last_token_ns;

    return now_ns > since_ns && now_ns - since_ns > allowed_ms * NS_PER_MS;
}

/* Too long without its first token, at an instance that is there: it would better have been refused. */
static bool is_over_wait(const struct flow *f, uint64_t now_ns)
{
    const uint64_t wait_ns = reload_settings(f->service->reload)->queue.wait_s * NS_PER_S;

    return f->stage == STAGE_EXECUTE && f->ticket.since_ns != 0 &&
           now_ns > f->ticket.since_ns + wait_ns && now_ns > f->last_token_ns + wait_ns;
}

/* It yielded for long enough: its driver is asked once more, as for a request that somebody waits for. What was
 * computed of its prompt is in the cache there. */
static void stop_yielding(struct flow *f)
{
    log_with(LOG_INFO, "a request yielded to others for long, and counts as they do from now on",
             log_text("request_id", exchange_id(f->x)));
    f->request.priority = PRIORITY_INTERACTIVE;
    flow_execute_suspend(f);
    flow_wake(f);
}

void flow_tick(struct flow *f, uint64_t now_ns)
{
    if (f->stage == STAGE_EXECUTE && f->client && !f->has_failed &&
        f->request.priority == PRIORITY_BATCH &&
        admission_has_aged(&f->ticket, reload_settings(f->service->reload)->queue.wait_s, now_ns))
        stop_yielding(f);
    if (is_over_wait(f, now_ns)) {
        struct api_error e;

        (void)api_error_set(&e, API_OVERLOADED, NULL, "The request waited too long for its turn.");
        e.retry_ms = ADMISSION_RETRY_MAX_S * UINT64_C(1000);
        flow_abort(f, &e);
        return;
    }
    if (is_over_deadline(f, now_ns)) {
        struct api_error e;

        (void)api_error_set(&e, API_TIMEOUT, NULL, "The model did not answer in time (stage %s).",
                            stages[f->stage].name);
        flow_abort(f, &e);
        return;
    }
    /* Only once an instance has the request: before, an error may still be an HTTP status. */
    if (!f->request.streams || (f->stage != STAGE_EXECUTE && !f->is_streaming) ||
        now_ns - f->last_sent_ns < KEEP_ALIVE_MS * NS_PER_MS)
        return;
    if (!f->is_streaming)
        flow_start_stream(f);
    f->last_sent_ns = now_ns;
    sse_keep_alive(f->x, f->request.dialect->keep_alive);
}

static void link_flow(struct service *service, struct flow *f)
{
    f->link = &service->flows;
    f->next = service->flows;
    if (f->next)
        f->next->link = &f->next;
    service->flows = f;
    service->n_flows++;
}

void flow_start(struct service *service, struct exchange *x, struct api_request *request)
{
    struct flow *f = calloc(1, sizeof(*f));
    struct api_error e;

    if (!f || loop_timer_new(service->loop, flow_run, f, &f->wake) != ST_OK) {
        free(f);
        (void)api_error_set(&e, API_OVERLOADED, NULL, "There is no memory for this request.");
        exchange_fail(x, &e);
        api_request_release(request);
        return;
    }
    f->service = service;
    f->x = x;
    f->request = *request;
    f->begun_ns = f->last_sent_ns = f->last_token_ns = clock_ns();
    link_flow(service, f);
    exchange_on_close(x, client_left, f);
    flow_run(f);
}
