/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/plan_cluster.h - the nodes of a configuration as the planner sees them.
 *
 * What the file does not say is filled in, so that a file of names, memory and links is enough:
 *
 *   memory     memory_gb, else 3/4 of ram_gb, as a node of that machine would take
 *   reading    0.70 of memory_bandwidth_gbs, which makers give at its peak
 *   computing  compute_gops, else 235 for each GPU core, else 67 for each thread (4 threads)
 *   a layer    130 us on a GPU, 20 us on a CPU
 *   disk       disk_gbs, else 1 GB/s
 *   latency    latency_us; else thunderbolt 150 us, ethernet 100 us, others 200 us, one way
 *
 * Sources  A MacBook Pro with an M1 Max (400 GB/s) was reported to decode Llama 3.1 8B q4_k_m
 *          (4.92 GB, 32 layers) at 46.2 tokens/s and to read prompts at 500 tokens/s
 *          (github.com/brand-o/normiebench, issue 40).  If it had 32 GPU cores, which the report
 *          does not say, 0.70, 130 us and 235 give 46.0 and 500.
 *          67 is what `pomona bench` measured for a thread of an x86-64 virtual machine with
 *          AVX-512 VNNI (bench/RESULTS.md, pp256).  300 us is the round trip over Thunderbolt
 *          that was reported for TCP.  A layer's time on a CPU, the disk's speed and the latency
 *          of Ethernet are estimates: measure, and write what you found into the file.
 */
#ifndef POMONA_CMD_PLAN_CLUSTER_H
#define POMONA_CMD_PLAN_CLUSTER_H

#include "base/status.h"
#include "config/config.h"
#include "partition/cost.h"

struct plan_cluster {
    struct cost_node *nodes; /* [n_nodes] */
    size_t n_nodes;
    bool has_gpus; /* a node is costed as a GPU */
};

/* ret_cluster  given: plan_cluster_release()
 * Errors       ST_RANGE  a node has no memory, or there are too many kinds of links; ST_NOMEM */
enum status plan_cluster_make(const struct config *config, struct plan_cluster *ret_cluster,
                              struct err *err);
void plan_cluster_release(struct plan_cluster *cluster);

/* Only these nodes, in this order ("a,b"), each with a layer or more.
 * Errors  ST_NOTFOUND  one is not there; ST_RANGE  one is named twice */
enum status plan_cluster_take(struct plan_cluster *cluster, const char *names, struct err *err);

#endif
