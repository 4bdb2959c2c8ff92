/* SPDX-License-Identifier: Apache-2.0 */
/* execute/speed/speed.h - how fast this machine computes, measured with the engine that will.
 *
 * Layers of two sizes are timed in the real engine (yardstick.h), so what comes out is what its
 * kernels and threads reach, not what a data sheet or an empty loop says.  With a layer's time
 *
 *   (reading^p + computing^p)^(1/p) + layer_us + rows * hidden * row_ns
 *
 * of partition/cost.h, the unknowns follow from as many times (speed_solve):
 *
 *   wide layers, 1 row      reading: memory_gbs
 *   wide layers, 16 rows    computing: compute_gops
 *   narrow layers, 1 row    beside the wide: layer_us, what a layer costs whatever its size
 *   narrow, 8 to 32 rows    what a row costs beside its products: row_ns
 *   wide, 2 to 8 rows       where reading and computing balance: overlap
 *   narrow, 1 row, depth    attention: attend_gops
 * sample_ns from the sampler itself, as the API's defaults use it; step_us and token_us from tokens
 * that are told (telling.h).  All layers together are
 * larger than the caches, as a model's are.
 *
 * Takes some seconds of all its threads and a few hundred megabytes.
 *
 * Source  roofline: Williams, Waterman, Patterson 2009, doi:10.1145/1498765.1498785
 */
#ifndef POMONA_EXECUTE_SPEED_SPEED_H
#define POMONA_EXECUTE_SPEED_SPEED_H

#include <stdint.h>

#include "base/status.h"
#include "contract/node_speed.h"

/* Layer sizes that were timed. */
struct speed_size {
    double bytes, params, hidden; /* of a layer */
};

struct speed_times { /* seconds of one layer */
    struct speed_size wide, narrow;
    double wide_1, wide_16, narrow_1, narrow_8, narrow_16, narrow_32;
    double wide_middle; /* at n_middle rows */
    uint32_t n_middle;
    double narrow_deep;          /* one row that attends to n_depth positions */
    uint32_t n_shallow, n_depth; /* all others attend to n_shallow */
};

/* The figures that explain these times; none is negative, whatever noise there was.  Pure. */
void speed_solve(const struct speed_times *times, struct node_speed *ret_speed);

/* Measure a node of n_threads (0: all fast cores) with `kernels` (NULL: the best), and the machine
 * with all its cores, and how much of it others used meanwhile.
 * Errors  ST_NOMEM; ST_UNSUPPORTED  no such kernels */
enum status speed_measure(unsigned n_threads, const char *kernels, struct node_measure *ret_measure,
                          struct err *err);

#endif
