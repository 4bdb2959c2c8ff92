/* SPDX-License-Identifier: Apache-2.0 */
/* cluster/drain.c - nodes that are to hold nothing.
 *
 * A node drains because it says so itself, with each beat: whoever is asked to drain
 * another passes that on.  No plan that names it is placed; what it holds is moved
 * by flow/.  It drains until it is told otherwise or starts anew.
 */
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "cluster/cluster_priv.h"

void member_drains(struct member *member, bool is_draining, const char *by)
{
    char *drained_by = member->info.drained_by;
    const size_t capacity = sizeof(member->info.drained_by);

    /* one that is no name says nothing about who may end it */
    if (!is_draining || text_take(by, "name", drained_by, capacity, NULL) != ST_OK)
        drained_by[0] = '\0';
    if (member->info.is_draining == is_draining)
        return;
    member->info.is_draining = is_draining;
    log_info("node '%s' %s", member->info.name,
             is_draining ? "drains: nothing new is placed on it" : "takes part again");
}

void drain_receive(struct cluster *cluster, const Wire__Drain *drain)
{
    member_drains(cluster->self, drain->is_draining != 0, drain->by);
    beats_send(cluster, clock_ns());
    cluster_changed(cluster);
}

enum status cluster_drain(struct cluster *cluster, const char *node, enum drain_switch how,
                          const char *by, struct err *err)
{
    struct member *m = member_find(cluster, node);
    Wire__NodeMessage message = WIRE__NODE_MESSAGE__INIT;
    Wire__Drain drain = WIRE__DRAIN__INIT;

    if (!m)
        return err_set(err, ST_NOTFOUND, "'%.64s' is not a node of this cluster", node);
    if (!member_takes_part(m))
        return err_set(err, ST_PEER, "node '%s' is not %s", node,
                       m->info.is_alive ? "connected" : "alive");
    drain.is_draining = how == DRAIN_ON;
    drain.by = (char *)(uintptr_t)by; /* only read */
    if (m == cluster->self) {
        drain_receive(cluster, &drain);
        return ST_OK;
    }
    message.body_case = WIRE__NODE_MESSAGE__BODY_DRAIN;
    message.drain = &drain;
    link_send_to(m, &message);
    member_drains(m, drain.is_draining, by); /* its next beat says the same */
    return ST_OK;
}

bool instance_is_leaving(const struct cluster *cluster, const struct plan *plan)
{
    for (size_t i = 0; i < plan->n_shards; i++)
        for (size_t k = 0; k < cluster->n_members; k++)
            if (cluster->members[k].info.is_draining &&
                strcmp(cluster->members[k].info.name, plan->shards[i].node) == 0)
                return true;
    return false;
}

enum status cluster_end(struct cluster *cluster, const char *instance_id, const struct err *why,
                        struct err *err)
{
    struct instance *in = instance_find(cluster, instance_id);

    if (!in)
        return err_set(err, ST_NOTFOUND, "instance %.8s is gone already", instance_id);
    instance_end(cluster, in,
                 lead_is_here(cluster) && lead_kind(cluster) == LEADER_ELECTED ? END_BY_ORDER
                                                                               : END_EVERYWHERE,
                 why);
    return ST_OK;
}
