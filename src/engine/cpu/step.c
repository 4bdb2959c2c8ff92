/* SPDX-License-Identifier: Apache-2.0 */
/* engine/cpu/step.c - one step, as every worker walks through it.
 *
 * Five phases a layer, a barrier after each:
 *     norm; queries, keys, values; turn by position; keys and values to their pages
 *     attention
 *     attention's output matrix, added to the hidden rows, or summed over the team first
 *     norm; gate and up matrices, SwiGLU
 *     down matrix, as the output matrix of attention
 * A task is some panels of a matrix for a tile of rows, or attention of some rows for the
 * heads that share a key head (attend.h).
 * A phase writes what no task of the same phase reads.
 */
#include <string.h>

#include "base/size.h"
#include "engine/cpu/shard.h"

/* One worker's view of a step. */
struct hand {
    const struct cpu_step *step;
    struct cpu_shard *shard;
    struct bench *bench;
    uint32_t n_rows;
    unsigned worker;
    bool is_timed; /* this worker keeps time */
};

/* The time since the last lap went to `phase`. */
static void lap(const struct hand *hand, enum engine_phase phase)
{
    if (hand->is_timed)
        cpu_lap(hand->shard, phase);
}

/* The end of a phase for all workers. */
static void meet(const struct hand *hand, enum engine_phase phase)
{
    lap(hand, phase);
    crew_barrier(hand->shard->crew);
    lap(hand, PHASE_WAIT);
}

static float *row_of(float *rows, uint32_t row, size_t width)
{
    return rows + row * width;
}

/* Rows as matrices take them.
 * products  of the format of activations
 * norm      weights of the norm that comes first, or NULL
 * index     which rows of `rows`, or NULL for the first n_rows */
struct preparing {
    const struct product_ops *products;
    const float *rows;
    const float *norm;
    const uint32_t *index;
    uint32_t n_rows, n_cols;
};

struct prepared {
    const struct product_ops *products;
    struct activations a;
};

static void prepare_row(const struct hand *hand, const struct preparing *p, uint32_t row,
                        float *normed, unsigned char *packed)
{
    const struct kernel_ops *ops = &hand->shard->ops;
    const float *x = p->rows + (size_t)(p->index ? p->index[row] : row) * p->n_cols;

    if (p->norm) {
        normed += (size_t)row * p->n_cols;
        ops->rmsnorm(normed, x, p->norm, p->n_cols, hand->shard->weights.shape.norm_eps);
        x = normed;
    }
    p->products->pack(packed + row * p->products->packed_bytes(p->n_cols), x, p->n_cols);
}

static struct prepared prepare(const struct hand *hand, const struct preparing *p)
{
    struct cpu_shard *shard = hand->shard;
    const bool is_shared = p->n_rows > FEW_ROWS;
    float *normed = is_shared ? shard->normed : hand->bench->normed;
    unsigned char *packed = is_shared ? shard->packed : hand->bench->packed;

    if (is_shared) {
        for (uint32_t row; crew_take(shard->crew, hand->worker, p->n_rows, &row);)
            prepare_row(hand, p, row, normed, packed);
        meet(hand, PHASE_NORM);
    } else {
        for (uint32_t row = 0; row < p->n_rows; row++)
            prepare_row(hand, p, row, normed, packed);
        lap(hand, PHASE_NORM);
    }
    return (struct prepared){ .products = p->products,
                              .a = { .x = p->norm ? normed : p->rows,
                                     .packed = packed,
                                     .packed_bytes = p->products->packed_bytes(p->n_cols),
                                     .n_cols = p->n_cols,
                                     .n_rows = p->n_rows } };
}

/* The part of what is prepared that one task computes with. */
struct tile {
    const struct product_ops *products;
    struct activations a;
    uint32_t first_row;
    uint32_t piece; /* which outputs */
};

static uint32_t n_tiles(uint32_t n_rows)
{
    return (n_rows + TILE_ROWS - 1) / TILE_ROWS;
}

static uint32_t n_pieces(uint32_t n_outs, uint32_t outs)
{
    return (n_outs + outs - 1) / outs;
}

/* Tasks of one piece follow each other, so its weights stay in cache. */
static struct tile tile_of(const struct prepared *p, uint32_t task)
{
    const struct activations *a = &p->a;
    const uint32_t tiles = n_tiles(a->n_rows), first = task % tiles * TILE_ROWS;
    struct tile tile = {
        .products = p->products, .a = *a, .first_row = first, .piece = task / tiles
    };

    tile.a.x += (size_t)first * a->n_cols;
    tile.a.packed += first * a->packed_bytes;
    tile.a.n_rows = (uint32_t)size_min(TILE_ROWS, a->n_rows - first);
    return tile;
}

/* Outputs first_out.. of a matrix, from the start of a panel. */
static void multiply(const struct hand *hand, const struct panels *w, uint32_t first_out,
                     uint32_t n_out, const struct tile *tile, float *out, size_t out_stride)
{
    tile->products->matmul[w->dtype](w, first_out / PANEL_ROWS, panel_count(n_out), &tile->a, out,
                                     out_stride, hand->bench->weight_row);
}

/* ---- the beginning ---- */

static void begin_row(const struct hand *hand, uint32_t row)
{
    struct cpu_shard *shard = hand->shard;
    const struct model_shape *shape = &shard->weights.shape;
    const struct engine_batch *batch = hand->step->batch;
    const struct matrix *e = &shard->weights.embedding;
    float *h = row_of(shard->h, row, shape->n_hidden);

    if (batch->tokens)
        shard->ops.dequantise[e->dtype](h,
                                        (const unsigned char *)e->data +
                                            (size_t)batch->tokens[row] *
                                                dtype_row_bytes(e->dtype, e->n_cols),
                                        e->n_cols);
    else
        memcpy(h, batch->hidden + (size_t)row * shape->n_hidden, shape->n_hidden * sizeof(*h));
    cpu_rope_angles(shard, shard->places[row].position, row_of(shard->turn, row, shape->n_rope));
}

static void begin(const struct hand *hand)
{
    for (uint32_t row; crew_take(hand->shard->crew, hand->worker, hand->n_rows, &row);)
        begin_row(hand, row);
    meet(hand, PHASE_EMBEDDING);
}

/* ---- queries, keys, values ---- */

static void query_heads(const struct hand *hand, uint32_t layer, uint32_t first_out,
                        const struct tile *tile)
{
    struct cpu_shard *shard = hand->shard;
    const struct model_shape *shape = &shard->weights.shape;
    const struct panels *w = &shard->panels.layers[layer].q;
    const uint32_t n = (uint32_t)size_min(shard->head_outs, w->n_rows - first_out);
    float *q = row_of(shard->q, tile->first_row, w->n_rows) + first_out;

    multiply(hand, w, first_out, n, tile, q, w->n_rows);
    for (uint32_t r = 0; r < tile->a.n_rows; r++)
        for (uint32_t i = 0; i < n; i += shape->head_dim)
            cpu_rope_turn(shape, row_of(shard->turn, tile->first_row + r, shape->n_rope),
                          row_of(q, r, w->n_rows) + i);
}

static void key_or_value_heads(const struct hand *hand, uint32_t layer, enum kv_part part,
                               uint32_t first_out, const struct tile *tile)
{
    struct cpu_shard *shard = hand->shard;
    const struct model_shape *shape = &shard->weights.shape;
    const struct layer_panels *l = &shard->panels.layers[layer];
    const struct panels *w = part == KV_KEY ? &l->k : &l->v;
    const uint32_t n = (uint32_t)size_min(shard->head_outs, w->n_rows - first_out);

    multiply(hand, w, first_out, n, tile, hand->bench->tile, n);
    for (uint32_t r = 0; r < tile->a.n_rows; r++) {
        const uint32_t row = tile->first_row + r;

        for (uint32_t i = 0; i < n; i += shape->head_dim) {
            float *head = row_of(hand->bench->tile, r, n) + i;

            if (part == KV_KEY)
                cpu_rope_turn(shape, row_of(shard->turn, row, shape->n_rope), head);
            cpu_store_kv(shard, layer, part, (first_out + i) / shape->head_dim, row, head);
        }
    }
}

static void queries_keys_values(const struct hand *hand, uint32_t layer)
{
    struct cpu_shard *shard = hand->shard;
    const struct model_shape *shape = &shard->weights.shape;
    const struct layer_panels *l = &shard->panels.layers[layer];
    const struct preparing p = { .products = shard->products,
                                 .rows = shard->h,
                                 .norm = shard->weights.layers[layer].attn_norm,
                                 .n_rows = hand->n_rows,
                                 .n_cols = shape->n_hidden };
    const struct prepared in = prepare(hand, &p);
    const uint32_t outs = shard->head_outs;
    const uint32_t n_q = n_pieces(l->q.n_rows, outs), n_kv = n_pieces(l->k.n_rows, outs);
    const uint32_t n_tasks = (n_q + 2 * n_kv) * n_tiles(hand->n_rows);

    for (uint32_t task; crew_take(shard->crew, hand->worker, n_tasks, &task);) {
        const struct tile tile = tile_of(&in, task);
        const uint32_t kv = tile.piece - n_q; /* where it is no query */

        if (tile.piece < n_q)
            query_heads(hand, layer, tile.piece * outs, &tile);
        else if (kv < n_kv)
            key_or_value_heads(hand, layer, KV_KEY, kv * outs, &tile);
        else
            key_or_value_heads(hand, layer, KV_VALUE, (kv - n_kv) * outs, &tile);
    }
    meet(hand, PHASE_QKV);
}

static void attention(const struct hand *hand, uint32_t layer)
{
    struct cpu_shard *shard = hand->shard;
    const uint32_t n_kv_head = shard->weights.shape.n_kv_head;
    const struct attend_plan *plan = &shard->attend;

    for (uint32_t task; crew_take(shard->crew, hand->worker, plan->n_tasks * n_kv_head, &task);)
        cpu_attend(shard, &hand->bench->attend, layer, &plan->tasks[task / n_kv_head],
                   task % n_kv_head);
    meet(hand, PHASE_ATTENTION);
}

/* ---- hidden rows ---- */

static void add(float *restrict to, const float *restrict x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        to[i] += x[i];
}

/* h += the sums over the team, by one worker: there are few rows where time matters, and others
 * would have to be waited for.  False: no step comes after this. */
static bool add_sums(const struct hand *hand)
{
    struct cpu_shard *shard = hand->shard;
    const size_t n = hand->n_rows * (size_t)shard->weights.shape.n_hidden;

    if (hand->worker == 0 && cpu_sum(shard, shard->partial, n) == ST_OK)
        add(shard->h, shard->partial, n);
    meet(hand, PHASE_WAIT);
    return shard->failure == ST_OK;
}

/* This member has no heads.  All have to have seen how the last sum ended before the next begins. */
static bool add_sums_of_others(const struct hand *hand)
{
    struct cpu_shard *shard = hand->shard;

    meet(hand, PHASE_WAIT);
    if (hand->worker == 0)
        memset(shard->partial, 0,
               hand->n_rows * (size_t)shard->weights.shape.n_hidden * sizeof(float));
    return add_sums(hand);
}

/* h += W rows, for the two matrices that write the hidden rows; of a team the sum of all members'.
 * False: no step comes after this. */
static bool add_product(const struct hand *hand, const struct panels *w, const float *rows,
                        enum engine_phase phase)
{
    struct cpu_shard *shard = hand->shard;
    const size_t n_hidden = shard->weights.shape.n_hidden;
    const struct preparing p = {
        .products = shard->products, .rows = rows, .n_rows = hand->n_rows, .n_cols = w->n_cols
    };
    const struct prepared in = prepare(hand, &p);
    const uint32_t n_tasks = n_pieces(w->n_rows, TILE_OUTS) * n_tiles(hand->n_rows);

    for (uint32_t task; crew_take(shard->crew, hand->worker, n_tasks, &task);) {
        const struct tile tile = tile_of(&in, task);
        const uint32_t first = tile.piece * TILE_OUTS;
        const uint32_t n = (uint32_t)size_min(TILE_OUTS, w->n_rows - first);
        const float *out = hand->bench->tile;

        if (shard->partial) {
            multiply(hand, w, first, n, &tile,
                     row_of(shard->partial, tile.first_row, n_hidden) + first, n_hidden);
            continue;
        }
        multiply(hand, w, first, n, &tile, hand->bench->tile, TILE_OUTS);
        for (uint32_t r = 0; r < tile.a.n_rows; r++)
            add(row_of(shard->h, tile.first_row + r, n_hidden) + first, out + r * TILE_OUTS, n);
    }
    meet(hand, phase);
    return !shard->partial || add_sums(hand);
}

static void gate_and_up(const struct hand *hand, uint32_t layer)
{
    struct cpu_shard *shard = hand->shard;
    const struct model_shape *shape = &shard->weights.shape;
    const struct layer_panels *l = &shard->panels.layers[layer];
    const struct preparing p = { .products = shard->products,
                                 .rows = shard->h,
                                 .norm = shard->weights.layers[layer].ffn_norm,
                                 .n_rows = hand->n_rows,
                                 .n_cols = shape->n_hidden };
    const struct prepared in = prepare(hand, &p);
    const uint32_t n_tasks = n_pieces(shape->n_ff, TILE_OUTS) * n_tiles(hand->n_rows);

    for (uint32_t task; crew_take(shard->crew, hand->worker, n_tasks, &task);) {
        const struct tile tile = tile_of(&in, task);
        const uint32_t first = tile.piece * TILE_OUTS;
        const uint32_t n = (uint32_t)size_min(TILE_OUTS, shape->n_ff - first);
        float *gate = row_of(shard->ff, tile.first_row, shape->n_ff) + first;
        const float *up = hand->bench->tile;

        multiply(hand, &l->gate, first, n, &tile, gate, shape->n_ff);
        multiply(hand, &l->up, first, n, &tile, hand->bench->tile, TILE_OUTS);
        for (uint32_t r = 0; r < tile.a.n_rows; r++)
            shard->ops.swiglu(gate + (size_t)r * shape->n_ff, up + r * TILE_OUTS, n);
    }
    meet(hand, PHASE_GATE_UP);
}

/* Logits come straight from this matrix: with activations of 8 bits it would make a third of what
 * they lose, and prompts meet it with one row. */
static void output(const struct hand *hand)
{
    struct cpu_shard *shard = hand->shard;
    const struct engine_batch *batch = hand->step->batch;
    const struct panels *w = &shard->panels.output;
    const struct preparing p = { .products = &shard->ops.products[ACTIVATIONS_16],
                                 .rows = shard->h,
                                 .norm = shard->weights.output_norm,
                                 .index = batch->logit_rows,
                                 .n_rows = batch->n_logit_rows,
                                 .n_cols = w->n_cols };
    const struct prepared in = prepare(hand, &p);
    const uint32_t n_tasks = n_pieces(w->n_rows, TILE_OUTS) * n_tiles(p.n_rows);

    for (uint32_t task; crew_take(shard->crew, hand->worker, n_tasks, &task);) {
        const struct tile tile = tile_of(&in, task);
        const uint32_t first = tile.piece * TILE_OUTS;

        multiply(hand, w, first, (uint32_t)size_min(TILE_OUTS, w->n_rows - first), &tile,
                 row_of(hand->step->logits_out, tile.first_row, w->n_rows) + first, w->n_rows);
    }
    lap(hand, PHASE_OUTPUT);
}

/* False: no step comes after this. */
static bool attend(const struct hand *hand, uint32_t layer)
{
    const struct cpu_shard *shard = hand->shard;

    if (shard->weights.shape.n_kv_head == 0)
        return add_sums_of_others(hand);
    queries_keys_values(hand, layer);
    attention(hand, layer);
    return add_product(hand, &shard->panels.layers[layer].o, shard->mixed, PHASE_O);
}

void cpu_step_run(void *arg, unsigned worker)
{
    const struct cpu_step *step = arg;
    struct cpu_shard *shard = step->shard;
    const struct hand hand = { .step = step,
                               .shard = shard,
                               .bench = &shard->benches[worker],
                               .n_rows = step->batch->n_rows,
                               .worker = worker,
                               .is_timed = worker == 0 && shard->options.is_profiled };

    begin(&hand);
    for (uint32_t layer = 0; layer < shard->weights.n_layers; layer++) {
        if (!attend(&hand, layer))
            return;
        gate_and_up(&hand, layer);
        if (!add_product(&hand, &shard->panels.layers[layer].down, shard->ff, PHASE_DOWN))
            return;
    }
    if (step->batch->n_logit_rows > 0)
        output(&hand);
}
