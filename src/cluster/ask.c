/* SPDX-License-Identifier: Apache-2.0 */
/* cluster/ask.c - whoever waits on this node for a model to be placed.
 *
 *   asked --PlaceReply--> joined an instance --ready, gone--> done
 *      \-- the coordinator refuses or is lost --------------> done, with words
 *
 * The coordinator answers with the id of an instance, new or not; from then
 * on the asker follows that instance as every node does, so the coordinator
 * keeps no list of who waits.  Callbacks may ask and forget: the list is
 * searched anew after each.
 */
#include <stdlib.h>
#include <string.h>

#include "cluster/cluster_priv.h"

static struct ask *ask_by_ticket(const struct cluster *cluster, uint64_t ticket)
{
    for (struct ask *a = cluster->asks; a; a = a->next)
        if (a->ticket == ticket)
            return a;
    return NULL;
}

/* The first one after `ticket` that follows the instance. */
static struct ask *ask_following(const struct cluster *cluster, const char *id, uint64_t ticket)
{
    for (struct ask *a = cluster->asks; a; a = a->next)
        if (a->ticket > ticket && strcmp(a->instance_id, id) == 0)
            return a;
    return NULL;
}

static void ask_done(struct cluster *cluster, struct ask *a,
                     const struct cluster_instance *instance, const struct err *failure)
{
    struct ask **at = &cluster->asks;
    const struct ask told = *a;

    while (*at != a)
        at = &(*at)->next;
    *at = a->next;
    free(a);
    if (told.fn)
        told.fn(told.arg, true, instance, failure);
}

void asks_progress(struct cluster *cluster, const struct instance *in)
{
    const struct cluster_instance lent = in->view;
    struct ask *a;

    for (uint64_t ticket = 0; (a = ask_following(cluster, lent.view.id, ticket)) != NULL;) {
        ticket = a->ticket;
        if (a->fn)
            a->fn(a->arg, false, &lent, NULL);
    }
}

void asks_ready(struct cluster *cluster, const struct instance *in)
{
    const struct cluster_instance lent = in->view;
    struct ask *a;

    while ((a = ask_following(cluster, lent.view.id, 0)) != NULL)
        ask_done(cluster, a, &lent, NULL);
}

void asks_gone(struct cluster *cluster, const char *instance_id, const struct err *why)
{
    char id[INSTANCE_ID_MAX];
    struct ask *a;

    memcpy(id, instance_id, sizeof(id));
    while ((a = ask_following(cluster, id, 0)) != NULL)
        ask_done(cluster, a, NULL, why);
}

static struct ask *ask_unanswered(const struct cluster *cluster, const char *node)
{
    for (struct ask *a = cluster->asks; a; a = a->next)
        if (a->instance_id[0] == '\0' && strcmp(a->coordinator, node) == 0)
            return a;
    return NULL;
}

void asks_coordinator_lost(struct cluster *cluster, const char *node)
{
    struct ask *a;
    struct err why;

    while ((a = ask_unanswered(cluster, node)) != NULL) {
        (void)err_set(&why, ST_PEER, "node '%s', which was to place '%s', was lost; ask again",
                      node, a->model);
        ask_done(cluster, a, NULL, &why);
    }
}

/* Answered asks whose instance is no longer being placed, one at a time. */
static bool settle_one(struct cluster *cluster)
{
    for (struct ask *a = cluster->asks; a; a = a->next) {
        const struct instance *in;
        struct err why;

        if (a->instance_id[0] == '\0')
            continue;
        in = instance_find(cluster, a->instance_id);
        if (in && in->view.state == INSTANCE_PLACING)
            continue;
        if (in) {
            const struct cluster_instance lent = in->view;

            ask_done(cluster, a, &lent, NULL);
        } else {
            (void)err_set(&why, ST_PEER, "the instance of '%s' was lost while it was placed",
                          a->model);
            ask_done(cluster, a, NULL, &why);
        }
        return true;
    }
    return false;
}

void asks_settle(struct cluster *cluster)
{
    while (settle_one(cluster))
        ;
}

void asks_free(struct cluster *cluster)
{
    while (cluster->asks) {
        struct ask *a = cluster->asks;

        cluster->asks = a->next;
        free(a);
    }
}

void asks_replied(struct cluster *cluster, const Wire__PlaceReply *reply)
{
    struct ask *a = ask_by_ticket(cluster, reply->ticket);
    struct err why;

    if (!a || a->instance_id[0] != '\0')
        return;
    if (reply->status == ST_OK && text_is_name(reply->instance_id, INSTANCE_ID_MAX)) {
        memcpy(a->instance_id, reply->instance_id, strlen(reply->instance_id) + 1);
        asks_settle(cluster);
        return;
    }
    (void)err_set(&why, reply->status == ST_OK ? ST_FORMAT : status_from_code(reply->status), "%s",
                  reply->words);
    ask_done(cluster, a, NULL, &why);
}

static enum status check_plan(const struct cluster *cluster, const struct plan *plan,
                              const struct model_info **ret_model, struct err *err)
{
    const struct model_info *model = model_reference(cluster, plan->model);
    uint64_t next = 0;

    if (!model)
        return err_set(err, ST_NOTFOUND, "no alive node holds '%s'", plan->model);
    if (plan->n_shards == 0 || plan->n_shards > PLAN_SHARDS_MAX)
        return err_set(err, ST_RANGE, "the plan for '%s' has %zu shards", plan->model,
                       plan->n_shards);
    for (size_t i = 0; i < plan->n_shards; i++) {
        if (plan->shards[i].first_layer != next || plan->shards[i].n_layers == 0)
            return err_set(err, ST_RANGE, "the plan for '%s' leaves a gap at layer %llu",
                           plan->model, (unsigned long long)next);
        next += plan->shards[i].n_layers;
    }
    if (next != model->n_layer)
        return err_set(err, ST_RANGE, "the plan covers %llu layers, '%s' has %u",
                       (unsigned long long)next, plan->model, model->n_layer);
    *ret_model = model;
    return ST_OK;
}

static void forward(struct cluster *cluster, struct member *to, const struct ask *a,
                    const struct plan *plan, const uint8_t *digest, bool knows_ready)
{
    Wire__PlanShard shards[PLAN_SHARDS_MAX], *list[PLAN_SHARDS_MAX];
    Wire__NodeMessage message = WIRE__NODE_MESSAGE__INIT;
    Wire__Place place = WIRE__PLACE__INIT;
    Wire__Plan wire;

    (void)cluster;
    wire_of_plan(plan, &wire, shards, list);
    place.ticket = a->ticket;
    place.plan = &wire;
    place.model_digest.data = (uint8_t *)digest;
    place.model_digest.len = MODEL_DIGEST_BYTES;
    place.knows_ready = knows_ready;
    message.body_case = WIRE__NODE_MESSAGE__BODY_PLACE;
    message.place = &place;
    link_send_to(to, &message);
}

static enum status ask_new(struct cluster *cluster, const char *model, place_fn *fn, void *arg,
                           struct ask **ret_ask, struct err *err)
{
    struct ask **end = &cluster->asks, *a;
    size_t n = 0;

    for (; *end; end = &(*end)->next)
        n++;
    if (n >= ASKS_MAX)
        return err_set(err, ST_FULL, "too many requests wait for a model to be placed");
    a = calloc(1, sizeof(*a));
    if (!a)
        return err_set(err, ST_NOMEM, "a request to place '%s'", model);
    a->ticket = ++cluster->last_ticket;
    a->fn = fn;
    a->arg = arg;
    memcpy(a->model, model, strlen(model) + 1);
    *end = a;
    *ret_ask = a;
    return ST_OK;
}

static void ask_drop(struct cluster *cluster, struct ask *a)
{
    a->fn = NULL;
    ask_done(cluster, a, NULL, NULL);
}

enum status cluster_place(struct cluster *cluster, const struct plan *plan, place_fn *fn, void *arg,
                          uint64_t *ret_ticket, struct err *err)
{
    const bool knows_ready = instance_of_model(cluster, plan->model, INSTANCE_READY) != NULL;
    struct member *coordinator = member_coordinator(cluster);
    const struct model_info *model = NULL;
    struct ask *a = NULL;
    enum status s;

    s = check_plan(cluster, plan, &model, err);
    if (s == ST_OK)
        s = ask_new(cluster, plan->model, fn, arg, &a, err);
    if (s != ST_OK)
        return s;
    memcpy(a->coordinator, coordinator->info.name, sizeof(a->coordinator));
    if (coordinator == cluster->self) {
        s = place_request(cluster, plan, model->digest, knows_ready, a->instance_id, err);
        if (s != ST_OK) {
            ask_drop(cluster, a);
            return s;
        }
        cluster_soon(cluster);
    } else {
        forward(cluster, coordinator, a, plan, model->digest, knows_ready);
    }
    *ret_ticket = a->ticket;
    return ST_OK;
}

void cluster_place_forget(struct cluster *cluster, uint64_t ticket)
{
    struct ask *a = ask_by_ticket(cluster, ticket);

    if (a)
        a->fn = NULL;
}

/* A peer asks this node to coordinate. */
enum status place_received(struct link *link, const Wire__Place *place, struct err *err)
{
    Wire__NodeMessage message = WIRE__NODE_MESSAGE__INIT;
    Wire__PlaceReply reply = WIRE__PLACE_REPLY__INIT;
    char id[INSTANCE_ID_MAX] = "";
    struct err why = { 0 };
    struct plan plan;
    enum status s;

    s = wire_to_plan(place->plan, &plan, err);
    if (s != ST_OK)
        return s;
    if (place->model_digest.len != MODEL_DIGEST_BYTES)
        return err_set(err, ST_FORMAT, "a message has a model digest of %zu bytes",
                       place->model_digest.len);
    s = place_request(link->cluster, &plan, place->model_digest.data, place->knows_ready, id, &why);
    reply.ticket = place->ticket;
    reply.status = s;
    reply.words = why.words;
    reply.instance_id = id;
    message.body_case = WIRE__NODE_MESSAGE__BODY_PLACE_REPLY;
    message.place_reply = &reply;
    link_send(link, &message);
    return ST_OK;
}
