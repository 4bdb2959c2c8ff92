/* SPDX-License-Identifier: Apache-2.0 */
/* cluster/ask.c - whoever waits on this node for a model to be placed, or unplaced.
 *
 *   waiting --there is a leader--> asked --PlaceReply--> follows an instance --ready, gone--> done
 *      ^  \                         |  |                          |
 *      |   `--ASK_WITHIN_MS--> done |  `-- it refuses, unplaced --+-----------------> done
 *      `--------- the leader is lost, or another leads -----------'
 *
 * The leader answers with the id of an instance, new or not; from then on the
 * asker follows that instance as every node does, so nobody keeps a list of
 * who waits elsewhere.  The loss of a leader so costs a second question.  A plan that
 * names a node that is not alive any more cannot be asked for again: that is a
 * failure with ST_PEER, and whoever made the plan can make another.
 *
 * Callbacks may ask and forget: the list is searched anew after each.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
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
    free(a->plan);
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

static void ask_again(struct ask *a, uint64_t after_ms)
{
    a->coordinator[0] = a->instance_id[0] = '\0';
    a->again_ns = deadline_after_ms(after_ms);
}

void asks_repeat(struct cluster *cluster, const char *instance_id)
{
    struct ask *a;

    while ((a = ask_following(cluster, instance_id, 0)) != NULL)
        ask_again(a, 0);
    cluster_soon(cluster);
}

void asks_gone(struct cluster *cluster, const char *instance_id, const struct err *why)
{
    char id[INSTANCE_ID_MAX];
    struct ask *a;

    memcpy(id, instance_id, sizeof(id));
    while ((a = ask_following(cluster, id, 0)) != NULL) {
        if (why->status == ST_DENIED && clock_ns() < a->until_ns)
            ask_again(a, ASK_AGAIN_MS); /* who placed it did not lead any more */
        else
            ask_done(cluster, a, NULL, why);
    }
}

void asks_coordinator_lost(struct cluster *cluster, const char *node)
{
    for (struct ask *a = cluster->asks; a; a = a->next)
        if (a->instance_id[0] == '\0' && strcmp(a->coordinator, node) == 0)
            ask_again(a, 0);
    cluster_soon(cluster);
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
        free(a->plan);
        free(a);
    }
}

void ask_replied(struct cluster *cluster, uint64_t ticket, const char *instance_id,
                 const struct err *outcome)
{
    struct ask *a = ask_by_ticket(cluster, ticket);
    struct err why = *outcome;

    if (!a || a->instance_id[0] != '\0')
        return;
    if (why.status == ST_DENIED && clock_ns() < a->until_ns) {
        ask_again(a, ASK_AGAIN_MS);
        return;
    }
    if (why.status == ST_OK && a->kind == ASK_UNPLACE) {
        ask_done(cluster, a, NULL, NULL);
        return;
    }
    if (why.status == ST_OK && text_is_name(instance_id, INSTANCE_ID_MAX)) {
        memcpy(a->instance_id, instance_id, strlen(instance_id) + 1);
        asks_settle(cluster);
        return;
    }
    if (why.status == ST_OK)
        (void)err_set(&why, ST_FORMAT, "a reply to a request to place '%s' names no instance",
                      a->model);
    ask_done(cluster, a, NULL, &why);
}

void asks_replied(struct cluster *cluster, const Wire__PlaceReply *reply)
{
    struct err outcome = { 0 };

    if (reply->status != ST_OK)
        (void)err_set(&outcome, status_from_code(reply->status), "%s", reply->words);
    ask_replied(cluster, reply->ticket, reply->instance_id, &outcome);
}

static enum status check_plan(struct cluster *cluster, const struct plan *plan,
                              const struct model_info **ret_model, struct err *err)
{
    const struct model_info *model = model_reference(cluster, plan->model);
    uint64_t n_layers;
    enum status s;

    if (!model)
        return err_set(err, ST_NOTFOUND, "no alive node holds '%s'", plan->model);
    s = plan_check(plan, &n_layers, err);
    if (s != ST_OK) {
        err_wrap(err, "place '%s'", plan->model);
        return s;
    }
    if (n_layers != model->n_layer)
        return err_set(err, ST_RANGE, "the plan covers %llu layers, '%s' has %u",
                       (unsigned long long)n_layers, plan->model, model->n_layer);
    *ret_model = model;
    return place_check_nodes(cluster, plan, err);
}

static void forward_place(struct member *to, const struct ask *a)
{
    Wire__PlanShard shards[PLAN_SHARDS_MAX], *list[PLAN_SHARDS_MAX];
    Wire__NodeMessage message = WIRE__NODE_MESSAGE__INIT;
    Wire__Place place = WIRE__PLACE__INIT;
    Wire__Plan wire;

    wire_of_plan(a->plan, &wire, shards, list);
    place.ticket = a->ticket;
    place.plan = &wire;
    place.model_digest.data = (uint8_t *)a->digest;
    place.model_digest.len = MODEL_DIGEST_BYTES;
    place.knows_ready = a->knows_ready;
    place.purpose = (uint32_t)a->purpose;
    message.body_case = WIRE__NODE_MESSAGE__BODY_PLACE;
    message.place = &place;
    link_send_to(to, &message);
}

static void forward_unplace(struct member *to, const struct ask *a)
{
    Wire__NodeMessage message = WIRE__NODE_MESSAGE__INIT;
    Wire__Unplace unplace = WIRE__UNPLACE__INIT;

    unplace.ticket = a->ticket;
    unplace.model = (char *)a->model;
    message.body_case = WIRE__NODE_MESSAGE__BODY_UNPLACE;
    message.unplace = &unplace;
    link_send_to(to, &message);
}

/* This node leads: it asks itself. */
static void ask_here(struct cluster *cluster, const struct ask *a)
{
    const uint64_t ticket = a->ticket;
    const struct place_demand demand = { a->plan, a->digest, a->purpose, a->knows_ready };
    char id[INSTANCE_ID_MAX] = "";
    struct err outcome = { 0 };
    enum status s;

    if (a->kind == ASK_UNPLACE)
        s = unplace_request(cluster, cluster->self->info.name, ticket, a->model, &outcome);
    else
        s = place_request(cluster, &demand, id, &outcome);
    if (s != ST_OK || a->kind == ASK_PLACE)
        ask_replied(cluster, ticket, id, &outcome);
}

/* Ask whoever leads.  *ret_why is set where that makes no sense any more. */
static enum status ask_leader(struct cluster *cluster, struct ask *a, struct err *ret_why)
{
    struct member *leader = lead_member(cluster);

    if (!leader)
        return ST_OK; /* there will be one, or ASK_WITHIN_MS is over */
    if (a->kind == ASK_PLACE && place_check_nodes(cluster, a->plan, ret_why) != ST_OK)
        return ret_why->status = ST_PEER;
    if (a->kind == ASK_UNPLACE && lead_is_mixed(cluster))
        leader = cluster->self;
    else if (a->kind == ASK_UNPLACE && lead_kind(cluster) == LEADER_CARETAKER)
        return lead_has_quorum(cluster) ? ST_OK : lead_missing(cluster, ret_why);
    memcpy(a->coordinator, leader->info.name, sizeof(a->coordinator));
    if (leader == cluster->self)
        ask_here(cluster, a);
    else if (a->kind == ASK_PLACE)
        forward_place(leader, a);
    else
        forward_unplace(leader, a);
    return ST_OK;
}

/* One that is to be asked now, or was not answered in time, beyond `ticket`. */
static struct ask *ask_due(const struct cluster *cluster, uint64_t ticket, uint64_t now_ns)
{
    for (struct ask *a = cluster->asks; a; a = a->next)
        if (a->ticket > ticket && a->instance_id[0] == '\0' &&
            (now_ns >= a->until_ns || (a->coordinator[0] == '\0' && now_ns >= a->again_ns)))
            return a;
    return NULL;
}

void asks_advance(struct cluster *cluster, uint64_t now_ns)
{
    struct ask *a;

    for (uint64_t ticket = 0; (a = ask_due(cluster, ticket, now_ns)) != NULL;) {
        struct err why = { 0 };

        ticket = a->ticket;
        if (now_ns >= a->until_ns && a->coordinator[0] != '\0')
            (void)err_set(&why, ST_DEADLINE, "node '%s' did not say what becomes of '%s'",
                          a->coordinator, a->model);
        else if (now_ns >= a->until_ns)
            (void)lead_missing(cluster, &why);
        else if (ask_leader(cluster, a, &why) == ST_OK)
            continue;
        ask_done(cluster, a, NULL, &why);
    }
}

static enum status ask_new(struct cluster *cluster, const struct ask *what, struct ask **ret_ask,
                           struct err *err)
{
    struct ask **end = &cluster->asks, *a;
    size_t n = 0;

    for (; *end; end = &(*end)->next)
        n++;
    if (n >= ASKS_MAX)
        return err_set(err, ST_FULL, "too many requests wait for a model to be placed");
    a = malloc(sizeof(*a));
    if (!a)
        return err_set(err, ST_NOMEM, "a request to place '%s'", what->model);
    *a = *what;
    a->ticket = ++cluster->last_ticket;
    a->until_ns = deadline_after_ms(ASK_WITHIN_MS);
    *end = a;
    *ret_ask = a;
    cluster_soon(cluster);
    return ST_OK;
}

enum status cluster_place(struct cluster *cluster, const struct place_order *order, place_fn *fn,
                          void *arg, uint64_t *ret_ticket, struct err *err)
{
    const struct plan *plan = order->plan;
    struct ask what = { .kind = ASK_PLACE, .fn = fn, .arg = arg, .purpose = order->purpose };
    const struct model_info *model = NULL;
    struct ask *a = NULL;
    enum status s;

    s = check_plan(cluster, plan, &model, err);
    if (s != ST_OK)
        return s;
    memcpy(what.model, plan->model, sizeof(what.model));
    memcpy(what.digest, model->digest, sizeof(what.digest));
    what.knows_ready = instance_of_model(cluster, plan->model, INSTANCE_READY) != NULL;
    what.plan = malloc(sizeof(*what.plan));
    if (!what.plan)
        return err_set(err, ST_NOMEM, "a request to place '%s'", plan->model);
    *what.plan = *plan;
    s = ask_new(cluster, &what, &a, err);
    if (s != ST_OK) {
        free(what.plan);
        return s;
    }
    *ret_ticket = a->ticket;
    return ST_OK;
}

enum status cluster_unplace(struct cluster *cluster, const char *model, place_fn *fn, void *arg,
                            uint64_t *ret_ticket, struct err *err)
{
    struct ask what = { .kind = ASK_UNPLACE, .fn = fn, .arg = arg };
    struct ask *a = NULL;
    enum status s;

    if (strlen(model) >= sizeof(what.model))
        return err_set(err, ST_NOTFOUND, "'%.64s...' is not placed", model);
    memcpy(what.model, model, strlen(model) + 1);
    s = ask_new(cluster, &what, &a, err);
    if (s == ST_OK)
        *ret_ticket = a->ticket;
    return s;
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
    struct place_demand demand;
    struct plan plan;
    enum status s;

    s = wire_to_plan(place->plan, &plan, err);
    if (s != ST_OK)
        return s;
    if (place->purpose > PLACE_MOVED)
        return err_set(err, ST_FORMAT, "a message asks to place for a purpose not known here");
    if (place->model_digest.len != MODEL_DIGEST_BYTES)
        return err_set(err, ST_FORMAT, "a message has a model digest of %zu bytes",
                       place->model_digest.len);
    demand = (struct place_demand){ &plan, place->model_digest.data,
                                    (enum place_purpose)place->purpose, place->knows_ready };
    s = place_request(link->cluster, &demand, id, &why);
    reply.ticket = place->ticket;
    reply.status = s;
    reply.words = why.words;
    reply.instance_id = id;
    message.body_case = WIRE__NODE_MESSAGE__BODY_PLACE_REPLY;
    message.place_reply = &reply;
    link_send(link, &message);
    return ST_OK;
}
