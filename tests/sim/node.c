/* SPDX-License-Identifier: Apache-2.0 */
/* tests/sim/node.c - one node: the code of src/cluster, unchanged, between a clock and a network. */
#include <stdio.h>
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

static void send_datagram(void *arg, const struct swim_id *to, const struct swim_address *address,
                          const uint8_t *bytes, size_t n)
{
    const struct handle *h = arg;

    (void)to;
    sim_send(h->sim, EV_DATAGRAM, h->node, node_of_address(address), bytes, n);
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

static void send_message(void *arg, uint32_t to, const uint8_t *bytes, size_t n)
{
    const struct handle *h = arg;

    sim_send(h->sim, EV_MESSAGE, h->node, to, bytes, n);
}

/* Disks fail to write now and then; what was there stays. */
static enum status keep(void *arg, const uint8_t *bytes, size_t n, struct err *err)
{
    const struct handle *h = arg;
    struct sim_node *node = &h->sim->nodes[h->node];
    uint8_t *copy;

    if (!h->sim->is_gentle && !h->sim->is_over && sim_below(h->sim, 50) == 0)
        return err_set(err, ST_IO, "the disk of node %u is full", h->node);
    copy = malloc(n);
    if (!copy)
        abort();
    memcpy(copy, bytes, n);
    free(node->disk);
    node->disk = copy;
    node->n_disk = n;
    return ST_OK;
}

static void take_leader(void *arg, uint64_t epoch, uint32_t leader)
{
    const struct handle *h = arg;

    check_leader(h->sim, h->node, epoch, leader);
}

static void take_change(void *arg)
{
    (void)arg;
}

static void take_decided(void *arg, uint64_t ticket, enum status status)
{
    const struct handle *h = arg;

    check_decided(h->sim, h->node, ticket, status);
}

static const struct council_effects council_effects = { send_message, keep,         take_leader,
                                                        take_change,  take_decided, draw };

static void start_council(struct sim *sim, uint32_t node)
{
    struct sim_node *n = &sim->nodes[node];
    const struct council_options options = { .voters = sim->names,
                                             .n_voters = sim->n_voters,
                                             .self = sim->names[node],
                                             .params = election_params_default() };
    struct err err;

    if (council_new(&options, n->disk, n->n_disk, &council_effects, &n->handle,
                    node_clock(sim, node), &n->council, &err) != ST_OK)
        sim_fail(sim, "node %u does not start: %s", node, err.words);
    else
        sim_at(sim, sim->now_ns, EV_COUNCIL_TICK, node);
}

/* What the value of a placement says: which proposal it was. */
void node_propose(struct sim *sim, uint32_t node)
{
    struct sim_node *n = &sim->nodes[node];
    struct proposed *p = &sim->proposed[sim->n_proposed];
    const uint32_t which = sim->n_proposed;
    char model[16];
    uint64_t ticket;
    struct err err;

    if (!n->is_up || !n->council || which == PROPOSED_MAX || n->paused_until_ns > sim->now_ns)
        return;
    p->model = sim_below(sim, MODELS);
    p->is_placed = sim_below(sim, 3) > 0;
    snprintf(model, sizeof(model), "model-%u", p->model);
    if (council_propose(n->council, model, p->is_placed ? (const uint8_t *)&which : NULL,
                        sizeof(which), &ticket, &err) != ST_OK)
        return;
    p->version = desired_find(council_desired(n->council), model)->version;
    n->tickets[ticket % PROPOSALS_MAX] = ticket;
    n->proposed[ticket % PROPOSALS_MAX] = which;
    sim->n_proposed++;
    sim_trace(sim, "node %u proposes %u: %s %s", node, which, p->is_placed ? "place" : "unplace",
              model);
}

void node_lose_disk(struct sim *sim, uint32_t node)
{
    struct sim_node *n = &sim->nodes[node];

    sim_trace(sim, "node %u loses its disk", node);
    free(n->disk);
    n->disk = NULL;
    n->n_disk = 0;
    n->is_disk_lost = true;
    sim->n_disks_lost++;
    n->epoch = 0;
}

/* As it is when it starts now. */
static struct swim_member member_of(const struct sim *sim, uint32_t node)
{
    return (struct swim_member){ .id = node_id(node),
                                 .address = address_of(node),
                                 .state = SWIM_ALIVE,
                                 .incarnation = (uint32_t)(node_clock(sim, node) / NS_PER_S) };
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
    const struct swim_member self = member_of(sim, node);
    struct sim_node *n = &sim->nodes[node];
    struct err err;

    n->life++;
    n->is_up = true;
    n->paused_until_ns = 0;
    n->incarnation = self.incarnation;
    n->handle.sim = sim;
    n->handle.node = node;
    if (swim_new(&sim->params, &self, &effects, &n->handle, node_clock(sim, node), &n->swim,
                 &err) != ST_OK)
        abort();
    sim_trace(sim, "node %u starts", node);
    if (sim->n_nodes <= SMALL_MAX)
        join(sim, node);
    if (node < sim->n_voters)
        start_council(sim, node);
    sim_at(sim, sim->now_ns, EV_SWIM_TICK, node);
}

void node_stop(struct sim *sim, uint32_t node)
{
    struct sim_node *n = &sim->nodes[node];

    if (!n->is_up)
        return;
    sim_trace(sim, "node %u dies", node);
    n->is_up = false;
    sim->n_deaths++;
    n->down_ns = sim->now_ns;
    swim_free(n->swim);
    council_free(n->council);
    n->swim = NULL;
    n->council = NULL;
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
        const struct swim_member member = member_of(sim, i);

        if (i != node && swim_add(sim->nodes[node].swim, &member, node_clock(sim, node), &err))
            abort();
    }
}

/* A configured node that is not known is asked again, now and then. */
static void rejoin(struct sim *sim, uint32_t node)
{
    const uint32_t other = sim_below(sim, sim->n_nodes);
    const struct swim_id id = node_id(other);
    const struct swim_address address = address_of(other);

    if (other != node && swim_state_of(sim->nodes[node].swim, &id) == SWIM_ABSENT &&
        sim_below(sim, 10) == 0)
        swim_join(sim->nodes[node].swim, &address, node_clock(sim, node));
}

static void receive(struct sim *sim, const struct event *event, uint64_t clock_ns)
{
    struct sim_node *n = &sim->nodes[event->node];
    const struct swim_address from = address_of(event->from);
    struct err err;
    enum status s;

    if (event->kind == EV_DATAGRAM)
        s = swim_receive(n->swim, &from, event->bytes, event->n, clock_ns, &err);
    else
        s = council_receive(n->council, event->bytes, event->n, clock_ns, &err);
    if (s != ST_OK)
        sim_fail(sim, "node %u refuses what node %u sent: %s", event->node, event->from, err.words);
}

/* What an owner thinks that it knows is wrong as often as not, until all heals. */
static void hint(struct sim *sim, struct council *council, uint64_t clock_ns)
{
    const uint32_t what = sim_below(sim, 32);

    if (sim->calm_ns != UINT64_MAX)
        return;
    if (what == 0)
        council_all_up(council, clock_ns);
    else if (what == 1)
        council_peer_lost(council, sim_below(sim, sim->n_voters), clock_ns);
    else if (what <= 4)
        council_peer_up(council, sim_below(sim, sim->n_voters));
}

void node_event(struct sim *sim, struct event *event)
{
    struct sim_node *n = &sim->nodes[event->node];
    const uint64_t clock_ns = node_clock(sim, event->node);
    uint64_t wake_ns;

    if (event->kind == EV_SWIM_TICK) {
        wake_ns = swim_tick(n->swim, clock_ns);
        rejoin(sim, event->node);
        sim_at(sim, time_of_clock(sim, event->node, wake_ns), EV_SWIM_TICK, event->node);
    } else if (event->kind == EV_COUNCIL_TICK) {
        hint(sim, n->council, clock_ns);
        wake_ns = council_tick(n->council, clock_ns);
        sim_at(sim, time_of_clock(sim, event->node, wake_ns), EV_COUNCIL_TICK, event->node);
    } else {
        receive(sim, event, clock_ns);
    }
    check_event(sim, event->node);
}
