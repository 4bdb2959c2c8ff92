/* SPDX-License-Identifier: Apache-2.0 */
/* metrics/metrics_priv.h - the table and what was counted, for metrics.c and render.c. */
#ifndef POMONA_METRICS_METRICS_PRIV_H
#define POMONA_METRICS_METRICS_PRIV_H

#include <stdatomic.h>

#include "metrics/metrics.h"

struct metric_row {
    enum metric_kind kind;
    const char *name, *vllm, *label, *values; /* values: "2xx|4xx" */
    const double *buckets;                    /* upper bounds, rising, 0 at the end */
    const char *help;
};

/* A histogram counts in values[], one for each bucket and one beyond, and sums nanoseconds. */
struct metric_state {
    atomic_uint_fast64_t counts[METRIC_BUCKETS_MAX + 1];
    atomic_uint_fast64_t sum_ns;
    _Atomic double gauge;
};

extern const struct metric_row metric_rows[N_METRICS];
extern struct metric_state metric_states[N_METRICS];

#endif
