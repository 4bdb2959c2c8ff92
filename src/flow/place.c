/* SPDX-License-Identifier: Apache-2.0 */
/* flow/place.c - stages 2 to 4: an instance to ask; where there is none, one is placed. */
#include <stdlib.h>
#include <string.h>

#include "balance/balance.h"
#include "base/clock.h"
#include "base/random.h"
#include "flow/flow_priv.h"
#include "flow/placement.h"

static enum step fail_as(struct flow *f, const struct api_error *e)
{
    f->failure = *e;
    f->has_failed = true;
    return STEP_FAIL;
}

static enum step no_memory(struct flow *f)
{
    return flow_fail(f, API_OVERLOADED,
                     &(struct err){ .words = "There is no memory for this request." });
}

/* Context of the instance the route leads to; 0: it is gone. */
static uint32_t context_of(const struct cluster_instance *instances, size_t n, const char *id)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(instances[i].view.id, id) == 0)
            return instances[i].plan.context_tokens;
    }
    return 0;
}

/* Placing anew would only join the instance that failed, until the cluster
 * knows that it is lost: a node's death takes it a second or two to see. */
static enum step await_loss(struct flow *f)
{
    if (clock_ns() > f->retry_until_ns) {
        f->has_failed = true; /* with the failure noted before */
        return STEP_FAIL;
    }
    loop_timer_once(f->wake, FLOW_RETRY_POLL_MS);
    return STEP_WAIT;
}

enum step flow_balance(struct flow *f)
{
    struct cluster_instance *instances;
    const size_t n = service_instances(f->service, &instances);
    struct instance_view *views = n > 0 ? calloc(n, sizeof(*views)) : NULL;
    bool is_failed_listed;

    if (n > 0 && !views) {
        free(instances);
        return no_memory(f);
    }
    for (size_t i = 0; i < n; i++) {
        views[i] = instances[i].view;
        if (strcmp(views[i].id, f->failed_instance) == 0)
            views[i].is_ready = false;
    }
    balance_pick(views, n, f->model.name, random_u64(), &f->route);
    is_failed_listed = context_of(instances, n, f->failed_instance) > 0;
    if (f->route.is_placed)
        f->context_tokens = context_of(instances, n, f->route.instance_id);
    free(views);
    free(instances);
    return !f->route.is_placed && is_failed_listed ? await_loss(f) : STEP_NEXT;
}

enum step flow_select(struct flow *f)
{
    struct api_error e;

    if (f->route.is_placed)
        return STEP_NEXT;
    f->nodes = calloc(1, sizeof(*f->nodes));
    if (!f->nodes)
        return no_memory(f);
    if (placement_nodes(f->service, &f->model, NULL, f->nodes, &e) != ST_OK)
        return fail_as(f, &e);
    return STEP_NEXT;
}

static void on_placed(void *arg, bool done, const struct cluster_instance *instance,
                      const struct err *failure)
{
    struct flow *f = arg;

    if (!done)
        return;
    f->is_placing = false;
    if (instance) {
        f->route.is_placed = true;
        memcpy(f->route.instance_id, instance->view.id, sizeof(f->route.instance_id));
        f->route.driver = instance->view.driver;
        f->context_tokens = instance->plan.context_tokens;
    } else {
        placement_error(failure, &f->failure);
        f->has_failed = true;
        f->may_retry = failure->status == ST_PEER;
    }
    flow_wake(f);
}

static enum step place(struct flow *f, struct plan *plan)
{
    struct api_error e;
    struct err err = { 0 };

    /* Another request may have begun to place it: its plan is joined, as the
     * memory it takes is no longer free for one of ours. */
    if (!placement_join(f->service, &f->model, plan) &&
        placement_plan(f->service, &f->model, f->nodes, NULL, plan, &e) != ST_OK)
        return fail_as(f, &e);
    f->is_placing = true;
    if (cluster_place(f->service->cluster, plan, on_placed, f, &f->place_ticket, &err) == ST_OK)
        return STEP_WAIT;
    f->is_placing = false;
    placement_error(&err, &e);
    return fail_as(f, &e);
}

enum step flow_partition(struct flow *f)
{
    struct plan *plan;
    enum step step;

    if (f->route.is_placed) {
        free(f->nodes);
        f->nodes = NULL;
        return STEP_NEXT;
    }
    plan = calloc(1, sizeof(*plan));
    if (!plan)
        return no_memory(f);
    step = place(f, plan);
    free(plan);
    return step;
}

void flow_place_release(struct flow *f)
{
    free(f->nodes);
    f->nodes = NULL;
    if (f->is_placing)
        cluster_place_forget(f->service->cluster, f->place_ticket);
    f->is_placing = false;
}
