/* SPDX-License-Identifier: Apache-2.0 */
/* monitor/check.h - what is checked: one row for each kind of thing that may go wrong.
 *
 * To add a check: a row of CHECK_MAP, whoever observes it (ledger_observe()), and its line in
 * config/health_monitor.yaml.  A check says which values are bad; monitor/finding.h when that is a change.
 */
#ifndef POMONA_MONITOR_CHECK_H
#define POMONA_MONITOR_CHECK_H

#include <stddef.h>

#include "base/status.h"
#include "config/health_monitor.h"

enum check_group { GROUP_NODES, GROUP_SERVICES, GROUP_NETWORK, GROUP_RESOURCES };

/* Which values are bad. */
enum check_sense { BAD_ABOVE, BAD_BELOW };

/* id, group, sense, name, warning, critical, for_s, clear_s, action, what it says */
#define CHECK_MAP(X)                                                                               \
    X(NODE_UP, NODES, BAD_BELOW, "node.up", 0.5, 0.5, 4, 2, NONE, "the node's API answers")        \
    X(NODE_VERSIONS, NODES, BAD_ABOVE, "node.versions", 2, 100, 600, 5, NONE,                      \
      "different versions of Pomona in the cluster")                                               \
    X(NODE_CLOCK, NODES, BAD_ABOVE, "node.clock_s", 0.5, 5, 15, 15, NONE,                          \
      "by how many seconds its clock differs from this machine's")                                 \
    X(API_READY, SERVICES, BAD_BELOW, "api.ready", 0.5, 0.5, 6, 2, NONE,                           \
      "the node takes requests, or drains on purpose")                                             \
    X(API_SECONDS, SERVICES, BAD_ABOVE, "api.seconds", 0.5, 1.5, 15, 10, NONE,                     \
      "seconds until its API answers")                                                             \
    X(MODEL_READY, SERVICES, BAD_BELOW, "model.ready", 0.95, 0.01, 60, 2, NONE,                    \
      "share of a model's copies that are ready")                                                  \
    X(INSTANCE_STALLED, SERVICES, BAD_ABOVE, "instance.stalled_s", 5, 10, 0, 0, REPLACE,           \
      "seconds in which it computed nothing though it was asked")                                  \
    X(UPSTREAM_UP, SERVICES, BAD_BELOW, "upstream.up", 0.5, 0, 15, 5, NONE,                        \
      "a server outside the cluster answers")                                                      \
    X(UPSTREAM_EJECTED, SERVICES, BAD_ABOVE, "upstream.ejected", 0.5, 2, 30, 5, NONE,              \
      "requests failed there in a row")                                                            \
    X(CANARY_OK, SERVICES, BAD_BELOW, "canary.ok", 0.5, 0.5, 10, 0, NONE,                          \
      "a small request is answered")                                                               \
    X(CANARY_SECONDS, SERVICES, BAD_ABOVE, "canary.seconds", 5, 20, 20, 10, NONE,                  \
      "seconds until it is answered whole")                                                        \
    X(CANARY_WRONG, SERVICES, BAD_ABOVE, "canary.wrong", 1, 2, 0, 0, REPLACE,                      \
      "wrong answers in a row")                                                                    \
    X(UNIT_ACTIVE, SERVICES, BAD_BELOW, "unit.active", 0.5, 0.5, 10, 5, NONE,                      \
      "a service of this machine runs")                                                            \
    X(LINK_CONNECTED, NETWORK, BAD_BELOW, "link.connected", 0.5, 0.5, 5, 2, NONE,                  \
      "two nodes that live have a channel")                                                        \
    X(LINK_DATAGRAMS, NETWORK, BAD_BELOW, "link.datagrams", 0.5, -1, 15, 5, NONE,                  \
      "datagrams come through")                                                                    \
    X(LINK_RTT, NETWORK, BAD_ABOVE, "link.rtt_s", 0.05, 0.5, 30, 15, NONE,                         \
      "seconds to another node and back")                                                          \
    X(LINK_ANSWERS, NETWORK, BAD_BELOW, "link.answers", 0.5, -1, 60, 10, NONE,                     \
      "a path between two nodes can be measured")                                                  \
    X(LINK_LOSS, NETWORK, BAD_ABOVE, "link.loss", 0.05, 0.3, 30, 15, NONE,                         \
      "share of the datagrams between two nodes that are not answered")                            \
    X(LINK_SPEED, NETWORK, BAD_BELOW, "link.mb_s", 10, 1, 800, 0, NONE,                            \
      "megabytes a second over a path between two nodes")                                          \
    X(LINK_MTU, NETWORK, BAD_BELOW, "link.mtu", 1400, 1200, 100, 0, NONE,                          \
      "bytes of the largest packet to another node that is not cut into pieces")                   \
    X(NAME_FOUND, NETWORK, BAD_BELOW, "name.found", 0.5, 0.5, 30, 0, NONE, "a name is looked up")  \
    X(NAME_SECONDS, NETWORK, BAD_ABOVE, "name.seconds", 1, 4, 60, 0, NONE,                         \
      "seconds that looking up takes")                                                             \
    X(CERTIFICATE_DAYS, NETWORK, BAD_BELOW, "certificate.days", 21, 3, 0, 0, NONE,                 \
      "days until a certificate is over")                                                          \
    X(CPU_BUSY, RESOURCES, BAD_ABOVE, "cpu.busy", 0.98, 2, 600, 30, NONE,                          \
      "share of the processors' time")                                                             \
    X(MEMORY_PRESSURE, RESOURCES, BAD_ABOVE, "memory.pressure", 20, 60, 15, 15, NONE,              \
      "percent of the time in which somebody waits for memory")                                    \
    X(MEMORY_FREE, RESOURCES, BAD_BELOW, "memory.free", 0.05, 0.02, 30, 15, NONE,                  \
      "share of memory that is available")                                                         \
    X(SWAP_USED, RESOURCES, BAD_ABOVE, "swap.used", 0.5, 0.9, 60, 30, NONE,                        \
      "share of the swap space")                                                                   \
    X(DISK_FREE, RESOURCES, BAD_BELOW, "disk.free", 0.1, 0.03, 10, 10, DRAIN,                      \
      "share of a disk that is free; of 256 GB where it is larger")                                \
    X(DISK_SYNC, RESOURCES, BAD_ABOVE, "disk.sync_s", 1, 5, 60, 30, NONE,                          \
      "seconds that a page takes to be on disk")                                                   \
    X(DISK_READ, RESOURCES, BAD_BELOW, "disk.read_mb_s", 50, 10, 1000, 0, NONE,                    \
      "megabytes a second that are read from a disk")                                              \
    X(DISK_WRITE, RESOURCES, BAD_BELOW, "disk.write_mb_s", 10, 2, 1000, 0, NONE,                   \
      "megabytes a second until they are on disk")                                                 \
    X(GPU_TEMPERATURE, RESOURCES, BAD_ABOVE, "gpu.temperature_c", 95, 105, 30, 30, NONE,           \
      "degrees Celsius of the hottest GPU")                                                        \
    X(GPU_MEMORY, RESOURCES, BAD_ABOVE, "gpu.memory_used", 0.97, 0.995, 60, 30, NONE,              \
      "share of a GPU's own memory")                                                               \
    X(TEMPERATURE, RESOURCES, BAD_ABOVE, "temperature.c", 90, 100, 30, 30, NONE,                   \
      "degrees Celsius of the hottest sensor")                                                     \
    X(FILES_USED, RESOURCES, BAD_ABOVE, "files.used", 0.8, 0.95, 10, 10, NONE,                     \
      "share of the file descriptors that a process of Pomona may have")

enum check_id {
#define X(id, ...) CHECK_##id,
    CHECK_MAP(X)
#undef X
        N_CHECKS,
};

struct check {
    const char *name;
    enum check_group group;
    enum check_sense sense;
    double warning, critical;  /* from here on it is bad */
    double for_s, clear_s;     /* how long it has to be worse, or better, before that counts */
    double stale_s;            /* without a value for so long, and for_s beside, it is unknown */
    enum health_action action; /* once it is critical; never HEALTH_ACTION_DEFAULT */
    int is_off;
    const char *words;
};

/* As they are built in; ret [N_CHECKS]. */
void checks_default(struct check *ret);

/* As `config` changes them.
 * Errors  ST_RANGE  it names a check that is not there, or thresholds in the wrong order */
enum status checks_configure(struct check *checks, const struct health_monitor *config,
                             struct err *err);

const char *check_group_word(enum check_group group);

#endif
