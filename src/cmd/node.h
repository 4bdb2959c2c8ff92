/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/node.h - one node's process: its loop, store, cluster and HTTP service.
 *
 *   starting --node_run()--> serving --SIGTERM, SIGINT--> draining --streams ended--> returned
 *                                                             \--a second signal----^
 *
 * With `is_dev` a change of its configuration or its program is like a signal, and the caller starts
 * it anew.
 *
 * Threads  the main thread runs the loop; the store is scanned in a job
 */
#ifndef POMONA_CMD_NODE_H
#define POMONA_CMD_NODE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/paths.h"
#include "base/status.h"
#include "cluster/cluster.h"
#include "contract/route.h"

struct node_settings {
    char cluster_name[NODE_NAME_MAX];
    char name[NODE_NAME_MAX];
    char data[PATH_MAX_BYTES];
    char host[HOST_MAX];        /* where peers and runners reach this node */
    uint16_t port;              /* of the control channel; 0: a node alone */
    char listen_host[HOST_MAX]; /* of the API */
    uint16_t listen_port;
    uint64_t memory_bytes;
    uint32_t threads;    /* 0: all cores */
    const char *engine;  /* of runners; NULL: the default */
    const char *kernels; /* NULL: the best */
    enum kv_format kv_format;
    enum activation_format activations;
    const char *model; /* a path or a name: only this one is served; NULL: the store */
    struct cluster_peer peers[NODES_MAX];
    size_t n_peers;
    const char *listen_peers; /* what the control channel binds; NULL: host */
    bool is_cluster;          /* others may join */
    bool is_not_measured;     /* leave the speed of this machine unknown */
    bool has_key;
    struct cluster_key key;
    unsigned discovery; /* DISCOVER_* */
    struct cluster_seed seeds[SEEDS_MAX];
    size_t n_seeds;
    char hub_endpoint[CLUSTER_HUB_MAX];  /* "": the usual one */
    const char *hub_token;               /* NULL: none */
    char gateway_config[PATH_MAX_BYTES]; /* "": none */
    uint64_t drain_ms;                   /* that running answers have when it is to end */
    const char *log_levels;              /* given at the start; NULL: the file's */
    bool is_dev;                         /* end when one of these changes: */
    const char *config;                  /* its configuration; NULL: none */
    char program[PATH_MAX_BYTES];        /* its executable */
};

enum node_end {
    NODE_ENDED,  /* by a signal */
    NODE_CHANGED /* what it was started from did */
};

/* Serve until a signal, or a change, ends it; the service manager is told (manager.h).
 * is_on_terminal  say on standard output when it is ready */
enum status node_run(const struct node_settings *settings, bool is_on_terminal,
                     enum node_end *ret_end, struct err *err);

/* The id in DATA/nodes/NAME/id, made where there is none: ret_id [33].
 * Errors  ST_FORMAT  the file holds something else; ST_IO */
enum status node_id(const char *data, const char *name, char *ret_id, struct err *err);

#endif
