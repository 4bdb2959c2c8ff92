/* SPDX-License-Identifier: Apache-2.0 */
/* cluster/topology/ways.h - in which order the addresses of a peer are tried.
 *
 * Pure.
 */
#ifndef POMONA_CLUSTER_TOPOLOGY_WAYS_H
#define POMONA_CLUSTER_TOPOLOGY_WAYS_H

#include "cluster/cluster_priv.h"

/* How long a cut link is left alone: a probe cannot say that it is whole again, as its port may get
 * through where hidden rows do not. */
enum { CUT_REST_MS = 30000 };

/* Those by which `n_bytes` are there soonest first, as probed; then those that are not probed yet,
 * and last those that did not answer; else as they were told.
 * paths  [n] */
void ways_order(const struct path *paths, size_t n, size_t n_bytes, struct hosts *ret_hosts);

#endif
