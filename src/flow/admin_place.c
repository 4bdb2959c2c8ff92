/* SPDX-License-Identifier: Apache-2.0 */
/* flow/admin_place.c - answers to plan, place and unplace.
 *
 * Who asks for a placing gets lines of JSON until it is done.  A node that is lost
 * meanwhile may be one of the plan's, and then another plan is made and asked for:
 * what was asked is the model, unless nodes were named.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flow/placement.h"
#include "flow/planning.h"
#include "flow/service_priv.h"
#include "gateway/admin/state.h"
#include "gateway/http/json_out.h"
#include "partition/report.h"

enum { PLANS_MAX = 4 }; /* of one request, each after the loss of a node */

static bool asks_for_nothing(const struct place_request *request)
{
    return request->n_nodes == 0 && request->n_split == 0 && request->context_tokens == 0 &&
           !request->has_kv_format && !request->has_activations &&
           request->transport == TRANSPORT_TCP && request->sums == SUM_F32 && !request->draft[0] &&
           request->streams == 0 && !request->overrides[0];
}

/* Model and nodes that are asked for.  ret_nodes is given; free(). */
static enum status find_nodes(struct service *service, const struct place_request *request,
                              struct model_info *ret_model, struct node_set **ret_nodes,
                              struct api_error *e)
{
    struct node_set *nodes = calloc(1, sizeof(*nodes));
    enum status s;

    if (!nodes)
        return api_error_set(e, API_OVERLOADED, NULL, "There is no memory for this request.");
    if (service_find_model(service, request->model, ret_model))
        s = placement_nodes(service, ret_model, request, nodes, e);
    else
        s = admin_unknown_model(request->model, e);
    if (s == ST_OK)
        *ret_nodes = nodes;
    else
        free(nodes);
    return s;
}

/* The plan to place.  For a model whatever the plan, an instance that there is already will do. */
static enum status make_plan(struct service *service, const struct place_request *request,
                             struct plan *ret_plan, struct api_error *e)
{
    struct node_set *nodes = NULL;
    struct model_info model;
    enum status s;

    if (asks_for_nothing(request) && service_find_model(service, request->model, &model) &&
        placement_join(service, &model, NULL, ret_plan))
        return ST_OK;
    s = find_nodes(service, request, &model, &nodes, e);
    if (s == ST_OK)
        s = placement_plan(service, &model, nodes, request, ret_plan, e);
    free(nodes);
    return s;
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
        s = planning_new(service->cluster, model, nodes, request, service->kv_format,
                         has_draft ? &draft : NULL, &planning, e);
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
    struct node_set *nodes = NULL;
    struct model_info model;
    struct buf body = { 0 };
    struct api_error e;
    enum status s = find_nodes(arg, request, &model, &nodes, &e);

    if (s == ST_OK)
        s = show_plan(arg, request, &model, nodes, &body, &e);
    if (s == ST_OK)
        exchange_reply(x, 200, "application/json", &body);
    else
        exchange_fail(x, &e);
    buf_release(&body);
    free(nodes);
}

/* A client that waits for a placing or an unplacing. */
struct placing {
    struct service *service;
    struct exchange *x;
    struct place_request request;
    unsigned n_plans;
    uint64_t ticket;
    bool has_begun; /* headers are sent */
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

/* NULL: no memory, and the exchange is answered. */
static struct placing *placing_new(struct service *service, struct exchange *x)
{
    struct placing *p = calloc(1, sizeof(*p));

    if (!p) {
        admin_no_memory(x);
        return NULL;
    }
    p->service = service;
    p->x = x;
    p->link = &service->placings;
    p->next = service->placings;
    if (p->next)
        p->next->link = &p->next;
    service->placings = p;
    exchange_on_close(x, watcher_left, p);
    return p;
}

/* Once there is a line the answer is 200, and what goes wrong later is a line, too. */
static void send_line(struct placing *p, struct buf *line)
{
    if (!p->has_begun)
        exchange_stream_start(p->x, "application/x-ndjson");
    p->has_begun = true;
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

/* Before the first line it still is an HTTP error. */
static void refuse(struct placing *p, const struct api_error *e)
{
    exchange_on_close(p->x, NULL, NULL);
    exchange_fail(p->x, e);
    p->is_done = true;
    placing_free(p);
}

static void fail(struct placing *p, const struct api_error *e)
{
    struct buf line = { 0 };

    p->is_done = true;
    if (!p->has_begun) {
        refuse(p, e);
        return;
    }
    api_error_render(e, &line);
    send_line(p, &line);
    finish(p);
}

static void on_placed(void *arg, bool done, const struct cluster_instance *instance,
                      const struct err *failure);

/* Plan, and ask for it. */
static enum status ask(struct placing *p, struct api_error *e)
{
    struct plan *plan = calloc(1, sizeof(*plan));
    const struct place_order order = { plan, PLACE_ASKED };
    struct err err = { 0 };
    enum status s;

    if (!plan)
        return api_error_set(e, API_OVERLOADED, NULL, "There is no memory for this request.");
    p->n_plans++;
    s = make_plan(p->service, &p->request, plan, e);
    if (s == ST_OK) {
        s = cluster_place(p->service->cluster, &order, on_placed, p, &p->ticket, &err);
        if (s != ST_OK)
            placement_error(&err, e);
    }
    free(plan);
    return s;
}

static void on_placed(void *arg, bool done, const struct cluster_instance *instance,
                      const struct err *failure)
{
    struct placing *p = arg;
    struct buf line = { 0 };
    struct api_error e;

    if (!done) {
        admin_render_progress(instance, &line);
        send_line(p, &line);
    } else if (instance) {
        buf_puts(&line, "{\"instance\":");
        admin_render_instance(instance, &line);
        buf_putc(&line, '}');
        send_line(p, &line);
        p->is_done = true;
        finish(p);
    } else {
        placement_error(failure, &e);
        if (failure->status != ST_PEER || p->n_plans == PLANS_MAX || ask(p, &e) != ST_OK)
            fail(p, &e);
    }
}

void admin_place(void *arg, struct exchange *x, const struct place_request *request)
{
    struct service *service = arg;
    struct placing *p;
    struct api_error e;

    if (service->is_draining) {
        (void)api_error_set(&e, API_SHUTTING_DOWN, NULL, "This node is shutting down.");
        exchange_fail(x, &e);
        return;
    }
    p = placing_new(service, x);
    if (!p)
        return;
    p->request = *request;
    if (ask(p, &e) != ST_OK)
        refuse(p, &e);
}

static void on_unplaced(void *arg, bool done, const struct cluster_instance *instance,
                        const struct err *failure)
{
    struct placing *p = arg;
    struct buf body = { 0 };
    struct api_error e;

    (void)done;
    (void)instance;
    p->is_done = true;
    if (failure) {
        (void)api_error_set(&e,
                            failure->status == ST_NOTFOUND ? API_NOT_PLACED
                            : failure->status == ST_PEER   ? API_UPSTREAM
                                                           : API_INTERNAL,
                            "model", "%s", failure->words);
        refuse(p, &e);
        return;
    }
    buf_puts(&body, "{\"model\":");
    json_out_text(&body, p->request.model);
    buf_puts(&body, ",\"unplaced\":true}");
    exchange_on_close(p->x, NULL, NULL);
    exchange_reply(p->x, 200, "application/json", &body);
    placing_free(p);
}

void admin_unplace(void *arg, struct exchange *x, const char *name)
{
    struct service *service = arg;
    struct model_info model;
    struct err err = { 0 };
    struct placing *p;
    struct api_error e;

    if (service_find_model(service, name, &model))
        name = model.name;
    p = placing_new(service, x);
    if (!p)
        return;
    (void)snprintf(p->request.model, sizeof(p->request.model), "%s", name);
    if (cluster_unplace(service->cluster, name, on_unplaced, p, &p->ticket, &err) == ST_OK)
        return;
    (void)api_error_set(&e, err.status == ST_NOTFOUND ? API_NOT_PLACED : API_OVERLOADED, "model",
                        "%s", err.words);
    refuse(p, &e);
}

void admin_release(struct service *service)
{
    while (service->placings) {
        exchange_on_close(service->placings->x, NULL, NULL);
        placing_free(service->placings);
    }
}
