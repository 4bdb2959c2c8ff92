/* SPDX-License-Identifier: Apache-2.0 */
/* tests/sim/sim.h - a cluster in virtual time, from one seed.
 *
 *   world.c  time, the network, what nodes suffer
 *   node.c   one node: the code of src/cluster, unchanged, and a disk
 *   chaos.c  what happens when: drawn from the seed
 *   check.c  what must hold after each event, and in the end
 *   scale.c  thousands of nodes, deaths, traffic
 *   main.c   the command line
 *
 * Nothing here reads a clock or draws a number but from the seed, so a seed
 * that fails fails again.
 *
 * Threads  none
 */
#ifndef POMONA_TESTS_SIM_SIM_H
#define POMONA_TESTS_SIM_SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "cluster/election/council.h"
#include "cluster/membership/swim.h"

enum {
    EPOCHS_MAX = 4096,
    PROPOSED_MAX = 4096,
    MODELS = 5,
    SMALL_MAX = 64, /* nodes that can be cut off one by one */
};

/* The first four are due at a node, and wait while it stands still. */
enum event_kind { EV_DATAGRAM, EV_MESSAGE, EV_SWIM_TICK, EV_COUNCIL_TICK, EV_RESTART, EV_HAPPEN };

struct event {
    uint64_t at_ns, order;
    enum event_kind kind;
    uint32_t node, from, life; /* life: of `node`; what is due in another is dropped */
    uint32_t n;
    uint8_t *bytes; /* [n], owned */
};

struct weather { /* of the network as a whole */
    double loss, duplicate;
    uint64_t delay_min_ns, delay_max_ns;
};

struct sim;

/* What effects get: which node of which world they belong to. */
struct handle {
    struct sim *sim;
    uint32_t node;
};

struct sim_node {
    struct handle handle;
    bool is_up;
    uint32_t life; /* counts starts */
    uint64_t paused_until_ns;
    uint64_t down_ns;   /* since when it is not up */
    uint64_t offset_ns; /* its clock: offset + time * rate */
    double rate;
    uint32_t group; /* nodes of one group reach each other */
    struct swim *swim;
    uint32_t incarnation; /* highest seen of its own in this life */
    uint64_t sent_bytes, n_sent;

    struct council *council; /* NULL: no voter */
    uint8_t *disk;           /* [n_disk]: what the council kept */
    size_t n_disk;
    bool is_disk_lost; /* until it is born again */
    uint64_t epoch;    /* highest accepted since its disk was lost last */
    uint64_t tickets[PROPOSALS_MAX];
    uint32_t proposed[PROPOSALS_MAX]; /* which decision each ticket is; both by ticket modulo */
};

/* What leaders were asked to decide: placements of a few models, each value once. */
struct proposed {
    uint32_t model;
    bool is_placed, is_decided;
    struct desired_version version;
};

struct sim {
    uint64_t seed, random;
    uint64_t now_ns, order;
    uint64_t n_events;
    struct event *heap;
    size_t n_heap, heap_capacity;

    struct weather weather;
    uint64_t blocked[SMALL_MAX]; /* blocked[a] bit b: nothing goes from a to b */
    uint64_t calm_ns;            /* since when nothing is wrong; UINT64_MAX: something is */
    bool is_gentle;              /* only what must not cost a node its good name */
    bool is_over;                /* nothing more happens, all is well */
    uint64_t death_within_ns;    /* all must know of a death within; 0: no bound */
    uint64_t slowest_ns;         /* that a death became known to a node */

    struct swim_params params;
    struct sim_node *nodes;
    uint32_t n_voters; /* the first nodes */
    const char *names[VOTERS_MAX];
    char name_bytes[VOTERS_MAX][16];
    uint32_t leaders[EPOCHS_MAX]; /* of each epoch, node + 1; 0: none yet */
    struct proposed proposed[PROPOSED_MAX];
    uint32_t n_proposed;
    uint64_t n_decided, n_deaths, n_epochs, n_disks_lost;
    uint32_t n_nodes;
    uint32_t *unaware; /* scale: [n_nodes] live nodes that do not know of a death; NULL otherwise */

    bool is_traced, has_failed;
    char words[512]; /* of the first violation */
};

/* world.c */
void sim_open(struct sim *sim, uint64_t seed, uint32_t n_nodes);
void sim_close(struct sim *sim);
uint64_t sim_random(struct sim *sim);
uint32_t sim_below(struct sim *sim, uint32_t n);
double sim_unit(struct sim *sim); /* [0, 1) */
void sim_send(struct sim *sim, enum event_kind kind, uint32_t from, uint32_t to,
              const uint8_t *bytes, size_t n);
void sim_at(struct sim *sim, uint64_t at_ns, enum event_kind kind, uint32_t node);
/* One event; false: there is none before `until_ns`, and it is then. */
bool sim_step(struct sim *sim, uint64_t until_ns);
void sim_trace(struct sim *sim, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* An invariant is broken; the first one counts. */
void sim_fail(struct sim *sim, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* node.c */
struct swim_id node_id(uint32_t node);
uint32_t node_of_id(const struct swim_id *id);
uint64_t node_clock(const struct sim *sim, uint32_t node);
void node_start(struct sim *sim, uint32_t node);
void node_stop(struct sim *sim, uint32_t node);
void node_pause(struct sim *sim, uint32_t node, uint64_t for_ns);
void node_know_all(struct sim *sim, uint32_t node);
void node_event(struct sim *sim, struct event *event);
/* Ask the node to place or unplace a model, as a client would. */
void node_propose(struct sim *sim, uint32_t node);
void node_lose_disk(struct sim *sim, uint32_t node);

/* check.c */
void check_verdict(struct sim *sim, uint32_t judge, uint32_t judged, enum swim_state was,
                   enum swim_state now);
void check_event(struct sim *sim, uint32_t node);
void check_leader(struct sim *sim, uint32_t node, uint64_t epoch, uint32_t leader);
void check_decided(struct sim *sim, uint32_t node, uint64_t ticket, enum status status);
void check_members(struct sim *sim);
void check_end(struct sim *sim); /* and that voters agree */

struct chaos_sums { /* of the seeds so far: that something happened at all */
    uint64_t n_events, n_deaths, n_epochs, n_decided, n_disks_lost;
};

/* chaos.c: run one seed; false, and the words, where something is violated. */
bool chaos_run(uint64_t seed, uint64_t n_events, bool is_traced, struct chaos_sums *sums,
               char *ret_words, size_t capacity);
void chaos_happen(struct sim *sim);

/* scale.c */
bool scale_run(uint64_t seed, uint32_t n_nodes, double loss, char *ret_words, size_t capacity);

#endif
