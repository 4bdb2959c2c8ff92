/* SPDX-License-Identifier: Apache-2.0 */
/* tests/sim/chaos.c - what happens when: drawn from the seed.
 *
 * A quarter of the seeds lose 10 % of all datagrams, a quarter let nodes stand
 * still for up to 1.5 s; in both nodes die, and none that lives may be declared
 * dead.  In the others everything happens: nodes die and come back, stand still
 * for long, are cut off one by one, one way or in groups; datagrams are lost,
 * doubled and late.  Then all heals, and after a while all must agree.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "sim/sim.h"

enum {
    NODES_LEAST = 2,
    NODES_SPREAD = 11,
    START_WITHIN_MS = 500,
    HEALED_MS = 45000,
    GENTLE_PAUSE_MS = 1500,
};

static uint64_t drawn_ms(struct sim *sim, uint32_t least_ms, uint32_t most_ms)
{
    return (least_ms + sim_below(sim, most_ms - least_ms + 1)) * NS_PER_MS;
}

static uint32_t n_up(const struct sim *sim)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < sim->n_nodes; i++)
        n += sim->nodes[i].is_up;
    return n;
}

static void happen_again(struct sim *sim, uint32_t mean_ms)
{
    const double wait_ms = -log(1 - sim_unit(sim)) * mean_ms;

    sim_at(sim, sim->now_ns + (uint64_t)(wait_ms * (double)NS_PER_MS), EV_HAPPEN, 0);
}

static void die(struct sim *sim, uint32_t node, uint32_t least_ms, uint32_t most_ms)
{
    if (n_up(sim) < 2)
        return;
    node_stop(sim, node);
    sim_at(sim, sim->now_ns + drawn_ms(sim, least_ms, most_ms), EV_RESTART, node);
}

static void stand_still(struct sim *sim, uint32_t node, uint32_t least_ms, uint32_t most_ms)
{
    if (sim->nodes[node].is_up && sim->nodes[node].paused_until_ns < sim->now_ns)
        node_pause(sim, node, drawn_ms(sim, least_ms, most_ms));
}

static void cut_in_groups(struct sim *sim)
{
    const uint32_t n_groups = 2 + sim_below(sim, 2);

    sim_trace(sim, "the network is cut in %u", n_groups);
    for (uint32_t i = 0; i < sim->n_nodes; i++)
        sim->nodes[i].group = sim_below(sim, n_groups);
}

static void cut_one_way(struct sim *sim)
{
    const uint32_t from = sim_below(sim, sim->n_nodes), to = sim_below(sim, sim->n_nodes);

    sim_trace(sim, "nothing goes from node %u to node %u", from, to);
    sim->blocked[from] |= 1ull << to;
}

static void change_weather(struct sim *sim)
{
    sim->weather.loss = 0.4 * sim_unit(sim);
    sim->weather.duplicate = 0.2 * sim_unit(sim);
    sim->weather.delay_max_ns = drawn_ms(sim, 1, 300);
    sim_trace(sim, "weather: %.0f %% lost, up to %.0f ms", 100 * sim->weather.loss,
              (double)sim->weather.delay_max_ns / (double)NS_PER_MS);
}

static void heal_network(struct sim *sim)
{
    sim_trace(sim, "the network heals");
    for (uint32_t i = 0; i < sim->n_nodes; i++)
        sim->nodes[i].group = 0;
    memset(sim->blocked, 0, sizeof(sim->blocked));
    sim->weather = (struct weather){ .delay_min_ns = 50000, .delay_max_ns = 2 * NS_PER_MS };
}

/* Disks are lost only while voters with theirs stay a quorum, and the first
 * voter's, whose vote counts more among an even number, only among an odd one. */
static void lose_disk(struct sim *sim, uint32_t node)
{
    uint64_t kept = 0;

    if (node >= sim->n_voters || (node == 0 && sim->n_voters % 2 == 0) ||
        sim->nodes[node].paused_until_ns > sim->now_ns)
        return;
    for (uint32_t i = 0; i < sim->n_voters; i++)
        if (i != node && !sim->nodes[i].is_disk_lost && sim->nodes[i].n_disk > 0)
            kept |= 1ull << i;
    if (!election_is_quorum(kept, sim->n_voters))
        return;
    node_stop(sim, node);
    node_lose_disk(sim, node);
    sim_at(sim, sim->now_ns + drawn_ms(sim, 100, 5000), EV_RESTART, node);
}

static void ask_leaders(struct sim *sim)
{
    for (uint32_t i = 0; i < sim->n_voters; i++)
        node_propose(sim, i);
}

static void happen_in_storm(struct sim *sim)
{
    const uint32_t node = sim_below(sim, sim->n_nodes);

    switch (sim_below(sim, 9)) {
    case 0:
    case 1: die(sim, node, 100, 12000); break;
    case 2: stand_still(sim, node, 50, 6000); break;
    case 3: cut_in_groups(sim); break;
    case 4: cut_one_way(sim); break;
    case 5: change_weather(sim); break;
    case 6: lose_disk(sim, node); break;
    default: heal_network(sim); break;
    }
    happen_again(sim, 1000);
}

/* Deaths last until all know of them; so everything that is seen of a node
 * that lives is seen of a node that is well. */
static void happen_gently(struct sim *sim)
{
    const uint32_t node = sim_below(sim, sim->n_nodes);

    if (sim->weather.loss == 0 && sim_below(sim, 4) > 0)
        stand_still(sim, node, 50, GENTLE_PAUSE_MS);
    else if (n_up(sim) == sim->n_nodes)
        die(sim, node, 12000, 20000);
    happen_again(sim, 3000);
}

void chaos_happen(struct sim *sim)
{
    if (sim->is_over)
        return;
    ask_leaders(sim);
    if (sim->is_gentle)
        happen_gently(sim);
    else
        happen_in_storm(sim);
}

static void begin(struct sim *sim)
{
    const uint32_t kind = (uint32_t)(sim->seed % 4);

    sim->is_gentle = kind < 2;
    sim->calm_ns = UINT64_MAX;
    if (kind == 0) {
        sim->weather.loss = 0.1;
        sim->weather.duplicate = 0.02;
    }
    for (uint32_t i = 0; i < sim->n_nodes; i++) {
        sim->nodes[i].offset_ns = (uint64_t)sim_below(sim, 1000000) * NS_PER_S;
        sim->nodes[i].rate = 0.99 + 0.02 * sim_unit(sim);
        sim_at(sim, sim->now_ns + drawn_ms(sim, 0, START_WITHIN_MS), EV_RESTART, i);
    }
    sim_at(sim, sim->now_ns + drawn_ms(sim, 5000, 6000), EV_HAPPEN, 0);
}

/* All is well again, but for one node that may stay dead. */
static void heal(struct sim *sim)
{
    const bool one_stays = n_up(sim) > 1 && sim_below(sim, 2) == 0;
    const uint32_t dead = one_stays ? sim_below(sim, sim->n_nodes) : UINT32_MAX;

    sim->is_over = true;
    sim->calm_ns = sim->now_ns;
    heal_network(sim);
    for (uint32_t i = 0; i < sim->n_nodes; i++) {
        if (sim->nodes[i].paused_until_ns > sim->calm_ns)
            sim->calm_ns = sim->nodes[i].paused_until_ns;
        if (i != dead && !sim->nodes[i].is_up && !sim->is_gentle)
            node_start(sim, i);
    }
    if (one_stays && !sim->is_gentle)
        node_stop(sim, dead);
}

static void add_up(const struct sim *sim, struct chaos_sums *sums)
{
    sums->n_events += sim->n_events;
    sums->n_deaths += sim->n_deaths;
    sums->n_epochs += sim->n_epochs;
    sums->n_decided += sim->n_decided;
    sums->n_disks_lost += sim->n_disks_lost;
}

bool chaos_run(uint64_t seed, uint64_t n_events, bool is_traced, struct chaos_sums *sums,
               char *ret_words, size_t capacity)
{
    struct sim sim;

    sim_open(&sim, seed, NODES_LEAST + (uint32_t)(seed / 4 % NODES_SPREAD));
    sim.is_traced = is_traced;
    begin(&sim);
    while (sim.n_events < n_events && !sim.has_failed)
        (void)sim_step(&sim, UINT64_MAX);
    heal(&sim);
    for (const uint64_t end_ns = sim.now_ns + HEALED_MS * NS_PER_MS; !sim.has_failed;)
        if (!sim_step(&sim, end_ns))
            break;
    if (!sim.has_failed)
        check_end(&sim);
    if (is_traced)
        printf("a death was known after %.3f s at the latest\n", (double)sim.slowest_ns / 1e9);
    snprintf(ret_words, capacity, "%s", sim.words);
    add_up(&sim, sums);
    sim_close(&sim);
    return !sim.has_failed;
}
