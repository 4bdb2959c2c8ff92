/* SPDX-License-Identifier: Apache-2.0 */
/* cluster/unplace.c - the leader's work when a model shall not be placed any more.
 *
 *   asked --a quorum has it on disk--> every instance is ended, the asker told
 *      \---- this node leads no more --> the asker asks the next leader
 *
 * Ended before it is decided, it might come back with the next leader.  Beside peers of an older
 * version nothing can be decided: it ends, and comes back if it was decided before.
 */
#include <stdlib.h>
#include <string.h>

#include "cluster/cluster_priv.h"

struct unplacing {
    uint64_t decision; /* ticket; 0: decided */
    enum status outcome;
    char asker[NODE_NAME_MAX];
    uint64_t ticket; /* the asker's */
    char model[MODEL_NAME_MAX];
    struct unplacing *next;
};

static struct instance *find_instance(const struct cluster *cluster, const char *model)
{
    struct instance *in = instance_of_model(cluster, model, INSTANCE_READY);

    return in ? in : instance_of_model(cluster, model, INSTANCE_PLACING);
}

static void end_instances(struct cluster *cluster, const char *model)
{
    struct instance *in;
    struct err why;

    (void)err_set(&why, ST_CANCELED, "'%s' was unplaced", model);
    while ((in = find_instance(cluster, model)) != NULL)
        instance_end(cluster, in, END_BY_ORDER, &why);
}

static void reply(struct cluster *cluster, const char *asker, uint64_t ticket,
                  const struct err *outcome)
{
    struct member *member = member_find(cluster, asker);
    Wire__NodeMessage message = WIRE__NODE_MESSAGE__INIT;
    Wire__PlaceReply wire = WIRE__PLACE_REPLY__INIT;

    if (!member)
        return;
    if (member == cluster->self) {
        ask_replied(cluster, ticket, "", outcome);
        return;
    }
    wire.ticket = ticket;
    wire.status = outcome->status;
    wire.words = (char *)outcome->words;
    message.body_case = WIRE__NODE_MESSAGE__BODY_PLACE_REPLY;
    message.place_reply = &wire;
    link_send_to(member, &message);
}

static enum status check(const struct cluster *cluster, const char *model, struct err *err)
{
    const bool is_mixed = lead_is_mixed(cluster);

    if (lead_kind(cluster) == LEADER_CARETAKER && !is_mixed)
        return lead_missing(cluster, err);
    if (!lead_is_here(cluster) && !is_mixed)
        return err_set(err, ST_DENIED, "node '%s' does not lead", cluster->self->info.name);
    if (!wanted_is_placed(cluster, model) && !find_instance(cluster, model))
        return err_set(err, ST_NOTFOUND, "'%s' is not placed", model);
    return ST_OK;
}

enum status unplace_request(struct cluster *cluster, const char *asker, uint64_t ticket,
                            const char *model, struct err *err)
{
    struct unplacing *u;
    enum status s = check(cluster, model, err);

    if (s != ST_OK)
        return s;
    u = calloc(1, sizeof(*u));
    if (!u)
        return err_set(err, ST_NOMEM, "a request to unplace '%s'", model);
    memcpy(u->asker, asker, strlen(asker) + 1);
    memcpy(u->model, model, strlen(model) + 1);
    u->ticket = ticket;
    if (lead_kind(cluster) == LEADER_ELECTED && wanted_is_placed(cluster, model))
        s = lead_decide(cluster, model, NULL, 0, &u->decision, err);
    if (s != ST_OK) {
        free(u);
        return s == ST_PEER ? err_set(err, ST_DENIED, "node '%s' does not lead any more",
                                      cluster->self->info.name)
                            : s;
    }
    u->next = cluster->unplacings;
    cluster->unplacings = u;
    cluster_soon(cluster);
    return ST_OK;
}

void unplace_received(struct link *link, const Wire__Unplace *unplace)
{
    struct cluster *cluster = link->cluster;
    struct err why = { 0 };

    if (strlen(unplace->model) >= MODEL_NAME_MAX)
        (void)err_set(&why, ST_NOTFOUND, "a model with so long a name is not placed");
    else
        (void)unplace_request(cluster, link->member->info.name, unplace->ticket, unplace->model,
                              &why);
    if (why.status != ST_OK)
        reply(cluster, link->member->info.name, unplace->ticket, &why);
}

void unplace_decided(struct cluster *cluster, uint64_t ticket, enum status status)
{
    for (struct unplacing *u = cluster->unplacings; u; u = u->next)
        if (u->decision == ticket) {
            u->decision = 0;
            u->outcome = status;
            cluster_soon(cluster);
        }
}

static struct unplacing *take_decided(struct cluster *cluster)
{
    for (struct unplacing **at = &cluster->unplacings; *at; at = &(*at)->next)
        if ((*at)->decision == 0) {
            struct unplacing *u = *at;

            *at = u->next;
            return u;
        }
    return NULL;
}

void unplace_advance(struct cluster *cluster)
{
    struct unplacing *u;

    while ((u = take_decided(cluster)) != NULL) {
        struct err outcome = { 0 };

        if (u->outcome == ST_OK)
            end_instances(cluster, u->model);
        else
            (void)err_set(&outcome, ST_DENIED, "node '%s' does not lead any more",
                          cluster->self->info.name);
        reply(cluster, u->asker, u->ticket, &outcome);
        free(u);
    }
}

void unplacings_free(struct cluster *cluster)
{
    while (cluster->unplacings) {
        struct unplacing *u = cluster->unplacings;

        cluster->unplacings = u->next;
        free(u);
    }
}
