/* SPDX-License-Identifier: Apache-2.0 */
/* monitor/monitor.h - the health monitor: asks, judges, records, tells, and acts.
 *
 *   poll, canary, chores --ledger_observe()--> ledger --changes--> history, callbacks, action
 *
 * It is a client of the nodes' API and holds nothing that they need: it may end and begin at any time, and
 * several may watch one cluster.  What it does to a cluster is bounded: an instance is replaced at most once in
 * REPLACE_PAUSE_S for each model and REPLACE_MAX times in an hour, and one node at a time is drained.
 *
 * It answers at a port of its own:
 *   GET /health   the findings now, as JSON
 *   GET /report   ?since=SECONDS&node=NAME  what its history says
 *   GET /metrics  the findings for Prometheus
 *   GET /livez    it runs
 *
 * Files  poll.c, canary.c and chores.c ask; fetch.c fetches, remote.c reads what came; ledger.c keeps findings;
 *        recorder.c writes the history, report.c reads it; callbacks.c and act.c do what follows; show.c answers
 * Threads  the loop's; short-lived jobs read the machine, and write and read the history
 */
#ifndef POMONA_MONITOR_MONITOR_H
#define POMONA_MONITOR_MONITOR_H

#include <stdbool.h>

#include "config/config.h"
#include "net/loop.h"

struct monitor;

struct monitor_options {
    const struct config *cluster; /* lent until monitor_free() */
    const char *node;             /* of this machine; also which node is asked first */
    const char *data;        /* folder of the history, and the disk that is watched by default */
    const char *settings;    /* path of health_monitor.yaml; NULL: none */
    const char *listen_host; /* NULL: as the settings say */
    int listen_port;         /* -1: as the settings say; 0: one that is free */
    const char *log_levels;  /* that hold over those of the settings; NULL: none.  Lent */
    const char *api_key;     /* sent to nodes; NULL: none.  Lent */
};

enum { REPLACE_PAUSE_S = 15, REPLACE_MAX = 6 };

enum status monitor_new(struct loop *loop, const struct monitor_options *options,
                        struct monitor **ret_monitor, struct err *err);
uint16_t monitor_port(const struct monitor *monitor);

/* Read the settings again; a file with a mistake changes nothing, and is warned of. */
void monitor_reload(struct monitor *monitor);

/* Is a job under way?  Then it may not be freed yet. */
bool monitor_is_busy(const struct monitor *monitor);
void monitor_free(struct monitor *monitor); /* NULL is allowed */

#endif
