/* SPDX-License-Identifier: Apache-2.0 */
/* execute/speed/yardstick.c - layers of made-up weights in a real engine, to be timed.
 *
 * The matrices of all layers are one piece of memory; the engine makes panels of its own of each.
 * What the numbers are changes no kernel's time, as long as none is denormal: bytes of 0x2c are
 * scales of 0.065 and weights between -6 and 4 of them.
 */
#include "execute/speed/yardstick.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/size.h"
#include "engine/engine.h"

enum {
    HEAD_DIM = 64,
    PAGE_TOKENS = 32,
    FILL = 0x2c,
    N_TIMES = 15,
    TAKEN = 2, /* the third: whoever else computes here only makes times longer */
};

/* Every row has pages of its own; one alone has all. */
enum {
    ROW_PAGES = YARDSTICK_DEPTH / PAGE_TOKENS + 1,
    N_PAGES = YARDSTICK_ROWS_MAX * ROW_PAGES,
};

_Static_assert(N_PAGES > YARDSTICK_DEPTH_MAX / PAGE_TOKENS,
               "one row has pages for the whole depth");

struct yardstick {
    struct shard_weights weights;
    void *bytes;   /* of the largest matrix */
    float *floats; /* norms */
    struct engine_shard *shard;
    float *hidden, *out; /* [YARDSTICK_ROWS_MAX][n_hidden] */
    uint32_t pages[N_PAGES];
};

static double elements(const struct yardstick_shape *s)
{
    const double q = (double)s->n_head * HEAD_DIM, kv = (double)s->n_kv_head * HEAD_DIM;

    return s->n_hidden * (2 * q + 2 * kv + 3.0 * s->n_ff);
}

double yardstick_params(const struct yardstick_shape *shape)
{
    return elements(shape);
}

double yardstick_bytes(const struct yardstick_shape *shape)
{
    const struct dtype_info *info = dtype_info(DTYPE_Q4_0);

    return elements(shape) / info->block_elems * info->block_bytes;
}

static struct matrix matrix_of(const struct yardstick *y, uint32_t n_rows, uint32_t n_cols)
{
    return (
        struct matrix){ .dtype = DTYPE_Q4_0, .n_rows = n_rows, .n_cols = n_cols, .data = y->bytes };
}

static enum status make_weights(struct yardstick *y, const struct yardstick_shape *s,
                                struct err *err)
{
    const size_t largest = s->n_ff * dtype_row_bytes(DTYPE_Q4_0, s->n_hidden);
    const uint32_t q = s->n_head * HEAD_DIM, kv = s->n_kv_head * HEAD_DIM;
    struct layer_weights layer;

    y->bytes = malloc(largest);
    y->floats = calloc(s->n_hidden, sizeof(*y->floats));
    y->weights.layers = calloc(s->n_layers, sizeof(*y->weights.layers));
    if (!y->bytes || !y->floats || !y->weights.layers)
        return err_set(err, ST_NOMEM, "layers to measure this machine with");
    memset(y->bytes, FILL, largest);
    for (uint32_t i = 0; i < s->n_hidden; i++)
        y->floats[i] = 1;
    layer = (struct layer_weights){ .attn_norm = y->floats,
                                    .ffn_norm = y->floats,
                                    .q = matrix_of(y, q, s->n_hidden),
                                    .k = matrix_of(y, kv, s->n_hidden),
                                    .v = matrix_of(y, kv, s->n_hidden),
                                    .o = matrix_of(y, s->n_hidden, q),
                                    .gate = matrix_of(y, s->n_ff, s->n_hidden),
                                    .up = matrix_of(y, s->n_ff, s->n_hidden),
                                    .down = matrix_of(y, s->n_hidden, s->n_ff) };
    for (uint32_t i = 0; i < s->n_layers; i++)
        y->weights.layers[i] = layer;
    y->weights.n_layers = s->n_layers;
    y->weights.shape = (struct model_shape){ .n_layer = s->n_layers + 2, /* no end of a model */
                                             .n_hidden = s->n_hidden,
                                             .n_ff = s->n_ff,
                                             .n_head = s->n_head,
                                             .n_kv_head = s->n_kv_head,
                                             .head_dim = HEAD_DIM,
                                             .n_rope = HEAD_DIM,
                                             .n_vocab = 1,
                                             .context_tokens = YARDSTICK_DEPTH_MAX + 1,
                                             .rope_style = ROPE_INTERLEAVED,
                                             .rope_base = 10000,
                                             .rope_scale = 1,
                                             .norm_eps = 1e-5f };
    y->weights.first_layer = 1;
    return ST_OK;
}

/* Keys and values of ordinary size: what a pool holds at first is nothing. */
static enum status fill_pages(struct yardstick *y, struct err *err)
{
    const struct engine_type *type = y->shard->type;
    const size_t n = type->page_bytes(y->shard);
    unsigned char *bytes = malloc(n);

    if (!bytes)
        return err_set(err, ST_NOMEM, "pages to measure this machine with");
    memset(bytes, FILL, n);
    for (uint32_t i = 0; i < N_PAGES; i++) {
        y->pages[i] = i;
        type->page_import(y->shard, i, bytes);
    }
    free(bytes);
    return ST_OK;
}

enum status yardstick_new(const struct yardstick_shape *shape, unsigned n_threads,
                          const char *kernels, struct yardstick **ret, struct err *err)
{
    const struct engine_options options = { .page_tokens = PAGE_TOKENS,
                                            .n_pages = N_PAGES,
                                            .max_rows = YARDSTICK_ROWS_MAX,
                                            .n_threads = n_threads,
                                            .kernels = kernels };
    struct yardstick *y = calloc(1, sizeof(*y));
    const size_t n_floats = (size_t)YARDSTICK_ROWS_MAX * shape->n_hidden;
    enum status s;

    if (!y)
        return err_set(err, ST_NOMEM, "layers to measure this machine with");
    s = make_weights(y, shape, err);
    if (s == ST_OK)
        s = engine_find(NULL)->open(&y->weights, &options, &y->shard, err);
    if (s == ST_OK)
        s = fill_pages(y, err);
    if (s != ST_OK)
        goto out;
    y->hidden = calloc(n_floats, sizeof(*y->hidden));
    y->out = calloc(n_floats, sizeof(*y->out));
    if (!y->hidden || !y->out) {
        s = err_set(err, ST_NOMEM, "rows to measure this machine with");
        goto out;
    }
    for (size_t i = 0; i < n_floats; i++)
        y->hidden[i] = (float)(i % 31) - 15;
    *ret = y;
    y = NULL;
out:
    yardstick_free(y);
    return s;
}

void yardstick_free(struct yardstick *y)
{
    if (!y)
        return;
    if (y->shard)
        y->shard->type->close(y->shard);
    free(y->weights.layers);
    free(y->bytes);
    free(y->floats);
    free(y->hidden);
    free(y->out);
    free(y);
}

const char *yardstick_kernels(const struct yardstick *y)
{
    return y->shard->type->kernels(y->shard);
}

static int by_size(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

enum status yardstick_time(struct yardstick *y, uint32_t n_rows, uint32_t depth,
                           double *ret_layer_s, struct err *err)
{
    struct engine_span spans[YARDSTICK_ROWS_MAX];
    const struct engine_batch batch = {
        .n_rows = n_rows, .hidden = y->hidden, .spans = spans, .n_spans = n_rows
    };
    double times[N_TIMES];
    enum status s;

    for (uint32_t i = 0; i < n_rows; i++)
        spans[i] = (struct engine_span){ .first_row = i,
                                         .n_rows = 1,
                                         .start = depth,
                                         .pages = y->pages + (size_t)i * ROW_PAGES,
                                         .n_pages = depth / PAGE_TOKENS + 1 };
    s = y->shard->type->step(y->shard, &batch, y->out, NULL, err); /* caches, clocks, sleepers */
    for (size_t i = 0; i < N_TIMES && s == ST_OK; i++) {
        const uint64_t start_ns = clock_ns();

        s = y->shard->type->step(y->shard, &batch, y->out, NULL, err);
        times[i] = (double)(clock_ns() - start_ns) / (double)NS_PER_S / y->weights.n_layers;
    }
    if (s != ST_OK)
        return s;
    qsort(times, N_TIMES, sizeof(times[0]), by_size);
    *ret_layer_s = times[TAKEN];
    return ST_OK;
}
