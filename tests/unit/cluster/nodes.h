/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/cluster/nodes.h - several nodes of one cluster in one process, on one loop.
 *
 * Their runners are processes of tests/support/fake_runner.c.
 */
#ifndef POMONA_TESTS_UNIT_CLUSTER_NODES_H
#define POMONA_TESTS_UNIT_CLUSTER_NODES_H

#include <sys/types.h>

#include "cluster/cluster.h"

enum { N_NODES = 3, N_LAYERS = 6 };

struct nodes;

/* What node `index` was told by its cluster. */
struct node {
    struct nodes *nodes;
    struct cluster *cluster; /* NULL: not running */
    unsigned n_gone;         /* on_instance_gone calls */
    char gone_words[ERR_WORDS_MAX];
};

/* One call of cluster_place(). */
struct placement {
    unsigned n_progress, n_done;
    bool is_ready;
    struct cluster_instance instance;
    struct err failure;
    uint64_t ticket;
};

struct nodes {
    struct loop *loop;
    struct node node[N_NODES]; /* called a, b, c */
    struct cluster_peer peers[N_NODES];
    char dir[N_NODES][64]; /* of each node's models */
    const char *cluster_name;
    uint32_t step_version[N_NODES]; /* of nodes that start; 0: the first */
    unsigned
        assign_ms; /* of nodes that start: until a runner listens; longer than any test but by choice */
};

void nodes_init(struct nodes *nodes);
void nodes_release(struct nodes *nodes);

/* The same around a test: its state is struct nodes. */
int nodes_set_up(void **state);
int nodes_tear_down(void **state);

/* Start one node; `how` is the behaviour of its runners. */
void node_start(struct nodes *nodes, size_t index, const char *how);
void node_stop(struct nodes *nodes, size_t index);

/* All three up and known to one another, all runners good. */
void nodes_start(struct nodes *nodes);

/* Turn the loop until is_true(arg); fails the test after 30 s, which no crowded machine needs. */
void nodes_until(struct nodes *nodes, bool (*is_true)(void *arg), void *arg, const char *what);

/* Members alive as node `index` sees it. */
size_t n_alive(struct nodes *nodes, size_t index);
void nodes_until_alive(struct nodes *nodes, size_t index, size_t n);

/* Instances that node `index` knows in `state`. */
size_t n_instances(struct nodes *nodes, size_t index, enum instance_state state);
void nodes_until_instances(struct nodes *nodes, size_t index, enum instance_state state, size_t n);

/* Two layers on each of the nodes, in order. */
struct plan plan_over(const char *names);
enum status node_place(struct nodes *nodes, size_t index, const struct plan *plan,
                       struct placement *placement, struct err *err);
void nodes_until_placed(struct nodes *nodes, struct placement *placement);
/* What became of it, once it did. */
enum status node_unplace(struct nodes *nodes, size_t index, const char *model, struct err *err);
struct cluster_instance place_ready(struct nodes *nodes, size_t index, const char *names);

/* Process of the runner that node `index` started for `rank`. */
pid_t runner_pid(struct nodes *nodes, size_t index, unsigned rank);

/* No child of this process is left, waiting for those that are ending. */
void assert_no_child(struct nodes *nodes);

#endif
