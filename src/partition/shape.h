/* SPDX-License-Identifier: Apache-2.0 */
/* partition/shape.h - a model as the cost model sees it: sizes, and what a token touches of them.
 *
 * From a model's file, or from a small table of well-known models, so that a
 * plan needs no file.  The table holds the figures of each model's
 * config.json; bytes are computed from them.
 *
 * To add a model: a row of known[] in shape.c.
 */
#ifndef POMONA_PARTITION_SHAPE_H
#define POMONA_PARTITION_SHAPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "contract/model_info.h"

struct plan_shape {
    struct model_info info;
    uint32_t n_kv_heads;  /* what tensor parallelism splits; >= 1 */
    double layer_params;  /* that one row is multiplied with in a layer: without idle experts */
    double output_params; /* the same of the output matrix */

    uint32_t n_experts;    /* of a layer; 0: none */
    uint32_t n_chosen;     /* of them, for each row */
    uint64_t expert_bytes; /* all experts of a layer, part of info.layer_bytes */
};

/* The shape of a file.  How many heads it has is not in model_info: they are
 * taken to be of 128 elements from 4096 hidden ones on, else of 64. */
void plan_shape_of(const struct model_info *info, struct plan_shape *ret_shape);

/* The table's model of that name; false: there is none. */
bool plan_shape_find(const char *name, struct plan_shape *ret_shape);

/* Append the names of the table, "a, b, c". */
void plan_shape_names(struct buf *out);

#endif
