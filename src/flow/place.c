/* SPDX-License-Identifier: Apache-2.0 */
/* flow/place.c - stages 2 to 4: an instance to ask; where there is none, one is placed. */
#include <stdlib.h>
#include <string.h>

#include "balance/balance.h"
#include "base/clock.h"
#include "base/random.h"
#include "flow/flow_priv.h"
#include "flow/placement.h"

static enum step fail_as(struct flow *f, enum setback setback, const struct api_error *e)
{
    f->failure = *e;
    f->has_failed = true;
    f->setback = setback;
    return STEP_FAIL;
}

static enum step no_memory(struct flow *f)
{
    return flow_fail(f, API_OVERLOADED,
                     &(struct err){ .words = "There is no memory for this request." });
}

/* The instance that answers from now on. */
static void take_instance(struct flow *f, const struct cluster_instance *instance)
{
    f->route.is_placed = true;
    memcpy(f->route.instance_id, instance->view.id, sizeof(f->route.instance_id));
    f->route.driver = instance->view.driver;
    f->context_tokens = instance->plan.context_tokens;
    if (f->choices)
        return;
    f->kv_format = instance->plan.kv_format;
    f->activations = instance->plan.activations;
    f->transport = instance->plan.transport;
    f->sums = instance->plan.sums;
    memcpy(f->draft, instance->plan.draft, sizeof(f->draft));
    f->strategy = placement_strategy(&instance->plan);
}

/* May it go on with what another began?  In another number format, keys and values, activations or sums
 * would make other tokens. */
static bool may_take(const struct flow *f, const struct cluster_instance *instance)
{
    return !f->choices ||
           (instance->plan.kv_format == f->kv_format &&
            instance->plan.activations == f->activations && instance->plan.sums == f->sums);
}

static const struct cluster_instance *find_instance(const struct cluster_instance *instances,
                                                    size_t n, const char *id)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(instances[i].view.id, id) == 0)
            return &instances[i];
    }
    return NULL;
}

/* Is the lost instance still listed?  Placing anew would only join it, until the cluster
 * knows: a node's death takes that a second or two to see.  Where it is listed for long, the
 * connection to it may be all that broke, and it is asked again. */
static bool must_await_loss(struct flow *f, const struct cluster_instance *instances, size_t n)
{
    if (!f->lost_instance[0] || !find_instance(instances, n, f->lost_instance))
        return false;
    if (clock_ns() <= f->loss_until_ns)
        return true;
    f->lost_instance[0] = '\0';
    return false;
}

enum leaving { LEAVING_OUT, LEAVING_TOO };

static void pick_from(struct flow *f, const struct cluster_instance *instances, size_t n,
                      enum leaving leaving, struct instance_view *views)
{
    const struct balance_request wanted = {
        .n_prompt_tokens = f->prompts ? f->prompts[0].n : 0,
        .n_answer_tokens = f->request.max_tokens,
        .session = f->request.session ? f->request.session : f->request.tenant,
        .random = random_u64(),
        .turn = f->service->n_turns++,
    };

    for (size_t i = 0; i < n; i++) {
        views[i] = instances[i].view;
        if (strcmp(views[i].id, f->lost_instance) == 0 || !may_take(f, &instances[i]) ||
            (instances[i].is_leaving && leaving == LEAVING_OUT))
            views[i].is_ready = false;
    }
    balance_pick(pool_policy(pools_now(f->service->pools)), views, n, f->model.name, &wanted,
                 &f->route);
}

/* The ready instance with the least to do, if there is one; one that leaves is better than none. */
static void pick(struct flow *f, const struct cluster_instance *instances, size_t n,
                 struct instance_view *views)
{
    pick_from(f, instances, n, LEAVING_OUT, views);
    if (!f->route.is_placed)
        pick_from(f, instances, n, LEAVING_TOO, views);
    if (f->route.is_placed)
        take_instance(f, find_instance(instances, n, f->route.instance_id));
}

enum step flow_balance(struct flow *f)
{
    struct cluster_instance *instances;
    const size_t n = service_instances(f->service, &instances);
    struct instance_view *views = n > 0 ? calloc(n, sizeof(*views)) : NULL;
    bool must_wait;

    if (n > 0 && !views) {
        free(instances);
        return no_memory(f);
    }
    must_wait = must_await_loss(f, instances, n);
    pick(f, instances, n, views);
    free(views);
    free(instances);
    if (f->route.is_placed || !must_wait)
        return STEP_NEXT;
    loop_timer_once(f->wake, FLOW_LOSS_POLL_MS);
    return STEP_WAIT;
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
        return fail_as(f, SETBACK_ROOM, &e);
    return STEP_NEXT;
}

static enum setback setback_of(const struct flow *f, enum status failure)
{
    if (failure == ST_FULL)
        return SETBACK_ROOM;
    if (failure == ST_CANCELED || failure == ST_RANGE)
        return SETBACK_NONE;
    /* A first placing fails for reasons that stay, a damaged file say, unless a node went. */
    return failure == ST_PEER || f->outage.n_losses > 0 ? SETBACK_PLACING : SETBACK_NONE;
}

static void on_placed(void *arg, bool done, const struct cluster_instance *instance,
                      const struct err *failure)
{
    struct flow *f = arg;
    struct err why;

    if (!done)
        return;
    f->is_placing = false;
    if (instance && may_take(f, instance)) {
        take_instance(f, instance);
        flow_trace_placed(f, NULL);
        flow_wake(f);
        return;
    }
    flow_trace_placed(f, "the model could not be placed");
    if (instance)
        (void)err_set(&why, ST_PEER, "the one there is keeps its context in another format");
    else
        why = *failure;
    placement_error(&why, &f->failure);
    f->has_failed = true;
    f->setback = setback_of(f, why.status);
    flow_wake(f);
}

/* What goes on was planned with more than a model's name: its number formats have to be the
 * same, its context and its draft model may be. */
static enum status plan_again(struct flow *f, struct plan *plan, struct api_error *e)
{
    struct place_request like = { .context_tokens = f->context_tokens,
                                  .has_kv_format = true,
                                  .kv_format = f->kv_format,
                                  .has_activations = true,
                                  .activations = f->activations,
                                  .transport = f->transport,
                                  .sums = f->sums };
    const char *strategy = f->strategy ? f->strategy : "";

    memcpy(like.draft, f->draft, sizeof(like.draft));
    placement_ask_for(strategy, &like);
    if (placement_join(f->service, &f->model, &like, plan) ||
        placement_plan(f->service, &f->model, f->nodes, &like, plan, e) == ST_OK)
        return ST_OK;
    like.overrides[0] = '\0';
    if (strategy[0] && placement_plan(f->service, &f->model, f->nodes, &like, plan, e) == ST_OK)
        return ST_OK;
    like.context_tokens = 0;
    like.draft[0] = '\0';
    return placement_plan(f->service, &f->model, f->nodes, &like, plan, e);
}

static enum status plan_for(struct flow *f, struct plan *plan, struct api_error *e)
{
    if (f->choices)
        return plan_again(f, plan, e);
    /* Another request may have begun to place it: its plan is joined, as the
     * memory it takes is no longer free for one of ours. */
    if (placement_join(f->service, &f->model, NULL, plan))
        return ST_OK;
    return placement_plan(f->service, &f->model, f->nodes, NULL, plan, e);
}

static enum step place(struct flow *f, struct plan *plan)
{
    const struct place_order order = { plan, PLACE_NEEDED };
    struct api_error e;
    struct err err = { 0 };
    enum status s = plan_for(f, plan, &e);

    if (s != ST_OK)
        return fail_as(f, s == ST_FULL ? SETBACK_ROOM : SETBACK_NONE, &e);
    f->is_placing = true;
    flow_trace_placing(f);
    s = cluster_place(f->service->cluster, &order, on_placed, f, &f->place_ticket, &err);
    if (s == ST_OK)
        return STEP_WAIT;
    f->is_placing = false;
    flow_trace_placed(f, "it could not be begun");
    placement_error(&err, &e);
    return fail_as(f, setback_of(f, s), &e);
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
