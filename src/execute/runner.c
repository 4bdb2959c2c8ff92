/* SPDX-License-Identifier: Apache-2.0 */
/* execute/runner.c - the process that holds one shard: its event-loop thread, start and end.
 *
 * Messages of the node become orders for the computing thread (runner/work);
 * its reports become messages to the node and the gateways.  A failure is
 * told to everyone before the process ends, within FLUSH_MS.
 */
#include "execute/runner.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/size.h"
#include "contract/trace_wire.h"
#include "execute/runner/gateways.h"
#include "execute/runner/orphan.h"
#include "execute/runner/work.h"
#include "execute/wire.h"
#include "net/channel.h"

enum {
    CONTROL_MAX_BYTES = 1 << 20,
    FLUSH_MS = 1000,
};

struct runner {
    struct loop *loop;
    struct orders *orders;
    struct loop_timer *flush_timer;
    struct pulse pulse;
    struct traced *traced;
    /* The rest is the loop thread's. */
    struct channel *control;   /* NULL once told of a failure */
    struct gateways *gateways; /* the driver's, from its assignment until told of a failure */
    struct tls *tls;           /* with gateways; NULL: in clear */
    bool is_assigned, is_failing;
    char log_levels[LOG_LEVELS_TEXT_MAX]; /* as the node said them last */
    uint16_t transport_port;              /* where this rank listens for the others; 0: for none */
};

static void on_flush_time(void *arg)
{
    struct runner *r = arg;

    loop_stop(r->loop);
}

static void stop_when_told(struct runner *r)
{
    if (!r->control && !r->gateways)
        loop_stop(r->loop);
}

static void on_gateways_told(void *arg)
{
    struct runner *r = arg;

    gateways_free(r->gateways);
    r->gateways = NULL;
    stop_when_told(r);
}

static void fail(struct runner *r, const struct report *report)
{
    const struct err *why = &report->why;
    const struct transport_cut *cut = &report->cut;
    char *hosts[HOSTS_MAX];
    Wire__RunnerMessage message = WIRE__RUNNER_MESSAGE__INIT;
    Wire__ShardFailed failed = WIRE__SHARD_FAILED__INIT;
    char words[ERR_WORDS_MAX];

    memcpy(words, why->words, sizeof(words));
    log_error("the shard failed: %s", words);
    failed.status = (int32_t)why->status;
    failed.words = words;
    failed.cut_rank = cut->rank;
    failed.cut_hosts = hosts;
    for (; cut->is_known && failed.n_cut_hosts < cut->hosts.n; failed.n_cut_hosts++)
        hosts[failed.n_cut_hosts] = (char *)cut->hosts.text[failed.n_cut_hosts];
    message.body_case = WIRE__RUNNER_MESSAGE__BODY_SHARD_FAILED;
    message.shard_failed = &failed;
    channel_send(r->control, &message.base);

    r->is_failing = true;
    channel_finish(r->control);
    if (r->gateways)
        gateways_finish(r->gateways, why, on_gateways_told, r);
    loop_timer_once(r->flush_timer, FLUSH_MS);
}

static void send_progress(struct runner *r, const struct report *report)
{
    Wire__RunnerMessage message = WIRE__RUNNER_MESSAGE__INIT;
    Wire__ShardProgress progress = WIRE__SHARD_PROGRESS__INIT;

    progress.stage = report->progress.stage;
    progress.done_bytes = report->progress.done_bytes;
    progress.total_bytes = report->progress.total_bytes;
    progress.bytes_per_s = report->progress.bytes_per_s;
    progress.peer_bytes = report->progress.peer_bytes;
    progress.hub_bytes = report->progress.hub_bytes;
    message.body_case = WIRE__RUNNER_MESSAGE__BODY_PROGRESS;
    message.progress = &progress;
    channel_send(r->control, &message.base);
}

static void send_ready(struct runner *r, struct report *report)
{
    Wire__RunnerMessage message = WIRE__RUNNER_MESSAGE__INIT;
    Wire__ShardReady ready = WIRE__SHARD_READY__INIT;

    if (r->gateways)
        gateways_open(r->gateways);
    ready.weight_bytes = report->weight_bytes;
    ready.kv_bytes = report->kv_bytes;
    ready.load_seconds = report->load_seconds;
    ready.kernels = report->kernels;
    message.body_case = WIRE__RUNNER_MESSAGE__BODY_READY;
    message.ready = &ready;
    channel_send(r->control, &message.base);
}

static void send_load(struct runner *r, const struct driver_load *from)
{
    Wire__RunnerMessage message = WIRE__RUNNER_MESSAGE__INIT;
    Wire__ShardLoad load = WIRE__SHARD_LOAD__INIT;

    load.n_active = from->n_running;
    load.n_waiting = from->n_waiting;
    load.kv_tokens_used = from->kv_tokens_used;
    load.kv_tokens_cached = from->kv_tokens_cached;
    load.n_generated_tokens = from->n_generated_tokens;
    load.step_seconds = (double)from->step_ns / (double)NS_PER_S;
    load.wait_seconds = (double)from->waited_ns / (double)NS_PER_S;
    load.n_steps = from->n_steps;
    load.n_preempted = from->n_preempted;
    load.n_alone_tokens = from->n_alone_tokens;
    load.alone_seconds = (double)from->alone_ns / (double)NS_PER_S;
    message.body_case = WIRE__RUNNER_MESSAGE__BODY_LOAD;
    message.load = &load;
    channel_send(r->control, &message.base);
}

static void send_work(struct runner *r, struct work_span *work)
{
    Wire__RunnerMessage message = WIRE__RUNNER_MESSAGE__INIT;
    Wire__TraceIds ids;
    Wire__ShardWork wire;

    if (!r->control)
        return;
    work_to_wire(work, &ids, &wire);
    message.body_case = WIRE__RUNNER_MESSAGE__BODY_WORK;
    message.work = &wire;
    channel_send(r->control, &message.base);
}

static void send_listening(struct runner *r)
{
    Wire__RunnerMessage message = WIRE__RUNNER_MESSAGE__INIT;
    Wire__ShardListening listening = WIRE__SHARD_LISTENING__INIT;

    listening.transport_port = r->transport_port;
    listening.client_port = r->gateways ? gateways_port(r->gateways) : 0;
    message.body_case = WIRE__RUNNER_MESSAGE__BODY_LISTENING;
    message.listening = &listening;
    channel_send(r->control, &message.base);
}

/* A report on its way to the loop's thread. */
struct posted_report {
    struct runner *runner;
    struct report report;
};

static void take_report(void *arg)
{
    struct posted_report *p = arg;
    struct runner *r = p->runner;

    switch (p->report.kind) {
    case REPORT_PROGRESS: send_progress(r, &p->report); break;
    case REPORT_FETCHED: send_listening(r); break;
    case REPORT_READY: send_ready(r, &p->report); break;
    case REPORT_LOAD: send_load(r, &p->report.load); break;
    case REPORT_TOKENS: gateways_send(r->gateways, p->report.batch); break;
    case REPORT_REFUSED:
        gateways_refuse(r->gateways, p->report.gateway, p->report.id, &p->report.why);
        break;
    case REPORT_WORK: send_work(r, p->report.work); break;
    case REPORT_FAILED: fail(r, &p->report); break;
    }
    batch_free(p->report.batch);
    free(p->report.work);
    free(p);
}

static void post_report(void *arg, const struct report *report)
{
    struct runner *r = arg;
    struct posted_report *p = malloc(sizeof(*p));

    if (p)
        *p = (struct posted_report){ r, *report };
    if (!p || loop_post(r->loop, take_report, p) != ST_OK)
        abort(); /* out of memory: a stream would lose a token, or the node an answer */
}

static void tell_work(void *arg, const struct work_span *work)
{
    report_work(&(struct reporter){ post_report, arg }, work);
}

static enum status listen_for_gateways(struct runner *r, const struct assignment *a,
                                       struct err *err)
{
    struct gateways_options options = { a->listen_host, a->key, NULL, r->orders };
    enum status s = ST_OK;

    if (a->has_data_key)
        s = tls_new(&a->data_key, TLS_TOKENS, &r->tls, err);
    options.tls = r->tls;
    return s == ST_OK ? gateways_new(r->loop, &options, &r->gateways, err) : s;
}

static enum status listen_for(struct runner *r, struct assignment *a, struct err *err)
{
    enum status s = ST_OK;

    if (a->n_ranks > 1 && a->transport != TRANSPORT_MPI)
        s = tcp_listen(a->listen_host, &a->listener, err);
    if (s == ST_OK && a->rank + 1 == a->n_ranks)
        s = listen_for_gateways(r, a, err);
    return s;
}

/* The node that started this left its name in the environment. */
static void say_who(const Wire__ShardAssign *message)
{
    const struct log_field who[] = {
        log_text("node", getenv("POMONA_NODE")),
        log_text("instance", message->instance_id),
        log_count("rank", message->rank),
    };

    log_set_common(who, ARRAY_LEN(who));
}

static enum status on_assign(struct runner *r, const Wire__ShardAssign *message, struct err *err)
{
    struct order order = { .kind = ORDER_ASSIGN };
    struct assignment *a = NULL;
    enum status s;

    if (r->is_assigned)
        return err_set(err, ST_FORMAT, "a runner is assigned once");
    r->is_assigned = true;
    s = assignment_read(message, &a, err);
    if (s == ST_OK)
        s = listen_for(r, a, err);
    if (s != ST_OK) {
        assignment_free(a);
        return s;
    }
    say_who(message);
    r->transport_port = a->listener ? tcp_listener_port(a->listener) : 0;
    if (!a->is_fetched) /* else once its part of the file is here */
        send_listening(r);
    order.assignment = a;
    return orders_put(r->orders, &order);
}

static enum status on_connect(struct runner *r, const Wire__ShardConnect *message, struct err *err)
{
    struct order order = { .kind = ORDER_CONNECT };
    const enum status s = endpoints_read(message, &order.endpoints, err);

    return s == ST_OK ? orders_put(r->orders, &order) : s;
}

static void send_beat(struct runner *r)
{
    Wire__RunnerMessage message = WIRE__RUNNER_MESSAGE__INIT;
    Wire__ShardBeat beat = WIRE__SHARD_BEAT__INIT;
    bool is_in_step;

    traced_sweep(r->traced, clock_ns(), TRACED_IDLE_MS * NS_PER_MS);
    beat.n_felt = pulse_read(&r->pulse, &is_in_step);
    beat.is_in_step = is_in_step;
    message.body_case = WIRE__RUNNER_MESSAGE__BODY_BEAT;
    message.beat = &beat;
    channel_send(r->control, &message.base);
}

/* As the node has them: what it cannot have said, another version may have, changes nothing. */
static void take_log_levels(struct runner *r, const char *text)
{
    struct log_levels levels;

    if (!text[0] || strlen(text) >= sizeof(r->log_levels) || strcmp(text, r->log_levels) == 0)
        return;
    memcpy(r->log_levels, text, strlen(text) + 1);
    if (log_levels_parse(text, &levels, NULL) != ST_OK)
        return;
    log_levels_use(&levels);
    log_with(LOG_DEBUG, "the log level is the node's", log_text("log_level", text));
}

static void on_message(void *arg, struct channel *channel, ProtobufCMessage *base)
{
    const Wire__RunnerMessage *m = (const Wire__RunnerMessage *)base;
    struct order failure = { .kind = ORDER_FAIL };
    struct runner *r = arg;
    enum status s;

    (void)channel;
    if (r->is_failing)
        return;
    if (m->body_case == WIRE__RUNNER_MESSAGE__BODY_BEAT) {
        take_log_levels(r, m->beat->log_levels);
        send_beat(r);
        return;
    }
    if (m->body_case == WIRE__RUNNER_MESSAGE__BODY_ASSIGN)
        s = on_assign(r, m->assign, &failure.why);
    else if (m->body_case == WIRE__RUNNER_MESSAGE__BODY_CONNECT)
        s = on_connect(r, m->connect, &failure.why);
    else
        s = err_set(&failure.why, ST_FORMAT, "a message that no node sends to a runner");
    if (s == ST_OK)
        return;
    failure.why.status = s;
    if (orders_put(r->orders, &failure) != ST_OK)
        abort(); /* out of memory before there is anything to lose */
}

/* The node is gone, or wants us gone: whatever the other threads do, end.
 * Exit handlers would touch what they still use. */
static void on_close(void *arg, struct channel *channel, const struct err *reason)
{
    struct runner *r = arg;

    (void)reason;
    if (!r->is_failing)
        _exit(0);
    channel_free(channel);
    r->control = NULL;
    stop_when_told(r);
}

static const struct channel_events control_events = {
    .type = &wire__runner_message__descriptor,
    .max_bytes = CONTROL_MAX_BYTES,
    .on_message = on_message,
    .on_close = on_close,
};

static void *loop_thread(void *arg)
{
    struct runner *r = arg;

    (void)loop_run(r->loop, NULL);
    return NULL;
}

static enum status start(struct runner *r, int control_fd, pthread_t *ret_thread, struct err *err)
{
    enum status s;

    s = loop_new(&r->loop, err);
    if (s == ST_OK)
        s = orders_new(&r->orders, err);
    if (s == ST_OK)
        s = traced_new(RUNNER_MAX_SEQUENCES, tell_work, r, &r->traced, err);
    if (s == ST_OK && loop_timer_new(r->loop, on_flush_time, r, &r->flush_timer) != ST_OK)
        s = err_set(err, ST_NOMEM, "a timer");
    if (s != ST_OK) {
        close(control_fd);
        return s;
    }
    s = channel_new(r->loop, control_fd, &control_events, r, &r->control, err);
    if (s == ST_OK && pthread_create(ret_thread, NULL, loop_thread, r) != 0)
        s = err_set(err, ST_FULL, "start the event-loop thread");
    return s;
}

static void release(struct runner *r)
{
    gateways_free(r->gateways);
    tls_free(r->tls);
    channel_free(r->control);
    loop_timer_free(r->flush_timer);
    traced_free(r->traced);
    loop_free(r->loop);
    orders_free(r->orders);
}

enum status runner_main(int control_fd, struct err *err)
{
    struct runner r = { 0 };
    const struct reporter reporter = { post_report, &r };
    struct report failure = { .kind = REPORT_FAILED };
    pthread_t thread;
    enum status s;

    orphan_dies();
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGINT, SIG_IGN); /* a terminal's Ctrl-C is the node's business */
    s = start(&r, control_fd, &thread, err);
    if (s == ST_OK) {
        s = work_run(r.orders, &reporter, &r.pulse, r.traced, &failure.cut, &failure.why);
        failure.why.status = s;
        report_send(&reporter, &failure);
        pthread_join(thread, NULL);
        (void)err_set(err, s, "%s", failure.why.words);
    }
    release(&r);
    return s;
}
