/* SPDX-License-Identifier: Apache-2.0 */
/* engine/cpu/cpu.c - open, step and close a shard on the CPU.
 *
 * open: check everything, choose kernels, size the buffers, reserve the pages,
 * start the workers, make panels of the weights.  A step is checked by the caller's
 * thread and then run by all workers (step.c).
 */
#include "engine/cpu/cpu.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/machine.h"
#include "base/size.h"
#include "engine/cpu/shard.h"

static struct cpu_shard *cpu_of(struct engine_shard *shard)
{
    return (struct cpu_shard *)shard;
}

static const struct cpu_shard *const_cpu_of(const struct engine_shard *shard)
{
    return (const struct cpu_shard *)shard;
}

/* n * bytes, aligned for kernels; NULL where there is no memory. */
static void *rows_new(size_t n, size_t bytes)
{
    size_t total;

    if (!size_mul(n, bytes, &total) || total > SIZE_MAX - KERNEL_ALIGN)
        return NULL;
    return aligned_alloc(KERNEL_ALIGN, size_round_up(size_max(total, 1), KERNEL_ALIGN));
}

static uint32_t larger(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

static uint32_t least_common_multiple(uint32_t a, uint32_t b)
{
    uint32_t multiple = a;

    while (multiple % b != 0)
        multiple += a;
    return multiple;
}

/* Of one row; the output matrix takes 16 bits whatever the others take. */
static size_t widest_packed_bytes(const struct cpu_shard *shard)
{
    return size_max(shard->products->packed_bytes(shard->widest),
                    shard->ops.products[ACTIVATIONS_16].packed_bytes(shard->widest));
}

static bool bench_init(struct bench *bench, const struct cpu_shard *shard)
{
    const size_t packed = widest_packed_bytes(shard);

    bench->normed = rows_new(FEW_ROWS, shard->widest * sizeof(float));
    bench->packed = rows_new(FEW_ROWS, packed);
    bench->weight_row = rows_new(shard->widest, sizeof(float));
    bench->tile = rows_new(TILE_ROWS, shard->tile_width * sizeof(float));
    return attend_bench_init(&bench->attend, &shard->attend, &shard->weights.shape) &&
           bench->normed && bench->packed && bench->weight_row && bench->tile;
}

static void bench_release(struct bench *bench)
{
    free(bench->normed);
    free(bench->packed);
    free(bench->weight_row);
    free(bench->tile);
    attend_bench_release(&bench->attend);
}

static bool buffers_init(struct cpu_shard *shard)
{
    const struct model_shape *m = &shard->weights.shape;
    const size_t rows = shard->options.max_rows, q_width = (size_t)m->n_head * m->head_dim;
    const size_t n_benches = crew_size(shard->crew);

    shard->widest = larger(larger(m->n_hidden, m->n_ff), m->n_head * m->head_dim);
    shard->head_outs = least_common_multiple(m->head_dim, PANEL_ROWS);
    shard->tile_width = larger(TILE_OUTS, shard->head_outs);
    shard->benches = calloc(n_benches, sizeof(*shard->benches));
    if (!shard->benches || !attend_plan_init(&shard->attend, m, &shard->options))
        return false;
    for (size_t i = 0; i < n_benches; i++)
        if (!bench_init(&shard->benches[i], shard))
            return false;
    shard->places = rows_new(rows, sizeof(*shard->places));
    shard->h = rows_new(rows, m->n_hidden * sizeof(float));
    shard->normed = rows_new(rows, m->n_hidden * sizeof(float));
    shard->packed = rows_new(rows, widest_packed_bytes(shard));
    shard->turn = rows_new(rows, m->n_rope * sizeof(float));
    shard->q = rows_new(rows, q_width * sizeof(float));
    shard->mixed = rows_new(rows, q_width * sizeof(float));
    shard->ff = rows_new(rows, m->n_ff * sizeof(float));
    shard->frequency = rows_new(m->n_rope / 2, sizeof(double));
    if (cpu_is_member(shard)) {
        shard->partial = rows_new(rows, m->n_hidden * sizeof(float));
        if (!shard->partial)
            return false;
    }
    return shard->places && shard->h && shard->normed && shard->packed && shard->turn && shard->q &&
           shard->mixed && shard->ff && shard->frequency;
}

/* Su et al. 2021, section 3.2.2: theta_i = base^(-2i/n). */
static void frequencies_init(struct cpu_shard *shard)
{
    const struct model_shape *m = &shard->weights.shape;

    for (uint32_t i = 0; i < m->n_rope / 2; i++) {
        const double plain =
            pow((double)m->rope_base, -2.0 * i / m->n_rope) * (double)m->rope_scale;

        shard->frequency[i] = m->rope_factors ? plain / (double)m->rope_factors[i] : plain;
    }
}

static enum status choose_kernels(struct cpu_shard *shard, const char *name, struct err *err)
{
    const uint32_t features = machine_cpu_features();
    char names[128];

    shard->products = &shard->ops.products[shard->options.activations];
    if (kernel_ops_select(&shard->ops, features, name && *name ? name : NULL))
        return ST_OK;
    kernel_isa_names(features, names, sizeof(names));
    return err_set(err, ST_UNSUPPORTED, "no kernels named '%s' on this machine; there are: %s",
                   name, names);
}

static void cpu_close(struct engine_shard *base)
{
    struct cpu_shard *shard = cpu_of(base);

    if (!shard)
        return;
    for (size_t i = 0; shard->benches && i < crew_size(shard->crew); i++)
        bench_release(&shard->benches[i]);
    crew_free(shard->crew);
    page_pool_release(&shard->pool);
    attend_plan_release(&shard->attend);
    panel_set_release(&shard->panels);
    free(shard->benches);
    free(shard->places);
    free(shard->h);
    free(shard->normed);
    free(shard->packed);
    free(shard->turn);
    free(shard->q);
    free(shard->mixed);
    free(shard->ff);
    free(shard->partial);
    free(shard->frequency);
    free(shard);
}

static void pulse(const struct cpu_shard *shard, enum engine_pulse what)
{
    if (shard->options.on_pulse)
        shard->options.on_pulse(shard->options.pulse_arg, what);
}

/* Others may take long, which is theirs to tell. */
enum status cpu_sum(struct cpu_shard *shard, float *rows, size_t n_floats)
{
    pulse(shard, PULSE_END);
    shard->failure = shard->options.sum(shard->options.sum_arg, rows, n_floats, &shard->why);
    pulse(shard, PULSE_BEGIN);
    return shard->failure;
}

static void on_run(void *arg)
{
    pulse(arg, PULSE_ON);
}

static enum status cpu_open(const struct shard_weights *weights,
                            const struct engine_options *options, struct engine_shard **ret_shard,
                            struct err *err)
{
    struct cpu_shard *shard = NULL;
    enum status s = cpu_shard_check(weights, options, err);

    if (s != ST_OK)
        return s;
    shard = calloc(1, sizeof(*shard));
    if (!shard)
        return err_set(err, ST_NOMEM, "open shard: out of memory");
    shard->base.type = &cpu_engine;
    shard->weights = *weights;
    shard->options = *options;
    s = choose_kernels(shard, options->kernels, err);
    if (s == ST_OK)
        s = crew_new(options->n_threads > 0 ? options->n_threads : machine_n_fast_cores(),
                     &shard->crew, err);
    if (s == ST_OK)
        s = page_pool_init(&shard->pool, weights, options, err);
    if (s == ST_OK && !buffers_init(shard))
        s = err_set(err, ST_NOMEM, "open shard: buffers for batches of %u rows: out of memory",
                    options->max_rows);
    if (s == ST_OK)
        s = panel_set_init(&shard->panels, weights, options, shard->crew, err);
    if (s != ST_OK)
        goto out;
    frequencies_init(shard);
    if (options->on_pulse)
        crew_on_run(shard->crew, on_run, shard);
    shard->options.keep = (struct engine_keep){ 0 }; /* was borrowed */
    *ret_shard = &shard->base;
    shard = NULL;
out:
    if (shard)
        cpu_close(&shard->base);
    return s;
}

void cpu_lap(struct cpu_shard *shard, enum engine_phase phase)
{
    const uint64_t now_ns = clock_ns();

    shard->profile.phase_ns[phase] += now_ns - shard->phase_began_ns;
    shard->phase_began_ns = now_ns;
}

/* The rows of a step, which the last shard gives after the output norm. */
static void give_rows(const struct cpu_shard *shard, uint32_t n_rows, float *out)
{
    const struct model_shape *shape = &shard->weights.shape;
    const size_t n = shape->n_hidden;

    if (!shard->weights.output.data) {
        memcpy(out, shard->h, n_rows * n * sizeof(*out));
        return;
    }
    for (uint32_t row = 0; row < n_rows; row++)
        shard->ops.rmsnorm(out + row * n, shard->h + row * n, shard->weights.output_norm, n,
                           shape->norm_eps);
}

static enum status cpu_step(struct engine_shard *base, const struct engine_batch *batch,
                            float *hidden_out, float *logits_out, struct err *err)
{
    struct cpu_shard *shard = cpu_of(base);
    struct cpu_step step = { shard, batch, logits_out };
    const enum status s = cpu_batch_check(shard, batch, hidden_out, logits_out, err);

    if (s != ST_OK)
        return s;
    if (shard->failure != ST_OK)
        return err_set(err, shard->failure, "%s", shard->why.words);
    const uint64_t start_ns = shard->options.is_profiled ? clock_ns() : 0;

    shard->phase_began_ns = start_ns;
    attend_plan_batch(&shard->attend, &shard->weights.shape, batch);
    pulse(shard, PULSE_BEGIN);
    crew_run_able(shard->crew, cpu_step_run, &step);
    pulse(shard, PULSE_END);
    if (shard->failure != ST_OK)
        return err_set(err, shard->failure, "%s", shard->why.words);
    if (shard->options.is_profiled)
        cpu_lap(shard, PHASE_WAIT);
    if (hidden_out)
        give_rows(shard, batch->n_rows, hidden_out);
    if (shard->options.is_profiled) {
        shard->profile.n_steps++;
        shard->profile.total_ns += clock_ns() - start_ns;
    }
    return ST_OK;
}

static void cpu_profile(const struct engine_shard *base, struct engine_profile *ret_profile)
{
    *ret_profile = const_cpu_of(base)->profile;
}

static size_t cpu_page_bytes(const struct engine_shard *base)
{
    return const_cpu_of(base)->pool.page_bytes;
}

static void cpu_page_copy(struct engine_shard *base, uint32_t to, uint32_t from)
{
    const struct page_pool *pool = &cpu_of(base)->pool;

    if (to != from)
        memcpy(page_pool_page(pool, to), page_pool_page(pool, from), pool->page_bytes);
}

static void cpu_page_export(const struct engine_shard *base, uint32_t page, void *ret_bytes)
{
    const struct page_pool *pool = &const_cpu_of(base)->pool;

    memcpy(ret_bytes, page_pool_page(pool, page), pool->page_bytes);
}

static void cpu_page_import(struct engine_shard *base, uint32_t page, const void *bytes)
{
    const struct page_pool *pool = &cpu_of(base)->pool;

    memcpy(page_pool_page(pool, page), bytes, pool->page_bytes);
}

static const char *cpu_kernels(const struct engine_shard *base)
{
    return const_cpu_of(base)->ops.isa;
}

const struct engine_type cpu_engine = {
    .name = "cpu",
    .open = cpu_open,
    .close = cpu_close,
    .step = cpu_step,
    .profile = cpu_profile,
    .page_bytes = cpu_page_bytes,
    .page_copy = cpu_page_copy,
    .page_export = cpu_page_export,
    .page_import = cpu_page_import,
    .kernels = cpu_kernels,
};
