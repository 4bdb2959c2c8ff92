/* SPDX-License-Identifier: Apache-2.0 */
/* tests/sim/scale.c - thousands of nodes: time until a death is known everywhere, and traffic.
 *
 * All nodes know each other at the start.  Traffic is counted while nothing
 * happens, then while DEATHS nodes die one after another.
 */
#include <stdio.h>
#include <stdlib.h>

#include "sim/sim.h"

enum { DEATHS = 5, QUIET_MS = 3000, BETWEEN_MS = 1000, KNOWN_WITHIN_MS = 10000 };

static void start_all(struct sim *sim, double loss)
{
    sim->is_gentle = true;
    sim->weather.loss = loss;
    for (uint32_t i = 0; i < sim->n_nodes; i++) {
        sim->nodes[i].offset_ns = (uint64_t)sim_below(sim, 1000000) * NS_PER_S;
        sim->nodes[i].rate = 0.999 + 0.002 * sim_unit(sim);
    }
    for (uint32_t i = 0; i < sim->n_nodes; i++) {
        node_start(sim, i);
        node_know_all(sim, i);
    }
}

static void run_for(struct sim *sim, uint64_t ms)
{
    const uint64_t end_ns = sim->now_ns + ms * NS_PER_MS;

    while (!sim->has_failed && sim_step(sim, end_ns))
        ;
}

static void tell_traffic(struct sim *sim, const char *when, uint64_t ms)
{
    uint64_t bytes = 0, datagrams = 0, most = 0;

    for (uint32_t i = 0; i < sim->n_nodes; i++) {
        struct sim_node *n = &sim->nodes[i];

        bytes += n->sent_bytes;
        datagrams += n->n_sent;
        most = n->sent_bytes > most ? n->sent_bytes : most;
        n->sent_bytes = n->n_sent = 0;
    }
    printf("%s: each node sends %.0f bytes/s in %.1f datagrams/s; the busiest %.0f bytes/s\n", when,
           (double)bytes * 1000 / (double)ms / sim->n_nodes,
           (double)datagrams * 1000 / (double)ms / sim->n_nodes, (double)most * 1000 / (double)ms);
}

static void let_die(struct sim *sim, uint32_t node)
{
    node_stop(sim, node);
    for (uint32_t i = 0; i < sim->n_nodes; i++)
        sim->unaware[node] += sim->nodes[i].is_up;
}

/* A node that died itself before it learned of another's death counts no more. */
static bool is_known(const struct sim *sim, uint32_t node)
{
    return sim->unaware[node] < DEATHS;
}

bool scale_run(uint64_t seed, uint32_t n_nodes, double loss, char *ret_words, size_t capacity)
{
    struct sim sim;

    sim_open(&sim, seed, n_nodes);
    sim.death_within_ns = KNOWN_WITHIN_MS * NS_PER_MS;
    sim.unaware = calloc(n_nodes, sizeof(*sim.unaware));
    if (!sim.unaware)
        abort();
    start_all(&sim, loss);
    run_for(&sim, QUIET_MS);
    tell_traffic(&sim, "quiet", QUIET_MS);
    for (uint32_t i = 0; i < DEATHS; i++) {
        let_die(&sim, (uint32_t)((uint64_t)n_nodes * i / DEATHS));
        run_for(&sim, BETWEEN_MS);
    }
    run_for(&sim, KNOWN_WITHIN_MS - BETWEEN_MS);
    tell_traffic(&sim, "with deaths", DEATHS * BETWEEN_MS + KNOWN_WITHIN_MS - BETWEEN_MS);
    for (uint32_t i = 0; i < n_nodes; i++)
        if (!is_known(&sim, i))
            sim_fail(&sim, "%u nodes do not know that node %u is dead", sim.unaware[i], i);
    printf("%u nodes, %.0f %% loss: a death is known everywhere within %.2f s\n", n_nodes,
           100 * loss, (double)sim.slowest_ns / (double)NS_PER_S);
    snprintf(ret_words, capacity, "%s", sim.words);
    sim_close(&sim);
    return !sim.has_failed;
}
