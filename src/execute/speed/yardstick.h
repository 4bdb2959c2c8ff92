/* SPDX-License-Identifier: Apache-2.0 */
/* execute/speed/yardstick.h - layers of made-up weights in a real engine, to be timed.
 *
 * Shaped as layers of the llama family in Q4_0.  Every layer has memory of its own, as the layers
 * of a model have, so one that is larger than the caches is read from memory at each step.
 *
 * Threads  one owner thread
 */
#ifndef POMONA_EXECUTE_SPEED_YARDSTICK_H
#define POMONA_EXECUTE_SPEED_YARDSTICK_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

enum {
    YARDSTICK_ROWS_MAX = 32,
    YARDSTICK_DEPTH = 63,       /* at which rows stand: somewhere in a short answer */
    YARDSTICK_DEPTH_MAX = 1024, /* of one row alone */
};

struct yardstick_shape {
    uint32_t n_hidden, n_ff, n_head, n_kv_head; /* heads of 64 */
    uint32_t n_layers;
};

struct yardstick;

/* *ret given: yardstick_free().
 * kernels  as struct engine_options has them
 * Errors   ST_NOMEM; what an engine says to options it cannot meet */
enum status yardstick_new(const struct yardstick_shape *shape, unsigned n_threads,
                          const char *kernels, struct yardstick **ret, struct err *err);
void yardstick_free(struct yardstick *yardstick); /* NULL is allowed */

/* Of one layer. */
double yardstick_bytes(const struct yardstick_shape *shape);
double yardstick_params(const struct yardstick_shape *shape);

const char *yardstick_kernels(const struct yardstick *yardstick); /* lent */

/* Seconds that one layer takes in a step of n_rows sequences that each stand at position `depth`:
 * the third shortest of several steps.
 * n_rows  1..YARDSTICK_ROWS_MAX
 * depth   0..YARDSTICK_DEPTH, and to YARDSTICK_DEPTH_MAX for one row */
enum status yardstick_time(struct yardstick *yardstick, uint32_t n_rows, uint32_t depth,
                           double *ret_layer_s, struct err *err);

#endif
