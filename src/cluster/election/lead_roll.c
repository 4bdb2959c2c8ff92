/* SPDX-License-Identifier: Apache-2.0 */
/* cluster/election/lead_roll.c - what a node keeps of the leader's decisions, and tells others.
 *
 * Voters hear of one another through their council.  Everybody else is sent a
 * Roll when the leader, the epoch or the records change: the records go along
 * where the other's digest is another and these were not sent to it already,
 * so that two tables that cannot become equal do not keep a channel busy.
 */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "cluster/election/lead_priv.h"
#include "cluster/state/desired_file.h"
#include "cluster/state/desired_wire.h"

enum status lead_keep(const struct lead *lead, const void *bytes, size_t n, struct err *err)
{
    return lead->dir[0] ? desired_file_write(lead->dir, bytes, n, err) : ST_OK;
}

static enum status keep_succession(const struct lead *lead, struct err *err)
{
    const struct desired_kept kept = { .epoch = lead->succession.epoch };
    uint8_t *bytes;
    size_t n;
    enum status s;

    if (desired_pack_file(&lead->succession.desired, &kept, &bytes, &n) != ST_OK)
        return err_set(err, ST_NOMEM, "what a node keeps of the placements");
    s = lead_keep(lead, bytes, n, err);
    free(bytes);
    return s;
}

void lead_keep_or_warn(const struct lead *lead)
{
    struct err err;

    if (keep_succession(lead, &err) != ST_OK)
        log_warn("placements are not kept: %s", err.words);
}

void lead_tell(struct cluster *cluster, struct member *member)
{
    const struct lead *lead = cluster->lead;
    Wire__NodeMessage message = WIRE__NODE_MESSAGE__INIT;
    Wire__Roll roll = WIRE__ROLL__INIT;
    struct desired_packing *packing = NULL;

    roll.epoch = lead->seen.epoch;
    roll.leader = lead->seen.kind == LEADER_ELECTED ? (char *)lead->seen.leader : (char *)"";
    roll.is_voter = lead->council != NULL;
    roll.digest = lead_table(lead)->digest;
    if (member->roll.digest != roll.digest && member->roll.told_digest != roll.digest)
        packing = malloc(sizeof(*packing)); /* where there is none, the next change tells */
    if (packing) {
        desired_to_wire(lead_table(lead), packing);
        roll.state = &packing->wire;
        member->roll.told_digest = roll.digest;
    }
    message.body_case = WIRE__NODE_MESSAGE__BODY_ROLL;
    message.roll = &roll;
    if (wire__node_message__get_packed_size(&message) <= FRAME_MAX_BYTES)
        link_send_to(member, &message);
    else
        log_error("the placements are too long for a message to node '%s'", member->info.name);
    free(packing);
}

/* Voters hear of one another through the council. */
bool lead_is_told(const struct lead *lead, const struct member *m)
{
    return lead_hears(m) && !(lead->council && m->is_configured);
}

void lead_tell_all(struct cluster *cluster)
{
    for (size_t i = 0; i < cluster->n_members; i++)
        if (lead_is_told(cluster->lead, &cluster->members[i]))
            lead_tell(cluster, &cluster->members[i]);
}

const struct desired *lead_desired(const struct cluster *cluster)
{
    return lead_table(cluster->lead);
}

enum status lead_decide(struct cluster *cluster, const char *model, const uint8_t *value,
                        size_t n_value, uint64_t *ret_ticket, struct err *err)
{
    struct lead *lead = cluster->lead;
    enum status s;

    *ret_ticket = 0;
    if (lead->council) {
        s = council_propose(lead->council, model, value, n_value, ret_ticket, err);
        if (s == ST_OK)
            loop_timer_once(lead->timer, 0);
        return s;
    }
    s = succession_decide(&lead->succession, model, value, n_value, err);
    if (s != ST_OK)
        return s;
    lead_keep_or_warn(lead); /* a full disk is no reason not to serve */
    lead_tell_all(cluster);
    return ST_OK;
}

enum status lead_roll_receive(struct link *link, const Wire__Roll *roll, struct err *err)
{
    struct cluster *cluster = link->cluster;
    struct lead *lead = cluster->lead;
    struct member *member = link->member;
    bool is_changed = false;
    enum status s = ST_OK;

    if (roll->leader[0] && !text_is_name(roll->leader, NODE_NAME_MAX))
        return err_set(err, ST_FORMAT, "a message names a leader that cannot be");
    member->roll.epoch = roll->epoch;
    member->roll.is_voter = roll->is_voter != 0;
    member->roll.digest = roll->digest;
    memcpy(member->roll.leader, roll->leader, strlen(roll->leader) + 1);
    if (!lead->council)
        s = succession_receive(&lead->succession, roll, &is_changed, err);
    if (s == ST_FORMAT)
        return s;
    if (s != ST_OK)
        log_warn("what node '%s' tells of placements is not taken: %s", member->info.name,
                 err->words);
    if (is_changed)
        lead_keep_or_warn(lead);
    lead_refresh(cluster);
    if (is_changed)
        lead_tell_all(cluster);
    else if (member->roll.digest != lead_table(lead)->digest &&
             member->roll.told_digest != lead_table(lead)->digest && lead_is_told(lead, member))
        lead_tell(cluster, member);
    return ST_OK;
}
