/* SPDX-License-Identifier: Apache-2.0 */
/* tests/sim/check.c - what must hold after each event, and in the end. */
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

void check_event(struct sim *sim, uint32_t node)
{
    struct sim_node *n = &sim->nodes[node];
    const uint32_t incarnation = swim_self(n->swim).incarnation;

    if (incarnation < n->incarnation)
        sim_fail(sim, "node %u went back from incarnation %u to %u", node, n->incarnation,
                 incarnation);
    n->incarnation = incarnation;
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

void check_end(struct sim *sim)
{
    for (uint32_t i = 0; i < sim->n_nodes; i++)
        if (sim->nodes[i].is_up)
            check_views(sim, i);
}
