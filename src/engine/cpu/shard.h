/* SPDX-License-Identifier: Apache-2.0 */
/* engine/cpu/shard.h - a shard as the CPU engine holds it: weights, pages, buffers of a step.
 *
 * Every buffer is sized for the largest batch when the shard is opened, so a
 * step allocates nothing.
 */
#ifndef POMONA_ENGINE_CPU_SHARD_H
#define POMONA_ENGINE_CPU_SHARD_H

#include "engine/cpu/attend.h"
#include "engine/cpu/crew.h"
#include "engine/cpu/kernels.h"
#include "engine/cpu/pages.h"
#include "engine/cpu/panel_set.h"
#include "engine/engine.h"

enum {
    TILE_ROWS = 64, /* activation rows that meet a piece of a matrix while it is in cache */
    TILE_OUTS = 32, /* outputs of one task, whole panels */
    FEW_ROWS = 4,   /* up to here each worker prepares all rows for itself: cheaper than
                          * a barrier */
};

/* One row of the batch, as attention sees it. */
struct row_place {
    const uint32_t *pages; /* of its sequence */
    uint32_t position;
};

/* What one worker needs for itself. */
struct bench {
    float *normed;         /* [FEW_ROWS][widest] */
    unsigned char *packed; /* [FEW_ROWS], each of the widest */
    float *weight_row;     /* [widest], matmul's scratch */
    float *tile;           /* [TILE_ROWS][tile_width] */
    struct attend_bench attend;
};

struct cpu_shard {
    struct engine_shard base;
    struct shard_weights weights; /* of its matrices, steps read the embedding alone */
    struct panel_set panels;
    struct engine_options options;
    struct kernel_ops ops;
    const struct product_ops *products; /* of them, for all matrices but the output */
    struct crew *crew;
    struct page_pool pool;
    double *frequency; /* [n_rope / 2], radians per position */

    uint32_t widest;       /* columns of the widest matrix */
    uint32_t head_outs;    /* outputs of one task that are whole heads and whole panels */
    uint32_t tile_width;   /* outputs of the widest task */
    struct bench *benches; /* [crew_size] */
    struct attend_plan attend;
    struct engine_profile profile; /* of worker 0 */
    uint64_t phase_began_ns;
    struct row_place *places; /* [max_rows] */
    float *h;                 /* [max_rows][n_hidden] */
    float *normed;            /* [max_rows][n_hidden] */
    unsigned char *packed;    /* [max_rows], each of the widest */
    float *turn;              /* [max_rows][n_rope / 2][cos, sin] */
    float *q;                 /* [max_rows][n_head * head_dim] */
    float *mixed;             /* the same; attention's result */
    float *ff;                /* [max_rows][n_ff] */
    float *partial;           /* [max_rows][n_hidden], to be summed; NULL: no team */
    enum status failure;      /* of a sum; no step comes after it */
    struct err why;
};

static inline bool cpu_is_member(const struct cpu_shard *shard)
{
    return shard->weights.portion.n_members > 0;
}

/* Query heads that share a key head; 1 where there are none. */
static inline uint32_t cpu_group(const struct model_shape *shape)
{
    return shape->n_kv_head > 0 ? shape->n_head / shape->n_kv_head : 1;
}

/* Errors  as engine_type.open */
enum status cpu_shard_check(const struct shard_weights *weights,
                            const struct engine_options *options, struct err *err);

/* Fill the places of the rows, once the batch is known to be sound.
 * Errors  ST_RANGE */
enum status cpu_batch_check(struct cpu_shard *shard, const struct engine_batch *batch,
                            const float *hidden_out, const float *logits_out, struct err *err);

/* The part of one worker in a step; arg is a struct cpu_step. */
struct cpu_step {
    struct cpu_shard *shard;
    const struct engine_batch *batch;
    float *logits_out;
};
void cpu_step_run(void *arg, unsigned worker);

/* Sum rows over the team; an error stays in shard->failure.  Worker 0 alone. */
enum status cpu_sum(struct cpu_shard *shard, float *rows, size_t n_floats);

/* The time since the last lap went to `phase`; worker 0 alone. */
void cpu_lap(struct cpu_shard *shard, enum engine_phase phase);

/* Put x, a key or a value of a row of the batch, into its page. */
void cpu_store_kv(struct cpu_shard *shard, uint32_t layer, enum kv_part part, uint32_t kv_head,
                  uint32_t row, const float *x);

/* Angles of a row, and turning a head by them. */
void cpu_rope_angles(const struct cpu_shard *shard, uint32_t position, float *ret_turn);
void cpu_rope_turn(const struct model_shape *shape, const float *turn, float *head);

#endif
