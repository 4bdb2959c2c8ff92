/* SPDX-License-Identifier: Apache-2.0 */
/* cluster/topology/figures.c - latency and bandwidth from the times of a few messages. */
#include "cluster/topology/figures.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

static const double RATE_MAX = 100e9; /* beyond that the memory is what is measured */

size_t probe_bytes(size_t i)
{
    if (i < PROBE_PINGS)
        return 0;
    return (i - PROBE_PINGS) % 2 == 0 ? PROBE_SMALL_BYTES : PROBE_LARGE_BYTES;
}

static double median(const double *values, size_t n)
{
    double sorted[PROBE_MESSAGES];

    for (size_t i = 0; i < n; i++) {
        size_t at = i;

        for (; at > 0 && sorted[at - 1] > values[i]; at--)
            sorted[at] = sorted[at - 1];
        sorted[at] = values[i];
    }
    return sorted[n / 2];
}

static double least(const double *times, size_t bytes)
{
    double found = INFINITY;

    for (size_t i = PROBE_PINGS; i < PROBE_MESSAGES; i++)
        if (probe_bytes(i) == bytes)
            found = fmin(found, times[i]);
    return found;
}

void probe_figures(const double *times, double *ret_latency_s, double *ret_bytes_per_s)
{
    const double more = PROBE_LARGE_BYTES - PROBE_SMALL_BYTES;
    const double longer = least(times, PROBE_LARGE_BYTES) - least(times, PROBE_SMALL_BYTES);

    *ret_latency_s = median(times + 1, PROBE_PINGS - 1) / 2;
    *ret_bytes_per_s = longer > more / RATE_MAX ? more / longer : RATE_MAX;
}

double path_seconds(double latency_s, double bytes_per_s, size_t n_bytes)
{
    return bytes_per_s > 0 ? latency_s + (double)n_bytes / bytes_per_s : INFINITY;
}
