/* SPDX-License-Identifier: Apache-2.0 */
/* tests/sim/world.c - time, the network, what nodes suffer.
 *
 * Events wait in a binary heap by (time, order of making), so equal times have
 * one order.  What is due at a node that stands still is put off until it goes
 * on, in the same order.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/sim.h"

enum { VOTERS_IN_SIM = 7 };

/* splitmix64: Steele, Lea, Flood 2014, "Fast splittable pseudorandom number generators". */
uint64_t sim_random(struct sim *sim)
{
    uint64_t z = sim->random += 0x9e3779b97f4a7c15u;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

uint32_t sim_below(struct sim *sim, uint32_t n)
{
    return (uint32_t)(sim_random(sim) % n);
}

double sim_unit(struct sim *sim)
{
    return (double)(sim_random(sim) >> 11) * 0x1p-53;
}

void sim_open(struct sim *sim, uint64_t seed, uint32_t n_nodes)
{
    *sim = (struct sim){ .seed = seed, .random = seed, .n_nodes = n_nodes };
    sim->now_ns = NS_PER_S;
    sim->weather = (struct weather){ .delay_min_ns = 50000, .delay_max_ns = 2 * NS_PER_MS };
    sim->params = swim_params_lan(seed);
    sim->nodes = calloc(n_nodes, sizeof(*sim->nodes));
    if (!sim->nodes)
        abort();
    sim->n_voters = n_nodes < VOTERS_IN_SIM ? n_nodes : VOTERS_IN_SIM;
    for (uint32_t i = 0; i < sim->n_voters; i++) {
        snprintf(sim->name_bytes[i], sizeof(sim->name_bytes[i]), "v%u", i);
        sim->names[i] = sim->name_bytes[i];
    }
}

void sim_close(struct sim *sim)
{
    for (uint32_t i = 0; i < sim->n_nodes; i++) {
        swim_free(sim->nodes[i].swim);
        council_free(sim->nodes[i].council);
        free(sim->nodes[i].disk);
    }
    for (size_t i = 0; i < sim->n_heap; i++)
        free(sim->heap[i].bytes);
    free(sim->heap);
    free(sim->nodes);
    free(sim->unaware);
}

static bool is_before(const struct event *a, const struct event *b)
{
    return a->at_ns < b->at_ns || (a->at_ns == b->at_ns && a->order < b->order);
}

static void push(struct sim *sim, struct event event)
{
    size_t i = sim->n_heap++;

    if (sim->n_heap > sim->heap_capacity) {
        sim->heap_capacity = sim->heap_capacity ? sim->heap_capacity * 2 : 1024;
        sim->heap = realloc(sim->heap, sim->heap_capacity * sizeof(*sim->heap));
        if (!sim->heap)
            abort();
    }
    for (; i > 0 && is_before(&event, &sim->heap[(i - 1) / 2]); i = (i - 1) / 2)
        sim->heap[i] = sim->heap[(i - 1) / 2];
    sim->heap[i] = event;
}

static struct event pop(struct sim *sim)
{
    const struct event first = sim->heap[0], last = sim->heap[--sim->n_heap];
    size_t i = 0;

    for (;;) {
        size_t child = 2 * i + 1;

        if (child >= sim->n_heap)
            break;
        if (child + 1 < sim->n_heap && is_before(&sim->heap[child + 1], &sim->heap[child]))
            child++;
        if (is_before(&last, &sim->heap[child]))
            break;
        sim->heap[i] = sim->heap[child];
        i = child;
    }
    sim->heap[i] = last;
    return first;
}

void sim_at(struct sim *sim, uint64_t at_ns, enum event_kind kind, uint32_t node)
{
    push(sim, (struct event){ .at_ns = at_ns > sim->now_ns ? at_ns : sim->now_ns,
                              .order = sim->order++,
                              .kind = kind,
                              .node = node,
                              .life = sim->nodes[node].life });
}

static bool is_reached(const struct sim *sim, uint32_t from, uint32_t to)
{
    if (sim->nodes[from].group != sim->nodes[to].group)
        return false;
    return sim->n_nodes > SMALL_MAX || !(sim->blocked[from] >> to & 1);
}

static void deliver(struct sim *sim, enum event_kind kind, uint32_t from, uint32_t to,
                    const uint8_t *bytes, size_t n)
{
    const uint64_t spread_ns = sim->weather.delay_max_ns - sim->weather.delay_min_ns;
    struct event event = { .at_ns = sim->now_ns + sim->weather.delay_min_ns +
                                    (uint64_t)(sim_unit(sim) * (double)spread_ns),
                           .order = sim->order++,
                           .kind = kind,
                           .node = to,
                           .from = from,
                           .life = sim->nodes[to].life,
                           .n = (uint32_t)n };

    event.bytes = malloc(n);
    if (!event.bytes)
        abort();
    memcpy(event.bytes, bytes, n);
    push(sim, event);
}

/* Each datagram draws its own delay, so they overtake one another. */
void sim_send(struct sim *sim, enum event_kind kind, uint32_t from, uint32_t to,
              const uint8_t *bytes, size_t n)
{
    sim->nodes[from].sent_bytes += n;
    sim->nodes[from].n_sent++;
    if (!is_reached(sim, from, to) || sim_unit(sim) < sim->weather.loss)
        return;
    deliver(sim, kind, from, to, bytes, n);
    if (sim_unit(sim) < sim->weather.duplicate)
        deliver(sim, kind, from, to, bytes, n);
}

static void run_event(struct sim *sim, struct event *event)
{
    const struct sim_node *node = &sim->nodes[event->node];

    if (event->kind == EV_HAPPEN) {
        chaos_happen(sim);
    } else if (event->kind == EV_RESTART) {
        if (!node->is_up && !sim->is_over)
            node_start(sim, event->node);
    } else if (node->is_up && node->life == event->life) {
        node_event(sim, event);
    }
}

bool sim_step(struct sim *sim, uint64_t until_ns)
{
    struct event event;

    if (sim->n_heap == 0 || sim->heap[0].at_ns > until_ns) {
        sim->now_ns = until_ns;
        return false;
    }
    event = pop(sim);
    sim->now_ns = event.at_ns;
    if (event.kind <= EV_COUNCIL_TICK && sim->nodes[event.node].paused_until_ns > sim->now_ns) {
        event.at_ns = sim->nodes[event.node].paused_until_ns;
        push(sim, event);
        return true;
    }
    sim->n_events++;
    run_event(sim, &event);
    free(event.bytes);
    return true;
}

void sim_trace(struct sim *sim, const char *fmt, ...)
{
    va_list args;

    if (!sim->is_traced)
        return;
    fprintf(stderr, "%9.3f  ", (double)sim->now_ns / (double)NS_PER_S);
    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fputc('\n', stderr);
}

void sim_fail(struct sim *sim, const char *fmt, ...)
{
    va_list args;
    int n;

    if (sim->has_failed)
        return;
    sim->has_failed = true;
    n = snprintf(sim->words, sizeof(sim->words),
                 "at %.3f s, event %llu: ", (double)sim->now_ns / (double)NS_PER_S,
                 (unsigned long long)sim->n_events);
    va_start(args, fmt);
    vsnprintf(sim->words + n, sizeof(sim->words) - (size_t)n, fmt, args);
    va_end(args);
    sim_trace(sim, "violated: %s", sim->words);
}
