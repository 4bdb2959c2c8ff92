/* SPDX-License-Identifier: Apache-2.0 */
/* cluster/membership/swim_learn.c - records that come in, suspicion, objection.
 *
 * replaces() is the order of records that swim.h states.  Two suspicions of the
 * same incarnation are joined: the suspecters of both, the longer silence.
 */
#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "cluster/membership/swim_priv.h"

uint32_t suspecter_of(const struct swim_id *id)
{
    uint32_t n;

    memcpy(&n, id->bytes + SWIM_ID_BYTES - sizeof(n), sizeof(n));
    return n;
}

struct suspicion *suspicion_of(const struct swim *swim, uint32_t slot)
{
    for (uint32_t i = 0; i < swim->n_suspicions; i++)
        if (swim->suspicions[i].slot == slot)
            return &swim->suspicions[i];
    return NULL;
}

static void suspicion_drop(struct swim *swim, uint32_t slot)
{
    struct suspicion *suspicion = suspicion_of(swim, slot);

    if (suspicion)
        *suspicion = swim->suspicions[--swim->n_suspicions];
}

static struct suspicion *suspicion_add(struct swim *swim, uint32_t slot, uint64_t since_ns)
{
    struct suspicion *grown;

    if (swim->n_suspicions == swim->suspicions_capacity) {
        const uint32_t capacity = swim->suspicions_capacity ? swim->suspicions_capacity * 2 : 8;

        grown = realloc(swim->suspicions, capacity * sizeof(*grown));
        if (!grown)
            return NULL;
        swim->suspicions = grown;
        swim->suspicions_capacity = capacity;
    }
    swim->suspicions[swim->n_suspicions] = (struct suspicion){ .slot = slot, .since_ns = since_ns };
    return &swim->suspicions[swim->n_suspicions++];
}

/* Whether `n` is a suspecter that `suspicion` did not have. */
static bool suspicion_join(struct suspicion *suspicion, uint32_t n)
{
    for (uint32_t i = 0; i < suspicion->n_suspecters; i++)
        if (suspicion->suspecters[i] == n)
            return false;
    if (suspicion->n_suspecters == SWIM_SUSPECTERS_MAX)
        return false;
    suspicion->suspecters[suspicion->n_suspecters++] = n;
    return true;
}

uint64_t swim_silence_ns(const struct swim_params *params, size_t n_members)
{
    uint64_t silence_ms = params->silence_ms;

    /* An objection reaches REFUTE_FANOUT members at once; gossip, which several
     * times as many hear each period, needs this long for the others. */
    if (n_members > SWIM_REFUTE_FANOUT)
        silence_ms +=
            (uint64_t)ceil(0.75 * log2((double)n_members / SWIM_REFUTE_FANOUT)) * params->period_ms;
    return silence_ms * NS_PER_MS;
}

/* Lifeguard, section IV-B: from the longest to the shortest with the logarithm
 * of the confirmations.  Nobody else to confirm: the shortest. */
uint64_t suspicion_end_ns(const struct swim *swim, const struct suspicion *suspicion)
{
    const uint32_t n_others = swim->n_alive > 2 ? swim->n_alive - 2 : 0;
    const uint32_t wanted = n_others < CONFIRMATIONS ? n_others : CONFIRMATIONS;
    const uint64_t shortest = swim_silence_ns(&swim->params, swim->n_alive);
    const uint64_t longest = shortest * swim->params.lone_factor;
    const uint32_t n = suspicion->n_suspecters > 0 ? suspicion->n_suspecters - 1 : 0;

    if (n >= wanted)
        return suspicion->since_ns + shortest;
    return suspicion->since_ns + longest -
           (uint64_t)((double)(longest - shortest) * log(n + 1.0) / log(wanted + 1.0));
}

static bool is_counted(uint8_t state)
{
    return state == SWIM_ALIVE || state == SWIM_SUSPECT;
}

static void move(struct swim *swim, uint32_t slot, enum swim_state to, uint64_t now_ns)
{
    struct entry *e = &swim->entries[slot];
    const enum swim_state was = e->state;
    struct swim_member member;

    if (to != SWIM_SUSPECT)
        suspicion_drop(swim, slot);
    if (is_counted(e->state) && !is_counted((uint8_t)to))
        swim->n_alive--;
    if (!is_counted(e->state) && is_counted((uint8_t)to))
        swim->n_alive++;
    if (!is_counted((uint8_t)to))
        e->at_ns = now_ns;
    e->state = (uint8_t)to;
    queue_push(swim, slot);
    member = entry_member(e);
    swim->effects->event(swim->arg, &member, was);
}

/* Since when it may have been silent, as far as this node knows. */
static uint64_t silent_since(const struct swim *swim, uint32_t slot, uint64_t since_ns)
{
    const uint64_t answered_ns = swim->entries[slot].at_ns;

    return answered_ns > since_ns ? answered_ns : since_ns;
}

static void take_suspicion(struct swim *swim, uint32_t slot, const struct record *record,
                           uint64_t now_ns)
{
    const uint64_t silent_ns = record->silent_ms * NS_PER_MS;
    const uint64_t since_ns = silent_since(swim, slot, now_ns > silent_ns ? now_ns - silent_ns : 0);
    struct suspicion *suspicion = suspicion_of(swim, slot);
    bool is_news = false;

    if (!suspicion)
        suspicion = suspicion_add(swim, slot, since_ns);
    if (!suspicion) { /* no memory: it is thought well of here */
        if (swim->entries[slot].state == SWIM_SUSPECT)
            move(swim, slot, SWIM_ALIVE, now_ns);
        return;
    }
    if (since_ns < suspicion->since_ns)
        suspicion->since_ns = since_ns;
    for (uint32_t i = 0; i < record->n_suspecters; i++)
        is_news |= suspicion_join(suspicion, record->suspecters[i]);
    if (swim->entries[slot].state != SWIM_SUSPECT)
        move(swim, slot, SWIM_SUSPECT, now_ns);
    else if (is_news)
        queue_push(swim, slot);
}

void suspect(struct swim *swim, uint32_t slot, uint64_t since_ns, uint64_t now_ns)
{
    struct record record = record_of(swim, slot, now_ns);
    struct suspicion *suspicion;

    if (!is_counted(record.member.state))
        return;
    record.silent_ms = (uint32_t)((now_ns - silent_since(swim, slot, since_ns)) / NS_PER_MS);
    record.n_suspecters = 1;
    record.suspecters[0] = suspecter_of(&swim->entries[0].id);
    take_suspicion(swim, slot, &record, now_ns);
    suspicion = suspicion_of(swim, slot);
    if (suspicion)
        suspicion->is_own = true;
}

void answered(struct swim *swim, uint32_t slot, uint64_t now_ns)
{
    struct suspicion *suspicion;

    if (!is_counted(swim->entries[slot].state))
        return;
    swim->entries[slot].at_ns = now_ns;
    suspicion = suspicion_of(swim, slot);
    if (suspicion)
        suspicion->since_ns = now_ns;
}

void suspicions_tick(struct swim *swim, uint64_t now_ns)
{
    for (uint32_t i = 0; i < swim->n_suspicions;) {
        const struct suspicion *suspicion = &swim->suspicions[i];

        if (now_ns < suspicion_end_ns(swim, suspicion)) {
            i++;
            continue;
        }
        move(swim, suspicion->slot, SWIM_DEAD, now_ns); /* drops it: the last takes its place */
    }
}

/* Somebody thinks that this node is not well. */
static void object(struct swim *swim, uint64_t now_ns)
{
    uint32_t slots[SWIM_REFUTE_FANOUT];
    size_t n;

    health_worse(swim);
    queue_push(swim, 0);
    if (now_ns < swim->burst_ns)
        return;
    swim->burst_ns = now_ns + swim->params.period_ms * NS_PER_MS;
    n = table_pick(swim, NO_SLOT, SWIM_REFUTE_FANOUT, slots);
    for (size_t i = 0; i < n; i++)
        swim_send(swim, WIRE__SWIM__KIND__GOSSIP, 0, slots[i], NO_SLOT,
                  &swim->entries[slots[i]].address, now_ns);
}

static void learn_of_self(struct swim *swim, const struct swim_member *m, uint64_t now_ns)
{
    struct entry *self = &swim->entries[0];

    if (swim->is_leaving || m->incarnation < self->incarnation || m->incarnation == UINT32_MAX)
        return;
    if (m->state != SWIM_ALIVE) {
        self->incarnation = m->incarnation + 1;
        object(swim, now_ns);
    } else if (m->incarnation > self->incarnation) { /* of this node's earlier life */
        self->incarnation = m->incarnation + 1;
        queue_push(swim, 0);
    }
}

static bool replaces(const struct swim_member *m, const struct entry *e)
{
    return e->state == SWIM_ABSENT || m->incarnation > e->incarnation ||
           (m->incarnation == e->incarnation && m->state > e->state);
}

static void take_member(struct swim *swim, uint32_t slot, const struct record *record,
                        uint64_t now_ns)
{
    const struct swim_member *m = &record->member;
    struct entry *e = &swim->entries[slot];

    if (m->incarnation > e->incarnation)
        suspicion_drop(swim, slot); /* of the incarnation before */
    e->incarnation = m->incarnation;
    if (m->state == SWIM_ALIVE)
        e->address = m->address;
    if (m->state == SWIM_SUSPECT)
        take_suspicion(swim, slot, record, now_ns);
    else
        move(swim, slot, m->state, now_ns);
}

void learn(struct swim *swim, const struct record *record, uint64_t now_ns)
{
    const struct swim_member *m = &record->member;
    struct err err;
    uint32_t slot;

    if (memcmp(&m->id, &swim->entries[0].id, sizeof(m->id)) == 0) {
        learn_of_self(swim, m, now_ns);
        return;
    }
    slot = table_find(swim, &m->id);
    if (slot == NO_SLOT && (m->state == SWIM_DEAD || m->state == SWIM_LEFT))
        return;
    if (slot == NO_SLOT && table_add(swim, m, now_ns, &slot, &err) != ST_OK) {
        log_warn("a member cannot be followed: %s", err.words);
        return;
    }
    if (replaces(m, &swim->entries[slot]))
        take_member(swim, slot, record, now_ns);
    else if (m->state == SWIM_SUSPECT && swim->entries[slot].state == SWIM_SUSPECT &&
             m->incarnation == swim->entries[slot].incarnation)
        take_suspicion(swim, slot, record, now_ns);
}
