/* SPDX-License-Identifier: Apache-2.0 */
/* partition/cost.h - what a shard takes of a node, and how long it computes.
 *
 * Memory of a node with m layers (cost_bytes):
 *
 *   weights   m * layer, + embedding on the first node, + output matrix on the last
 *   keys      m * KV bytes of a token and layer * context * streams
 *   work      WORK_ROWS rows of WORK_HIDDENS hidden vectors in f32; on the last node also
 *             a row of logits in f32 for every stream
 *
 * What the system needs is kept out of the node's memory_bytes by whoever
 * filled them in: memory_gb of the configuration, or 3/4 of the machine.
 *
 * Time of one layer over a step of b rows (cost_layer_s), the roofline
 * (Williams, Waterman, Patterson 2009, doi:10.1145/1498765.1498785):
 *
 *   both(read / memory, 2 * b * parameters touched / compute)
 *     + max(b * attended * KV / memory, 4 * b * attended * hidden / attend)
 *     + layer_us + b * hidden * row_ns
 *   read        weights without experts + experts * (1 - (1 - chosen/all)^b)
 *   both(x, y)  (x^p + y^p)^(1/p), p = overlap: kernels read and compute at the same time, but
 *               not perfectly, which is felt where x and y are alike.  Not measured: max(x, y)
 *
 * The share of experts is what b independent choices are expected to touch.
 * The output matrix costs the same way, without keys and rows; beside it each row pays the choice
 * of a token, vocabulary * sample_ns.  Telling tokens takes the cores that compute, too: step_us,
 * and token_us for each.
 *
 * A hop of b rows takes latency + 4 * hidden * b / rate: rows travel as f32.
 * A step of R nodes in a row (a flight) with b rows takes A = the sum of
 * layers, output, hops and the way of the tokens back to the first node.  F =
 * min(R, streams) flights of b = streams / F rows are under way at once, so
 * every stream gets a token in each
 *
 *   cycle = max(A, F * the slowest node's share of A, F * the busiest machine's work)
 *
 * where a machine's work is what its nodes have to compute, at the speed of all its cores: nodes
 * that share a machine take turns.  Without the last term it is GPipe's and PipeDream's bound for a full pipeline (Narayanan et al.
 * 2019, doi:10.1145/3341301.3359646).  Tokens/s = streams / cycle.  The time to
 * a first token is the prompt, in chunks of COST_CHUNK_ROWS one after the other
 * as the driver sends them, through all nodes while nothing else runs.
 *
 * Loading is the slowest node's bytes over its disk: nodes read only their
 * shard, at the same time.  Energy is the sum of watts * the time each node
 * computes, for a token; idle machines are not in it.
 *
 * Sizes saturate, so numbers from peers do no harm.  Pure.
 */
#ifndef POMONA_PARTITION_COST_H
#define POMONA_PARTITION_COST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "contract/kv_format.h"
#include "contract/node_speed.h"
#include "contract/plan.h"
#include "contract/sum_format.h"
#include "partition/shape.h"

enum {
    COST_PORTS_MAX = 16,
    COST_CHUNK_ROWS = 256,
    COST_WORK_ROWS = 512,
    COST_WORK_HIDDENS = 16, /* rows in and out, queries, keys, values, the inner network */
    COST_STREAMS_MAX = 4096,
    COST_PROMPT_DEFAULT = 512,
    COST_CONTEXT_DEFAULT = 8192,
};

/* One way out of a node; nodes with a port in the same network reach each other. */
struct cost_port {
    uint32_t network;
    double latency_s, bytes_per_s; /* 0: unknown */
};

struct cost_node {
    char name[NODE_NAME_MAX];
    uint64_t memory_bytes;   /* for this model: what is free, the system's reserve left out */
    struct node_speed speed; /* complete after cost_complete() */
    struct node_machine machine;
    size_t n_ports;
    struct cost_port ports[COST_PORTS_MAX];
    uint32_t least_layers; /* 1 or more: the node must be used */
    uint32_t most_layers;  /* 0: it must not; UINT32_MAX: no bound */
};

/* Measured between two nodes, by index; counts for both directions and before any port. */
struct cost_pair {
    uint32_t a, b; /* a < b */
    double latency_s, bytes_per_s;
};

struct cost_cluster {
    const struct cost_node *nodes; /* [n_nodes] in ring order */
    size_t n_nodes;
    const struct cost_pair *pairs; /* [n_pairs], sorted by (a, b) */
    size_t n_pairs;
};

struct plan_workload {
    uint32_t streams;        /* answers at the same time, >= 1 */
    uint32_t context_tokens; /* that every stream may reach */
    uint32_t prompt_tokens;  /* of a request; also what a token attends to */
    enum kv_format kv_format;
    enum sum_format sums; /* in which members of a team send what is summed */
    uint64_t draft_bytes; /* beside the last layers */
};

/* A node's layers in a pipeline. */
struct cost_stage {
    uint32_t node;
    uint32_t n_layers;
};

struct plan_prediction {
    double tokens_per_s;     /* of all streams together */
    double tokens_per_s_one; /* of one stream alone */
    double first_token_s;    /* nothing else running */
    double load_s;
    double joules_per_token; /* 0: the watts of a node are not known */
};

enum cost_role { COST_MIDDLE, COST_FIRST, COST_LAST, COST_ONLY, N_COST_ROLES };

/* Put documented defaults where nothing is known: a small Linux machine. */
void cost_complete(struct node_speed *speed);

/* Bytes that `role` with m layers takes; the parts may be NULL. */
uint64_t cost_bytes(const struct plan_shape *shape, const struct plan_workload *workload,
                    enum cost_role role, uint32_t n_layers, uint64_t *ret_weights, uint64_t *ret_kv,
                    uint64_t *ret_work);

/* The most layers that fit `memory_bytes`; may be 0. */
uint32_t cost_capacity(const struct plan_shape *shape, const struct plan_workload *workload,
                       enum cost_role role, uint64_t memory_bytes);

/* One layer, the output matrix, over `rows` rows that attend to `attended` tokens each. */
double cost_layer_s(const struct plan_shape *shape, const struct plan_workload *workload,
                    const struct node_speed *speed, double rows, double attended);
double cost_output_s(const struct plan_shape *shape, const struct node_speed *speed, double rows);

/* `bytes` from node a to node b over the best of their links. */
double cost_hop_s(const struct cost_cluster *cluster, size_t a, size_t b, double bytes);

/* Of `rows` hidden rows. */
double cost_row_bytes(const struct plan_shape *shape, double rows);

/* Flights under way in a pipeline of n_stages. */
double cost_flights(const struct plan_workload *workload, size_t n_stages);

/* One flight of `rows` rows through the stages and back.
 * ret_slowest  the longest stage; ret_joules: 0 where unknown; both may be NULL */
double cost_flight_s(const struct cost_cluster *cluster, const struct plan_shape *shape,
                     const struct plan_workload *workload, const struct cost_stage *stages,
                     size_t n_stages, double rows, double *ret_slowest, double *ret_joules);

/* Time in which every stream gets a token. */
double cost_cycle_s(const struct cost_cluster *cluster, const struct plan_shape *shape,
                    const struct plan_workload *workload, const struct cost_stage *stages,
                    size_t n_stages);

void cost_predict(const struct cost_cluster *cluster, const struct plan_shape *shape,
                  const struct plan_workload *workload, const struct cost_stage *stages,
                  size_t n_stages, struct plan_prediction *ret);

#endif
