/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/bench/work.h - what a test must read and compute at the least, whoever computes it.
 *
 * A step reads every matrix once, however many rows it has, and the keys and
 * values of the positions its rows look at, once for each sequence.  It
 * multiplies every element of a matrix with every row, that of the output
 * matrix with rows whose logits are wanted only.  Norms, activations and
 * embedding rows are too small to count.
 */
#ifndef POMONA_CMD_BENCH_WORK_H
#define POMONA_CMD_BENCH_WORK_H

#include <stdint.h>

#include "cmd/bench/measure.h"
#include "engine/weights.h"

struct work {
    double bytes;
    double ops; /* a multiplication and an addition count as two */
};

/* One run of `test` in steps of at most MEASURE_ROWS_MAX rows.
 * position_bytes  of keys and values of one position in all layers, as the engine keeps them */
struct work work_of(const struct shard_weights *weights, double position_bytes,
                    const struct measure_test *test);

#endif
