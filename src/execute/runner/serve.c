/* SPDX-License-Identifier: Apache-2.0 */
/* execute/runner/serve.c - the driver's loop: orders in, steps, tokens out. */
#include "execute/runner/serve.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "execute/runner/job_trace.h"
#include "execute/runner/scribe.h"
#include "execute/wire.h"

enum {
    LOAD_EVERY_MS = 20,
    IDLE_CHECK_MS = 100, /* how soon an idle driver notices that a rank is gone */
};

/* One generation of a gateway, while the driver knows it. */
struct job {
    struct server *server;
    uint64_t gateway, id;
    uint64_t driver_id;
    struct generation *waiting; /* owned: for its grammar to be compiled; NULL: the driver has it */
    uint32_t sequence;
    struct job_trace trace;
    struct job *next;
};

struct server {
    struct driver *driver;
    struct transport *ring; /* NULL where there is one rank */
    struct orders *orders;
    struct scribe *scribe;
    const struct reporter *reporter;
    uint32_t rank;
    struct job *jobs;
    struct batch *batches; /* tokens of this step, one batch for each gateway */
    enum status batch_status;
    struct driver_load told; /* the load last reported */
    uint64_t load_due_ns;
};

static void remove_job(struct job *job, enum job_end how)
{
    struct job **at = &job->server->jobs;

    job_trace_end(&job->trace, how, job->server->reporter);

    while (*at != job)
        at = &(*at)->next;
    *at = job->next;
    generation_free(job->waiting);
    free(job);
}

static struct batch *batch_for(struct server *v, uint64_t gateway)
{
    struct batch *b = v->batches;

    while (b && b->gateway != gateway)
        b = b->next;
    if (b)
        return b;
    b = batch_new(gateway);
    if (b) {
        b->next = v->batches;
        v->batches = b;
    }
    return b;
}

static void refuse(const struct server *v, uint64_t gateway, uint64_t id, const struct err *why)
{
    const struct report report = {
        .kind = REPORT_REFUSED, .gateway = gateway, .id = id, .why = *why
    };

    report_send(v->reporter, &report);
}

static void on_token(void *arg, const struct token_event *event, const struct err *failure)
{
    struct job *job = arg;
    struct batch *b;

    if (failure) { /* serve_run() fails with a broken driver, which tells every gateway */
        if (!driver_is_broken(job->server->driver))
            refuse(job->server, job->gateway, job->id, failure);
        remove_job(job, JOB_FAILED);
        return;
    }
    job_trace_token(&job->trace, event);
    b = batch_for(job->server, job->gateway);
    if (!b || batch_add(b, job->id, event) != ST_OK)
        job->server->batch_status = ST_NOMEM;
    if (event->finish != FINISH_NONE)
        remove_job(job, JOB_FINISHED);
}

static void refuse_job(struct job *job, const struct err *why)
{
    refuse(job->server, job->gateway, job->id, why);
    remove_job(job, JOB_FAILED);
}

static void give_to_driver(struct job *job, const struct generation *g)
{
    struct err why = { 0 };

    if (driver_submit(job->server->driver, g, job->sequence, on_token, job, &job->driver_id,
                      &why) != ST_OK)
        refuse_job(job, &why);
}

static bool has_waiting(const struct server *v, const char *grammar)
{
    for (const struct job *job = v->jobs; job; job = job->next)
        if (job->waiting && strcmp(job->waiting->grammar, grammar) == 0)
            return true;
    return false;
}

/* Its grammar is compiled first, beside the driver, once for all that wait for it. */
static void wait_for_grammar(struct job *job, struct order *o)
{
    const bool is_asked = has_waiting(job->server, o->generation->grammar);
    struct err why = { 0 };

    if (!is_asked && scribe_ask(job->server->scribe, o->generation->grammar, &why) != ST_OK) {
        refuse_job(job, &why);
        return;
    }
    job->waiting = o->generation;
    o->generation = NULL;
}

static void submit(struct server *v, struct order *o)
{
    struct job *job = calloc(1, sizeof(*job));
    struct err why = { 0 };

    if (!job) {
        (void)err_set(&why, ST_NOMEM, "a generation");
        refuse(v, o->gateway, o->id, &why);
        return;
    }
    *job = (struct job){
        .server = v, .gateway = o->gateway, .id = o->id, .sequence = o->sequence, .next = v->jobs
    };
    v->jobs = job;
    job_trace_begin(&job->trace, o->generation, o->sequence, v->rank, o->asked_ns);
    if (o->generation->grammar && !driver_knows_grammar(v->driver, o->generation->grammar))
        wait_for_grammar(job, o);
    else
        give_to_driver(job, o->generation);
}

/* A grammar is compiled, or cannot be: those that waited for it go on, or are refused. */
static void take_grammar(struct server *v, struct order *o)
{
    struct err why = o->why;
    enum status s = why.status;
    struct job *next;

    if (s == ST_OK) {
        s = driver_adopt_grammar(v->driver, o->grammar, o->run, &why);
        o->run = NULL;
    }
    for (struct job *job = v->jobs; job; job = next) {
        struct generation *g = job->waiting;

        next = job->next;
        if (!g || strcmp(g->grammar, o->grammar) != 0)
            continue;
        job->waiting = NULL;
        if (s == ST_OK)
            give_to_driver(job, g);
        else
            refuse_job(job, &why);
        generation_free(g);
    }
}

static void cancel(struct server *v, const struct order *o)
{
    struct job **at = &v->jobs;

    while (*at) {
        struct job *job = *at;
        const bool is_meant =
            job->gateway == o->gateway && (o->kind == ORDER_CANCEL_GATEWAY || job->id == o->id);

        if (!is_meant) {
            at = &job->next;
            continue;
        }
        if (!job->waiting)
            driver_cancel(v->driver, job->driver_id);
        remove_job(job, JOB_CANCELED);
    }
}

static void follow_order(struct server *v, struct order *o)
{
    switch (o->kind) {
    case ORDER_SUBMIT: submit(v, o); break;
    case ORDER_CANCEL:
    case ORDER_CANCEL_GATEWAY: cancel(v, o); break;
    case ORDER_COMPILED: take_grammar(v, o); break;
    case ORDER_ASSIGN:
    case ORDER_FAIL:
    case ORDER_CONNECT: break; /* an instance of one rank has nothing to connect */
    }
}

static void follow_orders(struct server *v)
{
    const bool is_idle = !driver_has_work(v->driver);
    struct order *o = orders_take(v->orders, is_idle ? deadline_after_ms(IDLE_CHECK_MS) : 0);

    while (o) {
        struct order *next = o->next;

        follow_order(v, o);
        order_free(o);
        o = next;
    }
}

static void send_batches(struct server *v)
{
    while (v->batches) {
        struct batch *b = v->batches;
        const struct report report = { .kind = REPORT_TOKENS, .batch = b };

        v->batches = b->next;
        report_send(v->reporter, &report);
    }
}

static bool is_same_load(const struct driver_load *a, const struct driver_load *b)
{
    return a->n_running == b->n_running && a->n_waiting == b->n_waiting &&
           a->kv_tokens_used == b->kv_tokens_used && a->kv_tokens_cached == b->kv_tokens_cached &&
           a->n_generated_tokens == b->n_generated_tokens;
}

static void tell_load(struct server *v)
{
    const struct report report = { .kind = REPORT_LOAD, .load = driver_load(v->driver) };

    if (is_same_load(&report.load, &v->told))
        return;
    if (driver_has_work(v->driver) && clock_ns() < v->load_due_ns)
        return;
    v->told = report.load;
    v->load_due_ns = deadline_after_ms(LOAD_EVERY_MS);
    report_send(v->reporter, &report);
}

static enum status serve_once(struct server *v, struct err *err)
{
    enum status s = ST_OK;

    follow_orders(v);
    if (driver_has_work(v->driver))
        s = driver_step(v->driver, err);
    else if (v->ring)
        s = transport_check(v->ring, err);
    send_batches(v);
    if (s == ST_OK && v->batch_status != ST_OK)
        s = err_set(err, v->batch_status, "tokens to send");
    if (s == ST_OK)
        tell_load(v);
    return s;
}

enum status serve_run(const struct driver_options *options, struct orders *orders,
                      const struct reporter *reporter, struct err *err)
{
    struct server v = {
        .ring = options->ring, .orders = orders, .reporter = reporter, .rank = options->n_ranks - 1
    };
    enum status s;

    s = driver_new(options, &v.driver, err);
    if (s == ST_OK && options->vocab)
        s = scribe_new(options->vocab, orders, &v.scribe, err);
    while (s == ST_OK)
        s = serve_once(&v, err);
    scribe_free(v.scribe);
    driver_free(v.driver);
    while (v.jobs)
        remove_job(v.jobs, JOB_FAILED);
    return s;
}
