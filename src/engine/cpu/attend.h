/* SPDX-License-Identifier: Apache-2.0 */
/* engine/cpu/attend.h - attention of a step: tasks planned once, done in every layer.
 *
 * Positions are cut into segments of ATTEND_SEGMENT, which depend on nothing
 * else.  Over one segment the softmax of a query is complete: scores, largest,
 * exponentials, mixed values.  Segments are merged in ascending order (the running
 * maximum and sum of Milakov and Gimelshein 2018, arXiv:1805.02867, section 3), so who
 * computes which segment does not show in the result, and keys and values are read once.
 *
 * A tile is a few consecutive rows of a sequence, for all query heads that share a
 * key head: keys and values are read once for all of them.  A task is a tile and a
 * key head, with all segments; or with one segment of a long sequence of few rows, so
 * that one stream keeps all workers busy.  Then the worker that finishes the last segment of
 * a tile merges them.
 */
#ifndef POMONA_ENGINE_CPU_ATTEND_H
#define POMONA_ENGINE_CPU_ATTEND_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/engine.h"

enum {
    ATTEND_SEGMENT = 256, /* positions; at least the largest page */
    ATTEND_QUERIES = 64,  /* queries of a tile, where heads that share a key head are not more */
    ATTEND_ALL = -1,      /* every segment, in a task's place of one */
};

/* Softmax and mixed values of some queries, over the positions they have seen. */
struct attend_state {
    float *max, *total; /* [n_queries] */
    float *sum;         /* [n_queries][head_dim] */
};

/* What one worker needs for itself. */
struct attend_bench {
    float *q;                      /* [queries][head_dim], scaled */
    float *score;                  /* [queries][ATTEND_SEGMENT] */
    struct attend_state all, part; /* of `queries` */
};

struct attend_task {
    uint32_t first_row, n_rows;
    uint32_t tile; /* which of the tiles in segments; where there is one */
    int32_t segment;
    uint32_t n_segments;
    size_t states; /* where the tile's states begin, in floats */
};

struct attend_plan {
    uint32_t n_queries, n_tile_rows; /* of the largest tile */
    size_t state_floats;             /* of one query */
    struct attend_task *tasks;       /* [max_tasks]; each is done for every key head */
    uint32_t n_tasks, max_tasks;
    float *states; /* [max_states]: of tiles in segments, [segment][kv head][query] */
    size_t n_states, max_states;
    atomic_uint
        *n_left; /* [max_rows][n_kv_head]: segments to come of a tile, in the layer at hand */
    uint32_t n_tiles;
};

struct cpu_shard;

/* Errors  false: out of memory; release what there is with the functions below */
bool attend_plan_init(struct attend_plan *plan, const struct model_shape *shape,
                      const struct engine_options *options);
void attend_plan_release(struct attend_plan *plan);
bool attend_bench_init(struct attend_bench *bench, const struct attend_plan *plan,
                       const struct model_shape *shape);
void attend_bench_release(struct attend_bench *bench);

/* The tasks of a batch that was found sound. */
void attend_plan_batch(struct attend_plan *plan, const struct model_shape *shape,
                       const struct engine_batch *batch);

/* One task for one key head: from the pages into shard->mixed.
 * bench  the calling worker's */
void cpu_attend(struct cpu_shard *shard, struct attend_bench *bench, uint32_t layer,
                const struct attend_task *task, uint32_t kv_head);

#endif
