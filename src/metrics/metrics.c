/* SPDX-License-Identifier: Apache-2.0 */
/* metrics/metrics.c - counts, gauges and histograms, in a table made once. */
#include "metrics/metrics_priv.h"

static const double metric_buckets_resumed[] = { .1, .25, .5, 1, 1.5, 2, 3, 4, 5, 10, 20, 30, 0 };

/* The bounds that vLLM's dashboards expect. */
static const double metric_buckets_first[] = { .001, .005, .01, .02, .04, .06,  .08, .1,
                                               .25,  .5,   .75, 1,   2.5, 5,    7.5, 10,
                                               20,   40,   80,  160, 640, 2560, 0 };
static const double metric_buckets_next[] = { .01, .025, .05, .075, .1,  .15, .2, .3, .4, .5,
                                              .75, 1,    2.5, 5,    7.5, 10,  20, 40, 80, 0 };
static const double metric_buckets_whole[] = { .3, .5, .8, 1,  1.5, 2,   2.5, 5,   10,   15,   20,
                                               30, 40, 50, 60, 120, 240, 480, 960, 1920, 7680, 0 };

const struct metric_row metric_rows[N_METRICS] = {
#define X(id, kind, name, vllm, label, values, buckets, help)                                      \
    [id] = { kind, name, vllm, label, values, buckets, help },
    METRIC_MAP(X)
#undef X
};

struct metric_state metric_states[N_METRICS];

void metric_add(enum metric metric, unsigned value, uint64_t n)
{
    if (value < METRIC_VALUES_MAX)
        atomic_fetch_add_explicit(&metric_states[metric].counts[value], n, memory_order_relaxed);
}

void metric_set(enum metric metric, double to)
{
    atomic_store_explicit(&metric_states[metric].gauge, to, memory_order_relaxed);
}

void metric_observe(enum metric metric, double seconds)
{
    const double *bounds = metric_rows[metric].buckets;
    struct metric_state *state = &metric_states[metric];
    size_t i = 0;

    while (bounds[i] > 0 && seconds > bounds[i])
        i++;
    atomic_fetch_add_explicit(&state->counts[i], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&state->sum_ns, seconds > 0 ? (uint64_t)(seconds * 1e9) : 0,
                              memory_order_relaxed);
}
