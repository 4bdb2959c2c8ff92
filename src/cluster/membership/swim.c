/* SPDX-License-Identifier: Apache-2.0 */
/* cluster/membership/swim.c - new, free, tick, receive. */
#include "cluster/membership/swim.h"

#include <stdlib.h>
#include <string.h>

#include "cluster/membership/swim_priv.h"

static const char *const words[] = {
    [SWIM_ABSENT] = "absent", [SWIM_ALIVE] = "alive", [SWIM_SUSPECT] = "suspect",
    [SWIM_DEAD] = "dead",     [SWIM_LEFT] = "left",
};

const char *swim_state_word(enum swim_state state)
{
    return words[state];
}

/* Each member of a small cluster is pinged by each other every period or two.
 * The first unanswered ping comes soon after a death, so silence_ms leaves
 * 300 ms of 2 s for it and for telling; and it leaves a node that stood still
 * for 1.5 s the 200 ms that its objection needs. */
struct swim_params swim_params_lan(uint64_t cluster)
{
    return (struct swim_params){
        .cluster = cluster,
        .period_ms = 200,
        .n_probes = 3,
        .n_relays = 3,
        .direct_ms = 100,
        .probe_ms = 400,
        .silence_ms = 1700,
        .lone_factor = 2,
        .forget_ms = 3600 * 1000,
        .revive_ms = 1000,
    };
}

static enum status check(const struct swim_params *p, struct err *err)
{
    if (p->period_ms == 0 || p->n_probes == 0 || p->direct_ms == 0 || p->probe_ms <= p->direct_ms ||
        p->silence_ms == 0 || p->lone_factor == 0 || p->revive_ms == 0)
        return err_set(err, ST_RANGE, "a parameter of the membership protocol is zero");
    return ST_OK;
}

enum status swim_new(const struct swim_params *params, const struct swim_member *self,
                     const struct swim_effects *effects, void *arg, uint64_t now_ns,
                     struct swim **ret_swim, struct err *err)
{
    struct swim *swim;
    uint32_t slot;
    enum status s = check(params, err);

    if (s != ST_OK)
        return s;
    swim = calloc(1, sizeof(*swim));
    if (!swim)
        return err_set(err, ST_NOMEM, "the membership protocol");
    swim->params = *params;
    swim->effects = effects;
    swim->arg = arg;
    for (size_t i = 0; i < PROBES_MAX; i++)
        swim->probes[i].slot = NO_SLOT;
    for (size_t i = 0; i < RELAYED_MAX; i++)
        swim->relayed[i].slot = NO_SLOT;
    s = table_add(swim, self, now_ns, &slot, err);
    if (s != ST_OK) {
        swim_free(swim);
        return s;
    }
    swim->entries[slot].state = SWIM_ALIVE;
    swim->n_alive = 1;
    /* nodes that start together do not ping together */
    swim->period_ns = now_ns + swim_random(swim, params->period_ms) * NS_PER_MS;
    swim->wake_ns = swim->period_ns;
    *ret_swim = swim;
    return ST_OK;
}

void swim_free(struct swim *swim)
{
    if (!swim)
        return;
    free(swim->entries);
    free(swim->sorted);
    free(swim->order);
    free(swim->queue.slots);
    free(swim->suspicions);
    free(swim);
}

void swim_join(struct swim *swim, const struct swim_address *address, uint64_t now_ns)
{
    swim_send(swim, WIRE__SWIM__KIND__PING, ++swim->sequence, NO_SLOT, NO_SLOT, address, now_ns);
    pull_start(swim, address, now_ns);
}

enum status swim_add(struct swim *swim, const struct swim_member *member, uint64_t now_ns,
                     struct err *err)
{
    uint32_t slot;
    enum status s;

    if (table_find(swim, &member->id) != NO_SLOT)
        return ST_OK;
    s = table_add(swim, member, now_ns, &slot, err);
    if (s != ST_OK)
        return s;
    swim->entries[slot].state = SWIM_ALIVE;
    swim->n_alive++;
    return ST_OK;
}

void swim_leave(struct swim *swim, uint64_t now_ns)
{
    uint32_t slots[SWIM_REFUTE_FANOUT];
    size_t n;

    swim->is_leaving = true;
    swim->entries[0].state = SWIM_LEFT;
    queue_push(swim, 0);
    n = table_pick(swim, NO_SLOT, SWIM_REFUTE_FANOUT, slots);
    for (size_t i = 0; i < n; i++)
        swim_send(swim, WIRE__SWIM__KIND__GOSSIP, 0, slots[i], NO_SLOT,
                  &swim->entries[slots[i]].address, now_ns);
}

/* This node itself stood still: what it did not hear meanwhile proves nothing. */
static void move_deadlines(struct swim *swim, uint64_t late_ns)
{
    health_worse(swim);
    for (size_t i = 0; i < PROBES_MAX; i++) {
        struct probe *p = &swim->probes[i];

        p->sent_ns += late_ns;
        p->ask_ns += p->ask_ns > 0 ? late_ns : 0;
        p->fail_ns += late_ns;
    }
    for (size_t i = 0; i < RELAYED_MAX; i++)
        swim->relayed[i].nack_ns += late_ns;
    for (uint32_t i = 0; i < swim->n_suspicions; i++)
        swim->suspicions[i].since_ns += late_ns;
}

static void notice_stall(struct swim *swim, uint64_t now_ns)
{
    const uint64_t late_ns = now_ns > swim->wake_ns ? now_ns - swim->wake_ns : 0;

    if (late_ns < STALL_MS * NS_PER_MS)
        return;
    move_deadlines(swim, late_ns);
    swim->wake_ns = now_ns;
}

static uint64_t when_to_wake(const struct swim *swim, uint64_t now_ns)
{
    uint64_t wake_ns = now_ns + TICK_MAX_MS * NS_PER_MS;
    const uint64_t probes_ns = probes_wake_ns(swim);

    if (probes_ns < wake_ns)
        wake_ns = probes_ns;
    if (swim->period_ns < wake_ns)
        wake_ns = swim->period_ns;
    return wake_ns > now_ns ? wake_ns : now_ns + 1;
}

uint64_t swim_tick(struct swim *swim, uint64_t now_ns)
{
    notice_stall(swim, now_ns);
    probes_tick(swim, now_ns);
    suspicions_tick(swim, now_ns);
    pull_tick(swim, now_ns);
    chase_tick(swim, now_ns);
    if (!swim->is_leaving)
        revive_tick(swim, now_ns);
    if (now_ns >= swim->period_ns) {
        if (!swim->is_leaving)
            probes_period(swim, now_ns);
        swim->period_ns = now_ns + swim->params.period_ms * NS_PER_MS * (swim->health + 1);
    }
    swim->wake_ns = when_to_wake(swim, now_ns);
    return swim->wake_ns;
}

static void learn_all(struct swim *swim, const struct swim_address *from, uint64_t now_ns)
{
    const struct datagram *in = &swim->in;
    const enum swim_state was = swim_state_of(swim, &in->from.member.id);

    learn(swim, &in->from, now_ns);
    for (size_t i = 0; i < in->n_records; i++)
        learn(swim, &in->records[i], now_ns);
    if (was == SWIM_DEAD && swim_state_of(swim, &in->from.member.id) == SWIM_ALIVE)
        pull_start(swim, from, now_ns); /* it may know others that were dead here */
}

enum status swim_receive(struct swim *swim, const struct swim_address *from, const uint8_t *bytes,
                         size_t n, uint64_t now_ns, struct err *err)
{
    struct datagram *in = &swim->in;
    const enum status s = datagram_unpack(swim, bytes, n, in, err);

    if (s != ST_OK)
        return s;
    if (in->has_to && memcmp(&in->to, &swim->entries[0].id, sizeof(in->to)) != 0)
        return ST_OK; /* for the one that had this address before */
    notice_stall(swim, now_ns);
    learn_all(swim, from, now_ns);
    switch (in->kind) {
    case WIRE__SWIM__KIND__PING:
        swim_send(swim, WIRE__SWIM__KIND__ACK, in->sequence, table_find(swim, &in->from.member.id),
                  NO_SLOT, from, now_ns);
        break;
    case WIRE__SWIM__KIND__ACK: probe_ack(swim, now_ns); break;
    case WIRE__SWIM__KIND__ASK: probe_ask(swim, from, now_ns); break;
    case WIRE__SWIM__KIND__NACK: probe_nack(swim); break;
    case WIRE__SWIM__KIND__PULL: send_page(swim, from, now_ns); break;
    case WIRE__SWIM__KIND__PAGE: pull_page(swim, now_ns); break;
    case WIRE__SWIM__KIND__GOSSIP: break;
    case WIRE__SWIM__KIND__NONE:
    case _WIRE__SWIM__KIND_IS_INT_SIZE:
    default: return err_set(err, ST_FORMAT, "a datagram of an unknown kind");
    }
    return ST_OK;
}

size_t swim_members(const struct swim *swim, struct swim_member *ret_members, size_t capacity)
{
    size_t n = 0;

    for (uint32_t i = 0; i < swim->n_entries; i++) {
        if (swim->entries[i].state == SWIM_ABSENT)
            continue;
        if (n < capacity)
            ret_members[n] = entry_member(&swim->entries[i]);
        n++;
    }
    return n;
}

enum swim_state swim_state_of(const struct swim *swim, const struct swim_id *id)
{
    const uint32_t slot = table_find(swim, id);

    return slot == NO_SLOT ? SWIM_ABSENT : swim->entries[slot].state;
}

uint32_t swim_incarnation_of(const struct swim *swim, const struct swim_id *id)
{
    const uint32_t slot = table_find(swim, id);

    return slot == NO_SLOT ? 0 : swim->entries[slot].incarnation;
}

struct swim_member swim_self(const struct swim *swim)
{
    return entry_member(&swim->entries[0]);
}
