/* SPDX-License-Identifier: Apache-2.0 */
/* engine/mlx/mlx.c - open, step and close a shard that MLX computes; its pages in the common form.
 *
 * Checks are the CPU engine's: what passes them has no index outside of anything.  Pages are kept
 * as MLX likes them and become those of kv_rows.h where they are exported, so they travel
 * between engines.
 */
#include "engine/mlx/mlx.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "engine/cpu/f16.h"
#include "engine/cpu/kv_rows.h"
#include "engine/cpu/shard.h"
#include "engine/mlx/load.h"
#include "engine/mlx/thread.h"

struct mlx_shard {
    struct engine_shard base;
    struct cpu_shard checked; /* what cpu_batch_check() reads: weights, options, places */
    const struct mlx_module *module;
    struct mlx_thread thread;
    bool has_thread, has_failed;
    struct mlx_graph *graph;
};

/* What the thread is asked for, and its answer. */
struct job {
    struct mlx_shard *shard;
    const struct engine_batch *batch;
    float *hidden_out, *logits_out;
    int code;
    char words[ERR_WORDS_MAX];
};

static void pulse(const struct engine_options *options, enum engine_pulse what)
{
    if (options->on_pulse)
        options->on_pulse(options->pulse_arg, what);
}

static struct mlx_shard *mlx_of(struct engine_shard *shard)
{
    return (struct mlx_shard *)shard;
}

static const struct mlx_shard *const_mlx_of(const struct engine_shard *shard)
{
    return (const struct mlx_shard *)shard;
}

static void on_loaded(void *arg, uint64_t done_bytes, uint64_t total_bytes)
{
    mlx_thread_tell(&((struct mlx_shard *)arg)->thread, done_bytes, total_bytes);
}

static void on_layer(void *arg)
{
    mlx_thread_tell(&((struct mlx_shard *)arg)->thread, 0, 0);
}

/* What the thread asks of the shard's owner. */
struct wish {
    struct mlx_shard *shard;
    float *rows;
    size_t n_floats;
    bool is_begin;
    enum status status;
    struct err err;
};

/* Others may take long, which is theirs to tell. */
static void tell_wait(void *arg)
{
    const struct wish *wish = arg;

    pulse(&wish->shard->checked.options, wish->is_begin ? PULSE_END : PULSE_BEGIN);
}

static void sum_rows(void *arg)
{
    struct wish *wish = arg;
    const struct engine_options *o = &wish->shard->checked.options;

    pulse(o, PULSE_END);
    wish->status = o->sum(o->sum_arg, wish->rows, wish->n_floats, &wish->err);
    pulse(o, PULSE_BEGIN);
}

static void on_wait(void *arg, bool is_begin)
{
    struct wish wish = { .shard = arg, .is_begin = is_begin };

    mlx_thread_ask(&wish.shard->thread, tell_wait, &wish);
}

static int on_sum(void *arg, float *rows, size_t n_floats, char *words)
{
    struct wish wish = { .shard = arg, .rows = rows, .n_floats = n_floats };

    mlx_thread_ask(&wish.shard->thread, sum_rows, &wish);
    (void)snprintf(words, ERR_WORDS_MAX, "%s", wish.err.words);
    return (int)wish.status;
}

static void open_task(void *arg)
{
    struct job *job = arg;
    struct mlx_shard *shard = job->shard;
    const struct mlx_watch watch = { on_loaded, on_layer, on_wait,
                                     shard->checked.options.sum ? on_sum : NULL, shard };

    job->code = shard->module->open(&shard->checked.weights, &shard->checked.options, &watch,
                                    &shard->graph, job->words);
}

static void step_task(void *arg)
{
    struct job *job = arg;

    job->code = job->shard->module->step(job->shard->graph, job->batch, job->hidden_out,
                                         job->logits_out, job->words);
}

static void close_task(void *arg)
{
    struct mlx_shard *shard = arg;

    shard->module->close(shard->graph);
}

static enum status answer_of(const struct job *job, struct err *err)
{
    return job->code == 0 ? ST_OK
                          : err_set(err, status_from_code(job->code), "MLX: %s", job->words);
}

static void mlx_close(struct engine_shard *base)
{
    struct mlx_shard *shard = mlx_of(base);

    if (!shard)
        return;
    if (shard->graph)
        mlx_thread_run(&shard->thread, close_task, shard, NULL, NULL);
    if (shard->has_thread)
        mlx_thread_release(&shard->thread);
    free(shard->checked.places);
    free(shard);
}

static enum status refuse_other_formats(const struct engine_options *options, struct err *err)
{
    if (options->kv_format != KV_F16)
        return err_set(err, ST_UNSUPPORTED,
                       "the engine 'mlx' keeps keys and values as f16 only, not as %s",
                       kv_format_name(options->kv_format));
    if (options->kernels && *options->kernels)
        return err_set(err, ST_UNSUPPORTED, "the engine 'mlx' has no kernels to choose from");
    return ST_OK;
}

static enum status mlx_open(const struct shard_weights *weights,
                            const struct engine_options *options, struct engine_shard **ret_shard,
                            struct err *err)
{
    struct job job = { 0 };
    struct mlx_shard *shard;
    enum status s = refuse_other_formats(options, err);

    if (s == ST_OK)
        s = cpu_shard_check(weights, options, err);
    if (s != ST_OK)
        return s;
    shard = calloc(1, sizeof(*shard));
    if (!shard)
        return err_set(err, ST_NOMEM, "open shard: out of memory");
    shard->base.type = &mlx_engine;
    shard->checked.weights = *weights;
    shard->checked.options = *options;
    shard->checked.places = calloc(options->max_rows, sizeof(*shard->checked.places));
    if (!shard->checked.places)
        s = err_set(err, ST_NOMEM, "open shard: batches of %u rows: out of memory",
                    options->max_rows);
    if (s == ST_OK)
        s = mlx_load(&shard->module, err);
    if (s == ST_OK)
        s = mlx_thread_init(&shard->thread, err);
    if (s == ST_OK) {
        shard->has_thread = true;
        job.shard = shard;
        mlx_thread_run(&shard->thread, open_task, &job, options->on_progress,
                       options->progress_arg);
        s = answer_of(&job, err);
    }
    if (s != ST_OK) {
        mlx_close(&shard->base);
        return s;
    }
    shard->checked.options.keep = (struct engine_keep){ 0 }; /* was borrowed, as was */
    shard->checked.options.ring_file = NULL;
    *ret_shard = &shard->base;
    return ST_OK;
}

static void on_step_event(void *arg, uint64_t done_bytes, uint64_t total_bytes)
{
    (void)done_bytes;
    (void)total_bytes;
    pulse(arg, PULSE_ON);
}

static enum status mlx_step(struct engine_shard *base, const struct engine_batch *batch,
                            float *hidden_out, float *logits_out, struct err *err)
{
    struct mlx_shard *shard = mlx_of(base);
    struct job job = {
        .shard = shard, .batch = batch, .hidden_out = hidden_out, .logits_out = logits_out
    };
    enum status s = cpu_batch_check(&shard->checked, batch, hidden_out, logits_out, err);

    if (s != ST_OK)
        return s;
    if (shard->has_failed)
        return err_set(err, ST_IO, "MLX failed in an earlier step: open the shard again");
    pulse(&shard->checked.options, PULSE_BEGIN);
    mlx_thread_run(&shard->thread, step_task, &job, on_step_event, &shard->checked.options);
    pulse(&shard->checked.options, PULSE_END);
    shard->has_failed = job.code != 0;
    return answer_of(&job, err);
}

/* Of one page: the rows of one layer, keys or values, as MLX has them. */
struct page_rows {
    const struct model_shape *shape;
    uint32_t page_tokens;
    void *elems; /* [page_tokens][n_kv_head][head_dim] */
    bool is_half;
};

static size_t at_row(const struct page_rows *r, uint32_t token, uint32_t kv_head)
{
    return ((size_t)token * r->shape->n_kv_head + kv_head) * r->shape->head_dim;
}

/* Where kv_rows.h has element `i` of a position, in f16 elements from the head's beginning. */
static size_t at_common(enum mlx_kv part, uint32_t token, uint32_t i, uint32_t dim)
{
    const size_t panel = (size_t)(token / KV_PANEL) * KV_PANEL * dim, lane = token % KV_PANEL;

    return panel + (part == MLX_KEY ? (size_t)i * KV_PANEL + lane : lane * dim + i);
}

static uint16_t half_at(const struct page_rows *r, size_t at)
{
    return r->is_half ? ((const uint16_t *)r->elems)[at]
                      : f16_of_f32(((const float *)r->elems)[at]);
}

static void set_half(const struct page_rows *r, size_t at, uint16_t half)
{
    if (r->is_half)
        ((uint16_t *)r->elems)[at] = half;
    else
        ((float *)r->elems)[at] = f16_to_f32(half);
}

enum way { EXPORT, IMPORT };

static void move_head(const struct page_rows *r, enum mlx_kv part, uint32_t kv_head, enum way way,
                      uint16_t *common)
{
    const uint32_t dim = r->shape->head_dim;

    for (uint32_t token = 0; token < r->page_tokens; token++)
        for (uint32_t i = 0; i < dim; i++) {
            const size_t at = at_row(r, token, kv_head) + i;
            const bool is_paired = part == MLX_KEY && r->shape->rope_style == ROPE_INTERLEAVED;
            const uint32_t common_i = is_paired ? mlx_paired(i, r->shape->n_rope) : i;
            uint16_t *half = &common[at_common(part, token, common_i, dim)];

            if (way == EXPORT)
                *half = half_at(r, at);
            else
                set_half(r, at, *half);
        }
}

/* cpu/pages.h: [n_layers][key, value][n_kv_head] heads. */
static void move_page(const struct mlx_shard *shard, uint32_t page, enum way way,
                      unsigned char *bytes)
{
    const struct model_shape *shape = &shard->checked.weights.shape;
    const uint32_t page_tokens = shard->checked.options.page_tokens;
    const size_t head_elems = (size_t)page_tokens * shape->head_dim;
    uint16_t *common = (uint16_t *)(void *)bytes;
    struct page_rows r = { shape, page_tokens, NULL, shard->module->is_half(shard->graph) };

    for (uint32_t layer = 0; layer < shard->checked.weights.n_layers; layer++)
        for (enum mlx_kv part = MLX_KEY; part <= MLX_VALUE; part++) {
            r.elems = shard->module->rows(shard->graph, layer, part, page);
            for (uint32_t head = 0; head < shape->n_kv_head; head++, common += head_elems)
                move_head(&r, part, head, way, common);
        }
}

static size_t mlx_page_bytes(const struct engine_shard *base)
{
    const struct mlx_shard *shard = const_mlx_of(base);

    return (size_t)engine_page_bytes(&shard->checked.weights, shard->checked.options.page_tokens,
                                     KV_F16);
}

static void mlx_page_copy(struct engine_shard *base, uint32_t to, uint32_t from)
{
    struct mlx_shard *shard = mlx_of(base);
    const struct model_shape *shape = &shard->checked.weights.shape;
    const size_t n_bytes = (size_t)shard->checked.options.page_tokens * shape->n_kv_head *
                           shape->head_dim * (shard->module->is_half(shard->graph) ? 2 : 4);

    for (uint32_t layer = 0; to != from && layer < shard->checked.weights.n_layers; layer++)
        for (enum mlx_kv part = MLX_KEY; part <= MLX_VALUE; part++)
            memcpy(shard->module->rows(shard->graph, layer, part, to),
                   shard->module->rows(shard->graph, layer, part, from), n_bytes);
}

static void mlx_page_export(const struct engine_shard *base, uint32_t page, void *ret_bytes)
{
    move_page(const_mlx_of(base), page, EXPORT, ret_bytes);
}

static void mlx_page_import(struct engine_shard *base, uint32_t page, const void *bytes)
{
    move_page(mlx_of(base), page, IMPORT, (unsigned char *)(uintptr_t)bytes);
}

static const char *mlx_kernels(const struct engine_shard *base)
{
    const struct mlx_shard *shard = const_mlx_of(base);

    return shard->module->name(shard->graph);
}

const struct engine_type mlx_engine = {
    .name = "mlx",
    .open = mlx_open,
    .close = mlx_close,
    .step = mlx_step,
    .page_bytes = mlx_page_bytes,
    .page_copy = mlx_page_copy,
    .page_export = mlx_page_export,
    .page_import = mlx_page_import,
    .kernels = mlx_kernels,
};
