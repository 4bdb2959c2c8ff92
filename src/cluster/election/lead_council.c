/* SPDX-License-Identifier: Apache-2.0 */
/* cluster/election/lead_council.c - the council of the configured nodes: its messages, timer and disk. */
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "cluster/election/lead_priv.h"

static void on_send(void *arg, uint32_t to, const uint8_t *bytes, size_t n)
{
    struct cluster *cluster = arg;
    struct member *member = &cluster->members[to];
    Wire__NodeMessage message = WIRE__NODE_MESSAGE__INIT;

    if (!lead_hears(member))
        return;
    message.body_case = WIRE__NODE_MESSAGE__BODY_COUNCIL;
    message.council.data = (uint8_t *)bytes;
    message.council.len = n;
    if (wire__node_message__get_packed_size(&message) <= FRAME_MAX_BYTES)
        link_send(member->link, &message);
    else
        log_error("the placements are too long for a message to voter '%s'", member->info.name);
}

static enum status on_keep(void *arg, const uint8_t *bytes, size_t n, struct err *err)
{
    const struct cluster *cluster = arg;

    return lead_keep(cluster->lead, bytes, n, err);
}

static void on_leader(void *arg, uint64_t epoch, uint32_t leader)
{
    struct cluster *cluster = arg;

    (void)epoch;
    if (leader != cluster->lead->self)
        cluster->lead->has_beaten = false;
    loop_timer_once(cluster->lead->timer, 0);
}

static void on_changed(void *arg)
{
    struct cluster *cluster = arg;

    loop_timer_once(cluster->lead->timer, 0);
    cluster->lead->is_news = true;
}

static void on_decided(void *arg, uint64_t ticket, enum status status)
{
    place_decided(arg, ticket, status);
    unplace_decided(arg, ticket, status);
}

static uint64_t on_random(void *arg)
{
    (void)arg;
    return random_u64();
}

static const struct council_effects council_effects = {
    .send = on_send,
    .keep = on_keep,
    .leader = on_leader,
    .changed = on_changed,
    .decided = on_decided,
    .random = on_random,
};

/* A leader counts once it has told so: what it commands then comes after that. */
static void on_timer(void *arg)
{
    struct cluster *cluster = arg;
    struct lead *lead = cluster->lead;
    const struct election *e = council_election(lead->council);
    const bool led = e->role == ELECTION_LEADER;
    const uint64_t now_ns = clock_ns();
    uint64_t wake_ns;

    if (lead_all_up(cluster))
        council_all_up(lead->council, now_ns);
    wake_ns = council_tick(lead->council, now_ns);
    lead->has_beaten = led && e->role == ELECTION_LEADER;
    if (e->role == ELECTION_LEADER && !lead->has_beaten)
        wake_ns = now_ns;
    loop_timer_once(lead->timer, (wake_ns - now_ns + NS_PER_MS - 1) / NS_PER_MS);
    if (lead->is_news)
        lead_tell_all(cluster);
    lead->is_news = false;
    lead_refresh(cluster);
}

void lead_council_receive(struct link *link, const uint8_t *bytes, size_t n)
{
    struct cluster *cluster = link->cluster;
    struct lead *lead = cluster->lead;
    const uint64_t now_ns = clock_ns();
    struct err err;

    if (!lead->council || !link->member->is_configured)
        return;
    if (council_receive(lead->council, bytes, n, now_ns, &err) == ST_OK) {
        lead_refresh(cluster);
        if (lead->seen.kind == LEADER_NONE) /* what it brought may let this node stand */
            loop_timer_once(lead->timer, 0);
        return;
    }
    if (now_ns < lead->warn_after_ns)
        return;
    lead->warn_after_ns = now_ns + WARN_AGAIN_MS * NS_PER_MS;
    log_warn("node '%s' and this one cannot elect a leader together: %s; give both the same list "
             "of nodes",
             link->member->info.name, err.words);
}

enum status lead_begin_council(struct cluster *cluster, const struct buf *kept, struct err *err)
{
    struct lead *lead = cluster->lead;
    const char *names[VOTERS_MAX];
    const struct council_options options = { .voters = names,
                                             .n_voters = lead->n_voters,
                                             .self = cluster->self->info.name,
                                             .params = election_params_default() };

    if (!lead->timer && loop_timer_new(cluster->loop, on_timer, cluster, &lead->timer) != ST_OK)
        return err_set(err, ST_NOMEM, "the timer of an election");
    for (uint32_t i = 0; i < lead->n_voters; i++)
        names[i] = cluster->members[i].info.name;
    lead->self = (uint32_t)(cluster->self - cluster->members);
    return council_new(&options, (const uint8_t *)kept->data, kept->len, &council_effects, cluster,
                       clock_ns(), &lead->council, err);
}
