/* SPDX-License-Identifier: Apache-2.0 */
/* tests/sim/check.c - what must hold after each event, and in the end. */
#include <stdio.h>

#include "sim/sim.h"

enum {
    SETTLE_MS = 8000, /* without trouble, before a live node must not be declared dead any more */
};

static bool is_calm(const struct sim *sim)
{
    return sim->calm_ns != UINT64_MAX && sim->now_ns > sim->calm_ns + SETTLE_MS * NS_PER_MS;
}

static void check_death(struct sim *sim, uint32_t judge, uint32_t judged)
{
    const struct sim_node *n = &sim->nodes[judged];
    uint64_t took_ns;

    if (n->is_up) {
        if (sim->is_gentle || is_calm(sim))
            sim_fail(sim, "node %u declares node %u dead, which lives", judge, judged);
        return;
    }
    took_ns = sim->now_ns - n->down_ns;
    if (took_ns > sim->slowest_ns)
        sim->slowest_ns = took_ns;
    if (sim->death_within_ns > 0 && took_ns > sim->death_within_ns)
        sim_fail(sim, "node %u learns of the death of node %u only after %.3f s", judge, judged,
                 (double)took_ns / (double)NS_PER_S);
}

void check_verdict(struct sim *sim, uint32_t judge, uint32_t judged, enum swim_state was,
                   enum swim_state now)
{
    sim_trace(sim, "node %u: node %u was %s, is %s", judge, judged, swim_state_word(was),
              swim_state_word(now));
    if (now == SWIM_DEAD && was != SWIM_DEAD)
        check_death(sim, judge, judged);
    if (now == SWIM_DEAD && sim->unaware && sim->unaware[judged] > 0)
        sim->unaware[judged]--;
}

static void check_epoch(struct sim *sim, uint32_t node)
{
    struct sim_node *n = &sim->nodes[node];
    const struct election *e = council_election(n->council);

    if (e->epoch < n->epoch)
        sim_fail(sim, "node %u went back from epoch %llu to %llu", node,
                 (unsigned long long)n->epoch, (unsigned long long)e->epoch);
    n->epoch = e->epoch;
    if (e->is_born)
        n->is_disk_lost = false;
}

void check_event(struct sim *sim, uint32_t node)
{
    struct sim_node *n = &sim->nodes[node];
    const uint32_t incarnation = swim_self(n->swim).incarnation;

    if (incarnation < n->incarnation)
        sim_fail(sim, "node %u went back from incarnation %u to %u", node, n->incarnation,
                 incarnation);
    n->incarnation = incarnation;
    if (n->council)
        check_epoch(sim, node);
}

void check_leader(struct sim *sim, uint32_t node, uint64_t epoch, uint32_t leader)
{
    uint32_t *known;

    sim_trace(sim, "node %u, epoch %llu: leader %d", node, (unsigned long long)epoch,
              leader == NO_VOTER ? -1 : (int)leader);
    if (leader == NO_VOTER || epoch >= EPOCHS_MAX)
        return;
    known = &sim->leaders[epoch];
    sim->n_epochs += *known == 0;
    if (*known > 0 && *known != leader + 1)
        sim_fail(sim, "epoch %llu is led by node %u, says node %u, and by node %u",
                 (unsigned long long)epoch, leader, node, *known - 1);
    *known = leader + 1;
}

void check_decided(struct sim *sim, uint32_t node, uint64_t ticket, enum status status)
{
    struct sim_node *n = &sim->nodes[node];
    const uint32_t which = n->proposed[ticket % PROPOSALS_MAX];

    if (n->tickets[ticket % PROPOSALS_MAX] != ticket)
        sim_fail(sim, "node %u decides what nobody proposed", node);
    if (status != ST_OK)
        return;
    sim_trace(sim, "node %u decided %u", node, which);
    sim->proposed[which].is_decided = true;
    sim->n_decided++;
}

/* Everybody knows of everybody who lives, and of nobody else. */
static void check_views(struct sim *sim, uint32_t judge)
{
    for (uint32_t i = 0; i < sim->n_nodes && !sim->has_failed; i++) {
        const struct swim_id id = node_id(i);
        const enum swim_state state = swim_state_of(sim->nodes[judge].swim, &id);

        if (sim->nodes[i].is_up ? state != SWIM_ALIVE
                                : state == SWIM_ALIVE || state == SWIM_SUSPECT)
            sim_fail(sim, "in the end node %u takes node %u for %s, and it is %s", judge, i,
                     swim_state_word(state), sim->nodes[i].is_up ? "up" : "down");
    }
}

/* The voters that live have the records of the first of them. */
static void check_same_records(struct sim *sim, uint32_t node, uint32_t other)
{
    const struct desired *a = council_desired(sim->nodes[node].council);
    const struct desired *b = council_desired(sim->nodes[other].council);

    if (a->digest != b->digest || a->n != b->n)
        sim_fail(sim, "in the end nodes %u and %u want different placements", node, other);
}

/* What was decided once is there, or something newer is. */
static void check_decisions(struct sim *sim, uint32_t node)
{
    for (uint32_t i = 0; i < sim->n_proposed; i++) {
        const struct proposed *p = &sim->proposed[i];
        const struct desired_record *r;
        char model[16];

        if (!p->is_decided)
            continue;
        snprintf(model, sizeof(model), "model-%u", p->model);
        r = desired_find(council_desired(sim->nodes[node].council), model);
        if (!r || desired_version_compare(&r->version, &p->version) < 0)
            sim_fail(sim, "node %u lost decision %u", node, i);
    }
}

/* Those that live are a quorum and have their disks: one of them leads, all know
 * it, and all want the same. */
static void check_council(struct sim *sim)
{
    uint64_t up = 0;
    uint32_t first = NO_VOTER, leader = NO_VOTER;

    for (uint32_t i = 0; i < sim->n_voters; i++)
        if (sim->nodes[i].is_up && !sim->nodes[i].is_disk_lost)
            up |= 1ull << i;
    if (!election_is_quorum(up, sim->n_voters))
        return;
    for (uint32_t i = 0; i < sim->n_voters; i++) {
        const struct election *e =
            sim->nodes[i].council ? council_election(sim->nodes[i].council) : NULL;

        if (!e)
            continue;
        if (first == NO_VOTER) {
            first = i;
            leader = e->leader;
        }
        if (e->leader == NO_VOTER || e->leader != leader)
            sim_fail(sim, "in the end node %u takes %d for the leader, node %u takes %d", i,
                     e->leader == NO_VOTER ? -1 : (int)e->leader, first,
                     leader == NO_VOTER ? -1 : (int)leader);
        check_same_records(sim, i, first);
        check_decisions(sim, i);
    }
}

void check_members(struct sim *sim)
{
    for (uint32_t i = 0; i < sim->n_nodes; i++)
        if (sim->nodes[i].is_up)
            check_views(sim, i);
}

void check_end(struct sim *sim)
{
    check_members(sim);
    check_council(sim);
}
