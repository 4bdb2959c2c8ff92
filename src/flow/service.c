/* SPDX-License-Identifier: Apache-2.0 */
/* flow/service.c - a node's HTTP service: its life, its models, its requests. */
#include "flow/service.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "balance/balance.h"
#include "base/clock.h"
#include "base/log.h"
#include "flow/clients.h"
#include "flow/drain.h"
#include "flow/exo.h"
#include "flow/exporter.h"
#include "flow/flow.h"
#include "flow/quotas.h"
#include "flow/service_priv.h"
#include "flow/text_cache.h"
#include "flow/upkeep.h"
#include "flow/upstream/forward.h"
#include "gateway/dialect/dialect.h"
#include "gateway/guard/access.h"
#include "gateway/http/json_out.h"

enum { TICK_MS = 500, DRAIN_TICK_MS = 50, DRAIN_TRACES_MS = 1000 };

static void generate(void *arg, struct exchange *x, struct api_request *request)
{
    struct service *service = arg;
    struct api_error e;

    if (!service->is_draining && service->n_flows < FLOWS_MAX &&
        service->admission.n_requests < reload_settings(service->reload)->queue.requests) {
        flow_start(service, x, request);
        return;
    }
    if (service->is_draining)
        (void)api_error_set(&e, API_SHUTTING_DOWN, NULL, "This node is shutting down.");
    else
        (void)api_error_set(&e, API_OVERLOADED, NULL, "This node answers %zu requests already.",
                            service->n_flows);
    api_request_release(request);
    exchange_fail(x, &e);
}

static bool forward(void *arg, struct exchange *x, const char *path, const struct dialect *dialect,
                    const json_t *body)
{
    struct service *service = arg;
    const struct forward_request request = { path, dialect, body };

    if (service->is_draining) /* then it is refused as any other */
        return false;
    return forward_start(pools_now(service->pools), x, &request);
}

/* What an upstream serves is loaded there, or it does that itself. */
static bool tell_loaded(const struct service *service, struct exchange *x,
                        struct api_request *request)
{
    struct model_info model;
    struct buf body = { 0 };

    if (service_find_model(service, request->model, &model) ||
        !pool_has_model(pools_now(service->pools), request->model))
        return false;
    request->dialect->loaded(request, request->model, &body);
    api_request_release(request);
    exchange_reply(x, 200, "application/json", &body);
    return true;
}

static bool translate(void *arg, struct exchange *x, struct api_request *request)
{
    struct service *service = arg;

    if (request->task == TASK_LOAD && tell_loaded(service, x, request))
        return true;
    return !service->is_draining && forward_translated(pools_now(service->pools), x, request);
}

/* The answer's client learns that somebody canceled it.  To who may not, it is as if there were none. */
static void cancel(void *arg, struct exchange *x, const char *id)
{
    struct service *service = arg;
    struct flow *f = service->flows;
    struct buf body = { 0 };
    struct api_error e;

    while (f && !(flow_is_called(f, id) && access_may_end(x, flow_owner(f))))
        f = flow_next(f);
    if (!f && !pools_cancel(service->pools, x, id)) {
        (void)api_error_set(&e, API_UNKNOWN_ANSWER, NULL, "No answer of that id is being given.");
        exchange_fail(x, &e);
        return;
    }
    (void)api_error_set(&e, API_CANCELED, NULL, "The answer was canceled.");
    if (f)
        flow_abort(f, &e);
    buf_puts(&body, "{\"message\":\"Command cancelled.\",\"command_id\":");
    json_out_text(&body, id);
    buf_putc(&body, '}');
    exchange_reply(x, 200, "application/json", &body);
}

static void cancel_response(void *arg, struct exchange *x, const char *id, uint64_t owner)
{
    struct service *service = arg;
    struct buf body = { 0 };
    struct api_error e;

    for (struct flow *f = service->flows; f; f = flow_next(f)) {
        if (!flow_cancel_response(f, id, owner, &body))
            continue;
        exchange_reply(x, 200, "application/json", &body);
        return;
    }
    (void)api_error_set(&e, API_UNKNOWN_ANSWER, "response_id",
                        "No response of that id is being given, or kept.");
    exchange_fail(x, &e);
}

static void tell_over(void *arg, const struct http_record *record)
{
    (void)arg;
    http_record_log(record);
}

static const struct gateway_handlers handlers = {
    .forward = forward,
    .translate = translate,
    .generate = generate,
    .models = admin_models,
    .model = admin_model,
    .props = admin_props,
    .ollama_tags = ollama_tags,
    .ollama_ps = ollama_ps,
    .ollama_show = ollama_show,
    .ollama_pull = service_pull,
    .metrics = metrics_show,
    .cancel = cancel,
    .cancel_response = cancel_response,
    .live = admin_live,
    .ready = admin_ready,
    .state = admin_state_handler,
    .plan = admin_plan,
    .place = admin_place,
    .unplace = admin_unplace,
    .drain = admin_drain,
    .replace = admin_replace,
    .undrain = admin_undrain,
    .exo_node_id = exo_show_node_id,
    .exo_state = exo_show_state,
    .exo_instance = exo_show_instance,
    .exo_previews = exo_show_previews,
    .exo_placement = exo_show_placement,
    .exo_place = exo_place,
    .exo_create = exo_create,
    .exo_delete = exo_delete,
    .exo_await = exo_await,
    .over = tell_over,
};

static void end_flows(struct service *service)
{
    struct api_error e;

    (void)api_error_set(&e, API_SHUTTING_DOWN, NULL, "This node is shutting down.");
    while (service->flows)
        flow_abort(service->flows, &e);
    pools_abort(service->pools);
}

/* The last spans are sent, where that does not take long. */
static bool have_traces_gone(struct service *service)
{
    if (tracer_is_idle(service->tracer))
        return true;
    if (service->traces_until_ns == 0) {
        service->traces_until_ns = deadline_after_ms(DRAIN_TRACES_MS);
        tracer_flush(service->tracer);
    }
    return clock_ns() > service->traces_until_ns;
}

static void check_drain(struct service *service)
{
    loop_fn *fn = service->on_drained;

    if (!service->is_draining || !fn)
        return;
    if (service->n_flows + pools_n_running(service->pools) > 0) {
        if (clock_ns() > service->drain_until_ns)
            end_flows(service); /* their errors still have to be written */
        return;
    }
    if (!text_cache_is_idle(service->texts) || service->n_encodings > 0 || service->n_pulls > 0 ||
        !gateway_is_idle(service->gateway))
        return; /* a job ends on the loop, so the loop goes on */
    if (!have_traces_gone(service))
        return;
    service->on_drained = NULL;
    fn(service->on_drained_arg);
}

static void tick(void *arg)
{
    struct service *service = arg;
    const uint64_t now_ns = clock_ns();

    for (struct flow *f = service->flows, *next; f; f = next) {
        next = flow_next(f);
        flow_tick(f, now_ns);
    }
    exo_tick(service->exo, now_ns);
    drain_tick(service->drain);
    if (!service->is_draining)
        upkeep_tick(service->upkeep);
    check_drain(service);
}

static void on_instance_gone(void *arg, const char *instance_id, const struct err *why)
{
    struct service *service = arg;

    metrics_lost(why->status);
    clients_fail(service->clients, instance_id, why);
}

static void on_work(void *arg, const struct work_span *work)
{
    const struct service *service = arg;

    tracer_tell_work(service->tracer, work);
}

const struct cluster_events service_cluster_events = {
    .on_change = NULL,
    .on_instance_gone = on_instance_gone,
    .on_work = on_work,
};

static size_t local_instances(void *arg, const char *model, struct balance_candidate *ret,
                              size_t max)
{
    struct service *service = arg;
    struct cluster_instance *instances;
    struct model_info info;
    const size_t n = service_instances(service, &instances);
    const bool is_held = n > 0 && service_find_model(service, model, &info);
    size_t n_ready = 0;

    for (size_t i = 0; is_held && i < n && n_ready < max; i++) {
        const struct instance_view *v = &instances[i].view;

        if (v->is_ready && strcmp(v->model, info.name) == 0)
            ret[n_ready++] = balance_candidate_of(v);
    }
    free(instances);
    return n_ready;
}

static bool local_holds(void *arg, const char *model)
{
    struct model_info info;

    return service_find_model(arg, model, &info);
}

static void local_answer(void *arg, struct exchange *x, const struct dialect *dialect)
{
    struct service *service = arg;

    gateway_generate(service->gateway, x, dialect);
}

static enum status reserve(void *arg, struct exchange *x, const json_t *body,
                           struct reservation **ret, struct api_error *e)
{
    struct service *service = arg;

    return gateway_reserve(service->gateway, x, body, ret, e);
}

static void export_metrics(struct service *service)
{
    const struct api_metrics *m = &reload_settings(service->reload)->metrics;

    exporter_listen(service->exporter, m->host[0] ? m->host : service->listen_host,
                    m->off ? 0 : m->port);
}

/* What was changed at run time stays, until the file says another level or SIGHUP asks for all of it. */
static void take_log_levels(struct service *service)
{
    const char *text = reload_settings(service->reload)->log.level;

    if (!service->is_reload_asked && strcmp(text, service->file_log_levels) == 0)
        return;
    service->is_reload_asked = false;
    (void)snprintf(service->file_log_levels, sizeof(service->file_log_levels), "%s", text);
    log_levels_choose(service->log_levels, text);
}

/* What was read holds from now on. */
static void use_files(void *arg)
{
    struct service *service = arg;
    struct err err;

    take_log_levels(service);
    gateway_use(service->gateway, reload_files(service->reload));
    if (pools_take(service->pools, reload_settings(service->reload), &err) != ST_OK)
        log_warn("the upstreams stay as they were: %s", err.words);
    if (tracer_use(service->tracer, &reload_settings(service->reload)->traces, &err) != ST_OK)
        log_warn("traces go where they went: %s", err.words);
    export_metrics(service);
}

static enum status make_pools(struct service *service, struct err *err)
{
    const struct pool_locals locals = { local_instances, local_holds, local_answer,
                                        reserve,         service,     service->tracer };

    return pools_new(service->loop, reload_settings(service->reload), &locals, &service->pools,
                     err);
}

static enum status make_tracer(struct service *service, struct err *err)
{
    const struct tracer_options options = { .cluster_name = service->cluster_name,
                                            .node_name = service->node_name };
    enum status s = tracer_new(service->loop, &options, &service->tracer, err);

    return s == ST_OK ? tracer_use(service->tracer, &reload_settings(service->reload)->traces, err)
                      : s;
}

enum status service_new(struct loop *loop, const struct service_options *options,
                        struct service **ret_service, struct err *err)
{
    struct service *service = calloc(1, sizeof(*service));
    enum status s;

    if (!service)
        return err_set(err, ST_NOMEM, "the API could not be made");
    service->loop = loop;
    service->begun_ns = clock_ns();
    energy_open(&service->energy, ENERGY_FOLDER);
    service->listen_port = options->listen_port;
    (void)snprintf(service->listen_host, sizeof(service->listen_host), "%s", options->listen_host);
    (void)snprintf(service->cluster_name, sizeof(service->cluster_name), "%s",
                   options->cluster_name);
    (void)snprintf(service->node_name, sizeof(service->node_name), "%s", options->node_name);
    (void)snprintf(service->data_dir, sizeof(service->data_dir), "%s",
                   options->data_dir ? options->data_dir : "");
    (void)snprintf(service->log_levels, sizeof(service->log_levels), "%s",
                   options->log_levels ? options->log_levels : "");
    service->hub_endpoint = options->hub_endpoint;
    service->hub_token = options->hub_token;
    (void)snprintf(service->quotas, sizeof(service->quotas), "%s",
                   options->quotas ? options->quotas : "");
    service->kv_format = options->kv_format;
    service->activations = options->activations;
    (void)snprintf(service->version, sizeof(service->version), "%s", options->version);
    s = text_cache_new(loop, &service->texts, err);
    if (s == ST_OK)
        s = reload_new(loop, options->gateway_config, options->api_keys, &service->reload, err);
    if (s == ST_OK)
        s = clients_new(loop, &service->clients, err);
    if (s == ST_OK)
        s = drain_new(service, &service->drain, err);
    if (s == ST_OK)
        s = upkeep_new(service, &service->upkeep, err);
    if (s == ST_OK)
        s = make_tracer(service, err);
    if (s == ST_OK)
        s = make_pools(service, err);
    if (s == ST_OK)
        s = exo_new(service, &service->exo, err);
    if (s == ST_OK)
        s = exporter_new(loop, metrics_show, service, &service->exporter, err);
    if (s == ST_OK && loop_timer_new(loop, tick, service, &service->tick) != ST_OK)
        s = err_set(err, ST_NOMEM, "the API could not be made");
    if (s != ST_OK) {
        service_free(service);
        return s;
    }
    *ret_service = service;
    return ST_OK;
}

/* Flows first: they hold exchanges, texts and connections. */
void service_free(struct service *service)
{
    if (!service)
        return;
    while (service->flows)
        flow_free(service->flows);
    exporter_free(service->exporter);
    pools_free(service->pools);
    admin_release(service);
    exo_free(service->exo);
    drain_free(service->drain);
    upkeep_free(service->upkeep);
    if (service->gateway && service->quotas[0])
        quotas_write(service->quotas, gateway_access(service->gateway));
    gateway_free(service->gateway);
    clients_free(service->clients);
    text_cache_free(service->texts);
    tracer_free(service->tracer);
    reload_free(service->reload);
    loop_timer_free(service->tick);
    free(service);
}

static int relay(void *arg, const char *instance_id)
{
    const struct service *service = arg;

    return cluster_relay(service->cluster, instance_id);
}

enum status service_start(struct service *service, struct cluster *cluster, struct err *err)
{
    enum status s;

    service->cluster = cluster;
    clients_relay_with(service->clients, relay, service);
    loop_timer_every(service->tick, TICK_MS);
    s = gateway_new(service->loop, service->listen_host, service->listen_port, &handlers, service,
                    &service->gateway, err);
    if (s != ST_OK)
        return s;
    gateway_trace_with(service->gateway, service->tracer);
    if (service->quotas[0])
        quotas_read(service->quotas, gateway_access(service->gateway));
    reload_on_change(service->reload, use_files, service);
    (void)snprintf(service->file_log_levels, sizeof(service->file_log_levels), "%s",
                   reload_settings(service->reload)->log.level);
    gateway_use(service->gateway, reload_files(service->reload));
    export_metrics(service);
    return ST_OK;
}

void service_reload(struct service *service, loop_fn *done, void *arg)
{
    service->is_reload_asked = true;
    reload_now(service->reload, done, arg);
}

uint16_t service_port(const struct service *service)
{
    return gateway_port(service->gateway);
}

bool service_speaks_tls(const struct service *service)
{
    return reload_files(service->reload)->certificate != NULL;
}

void service_drain(struct service *service, uint64_t ms, loop_fn *done, void *arg)
{
    log_info("shutting down: %zu requests are running",
             service->n_flows + pools_n_running(service->pools));
    service->is_draining = true;
    service->drain_until_ns = deadline_after_ms(ms);
    service->on_drained = done;
    service->on_drained_arg = arg;
    loop_timer_every(service->tick, DRAIN_TICK_MS);
}

size_t service_instances(struct service *service, struct cluster_instance **ret_instances)
{
    size_t n = cluster_instances(service->cluster, NULL, 0);
    struct cluster_instance *all;

    *ret_instances = NULL;
    if (n > INSTANCES_MAX)
        n = INSTANCES_MAX;
    all = n > 0 ? calloc(n, sizeof(*all)) : NULL;
    if (!all)
        return 0;
    (void)cluster_instances(service->cluster, all, n); /* the loop did not run in between */
    *ret_instances = all;
    return n;
}
