/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/bench/stats.h - what a set of measured values says. */
#ifndef POMONA_CMD_BENCH_STATS_H
#define POMONA_CMD_BENCH_STATS_H

#include <stddef.h>

/* Values as they come in; they are sorted when the first question is asked. */
struct samples {
    double *values; /* [n], of them; NULL while there is none */
    size_t n, capacity;
};

void samples_add(struct samples *samples, double value); /* a value beyond memory is lost */
void samples_clear(struct samples *samples);             /* memory stays */
void samples_release(struct samples *samples);

/* All give 0 for no values. */
double samples_mean(const struct samples *samples);
double samples_stddev(const struct samples *samples); /* of a sample: n - 1 */

/* The smallest value that at least `percent` of all do not exceed (nearest rank); of an even
 * number, the median is the mean of the middle two.  Sorts. */
double samples_percentile(struct samples *samples, double percent);
double samples_median(struct samples *samples);

#endif
