/* SPDX-License-Identifier: Apache-2.0 */
/* contract/node_speed.c - the figures of a node by name. */
#include "contract/node_speed.h"

#include <math.h>

/* No machine reads 1e9 GB/s, and no layer costs so many microseconds. */
static const double MOST = 1e9;

/* One core of ten costs figures less than they differ from one quiet time to the next. */
static const double QUIET = 0.1;

const struct node_speed_field node_speed_fields[NODE_SPEED_FIELDS] = {
    { "memory_gbs", offsetof(struct node_speed, memory_gbs) },
    { "compute_gops", offsetof(struct node_speed, compute_gops) },
    { "overlap", offsetof(struct node_speed, overlap) },
    { "attend_gops", offsetof(struct node_speed, attend_gops) },
    { "layer_us", offsetof(struct node_speed, layer_us) },
    { "row_ns", offsetof(struct node_speed, row_ns) },
    { "sample_ns", offsetof(struct node_speed, sample_ns) },
    { "disk_gbs", offsetof(struct node_speed, disk_gbs) },
    { "watts", offsetof(struct node_speed, watts) },
    { "step_us", offsetof(struct node_speed, step_us) },
    { "token_us", offsetof(struct node_speed, token_us) },
};

double *node_speed_at(struct node_speed *speed, size_t field)
{
    return (double *)(void *)((char *)speed + node_speed_fields[field].offset);
}

bool node_speed_is_sane(const struct node_speed *speed)
{
    struct node_speed copy = *speed;

    for (size_t i = 0; i < NODE_SPEED_FIELDS; i++) {
        const double value = *node_speed_at(&copy, i);

        if (!isfinite(value) || value < 0 || value > MOST)
            return false;
    }
    return true;
}

bool node_measure_is_quiet(const struct node_measure *measure)
{
    return measure->others <= QUIET;
}
