/* SPDX-License-Identifier: Apache-2.0 */
/* cluster/topology/figures.h - latency and bandwidth from the times of a few messages.
 *
 * Small messages first, with pauses in which both ends fall asleep, as the ranks of a pipeline do
 * between their turns: half of the median round trip is the latency of one way, waking included.  Then bursts of two sizes:
 * the difference of their times is that of the difference of their sizes, whatever both cost
 * besides, and the first ones open the connection's window (RFC 5681, slow start).
 *
 * Pure.
 */
#ifndef POMONA_CLUSTER_TOPOLOGY_FIGURES_H
#define POMONA_CLUSTER_TOPOLOGY_FIGURES_H

#include <stddef.h>

enum {
    PROBE_PAUSE_MS = 8, /* before each ping */
    PROBE_PINGS = 6,    /* the first does not count: it pays for what is done once */
    PROBE_BURSTS = 6,
    PROBE_MESSAGES = PROBE_PINGS + PROBE_BURSTS,
    PROBE_SMALL_BYTES = 16 << 10,
    PROBE_LARGE_BYTES = 96 << 10,
};

/* What a connection carries at a time, by which the addresses of its other end are compared. */
enum {
    WAY_TOKENS_BYTES = 1 << 10, /* gateways and drivers; control channels */
    WAY_ROWS_BYTES = 64 << 10,  /* ranks */
    WAY_PIECES_BYTES = 1 << 20, /* a model's file */
};

/* Bytes of message i of a probe: pings, then small and large bursts in turn. */
size_t probe_bytes(size_t i);

/* times  [PROBE_MESSAGES], s, from sending to the answer's coming */
void probe_figures(const double *times, double *ret_latency_s, double *ret_bytes_per_s);

/* How long `n_bytes` take over a path; infinite where its figures are not known (0). */
double path_seconds(double latency_s, double bytes_per_s, size_t n_bytes);

#endif
