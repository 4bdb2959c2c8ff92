/* SPDX-License-Identifier: Apache-2.0 */
/* cluster/membership/swim_probe.c - pings, relays, and what becomes of them.
 *
 *   sent --ack--> done, health better
 *     |  direct_ms
 *     v
 *   relays asked, pinged again --ack, own or relayed--> done, health better
 *     |  probe_ms (a relay that heard nothing says so: nack)
 *     v
 *   failed: suspect it; health worse, and for each relay that did not even nack
 */
#include "cluster/membership/swim_priv.h"

/* A node that is not well waits longer for answers, but a suspect always has
 * half of the silence left to object. */
static uint64_t probe_ns(const struct swim *swim)
{
    const uint64_t ms = (uint64_t)swim->params.probe_ms * (swim->health + 1);
    const uint64_t most_ms = swim->params.silence_ms / 2;

    return (ms < most_ms ? ms : most_ms) * NS_PER_MS;
}

void health_worse(struct swim *swim)
{
    if (swim->health < HEALTH_WORST)
        swim->health++;
}

static void health_better(struct swim *swim)
{
    if (swim->health > 0)
        swim->health--;
}

static bool is_probed(const struct swim *swim, uint32_t slot)
{
    for (size_t i = 0; i < PROBES_MAX; i++)
        if (swim->probes[i].slot == slot)
            return true;
    return false;
}

static struct probe *free_probe(struct swim *swim)
{
    for (size_t i = 0; i < PROBES_MAX; i++)
        if (swim->probes[i].slot == NO_SLOT)
            return &swim->probes[i];
    return NULL;
}

static void ping(struct swim *swim, uint32_t slot, uint32_t sequence, uint64_t now_ns)
{
    swim_send(swim, WIRE__SWIM__KIND__PING, sequence, slot, NO_SLOT, &swim->entries[slot].address,
              now_ns);
}

/* One of a probe's pings, counted: what is lost of them tells how good the link is. */
static void ping_counted(struct swim *swim, const struct probe *p, uint64_t now_ns)
{
    struct entry *e = &swim->entries[p->slot];

    if (e->probe_sequence != p->sequence)
        e->n_probe_open = 0;
    e->probe_sequence = p->sequence;
    e->n_probe_open++;
    e->n_pings++;
    ping(swim, p->slot, p->sequence, now_ns);
}

static void probe_start(struct swim *swim, uint32_t slot, uint64_t now_ns)
{
    struct probe *p = is_probed(swim, slot) ? NULL : free_probe(swim);

    if (!p)
        return;
    *p = (struct probe){ .slot = slot,
                         .sequence = ++swim->sequence,
                         .sent_ns = now_ns,
                         .ask_ns = now_ns +
                                   probe_ns(swim) * swim->params.direct_ms / swim->params.probe_ms,
                         .fail_ns = now_ns + probe_ns(swim) };
    ping_counted(swim, p, now_ns);
}

void swim_doubt(struct swim *swim, const struct swim_id *id, uint64_t now_ns)
{
    const uint32_t slot = table_find(swim, id);

    if (slot != NO_SLOT && slot != 0 && swim->entries[slot].state == SWIM_ALIVE)
        probe_start(swim, slot, now_ns);
}

/* Suspects that this node found silent itself: the sooner they hear of it, the
 * sooner they can object.  Their time does not wait for this node's health. */
static void chase(struct swim *swim, uint64_t now_ns)
{
    const uint32_t n = swim->n_suspicions;
    const uint32_t start = swim_random(swim, n);
    uint32_t n_chased = 0;

    for (uint32_t i = 0; i < n && n_chased < CHASES_MAX; i++) {
        const struct suspicion *suspicion = &swim->suspicions[(start + i) % n];

        if (!suspicion->is_own)
            continue;
        ping(swim, suspicion->slot, ++swim->sequence, now_ns);
        n_chased++;
    }
}

void chase_tick(struct swim *swim, uint64_t now_ns)
{
    if (now_ns < swim->chase_ns)
        return;
    chase(swim, now_ns);
    swim->chase_ns = now_ns + swim->params.direct_ms * NS_PER_MS / 2;
}

/* The two sides of a network that was cut find each other through this. */
void revive_tick(struct swim *swim, uint64_t now_ns)
{
    uint32_t slot;

    if (now_ns < swim->revive_ns)
        return;
    swim->revive_ns = now_ns + swim->params.revive_ms * NS_PER_MS;
    slot = table_next_dead(swim);
    if (slot == NO_SLOT)
        return;
    if (now_ns - swim->entries[slot].at_ns > swim->params.forget_ms * NS_PER_MS)
        swim->entries[slot].state = SWIM_ABSENT;
    else
        ping(swim, slot, ++swim->sequence, now_ns);
}

void probes_period(struct swim *swim, uint64_t now_ns)
{
    const uint32_t n_probes = swim->params.n_probes * (swim->n_alive <= FEW ? 2 : 1);

    for (uint32_t i = 0; i < n_probes && i + 1 < swim->n_alive; i++) {
        const uint32_t slot = table_next_to_ping(swim);

        if (slot != NO_SLOT)
            probe_start(swim, slot, now_ns);
    }
}

static void ask_relays(struct swim *swim, struct probe *p, uint64_t now_ns)
{
    uint32_t relays[PROBES_MAX];
    const size_t wanted = swim->params.n_relays < PROBES_MAX ? swim->params.n_relays : PROBES_MAX;
    const size_t n = table_pick(swim, p->slot, wanted, relays);

    p->ask_ns = 0;
    p->n_asked = (uint32_t)n;
    for (size_t i = 0; i < n; i++)
        send_ask(swim, p->sequence, relays[i], p->slot, now_ns);
    ping_counted(swim, p, now_ns);
}

static void probe_fail(struct swim *swim, struct probe *p, uint64_t now_ns)
{
    const uint32_t slot = p->slot;

    p->slot = NO_SLOT;
    health_worse(swim);
    for (uint32_t i = p->n_nacks; i < p->n_asked; i++)
        health_worse(swim);
    suspect(swim, slot, p->sent_ns, now_ns);
}

void probes_tick(struct swim *swim, uint64_t now_ns)
{
    for (size_t i = 0; i < PROBES_MAX; i++) {
        struct probe *p = &swim->probes[i];

        if (p->slot == NO_SLOT)
            continue;
        if (now_ns >= p->fail_ns)
            probe_fail(swim, p, now_ns);
        else if (p->ask_ns > 0 && now_ns >= p->ask_ns)
            ask_relays(swim, p, now_ns);
    }
    for (size_t i = 0; i < RELAYED_MAX; i++) {
        struct relayed *r = &swim->relayed[i];

        if (r->slot == NO_SLOT || now_ns < r->nack_ns)
            continue;
        swim_send(swim, WIRE__SWIM__KIND__NACK, r->asker_sequence, NO_SLOT, NO_SLOT, &r->asker,
                  now_ns);
        r->slot = NO_SLOT;
    }
}

/* A peer asks for a ping to the target of swim->in.  With RELAYED_MAX under way
 * it gets no answer, as from a relay that is overloaded. */
void probe_ask(struct swim *swim, const struct swim_address *asker, uint64_t now_ns)
{
    const uint32_t slot = table_find(swim, &swim->in.target.member.id);

    if (slot == NO_SLOT || slot == 0)
        return;
    for (size_t i = 0; i < RELAYED_MAX; i++) {
        struct relayed *r = &swim->relayed[i];

        if (r->slot != NO_SLOT)
            continue;
        *r = (struct relayed){ .slot = slot,
                               .sequence = ++swim->sequence,
                               .asker_sequence = swim->in.sequence,
                               .asker = *asker,
                               .nack_ns = now_ns + swim->params.direct_ms * NS_PER_MS };
        ping(swim, slot, r->sequence, now_ns);
        return;
    }
}

static void probe_done(struct swim *swim, uint32_t sequence, uint64_t now_ns)
{
    for (size_t i = 0; i < PROBES_MAX; i++) {
        struct probe *p = &swim->probes[i];

        if (p->slot == NO_SLOT || p->sequence != sequence)
            continue;
        answered(swim, p->slot, now_ns);
        p->slot = NO_SLOT;
        health_better(swim);
    }
}

static void relay_done(struct swim *swim, uint32_t sequence, uint64_t now_ns)
{
    for (size_t i = 0; i < RELAYED_MAX; i++) {
        struct relayed *r = &swim->relayed[i];

        if (r->slot == NO_SLOT || r->sequence != sequence)
            continue;
        /* what it said of itself goes along: it may be an objection */
        swim_send(swim, WIRE__SWIM__KIND__ACK, r->asker_sequence, NO_SLOT, r->slot, &r->asker,
                  now_ns);
        r->slot = NO_SLOT;
    }
}

/* swim->in answers a ping of this node, or one that a relay sent for it. */
void probe_ack(struct swim *swim, uint64_t now_ns)
{
    const uint32_t slot = table_find(swim, &swim->in.from.member.id);
    const uint32_t sequence = swim->in.sequence;

    if (slot != NO_SLOT && slot != 0) {
        struct entry *e = &swim->entries[slot];

        if (e->n_probe_open > 0 && e->probe_sequence == sequence) {
            e->n_probe_open--;
            e->n_pongs++;
        }
        answered(swim, slot, now_ns);
    }
    probe_done(swim, sequence, now_ns);
    relay_done(swim, sequence, now_ns);
}

void swim_pings(const struct swim *swim, const struct swim_id *id, uint64_t *ret_pings,
                uint64_t *ret_pongs)
{
    const uint32_t slot = table_find(swim, id);

    *ret_pings = slot != NO_SLOT ? swim->entries[slot].n_pings : 0;
    *ret_pongs = slot != NO_SLOT ? swim->entries[slot].n_pongs : 0;
}

void probe_nack(struct swim *swim)
{
    for (size_t i = 0; i < PROBES_MAX; i++) {
        struct probe *p = &swim->probes[i];

        if (p->slot != NO_SLOT && p->sequence == swim->in.sequence && p->n_nacks < p->n_asked)
            p->n_nacks++;
    }
}

uint64_t probes_wake_ns(const struct swim *swim)
{
    uint64_t wake_ns = UINT64_MAX;

    for (size_t i = 0; i < PROBES_MAX; i++) {
        const struct probe *p = &swim->probes[i];
        const uint64_t at = p->ask_ns > 0 ? p->ask_ns : p->fail_ns;

        if (p->slot != NO_SLOT && at < wake_ns)
            wake_ns = at;
    }
    for (size_t i = 0; i < RELAYED_MAX; i++)
        if (swim->relayed[i].slot != NO_SLOT && swim->relayed[i].nack_ns < wake_ns)
            wake_ns = swim->relayed[i].nack_ns;
    return wake_ns;
}
