/* SPDX-License-Identifier: Apache-2.0 */
/* config/config.h - the cluster as its file describes it: config/cluster_nodes.json.
 *
 *   { "cluster": { "name": "pomona", "key_file": "/etc/pomona/cluster.key",
 *                  "hub": "https://huggingface.co",
 *                  "discovery": [ "beacon", "mdns", "seeds" ] },
 *     "nodes": [ { "name": "studio-1", "host": "10.0.0.1", "port": 52416, "api_port": 52415,
 *                  "memory_gb": 48.0, "threads": 0,
 *                  "chip": "...", "ram_gb": 64, "gpu_cores": 32, "memory_bandwidth_gbs": 400,
 *                  "compute_gops": 0, "disk_gbs": 5, "watts": 60,
 *                  "links": [ { "kind": "ethernet", "gbps": 10, "latency_us": 100,
 *                               "address": "10.0.0.1" } ] } ] }
 *
 * Where a node's `links` have addresses other than its `host`, it listens at every address of its
 * machine (with a cluster key), peers use the fastest of them, and the others where that is cut.
 *
 * The order of the nodes is the order of the ring.  Only `name` and `host` of
 * a node are required.  Without `discovery` every way is used; with
 * ["none"], none.  The second half of a node's fields describes the
 * machine for people and for the planner (docs/planner.md).  YAML is accepted too.
 *
 * To add a setting: a field here, its row in the schema of config.c, its
 * bound in check.c.
 */
#ifndef POMONA_CONFIG_CONFIG_H
#define POMONA_CONFIG_CONFIG_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

enum {
    CONFIG_NAME_MAX = 64, /* bytes, NUL included */
    CONFIG_HOST_MAX = 256,
    CONFIG_WORDS_MAX = 128,  /* descriptive text */
    CONFIG_NODES_MAX = 1024, /* that can be planned for; fewer can serve (contract/node_set.h) */
    CONFIG_PATH_MAX = 1024,
    CONFIG_LINKS_MAX = 16, /* of one node */
    CONFIG_THREADS_MAX = 1024,
    CONFIG_API_PORT = 52415, /* where the file does not say */
    CONFIG_CONTROL_PORT = 52416,
};

/* How nodes beyond those of the file are found: bits of cluster.discovery. */
enum {
    CONFIG_DISCOVER_NONE = 1u << 0,
    CONFIG_DISCOVER_BEACON = 1u << 1,
    CONFIG_DISCOVER_MDNS = 1u << 2,
    CONFIG_DISCOVER_SEEDS = 1u << 3,
};

struct config_link {
    char kind[CONFIG_WORDS_MAX]; /* "ethernet", "thunderbolt4" */
    double gbps;
    double latency_us;             /* one way; 0: not given */
    char address[CONFIG_HOST_MAX]; /* empty: not given */
};

struct config_node {
    char name[CONFIG_NAME_MAX]; /* [A-Za-z0-9._-]+, unique */
    char host[CONFIG_HOST_MAX]; /* numeric address; "localhost" has become 127.0.0.1 */
    uint16_t port;              /* of the control channel */
    uint16_t api_port;
    double memory_gb; /* GiB that Pomona may use; 0: not given */
    uint32_t threads; /* 0: every core */

    char chip[CONFIG_WORDS_MAX];
    double ram_gb;
    uint32_t gpu_cores;
    double memory_bandwidth_gbs; /* as the maker gives it; 0, here and below: not given */
    double compute_gops;         /* as an engine reaches it */
    double disk_gbs;
    double watts;              /* drawn while it computes */
    struct config_link *links; /* [links_count] */
    unsigned links_count;
};

struct config {
    struct {
        char name[CONFIG_NAME_MAX];
        char key_file[CONFIG_PATH_MAX]; /* "": not given */
        char hub[CONFIG_HOST_MAX];      /* where models come from, "https://..."; "": not given */
        uint32_t discovery;             /* CONFIG_DISCOVER_*; 0: not given */
    } cluster;
    struct config_node *nodes; /* [nodes_count], 1..CONFIG_NODES_MAX */
    unsigned nodes_count;
};

/* Read and check the whole file.
 * ret_config  given: config_free()
 * Errors      ST_NOTFOUND, ST_IO; ST_FORMAT and ST_RANGE with the file, and the line where known */
enum status config_load(const char *path, struct config **ret_config, struct err *err);
void config_free(struct config *config); /* NULL is allowed */

/* The node called `name`; lent until config_free().
 * Errors  ST_NOTFOUND, with the names there are */
enum status config_find_node(const struct config *config, const char *name,
                             const struct config_node **ret_node, struct err *err);

#endif
