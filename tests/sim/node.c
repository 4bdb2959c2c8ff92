/* SPDX-License-Identifier: Apache-2.0 */
/* tests/sim/node.c - one node: the code of src/cluster, unchanged, between a clock and a network. */
#include <stdlib.h>
#include <string.h>

#include "sim/sim.h"

enum { PORT = 52416 };

/* Ids are spread, so that their order is not the nodes' order. */
struct swim_id node_id(uint32_t node)
{
    struct swim_id id = { { 0 } };
    const uint32_t mixed = node * 0x9e3779b1u;

    memcpy(id.bytes, &mixed, sizeof(mixed));
    memcpy(id.bytes + SWIM_ID_BYTES - sizeof(node), &node, sizeof(node));
    return id;
}

uint32_t node_of_id(const struct swim_id *id)
{
    uint32_t node;

    memcpy(&node, id->bytes + SWIM_ID_BYTES - sizeof(node), sizeof(node));
    return node;
}

static struct swim_address address_of(uint32_t node)
{
    struct swim_address address = { .ip = { [10] = 0xff, [11] = 0xff, 10 }, .port = PORT };

    address.ip[13] = (uint8_t)(node >> 16);
    address.ip[14] = (uint8_t)(node >> 8);
    address.ip[15] = (uint8_t)node;
    return address;
}

static uint32_t node_of_address(const struct swim_address *a)
{
    return (uint32_t)(a->ip[13] << 16 | a->ip[14] << 8 | a->ip[15]);
}

uint64_t node_clock(const struct sim *sim, uint32_t node)
{
    const struct sim_node *n = &sim->nodes[node];

    return n->offset_ns + (uint64_t)((double)sim->now_ns * n->rate);
}

/* When a node's clock shows `clock_ns`. */
static uint64_t time_of_clock(const struct sim *sim, uint32_t node, uint64_t clock_ns)
{
    const struct sim_node *n = &sim->nodes[node];

    return (uint64_t)((double)(clock_ns - n->offset_ns) / n->rate) + 1;
}

static void send_datagram(void *arg, const struct swim_address *to, const uint8_t *bytes, size_t n)
{
    const struct handle *h = arg;

    sim_send(h->sim, h->node, node_of_address(to), bytes, n);
}

static void take_verdict(void *arg, const struct swim_member *member, enum swim_state was)
{
    const struct handle *h = arg;

    check_verdict(h->sim, h->node, node_of_id(&member->id), was, member->state);
}

static uint64_t draw(void *arg)
{
    const struct handle *h = arg;

    return sim_random(h->sim);
}

static const struct swim_effects effects = { send_datagram, take_verdict, draw };

static struct swim_member member_of(uint32_t node)
{
    return (struct swim_member){ .id = node_id(node),
                                 .address = address_of(node),
                                 .state = SWIM_ALIVE };
}

/* It joins through two others at most, as a configured node would. */
static void join(struct sim *sim, uint32_t node)
{
    for (uint32_t i = 1; i <= 2 && i < sim->n_nodes; i++) {
        const struct swim_address seed = address_of((node + i) % sim->n_nodes);

        swim_join(sim->nodes[node].swim, &seed, node_clock(sim, node));
    }
}

void node_start(struct sim *sim, uint32_t node)
{
    const struct swim_member self = member_of(node);
    struct sim_node *n = &sim->nodes[node];
    struct err err;

    n->life++;
    n->is_up = true;
    n->paused_until_ns = 0;
    n->incarnation = 0;
    n->handle.sim = sim;
    n->handle.node = node;
    if (swim_new(&sim->params, &self, &effects, &n->handle, node_clock(sim, node), &n->swim,
                 &err) != ST_OK)
        abort();
    sim_trace(sim, "node %u starts", node);
    if (sim->n_nodes <= SMALL_MAX)
        join(sim, node);
    sim_at(sim, sim->now_ns, EV_SWIM_TICK, node);
}

void node_stop(struct sim *sim, uint32_t node)
{
    struct sim_node *n = &sim->nodes[node];

    if (!n->is_up)
        return;
    sim_trace(sim, "node %u dies", node);
    n->is_up = false;
    n->down_ns = sim->now_ns;
    swim_free(n->swim);
    n->swim = NULL;
}

void node_pause(struct sim *sim, uint32_t node, uint64_t for_ns)
{
    sim_trace(sim, "node %u stands still for %.3f s", node, (double)for_ns / (double)NS_PER_S);
    sim->nodes[node].paused_until_ns = sim->now_ns + for_ns;
}

void node_know_all(struct sim *sim, uint32_t node)
{
    struct err err;

    for (uint32_t i = 0; i < sim->n_nodes; i++) {
        const struct swim_member member = member_of(i);

        if (i != node && swim_add(sim->nodes[node].swim, &member, node_clock(sim, node), &err))
            abort();
    }
}

/* A configured node is asked again until somebody is there. */
static void rejoin(struct sim *sim, uint32_t node)
{
    if (swim_members(sim->nodes[node].swim, NULL, 0) < 2 && sim_below(sim, 10) == 0)
        join(sim, node);
}

void node_event(struct sim *sim, struct event *event)
{
    struct sim_node *n = &sim->nodes[event->node];
    const uint64_t clock_ns = node_clock(sim, event->node);
    struct swim_address from;
    struct err err;

    if (event->kind == EV_SWIM_TICK) {
        const uint64_t wake_ns = swim_tick(n->swim, clock_ns);

        rejoin(sim, event->node);
        sim_at(sim, time_of_clock(sim, event->node, wake_ns), EV_SWIM_TICK, event->node);
    } else {
        from = address_of(event->from);
        if (swim_receive(n->swim, &from, event->bytes, event->n, clock_ns, &err) != ST_OK)
            sim_fail(sim, "node %u refuses what node %u sent: %s", event->node, event->from,
                     err.words);
    }
    check_event(sim, event->node);
}
