/* SPDX-License-Identifier: Apache-2.0 */
/* cluster/membership/judge.c - what becomes of a member as its signs of life change.
 *
 *            Hello                    channel ends, but datagrams answer
 *   dead ------------> alive, has a channel ------------> alive, has none
 *    ^                   |        ^                          |    |
 *    |     verdict.h     |        `--- it is called again ---'    |
 *    +-------------------+----------------------------------------+
 *                             nobody listens there, verdict.h, another boot
 *
 * What is placed already outlives a channel that is back within CHANNEL_BACK_MS, since
 * runners and gateways have connections of their own; what both ends know is
 * compared by the Hello of the new one (state/announce.c).  What is being placed does not: a
 * message of it may be lost.
 */
#include "base/clock.h"
#include "base/log.h"
#include "cluster/cluster_priv.h"
#include "cluster/membership/watch.h"

/* What it sent before it died does not count when it lives again. */
static void forget_retired(struct cluster *cluster, const struct member *member)
{
    for (struct link *l = cluster->links; l; l = l->next)
        if (l->is_retired && l->member == member)
            l->member = NULL;
}

void member_lost(struct cluster *cluster, struct member *member, const char *words)
{
    if (!member->info.is_alive)
        return;
    forget_retired(cluster, member);
    member->info.is_alive = member->is_cut_off = false;
    member->info.rtt_ms = 0;
    member->cut_ns = 0;
    log_with(LOG_WARN, "a node is lost", log_text("peer", member->info.name),
             log_text("error", words));
    lead_member_lost(cluster, member);
    asks_coordinator_lost(cluster, member->info.name);
    instances_member_lost(cluster, member->info.name);
    cluster_changed(cluster);
}

void member_channel_ended(struct cluster *cluster, struct member *member, uint64_t lived_ms,
                          const char *words)
{
    const struct signs signs = { .datagrams = watch_sign(cluster, member) };

    if (verdict_of(&signs) == VERDICT_DEAD) {
        member_lost(cluster, member, words);
        return;
    }
    log_with(LOG_INFO, "the channel to a node ended, its datagrams answer",
             log_text("peer", member->info.name), log_text("error", words));
    member->cut_ns = clock_ns();
    member->info.rtt_ms = 0;
    watch_doubt(cluster, member);
    member->backoff_ms = BACKOFF_ALIVE_MS;
    member->attempt_at_ns = lived_ms >= SHORT_LIVED_MS ? 0 : deadline_after_ms(SHORT_LIVED_MS);
    links_call(cluster);
    cluster_changed(cluster);
}

void member_channel_back(struct cluster *cluster, struct member *member)
{
    if (member->cut_ns == 0)
        return;
    log_with(LOG_INFO, "a node has a channel again", log_text("peer", member->info.name));
    member->cut_ns = 0;
    member->is_cut_off = false;
    asks_coordinator_lost(cluster, member->info.name);
    instances_channel_lost(cluster, member->info.name, CHANNEL_REPLACED);
    cluster_changed(cluster);
}

static void channel_missed(struct cluster *cluster, struct member *member)
{
    log_with(LOG_WARN, "a node answers datagrams, but no channel to it can be had",
             log_text("peer", member->info.name));
    member->is_cut_off = true;
    lead_refresh(cluster);
    asks_coordinator_lost(cluster, member->info.name);
    instances_channel_lost(cluster, member->info.name, CHANNEL_GONE);
}

static void judge(struct cluster *cluster, struct member *m, uint64_t now_ns)
{
    const bool has_channel = m->link && m->link->is_up;
    const struct signs signs = {
        .datagrams = watch_sign(cluster, m),
        .has_channel = has_channel,
        .silent_ms = has_channel && now_ns > m->link->heard_ns
                         ? (now_ns - m->link->heard_ns) / NS_PER_MS
                         : 0,
    };

    switch (verdict_of(&signs)) {
    case VERDICT_DEAD:
        if (has_channel)
            way_doubted(m, m->link->host);
        if (has_channel)
            link_drop(m->link, "its peer is dead");
        member_lost(cluster, m,
                    has_channel ? "it is silent" : "it has no channel, and answers nobody");
        break;
    case VERDICT_CALL_ANEW:
        way_doubted(m, m->link->host);
        link_lose(m->link, "it is silent");
        break;
    case VERDICT_ALIVE:
        if (m->cut_ns > 0 && !m->is_cut_off && now_ns > m->cut_ns + CHANNEL_BACK_MS * NS_PER_MS)
            channel_missed(cluster, m);
        break;
    }
}

void members_judge(struct cluster *cluster, uint64_t now_ns)
{
    beats_notice_stall(cluster, now_ns);
    for (size_t i = 0; i < cluster->n_members; i++)
        if (cluster->members[i].info.is_alive && !cluster->members[i].info.is_local)
            judge(cluster, &cluster->members[i], now_ns);
}
