/* SPDX-License-Identifier: Apache-2.0 */
/* flow/admin.c - answers to everything but generation: models, health, the cluster. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "flow/placement.h"
#include "flow/planning.h"
#include "flow/service_priv.h"
#include "gateway/admin/state.h"
#include "gateway/dialect/models.h"
#include "gateway/http/json_out.h"
#include "partition/report.h"

static void no_memory(struct exchange *x)
{
    struct api_error e;

    (void)api_error_set(&e, API_OVERLOADED, NULL, "There is no memory for this request.");
    exchange_fail(x, &e);
}

static void unknown_model(struct exchange *x, const char *name)
{
    struct api_error e;

    (void)api_error_set(&e, API_MODEL_NOT_FOUND, "model",
                        "The model '%.128s' does not exist. GET /v1/models lists those that do.",
                        name);
    exchange_fail(x, &e);
}

void admin_models(void *arg, struct exchange *x)
{
    struct service *service = arg;
    struct model_info *models = calloc(MODELS_MAX, sizeof(*models));
    struct buf body = { 0 };
    size_t n;

    if (!models) {
        no_memory(x);
        return;
    }
    n = cluster_models(service->cluster, models, MODELS_MAX);
    models_render(models, n < MODELS_MAX ? n : MODELS_MAX, &body);
    free(models);
    exchange_reply(x, 200, "application/json", &body);
}

void admin_model(void *arg, struct exchange *x, const char *name)
{
    struct model_info model;
    struct buf body = { 0 };

    if (!service_find_model(arg, name, &model)) {
        unknown_model(x, name);
        return;
    }
    model_render(&model, &body);
    exchange_reply(x, 200, "application/json", &body);
}

/* Everything the cluster tells, copied: struct admin_state lends it to a renderer. */
static bool take_state(struct service *service, struct admin_state *ret)
{
    struct cluster_member *members = calloc(NODES_MAX, sizeof(*members));
    struct model_info *models = calloc(MODELS_MAX, sizeof(*models));
    struct cluster_instance *instances;
    size_t n;

    if (!members || !models) {
        free(members);
        free(models);
        return false;
    }
    *ret = (struct admin_state){
        .cluster_name = service->cluster_name,
        .node_name = service->node_name,
        .version = service->version,
        .uptime_s = (clock_ns() - service->begun_ns) / NS_PER_S,
    };
    n = cluster_members(service->cluster, members, NODES_MAX);
    ret->n_members = n < NODES_MAX ? n : NODES_MAX;
    ret->members = members;
    n = cluster_models(service->cluster, models, MODELS_MAX);
    ret->n_models = n < MODELS_MAX ? n : MODELS_MAX;
    ret->models = models;
    ret->n_instances = service_instances(service, &instances);
    ret->instances = instances;
    return true;
}

static void state_release(struct admin_state *state)
{
    free((void *)(uintptr_t)state->members);
    free((void *)(uintptr_t)state->models);
    free((void *)(uintptr_t)state->instances);
}

static void health(struct service *service, struct exchange *x, int http_status)
{
    struct admin_state state;
    struct buf body = { 0 };

    if (!take_state(service, &state)) {
        no_memory(x);
        return;
    }
    admin_render_health(&state, service->is_draining ? "draining" : "ok", &body);
    state_release(&state);
    exchange_reply(x, http_status, "application/json", &body);
}

void admin_live(void *arg, struct exchange *x)
{
    health(arg, x, 200);
}

/* A load balancer should send nothing new to a node that drains. */
void admin_ready(void *arg, struct exchange *x)
{
    const struct service *service = arg;

    health(arg, x, service->is_draining ? 503 : 200);
}

void admin_state_handler(void *arg, struct exchange *x)
{
    struct admin_state state;
    struct buf body = { 0 };

    if (!take_state(arg, &state)) {
        no_memory(x);
        return;
    }
    admin_render_state(&state, &body);
    state_release(&state);
    exchange_reply(x, 200, "application/json", &body);
}

static bool asks_for_nothing(const struct place_request *request)
{
    return request->n_nodes == 0 && request->n_split == 0 && request->context_tokens == 0 &&
           !request->has_kv_format && !request->has_activations && !request->draft[0] &&
           request->streams == 0 && !request->overrides[0];
}

/* Model and nodes that are asked for, or the exchange is answered.
 * Returns  given: free(); NULL: answered */
static struct node_set *find_nodes(struct service *service, struct exchange *x,
                                   const struct place_request *request,
                                   struct model_info *ret_model)
{
    struct node_set *nodes = calloc(1, sizeof(*nodes));
    struct api_error e;

    if (!nodes) {
        no_memory(x);
    } else if (!service_find_model(service, request->model, ret_model)) {
        unknown_model(x, request->model);
    } else if (placement_nodes(service, ret_model, request, nodes, &e) != ST_OK) {
        exchange_fail(x, &e);
    } else {
        return nodes;
    }
    free(nodes);
    return NULL;
}

/* The plan to place, or the exchange is answered.  For a model whatever the
 * plan, an instance that there is already will do. */
static struct plan *make_plan(struct service *service, struct exchange *x,
                              const struct place_request *request)
{
    struct plan *plan = calloc(1, sizeof(*plan));
    struct node_set *nodes = NULL;
    struct model_info model;
    struct api_error e;
    bool is_made = false;

    if (!plan) {
        no_memory(x);
        return NULL;
    }
    if (asks_for_nothing(request) && service_find_model(service, request->model, &model) &&
        placement_join(service, &model, NULL, plan))
        return plan;
    nodes = find_nodes(service, x, request, &model);
    if (nodes) {
        is_made = placement_plan(service, &model, nodes, request, plan, &e) == ST_OK;
        if (!is_made)
            exchange_fail(x, &e);
    }
    free(nodes);
    if (!is_made) {
        free(plan);
        plan = NULL;
    }
    return plan;
}

/* The plan that would be placed, and what every strategy would be like.  A
 * model that fits nowhere is no error here: the strategies say what is missing. */
static enum status show_plan(struct service *service, const struct place_request *request,
                             const struct model_info *model, const struct node_set *nodes,
                             struct buf *body, struct api_error *e)
{
    struct planning *planning = NULL;
    struct plan *plan = calloc(1, sizeof(*plan));
    struct buf members = { 0 };
    struct model_info draft;
    bool has_draft;
    enum status s;

    if (!plan)
        return api_error_set(e, API_OVERLOADED, NULL, "There is no memory for this request.");
    s = placement_draft(service, model, request, &draft, &has_draft, e);
    if (s == ST_OK)
        s = planning_new(model, nodes, request, service->kv_format, has_draft ? &draft : NULL,
                         &planning, e);
    if (s == ST_OK)
        s = placement_plan(service, model, nodes, request, plan, e);
    if (s == ST_FULL && planning) {
        memcpy(plan->model, model->name, sizeof(plan->model));
        plan->context_tokens = planning->workload.context_tokens;
        plan->kv_format = planning->workload.kv_format;
        s = ST_OK;
    }
    if (s == ST_OK) {
        report_write(&planning->input, &planning->report, &members);
        admin_render_plan(plan, buf_text(&members), body);
    }
    buf_release(&members);
    planning_free(planning);
    free(plan);
    return s;
}

void admin_plan(void *arg, struct exchange *x, const struct place_request *request)
{
    struct model_info model;
    struct node_set *nodes = find_nodes(arg, x, request, &model);
    struct buf body = { 0 };
    struct api_error e;

    if (!nodes)
        return;
    if (show_plan(arg, request, &model, nodes, &body, &e) == ST_OK)
        exchange_reply(x, 200, "application/json", &body);
    else
        exchange_fail(x, &e);
    buf_release(&body);
    free(nodes);
}

/* A client that watches a placing: lines of JSON until it is done. */
struct placing {
    struct service *service;
    struct exchange *x;
    uint64_t ticket;
    bool is_starting; /* inside cluster_place() */
    bool has_begun;   /* headers are sent */
    bool is_done;
    struct placing **link, *next;
};

static void placing_free(struct placing *p)
{
    *p->link = p->next;
    if (p->next)
        p->next->link = p->link;
    if (!p->is_done)
        cluster_place_forget(p->service->cluster, p->ticket);
    free(p);
}

static void watcher_left(void *arg)
{
    placing_free(arg);
}

/* Once there is a line the answer is 200, and what goes wrong later is a line, too. */
static void begin(struct placing *p)
{
    if (!p->has_begun)
        exchange_stream_start(p->x, "application/x-ndjson");
    p->has_begun = true;
}

static void send_line(struct placing *p, struct buf *line)
{
    begin(p);
    buf_putc(line, '\n');
    exchange_stream_send(p->x, line->data, line->len);
    buf_release(line);
}

static void finish(struct placing *p)
{
    exchange_on_close(p->x, NULL, NULL);
    exchange_stream_end(p->x);
    placing_free(p);
}

static void on_placed(void *arg, bool done, const struct cluster_instance *instance,
                      const struct err *failure)
{
    struct placing *p = arg;
    struct buf line = { 0 };
    struct api_error e;

    if (!done) {
        admin_render_progress(instance, &line);
    } else if (instance) {
        buf_puts(&line, "{\"instance\":");
        admin_render_instance(instance, &line);
        buf_putc(&line, '}');
    } else {
        placement_error(failure, &e);
        api_error_render(&e, &line);
    }
    send_line(p, &line);
    p->is_done = done;
    if (done && !p->is_starting)
        finish(p);
}

static void watch_placing(struct service *service, struct placing *p)
{
    p->link = &service->placings;
    p->next = service->placings;
    if (p->next)
        p->next->link = &p->next;
    service->placings = p;
    exchange_on_close(p->x, watcher_left, p);
}

static void start_placing(struct service *service, struct exchange *x, const struct plan *plan)
{
    struct placing *p = calloc(1, sizeof(*p));
    struct err err = { 0 };
    struct api_error e;

    if (!p) {
        no_memory(x);
        return;
    }
    *p = (struct placing){ .service = service, .x = x, .is_starting = true };
    watch_placing(service, p);
    if (cluster_place(service->cluster, plan, on_placed, p, &p->ticket, &err) != ST_OK) {
        exchange_on_close(x, NULL, NULL);
        p->is_done = true;
        placing_free(p);
        placement_error(&err, &e);
        exchange_fail(x, &e);
        return;
    }
    p->is_starting = false;
    begin(p);
    if (p->is_done)
        finish(p);
}

void admin_place(void *arg, struct exchange *x, const struct place_request *request)
{
    struct service *service = arg;
    struct plan *plan;
    struct api_error e;

    if (service->is_draining) {
        (void)api_error_set(&e, API_SHUTTING_DOWN, NULL, "This node is shutting down.");
        exchange_fail(x, &e);
        return;
    }
    plan = make_plan(service, x, request);
    if (!plan)
        return;
    start_placing(service, x, plan);
    free(plan);
}

void admin_unplace(void *arg, struct exchange *x, const char *name)
{
    struct service *service = arg;
    struct model_info model;
    struct buf body = { 0 };
    struct err err = { 0 };
    struct api_error e;

    if (service_find_model(service, name, &model))
        name = model.name;
    if (cluster_unplace(service->cluster, name, &err) != ST_OK) {
        (void)api_error_set(&e, err.status == ST_NOTFOUND ? API_NOT_PLACED : API_INTERNAL, "model",
                            "%s", err.words);
        exchange_fail(x, &e);
        return;
    }
    buf_puts(&body, "{\"model\":");
    json_out_text(&body, name);
    buf_puts(&body, ",\"unplaced\":true}");
    exchange_reply(x, 200, "application/json", &body);
}

static void switch_drain(struct service *service, struct exchange *x, const char *node,
                         enum drain_switch how)
{
    struct buf body = { 0 };
    struct err err = { 0 };
    struct api_error e;

    if (cluster_drain(service->cluster, node, how, &err) != ST_OK) {
        (void)api_error_set(&e, err.status == ST_NOTFOUND ? API_INVALID_VALUE : API_UPSTREAM,
                            "node", "%s", err.words);
        exchange_fail(x, &e);
        return;
    }
    buf_puts(&body, "{\"node\":");
    json_out_text(&body, node);
    buf_printf(&body, ",\"draining\":%s}", how == DRAIN_ON ? "true" : "false");
    exchange_reply(x, 200, "application/json", &body);
}

void admin_drain(void *arg, struct exchange *x, const char *node)
{
    switch_drain(arg, x, node, DRAIN_ON);
}

void admin_undrain(void *arg, struct exchange *x, const char *node)
{
    switch_drain(arg, x, node, DRAIN_OFF);
}

void admin_release(struct service *service)
{
    while (service->placings) {
        exchange_on_close(service->placings->x, NULL, NULL);
        placing_free(service->placings);
    }
}
