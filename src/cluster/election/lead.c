/* SPDX-License-Identifier: Apache-2.0 */
/* cluster/election/lead.c - who leads this cluster, and what it decided: the effects of election/.
 *
 * Three ways to a leader, by what is known of the nodes:
 *
 *   a list of two or more   a council of them elects it (election/council.h)
 *   no list                 the first alive leads (election/succession.h); so does a node alone
 *   not on the list         what the voters tell
 *
 * What is decided must be on disk before it counts, so the one small file that
 * the loop itself writes is this one: when an epoch begins, a model is placed or
 * unplaced for good, and a vote is given; never while tokens flow for their own sake.
 *
 * A cluster must not stand still because most of its list is switched off.
 * Where a council has no leader, and cannot have one soon, the first node
 * alive is its CARETAKER: requests are placed by it as by a leader, but it decides nothing, so
 * nothing of that outlasts the nodes' processes, and an elected leader takes over
 * what it finds.  Beside peers that know no epochs the first alive is caretaker, too,
 * as it is in their eyes.
 *
 * Callbacks of the council may not call it, so they only note what happened;
 * lead_refresh() acts on it afterwards.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "cluster/election/lead_priv.h"
#include "cluster/state/desired_file.h"
#include "cluster/state/desired_wire.h"

enum {
    CARETAKER_AFTER_MS = 500, /* too few voters are there; channels need so long at start */
    CARETAKER_LAST_MS = 1000, /* enough are, but some are newborn, or lists differ */
    CARETAKER_SAID_MS = 3000, /* a shorter one is no news */
    EPOCHS_SINCE = 3,         /* protocol */
};

bool lead_hears(const struct member *m)
{
    return m->link && m->link->is_up && m->link->protocol >= EPOCHS_SINCE;
}

/* A peer of an older version knows the first alive node as coordinator and nothing else. */
bool lead_is_mixed(const struct cluster *cluster)
{
    for (size_t i = 0; i < cluster->n_members; i++) {
        const struct member *m = &cluster->members[i];

        if (m->link && m->link->is_up && !lead_hears(m))
            return true;
    }
    return false;
}

const struct desired *lead_table(const struct lead *lead)
{
    return lead->council ? council_desired(lead->council) : &lead->succession.desired;
}

static uint64_t epoch_of(const struct lead *lead)
{
    return lead->council ? council_election(lead->council)->epoch : lead->succession.epoch;
}

static void take_leader(struct cluster_leadership *view, enum leadership_kind kind,
                        const struct member *m)
{
    view->kind = kind;
    memcpy(view->leader, m->info.name, sizeof(view->leader));
    view->is_local = m->info.is_local;
}

static uint64_t voters_alive(const struct cluster *cluster)
{
    uint64_t alive = 0;

    for (uint32_t i = 0; i < cluster->lead->n_voters; i++)
        alive |= (uint64_t)member_is_in_reach(&cluster->members[i]) << i;
    return alive;
}

static bool is_past(uint64_t since_ns, uint64_t ms, uint64_t now_ns)
{
    return since_ns > 0 && now_ns - since_ns >= ms * NS_PER_MS;
}

/* The voter that leads, as far as this node knows and can reach it.  NULL: nobody. */
static const struct member *elected(const struct cluster *cluster)
{
    const struct lead *lead = cluster->lead;
    const struct election *e = council_election(lead->council);

    if (e->leader == NO_VOTER || (e->leader == lead->self && !lead->has_beaten))
        return NULL;
    return member_is_in_reach(&cluster->members[e->leader]) ? &cluster->members[e->leader] : NULL;
}

static void look_at_council(struct cluster *cluster, uint64_t now_ns,
                            struct cluster_leadership *view)
{
    struct lead *lead = cluster->lead;
    const struct member *leader = elected(cluster);
    const bool is_quorum = election_is_quorum(voters_alive(cluster), lead->n_voters);

    if (leader)
        lead->leaderless_ns = lead->quorumless_ns = 0;
    else if (lead->leaderless_ns == 0)
        lead->leaderless_ns = now_ns;
    if (is_quorum)
        lead->quorumless_ns = 0;
    else if (!leader && lead->quorumless_ns == 0)
        lead->quorumless_ns = now_ns;
    view->epoch = epoch_of(lead);
    if (leader)
        take_leader(view, LEADER_ELECTED, leader);
    else if (is_past(lead->quorumless_ns, CARETAKER_AFTER_MS, now_ns) ||
             is_past(lead->leaderless_ns, CARETAKER_LAST_MS, now_ns))
        take_leader(view, LEADER_CARETAKER, member_first(cluster));
}

/* What the voters that are alive tell to a node that is none.  False: there are none. */
static bool look_at_voters(struct cluster *cluster, struct cluster_leadership *view)
{
    const struct member *best = NULL;
    const struct member *leader;

    for (size_t i = 0; i < cluster->n_members; i++) {
        const struct member *m = &cluster->members[i];

        if (member_is_in_reach(m) && m->roll.is_voter &&
            (!best || m->roll.epoch > best->roll.epoch ||
             (m->roll.epoch == best->roll.epoch && !best->roll.leader[0])))
            best = m;
    }
    if (!best)
        return false;
    leader = best->roll.leader[0] ? member_find(cluster, best->roll.leader) : NULL;
    view->epoch = best->roll.epoch;
    view->n_voters = 1; /* at least; their number is theirs to tell */
    if (leader && member_is_in_reach(leader))
        take_leader(view, LEADER_ELECTED, leader);
    return true;
}

static void look_for_first(struct cluster *cluster, struct cluster_leadership *view)
{
    struct lead *lead = cluster->lead;
    const struct member *first = member_first(cluster);

    if (succession_stand(&lead->succession,
                         first == cluster->self ? SUCCESSION_FIRST : SUCCESSION_LATER))
        lead_keep_or_warn(lead);
    view->epoch = lead->succession.epoch;
    take_leader(view, LEADER_ELECTED, first);
}

static void look(struct cluster *cluster, uint64_t now_ns, struct cluster_leadership *view)
{
    struct lead *lead = cluster->lead;

    *view = (struct cluster_leadership){ .n_voters = lead->council ? lead->n_voters : 0 };
    if (lead->council)
        look_at_council(cluster, now_ns, view);
    else if (!look_at_voters(cluster, view))
        look_for_first(cluster, view);
    if (lead_is_mixed(cluster))
        take_leader(view, LEADER_CARETAKER, member_first(cluster));
}

/* A node that nobody can join leads itself, which is no news. */
static void log_change(const struct cluster *cluster, const struct cluster_leadership *view)
{
    if (cluster->n_members == 1 && !cluster->allows_joining)
        return;
    if (view->kind == LEADER_ELECTED)
        log_info("node '%s' leads, in epoch %llu", view->leader, (unsigned long long)view->epoch);
    else if (view->kind == LEADER_NONE)
        log_info("nobody leads");
}

/* While nodes start one after another there is a caretaker for a moment, which is no news. */
static void say_caretaker(struct lead *lead, uint64_t now_ns)
{
    if (lead->seen.kind != LEADER_CARETAKER || lead->is_caretaker_said ||
        now_ns < lead->seen.since_ns + CARETAKER_SAID_MS * NS_PER_MS)
        return;
    lead->is_caretaker_said = true;
    log_warn("nobody can be elected to lead: node '%s' looks after requests meanwhile",
             lead->seen.leader);
}

void lead_refresh(struct cluster *cluster)
{
    struct lead *lead = cluster->lead;
    const uint64_t now_ns = clock_ns();
    struct cluster_leadership view;

    look(cluster, now_ns, &view);
    view.since_ns = lead->seen.since_ns;
    if (view.kind == lead->seen.kind && view.epoch == lead->seen.epoch &&
        strcmp(view.leader, lead->seen.leader) == 0) {
        say_caretaker(lead, now_ns);
        return;
    }
    view.since_ns = now_ns;
    lead->is_caretaker_said = false;
    if (view.kind != lead->seen.kind || strcmp(view.leader, lead->seen.leader) != 0 ||
        view.is_local)
        log_change(cluster, &view);
    lead->seen = view;
    lead_tell_all(cluster);
    cluster_changed(cluster); /* those that wait for a leader are looked at, too */
}

void cluster_leadership(const struct cluster *cluster, struct cluster_leadership *ret)
{
    *ret = cluster->lead->seen;
}

struct member *lead_member(struct cluster *cluster)
{
    const struct lead *lead = cluster->lead;

    return lead->seen.kind == LEADER_NONE ? NULL : member_find(cluster, lead->seen.leader);
}

enum leadership_kind lead_kind(const struct cluster *cluster)
{
    return cluster->lead->seen.kind;
}

uint64_t lead_epoch(const struct cluster *cluster)
{
    return cluster->lead->seen.epoch;
}

bool lead_is_here(const struct cluster *cluster)
{
    return cluster->lead->seen.kind != LEADER_NONE && cluster->lead->seen.is_local;
}

bool lead_has_quorum(const struct cluster *cluster)
{
    const struct lead *lead = cluster->lead;

    return !lead->council || election_is_quorum(voters_alive(cluster), lead->n_voters);
}

enum status lead_missing(const struct cluster *cluster, struct err *err)
{
    const struct lead *lead = cluster->lead;

    if (!lead_has_quorum(cluster))
        return err_set(err, ST_PEER,
                       "nobody leads: %d of the %u configured nodes are alive, more than half of "
                       "them, or half with the first, have to be",
                       __builtin_popcountll(voters_alive(cluster)), lead->n_voters);
    return err_set(err, ST_PEER, "nobody leads the cluster yet");
}

enum status lead_check(const struct cluster *cluster, uint64_t epoch, const char *from,
                       struct err *err)
{
    const struct cluster_leadership *seen = &cluster->lead->seen;

    if (strcmp(from, cluster->self->info.name) == 0 || lead_is_mixed(cluster))
        return ST_OK;
    switch (election_check(seen->epoch, epoch,
                           seen->kind != LEADER_NONE && strcmp(from, seen->leader) == 0)) {
    case COMMAND_OVER:
        return err_set(err, ST_DENIED,
                       "node '%s' commands in epoch %llu, which is over: it is epoch %llu", from,
                       (unsigned long long)epoch, (unsigned long long)seen->epoch);
    case COMMAND_OF_STRANGER:
        return err_set(
            err, ST_DENIED,
            "node '%s' commands in epoch %llu, but node '%s' does not know that it leads", from,
            (unsigned long long)epoch, cluster->self->info.name);
    case COMMAND_OBEYED: break;
    }
    return ST_OK;
}

bool lead_all_up(const struct cluster *cluster)
{
    const uint32_t n = cluster->lead->n_voters;

    return voters_alive(cluster) == (n < VOTERS_MAX ? (1ull << n) - 1 : UINT64_MAX);
}

void lead_member_up(struct cluster *cluster, struct member *member)
{
    member->roll = (struct member_roll){ 0 };
    if (lead_is_told(cluster->lead, member))
        lead_tell(cluster, member);
    lead_refresh(cluster);
    if (!cluster->lead->council)
        return;
    if (member->is_configured)
        council_peer_up(cluster->lead->council, (uint32_t)(member - cluster->members));
    loop_timer_once(cluster->lead->timer, 0);
}

void lead_member_lost(struct cluster *cluster, struct member *member)
{
    struct lead *lead = cluster->lead;

    member->roll = (struct member_roll){ 0 };
    if (lead->council && member->is_configured)
        council_peer_lost(lead->council, (uint32_t)(member - cluster->members), clock_ns());
    lead_refresh(cluster);
    if (lead->council)
        loop_timer_once(lead->timer, 0);
}

static enum status begin_succession(struct lead *lead, const struct buf *kept, struct err *err)
{
    struct desired_kept found = { 0 };
    enum status s;

    if (kept->len == 0)
        return ST_OK;
    s = desired_unpack_file((const uint8_t *)kept->data, kept->len, &lead->succession.desired,
                            &found, err);
    lead->succession.epoch = found.epoch;
    return s;
}

static enum status begin(struct cluster *cluster, const struct buf *kept, struct err *err)
{
    return cluster->lead->n_voters >= 2 ? lead_begin_council(cluster, kept, err)
                                        : begin_succession(cluster->lead, kept, err);
}

/* A damaged file is what a lost disk is: the others know what was in it. */
static enum status begin_anew(struct cluster *cluster, struct err *err)
{
    const struct buf nothing = { 0 };
    struct err aside;

    log_error("%s: it is put aside as %s/council.damaged, and this node begins without", err->words,
              cluster->lead->dir);
    succession_release(&cluster->lead->succession);
    if (desired_file_set_aside(cluster->lead->dir, &aside) != ST_OK)
        log_warn("it cannot be put aside: %s", aside.words);
    return begin(cluster, &nothing, err);
}

enum status lead_start(struct cluster *cluster, const struct cluster_options *options,
                       struct err *err)
{
    struct lead *lead = cluster->lead = calloc(1, sizeof(*lead));
    struct buf kept = { 0 };
    enum status s = ST_OK;

    if (!lead)
        return err_set(err, ST_NOMEM, "the election of a leader");
    lead->n_voters = (uint32_t)options->n_peers;
    if (options->state_dir && strlen(options->state_dir) >= sizeof(lead->dir))
        return err_set(err, ST_RANGE, "the path '%s' is too long", options->state_dir);
    if (options->state_dir) {
        memcpy(lead->dir, options->state_dir, strlen(options->state_dir) + 1);
        s = desired_file_read(lead->dir, &kept, err);
    }
    if (s == ST_OK)
        s = begin(cluster, &kept, err);
    if (s == ST_FORMAT || (s == ST_RANGE && lead->dir[0]))
        s = begin_anew(cluster, err);
    buf_release(&kept);
    if (s != ST_OK)
        return s;
    if (lead->council)
        loop_timer_once(lead->timer, 0);
    lead_refresh(cluster);
    return ST_OK;
}

void lead_free(struct lead *lead)
{
    if (!lead)
        return;
    council_free(lead->council);
    succession_release(&lead->succession);
    loop_timer_free(lead->timer);
    free(lead);
}
