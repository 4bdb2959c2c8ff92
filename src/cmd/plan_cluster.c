/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/plan_cluster.c - the nodes of a configuration as the planner sees them. */
#include "cmd/plan_cluster.h"

#include <stdlib.h>
#include <string.h>

#include "base/size.h"

_Static_assert((int)CONFIG_LINKS_MAX <= (int)COST_PORTS_MAX, "every link of a node fits");
_Static_assert((int)CONFIG_NAME_MAX == (int)NODE_NAME_MAX, "a name fits both");

enum { KINDS_MAX = 64 };

static const double GIB = 1024.0 * 1024.0 * 1024.0, RAM_SHARE = 0.75;
static const double BANDWIDTH_SHARE = 0.70, GPU_CORE_GOPS = 235, THREAD_GOPS = 67;
static const double GPU_LAYER_US = 130, CPU_LAYER_US = 20;

enum { THREADS_UNKNOWN = 4 };

/* The first name that `kind` begins with, or the last row's. */
static const struct {
    const char *kind;
    double latency_s;
} latencies[] = {
    { "thunderbolt", 150e-6 },
    { "ethernet", 100e-6 },
    { "", 200e-6 },
};

/* Networks are told apart by the words their links are called. */
struct kinds {
    const char *names[KINDS_MAX];
    size_t n;
};

static enum status kind_of(struct kinds *kinds, const char *name, uint32_t *ret, struct err *err)
{
    size_t i = 0;

    while (i < kinds->n && strcmp(kinds->names[i], name) != 0)
        i++;
    if (i == KINDS_MAX)
        return err_set(err, ST_RANGE, "there are more than %d kinds of links", KINDS_MAX);
    if (i == kinds->n)
        kinds->names[kinds->n++] = name;
    *ret = (uint32_t)i;
    return ST_OK;
}

static double latency_of(const struct config_link *link)
{
    size_t i = 0;

    if (link->latency_us > 0)
        return link->latency_us * 1e-6;
    while (strncmp(link->kind, latencies[i].kind, strlen(latencies[i].kind)) != 0)
        i++;
    return latencies[i].latency_s;
}

static enum status make_ports(const struct config_node *from, struct kinds *kinds,
                              struct cost_node *to, struct err *err)
{
    for (unsigned i = 0; i < from->links_count; i++) {
        struct cost_port *port = &to->ports[to->n_ports++];
        const enum status s = kind_of(kinds, from->links[i].kind, &port->network, err);

        if (s != ST_OK)
            return s;
        port->latency_s = latency_of(&from->links[i]);
        port->bytes_per_s = from->links[i].gbps * 1e9 / 8;
    }
    return ST_OK;
}

static void make_speed(const struct config_node *from, struct node_speed *to)
{
    const double threads = from->threads > 0 ? from->threads : THREADS_UNKNOWN;

    to->memory_gbs = from->memory_bandwidth_gbs * BANDWIDTH_SHARE;
    to->compute_gops = from->compute_gops;
    if (!(to->compute_gops > 0))
        to->compute_gops =
            from->gpu_cores > 0 ? from->gpu_cores * GPU_CORE_GOPS : threads * THREAD_GOPS;
    to->layer_us = from->gpu_cores > 0 ? GPU_LAYER_US : CPU_LAYER_US;
    to->disk_gbs = from->disk_gbs;
    to->watts = from->watts;
    cost_complete(to);
}

enum status plan_cluster_make(const struct config *config, struct plan_cluster *ret_cluster,
                              struct err *err)
{
    struct plan_cluster cluster = { .n_nodes = config->nodes_count };
    struct kinds kinds = { .n = 0 };
    enum status s = ST_OK;

    cluster.nodes = calloc(cluster.n_nodes, sizeof(*cluster.nodes));
    if (!cluster.nodes)
        return err_set(err, ST_NOMEM, "%zu nodes to plan for", cluster.n_nodes);
    for (size_t i = 0; i < cluster.n_nodes && s == ST_OK; i++) {
        const struct config_node *from = &config->nodes[i];
        struct cost_node *to = &cluster.nodes[i];
        const double gb = from->memory_gb > 0 ? from->memory_gb : from->ram_gb * RAM_SHARE;

        memcpy(to->name, from->name, sizeof(to->name));
        to->memory_bytes = (uint64_t)(gb * GIB);
        to->most_layers = UINT32_MAX;
        make_speed(from, &to->speed);
        cluster.has_gpus |= from->gpu_cores > 0;
        s = make_ports(from, &kinds, to, err);
        if (s == ST_OK && to->memory_bytes == 0)
            s = err_set(err, ST_RANGE, "node '%s' has neither memory_gb nor ram_gb", to->name);
    }
    if (s != ST_OK) {
        plan_cluster_release(&cluster);
        return s;
    }
    *ret_cluster = cluster;
    return ST_OK;
}

void plan_cluster_release(struct plan_cluster *cluster)
{
    free(cluster->nodes);
    *cluster = (struct plan_cluster){ 0 };
}

static enum status take_one(const struct plan_cluster *cluster, const char *name, size_t n,
                            struct cost_node *to, size_t n_taken, struct err *err)
{
    for (size_t i = 0; i < n_taken; i++)
        if (strlen(to[i].name) == n && strncmp(to[i].name, name, n) == 0)
            return err_set(err, ST_RANGE, "node '%s' is named twice", to[i].name);
    for (size_t i = 0; i < cluster->n_nodes; i++)
        if (strlen(cluster->nodes[i].name) == n && strncmp(cluster->nodes[i].name, name, n) == 0) {
            to[n_taken] = cluster->nodes[i];
            to[n_taken].least_layers = 1;
            return ST_OK;
        }
    return err_set(err, ST_NOTFOUND, "there is no node '%.*s' in the file",
                   (int)size_min(n, NODE_NAME_MAX), name);
}

enum status plan_cluster_take(struct plan_cluster *cluster, const char *names, struct err *err)
{
    struct cost_node *taken = calloc(cluster->n_nodes, sizeof(*taken));
    size_t n_taken = 0;
    enum status s = ST_OK;

    if (!taken)
        return err_set(err, ST_NOMEM, "%zu nodes to plan for", cluster->n_nodes);
    for (const char *at = names; s == ST_OK; at++) {
        const size_t n = strcspn(at, ",");

        /* no more can be taken than there are: one more is one twice, or one unknown */
        s = n_taken < cluster->n_nodes
                ? take_one(cluster, at, n, taken, n_taken, err)
                : err_set(err, ST_RANGE, "more nodes are named than there are");
        n_taken += s == ST_OK;
        at += n;
        if (*at == '\0')
            break;
    }
    if (s != ST_OK) {
        free(taken);
        return s;
    }
    free(cluster->nodes);
    cluster->nodes = taken;
    cluster->n_nodes = n_taken;
    return ST_OK;
}
