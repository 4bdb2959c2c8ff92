/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/bench/stats.c - what a set of measured values says. */
#include "cmd/bench/stats.h"

#include <math.h>
#include <stdlib.h>

enum { FIRST_CAPACITY = 64 };

void samples_add(struct samples *samples, double value)
{
    if (samples->n == samples->capacity) {
        const size_t capacity = samples->capacity > 0 ? 2 * samples->capacity : FIRST_CAPACITY;
        double *values = realloc(samples->values, capacity * sizeof(*values));

        if (!values)
            return;
        samples->values = values;
        samples->capacity = capacity;
    }
    samples->values[samples->n++] = value;
}

void samples_clear(struct samples *samples)
{
    samples->n = 0;
}

void samples_release(struct samples *samples)
{
    free(samples->values);
    *samples = (struct samples){ 0 };
}

double samples_mean(const struct samples *samples)
{
    double sum = 0;

    for (size_t i = 0; i < samples->n; i++)
        sum += samples->values[i];
    return samples->n > 0 ? sum / (double)samples->n : 0;
}

double samples_stddev(const struct samples *samples)
{
    const double mean = samples_mean(samples);
    double squares = 0;

    for (size_t i = 0; i < samples->n; i++)
        squares += (samples->values[i] - mean) * (samples->values[i] - mean);
    return samples->n > 1 ? sqrt(squares / (double)(samples->n - 1)) : 0;
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static void sort(struct samples *samples)
{
    if (samples->n > 1)
        qsort(samples->values, samples->n, sizeof(*samples->values), ascending);
}

double samples_percentile(struct samples *samples, double percent)
{
    double rank = ceil(percent / 100 * (double)samples->n);

    if (samples->n == 0)
        return 0;
    rank = fmin(fmax(rank, 1), (double)samples->n);
    sort(samples);
    return samples->values[(size_t)rank - 1];
}

double samples_median(struct samples *samples)
{
    const size_t half = samples->n / 2;

    if (samples->n == 0)
        return 0;
    sort(samples);
    if (samples->n % 2 == 1)
        return samples->values[half];
    return (samples->values[half - 1] + samples->values[half]) / 2;
}
