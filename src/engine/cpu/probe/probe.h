/* SPDX-License-Identifier: Apache-2.0 */
/* engine/cpu/probe/probe.h - what this machine reads and computes at best.
 *
 * Two bounds that every measured speed is held against, and that planning can
 * trust more than a data sheet:
 *   memory      the sum over an array several times the last-level cache, read by all
 *               threads; the read half of STREAM
 *   arithmetic  the widest 8-bit dot product instruction on registers alone
 * Each measure() takes the best of a few short passes (under 0.2 s in all): a
 * neighbour can only make a machine look slower than it is.
 *
 * Threads  one owner thread calls; the probe has its own workers, those of a crew
 * Source   J. McCalpin, "Memory Bandwidth and Machine Balance in Current High Performance
 *          Computers", IEEE TCCA Newsletter, December 1995
 */
#ifndef POMONA_ENGINE_CPU_PROBE_PROBE_H
#define POMONA_ENGINE_CPU_PROBE_PROBE_H

#include <stddef.h>

#include "base/status.h"

struct probe;

struct probe_figures { /* of all threads together */
    double read_bytes_per_s;
    double int8_ops_per_s;  /* a multiplication and an addition count as two */
    const char *int8_means; /* what computed: "avx512-vnni"; lent for ever */
};

/* ret_probe  given; release with probe_free(); holds the array until then
 * Errors     ST_NOMEM  no memory for the array or its threads */
enum status probe_new(unsigned n_threads, struct probe **ret_probe, struct err *err);
void probe_free(struct probe *probe); /* NULL is allowed */

void probe_measure(struct probe *probe, struct probe_figures *ret_figures);

#endif
