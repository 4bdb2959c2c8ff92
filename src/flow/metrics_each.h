/* SPDX-License-Identifier: Apache-2.0 */
/* flow/metrics_each.h - metrics of things that come and go: peers, links, instances, runners.
 *
 * Taken once for a scrape from what this node was told or knows; nobody is asked.  An instance is shown by
 * the node that drives it alone, so sums over nodes count it once; links are those from this node.
 *
 * Threads  the loop's
 */
#ifndef POMONA_FLOW_METRICS_EACH_H
#define POMONA_FLOW_METRICS_EACH_H

#include "flow/service_priv.h"
#include "metrics/metrics.h"

struct metrics_taken {
    struct service *service;
    struct cluster_member *peers; /* [n_peers] */
    size_t n_peers;
    struct cluster_link *links; /* [n_links] */
    size_t n_links;
    struct cluster_instance *instances; /* [n_instances], driven here */
    double *predicted;                  /* [n_instances]; NAN: not known */
    size_t n_instances;
    struct cluster_runner *runners; /* [n_runners] */
    char (*ranks)[12];              /* [n_runners] */
    size_t n_runners;
    uint64_t n_runners_started, n_runners_lost;
};

/* What there is no memory for is left out.  ret  metrics_taken_release() */
void metrics_take(struct service *service, struct metrics_taken *ret);
void metrics_taken_release(struct metrics_taken *taken);

/* ret_sources [N_METRIC_GROUPS]; `taken` is lent to them */
void metrics_sources(struct metrics_taken *taken, struct metrics_source *ret_sources);

#endif
