/* SPDX-License-Identifier: Apache-2.0 */
/* flow/drain.c - this node is to hold nothing: what it holds is moved away. */
#include "flow/drain.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "flow/placement.h"
#include "flow/service_priv.h"

enum {
    DRAIN_LEAVE_MS = 10000, /* for running requests to end; then they move */
    DRAIN_RETRY_MS = 5000,
};

struct drain {
    struct service *service;
    char instance_id[INSTANCE_ID_MAX]; /* being left; "": none */
    uint64_t leave_until_ns;
    uint64_t retry_at_ns;
    bool is_placing;
    uint64_t ticket;
};

enum status drain_new(struct service *service, struct drain **ret_drain, struct err *err)
{
    struct drain *d = calloc(1, sizeof(*d));

    if (!d)
        return err_set(err, ST_NOMEM, "the API could not be made");
    d->service = service;
    *ret_drain = d;
    return ST_OK;
}

void drain_free(struct drain *d)
{
    if (d && d->is_placing)
        cluster_place_forget(d->service->cluster, d->ticket);
    free(d);
}

static bool is_draining(struct service *service)
{
    struct cluster_member *members = calloc(NODES_MAX, sizeof(*members));
    bool drains = false;
    size_t n;

    if (!members)
        return false; /* the next tick asks again */
    n = cluster_members(service->cluster, members, NODES_MAX);
    for (size_t i = 0; i < n && i < NODES_MAX; i++)
        drains = drains || (members[i].is_local && members[i].is_draining);
    free(members);
    return drains;
}

static bool has_shard_here(const struct service *service, const struct plan *plan)
{
    for (size_t i = 0; i < plan->n_shards; i++) {
        if (strcmp(plan->shards[i].node, service->node_name) == 0)
            return true;
    }
    return false;
}

/* A ready one that answers as `in` would, on nodes that stay. */
static bool is_replaced(const struct cluster_instance *in, const struct cluster_instance *all,
                        size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (all[i].state == INSTANCE_READY && !all[i].is_leaving &&
            strcmp(all[i].view.model, in->view.model) == 0 &&
            all[i].plan.kv_format == in->plan.kv_format &&
            all[i].plan.activations == in->plan.activations && all[i].plan.sums == in->plan.sums)
            return true;
    }
    return false;
}

static void end(struct drain *d, const struct cluster_instance *in)
{
    struct err why, err;

    (void)err_set(&why, ST_PEER, "node '%s' is being drained", d->service->node_name);
    (void)cluster_end(d->service->cluster, in->view.id, &why, &err); /* it may be gone already */
    d->instance_id[0] = '\0';
}

/* Wait for what runs on it, then end it. */
static void leave(struct drain *d, const struct cluster_instance *in)
{
    if (strcmp(d->instance_id, in->view.id) != 0) {
        memcpy(d->instance_id, in->view.id, sizeof(d->instance_id));
        d->leave_until_ns = deadline_after_ms(DRAIN_LEAVE_MS);
    }
    if (in->view.n_active + in->view.n_waiting == 0 || clock_ns() > d->leave_until_ns)
        end(d, in);
}

static void on_placed(void *arg, bool done, const struct cluster_instance *instance,
                      const struct err *failure)
{
    struct drain *d = arg;

    if (!done)
        return;
    d->is_placing = false;
    if (instance)
        return;
    d->retry_at_ns = deadline_after_ms(DRAIN_RETRY_MS);
    log_with(LOG_WARN, "what this node holds could not be moved, trying again",
             log_text("error", failure->words));
}

static uint64_t held_on(const struct plan *plan, const char *node)
{
    for (size_t i = 0; i < plan->n_shards; i++) {
        if (strcmp(plan->shards[i].node, node) == 0)
            return plan->shards[i].weight_bytes + plan->shards[i].kv_bytes;
    }
    return 0;
}

enum fit { FITS_NOT, FITS_BESIDE, FITS_INSTEAD };

/* A plan like that of `in`, on nodes that stay. */
static enum fit plan_move(struct drain *d, const struct cluster_instance *in,
                          struct node_set *nodes, struct plan *ret_plan, struct api_error *e)
{
    struct place_request like = { .context_tokens = in->plan.context_tokens,
                                  .has_kv_format = true,
                                  .kv_format = in->plan.kv_format,
                                  .has_activations = true,
                                  .activations = in->plan.activations,
                                  .transport = in->plan.transport,
                                  .sums = in->plan.sums };
    struct model_info model;

    (void)api_error_set(e, API_MODEL_NOT_FOUND, NULL, "No node holds '%s'.", in->view.model);
    memcpy(like.draft, in->plan.draft, sizeof(like.draft));
    if (!service_find_model(d->service, in->view.model, &model) ||
        placement_nodes(d->service, &model, NULL, nodes, e) != ST_OK)
        return FITS_NOT;
    placement_ask_for(placement_strategy(&in->plan), &like);
    if (placement_plan(d->service, &model, nodes, &like, ret_plan, e) == ST_OK)
        return FITS_BESIDE;
    like.overrides[0] = '\0'; /* rather in another way than not at all */
    if (placement_plan(d->service, &model, nodes, &like, ret_plan, e) == ST_OK)
        return FITS_BESIDE;
    for (size_t i = 0; i < nodes->n_nodes; i++) {
        const uint64_t held = held_on(&in->plan, nodes->nodes[i].name);

        nodes->nodes[i].memory_used_bytes -=
            held < nodes->nodes[i].memory_used_bytes ? held : nodes->nodes[i].memory_used_bytes;
    }
    return placement_plan(d->service, &model, nodes, &like, ret_plan, e) == ST_OK ? FITS_INSTEAD
                                                                                  : FITS_NOT;
}

static void move(struct drain *d, const struct cluster_instance *in)
{
    struct node_set *nodes = calloc(1, sizeof(*nodes));
    struct plan *plan = calloc(1, sizeof(*plan));
    const struct place_order order = { plan, PLACE_MOVED };
    enum fit fit = FITS_NOT;
    struct api_error e;
    struct err err;

    (void)api_error_set(&e, API_OVERLOADED, NULL, "There is no memory for a plan.");
    if (nodes && plan)
        fit = plan_move(d, in, nodes, plan, &e);
    if (fit == FITS_INSTEAD)
        end(d, in);
    if (fit == FITS_NOT) {
        log_with(LOG_WARN, "what this node holds cannot be moved, trying again",
                 log_text("error", e.message));
    } else if (cluster_place(d->service->cluster, &order, on_placed, d, &d->ticket, &err) ==
               ST_OK) {
        d->is_placing = true;
    } else {
        log_with(LOG_WARN, "what this node holds could not be moved, trying again",
                 log_text("error", err.words));
        fit = FITS_NOT;
    }
    if (fit == FITS_NOT)
        d->retry_at_ns = deadline_after_ms(DRAIN_RETRY_MS);
    free(nodes);
    free(plan);
}

void drain_tick(struct drain *d)
{
    struct cluster_instance *all;
    size_t n;

    if (d->is_placing || !is_draining(d->service))
        return;
    n = service_instances(d->service, &all);
    for (size_t i = 0; i < n; i++) {
        /* one that is being placed is waited for: it ends soon, this way or that */
        if (all[i].state != INSTANCE_READY || !has_shard_here(d->service, &all[i].plan))
            continue;
        if (is_replaced(&all[i], all, n))
            leave(d, &all[i]);
        else if (clock_ns() >= d->retry_at_ns)
            move(d, &all[i]);
        break;
    }
    free(all);
}
