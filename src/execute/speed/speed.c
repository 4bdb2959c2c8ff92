/* SPDX-License-Identifier: Apache-2.0 */
/* execute/speed/speed.c - time layers of two sizes, and solve for what explains the times. */
#include "execute/speed/speed.h"

#include <math.h>
#include <stdlib.h>

#include "base/busy.h"
#include "base/clock.h"
#include "base/machine.h"
#include "base/size.h"
#include "execute/sample/sample.h"
#include "execute/speed/telling.h"
#include "execute/speed/yardstick.h"

enum {
    CACHES = 4, /* McCalpin's rule: an array is at least four times the last cache */
    WIDE_LAYERS_MIN = 4,
    NARROW_LAYERS_MIN = 64,
    MEMORY_SHARE = 8, /* of the machine's memory, at most one part in so many */
    DEPTH = 512,
    MIDDLE_ROWS_MAX = 8,
    HALVINGS = 40,
    SOLVE_ROUNDS = 8, /* far more than it takes to settle */
    VOCABULARY = 32768,
    N_SAMPLES = 15,
};

#define LAYERS_MAX_BYTES (double)(192 << 20) /* more takes longer than it tells */
#define OVERLAP_MAX      16.0 /* (1 + 1)^(1/16) = 1.04: beyond that nobody can tell */

static const struct yardstick_shape wide_shape = { 2048, 8192, 32, 8, WIDE_LAYERS_MIN };
static const struct yardstick_shape narrow_shape = { 512, 1536, 8, 2, NARROW_LAYERS_MIN };

static double softest(double x, double y, double p)
{
    return pow(pow(x, p) + pow(y, p), 1 / p);
}

/* p for which x and y take `together`: halving, as the time falls with p. */
static double overlap_of(double x, double y, double together)
{
    double low = 1, high = OVERLAP_MAX;

    for (int i = 0; i < HALVINGS; i++) {
        const double middle = (low + high) / 2;

        if (softest(x, y, middle) > together)
            low = middle;
        else
            high = middle;
    }
    return high;
}

/* What a row pays for the positions before it, for each hidden element, at the depth at which rows
 * stand.  Never more than a part of its time. */
static double attention_of(const struct speed_times *t)
{
    const double position =
        (t->narrow_deep - t->narrow_1) / (t->n_depth - t->n_shallow) / t->narrow.hidden;

    return fmin(fmax(position * t->n_shallow, 0), t->narrow_1 / t->narrow.hidden / 2);
}

/* What a row costs beside its products, for each hidden element: the mean of what steps of several
 * sizes say, as kernels are not as good at each of them. */
static double row_of(const struct speed_times *t, double read, double compute, double layer)
{
    const struct speed_size *n = &t->narrow;
    const struct {
        double rows, s;
    } steps[] = { { 8, t->narrow_8 }, { 16, t->narrow_16 }, { 32, t->narrow_32 } };
    double sum = 0;

    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        const double rows = steps[i].rows;
        const double products = fmax(n->bytes * read, 2 * rows * n->params * compute);

        sum += (steps[i].s - products - layer) / rows / n->hidden;
    }
    return sum / ARRAY_LEN(steps);
}

/* Four equations in reading (s a byte), computing (s an operation), layer and row, in turn: each
 * is nearly its own, so a few rounds settle them. */
void speed_solve(const struct speed_times *t, struct node_speed *ret_speed)
{
    const struct speed_size *w = &t->wide, *n = &t->narrow;
    const double attend = attention_of(t); /* s for a row and hidden element */
    const double wide_1 = t->wide_1 - w->hidden * attend;
    const double wide_16 = t->wide_16 - 16 * w->hidden * attend;
    const double narrow_1 = t->narrow_1 - n->hidden * attend;
    double read = 0, compute = 0, layer = 0, row = 0, x, y;

    for (int i = 0; i < SOLVE_ROUNDS; i++) {
        compute = (wide_16 - layer - 16 * w->hidden * row) / (16 * 2 * w->params);
        row = fmax(row_of(t, read, compute, layer) - attend, 0);
        read = (wide_1 - narrow_1 - (w->hidden - n->hidden) * row) / (w->bytes - n->bytes);
        read = fmin(fmax(read, 0), wide_1 / w->bytes);
        layer = fmax(narrow_1 - n->bytes * read - n->hidden * row, 0);
    }
    read = read > 0 ? read : wide_1 / w->bytes;
    compute = compute > 0 ? compute : wide_16 / (16 * 2 * w->params);
    x = w->bytes * read;
    y = 2.0 * t->n_middle * w->params * compute;
    ret_speed->memory_gbs = 1e-9 / read;
    ret_speed->compute_gops = 1e-9 / compute;
    ret_speed->layer_us = layer * 1e6;
    ret_speed->row_ns = row * 1e9;
    ret_speed->overlap =
        overlap_of(x, y, t->wide_middle - layer - t->n_middle * w->hidden * (row + attend));
    ret_speed->attend_gops = ret_speed->compute_gops;
    if (attend > 0)
        ret_speed->attend_gops = fmin(4.0 * t->n_shallow / attend / 1e9, ret_speed->compute_gops);
}

static struct speed_size size_of(const struct yardstick_shape *shape)
{
    return (struct speed_size){ yardstick_bytes(shape), yardstick_params(shape), shape->n_hidden };
}

/* So many layers that all together are beyond the caches, and within a share of the memory. */
static struct yardstick_shape enough_of(struct yardstick_shape shape)
{
    const double bytes = yardstick_bytes(&shape);
    const double wanted = CACHES * (double)machine_cache_bytes();
    const double most = (double)machine_memory_bytes() / MEMORY_SHARE;
    const double n = fmin(fmin(wanted, most), LAYERS_MAX_BYTES) / bytes;

    if (n > shape.n_layers)
        shape.n_layers = (uint32_t)n;
    return shape;
}

struct wanted {
    uint32_t n_rows, depth;
    double *ret_s;
};

static enum status time_all(const struct yardstick_shape *shape, unsigned n_threads,
                            const char *kernels, const struct wanted *wanted, size_t n,
                            struct err *err)
{
    struct yardstick *y = NULL;
    enum status s = yardstick_new(shape, n_threads, kernels, &y, err);

    for (size_t i = 0; i < n && s == ST_OK; i++)
        s = yardstick_time(y, wanted[i].n_rows, wanted[i].depth, wanted[i].ret_s, err);
    yardstick_free(y);
    return s;
}

/* Where reading takes as long as computing, overlap shows most. */
static uint32_t middle_of(double one, double sixteen)
{
    const double rows = round(16 * one / sixteen);

    return rows < 2 ? 2 : rows > MIDDLE_ROWS_MAX ? MIDDLE_ROWS_MAX : (uint32_t)rows;
}

static enum status time_layers(unsigned n_threads, const char *kernels, struct speed_times *t,
                               struct err *err)
{
    const struct yardstick_shape wide = enough_of(wide_shape), narrow = enough_of(narrow_shape);
    const struct wanted wide_times[] = { { 1, YARDSTICK_DEPTH, &t->wide_1 },
                                         { 16, YARDSTICK_DEPTH, &t->wide_16 } };
    const struct wanted narrow_times[] = { { 1, YARDSTICK_DEPTH, &t->narrow_1 },
                                           { 8, YARDSTICK_DEPTH, &t->narrow_8 },
                                           { 16, YARDSTICK_DEPTH, &t->narrow_16 },
                                           { 32, YARDSTICK_DEPTH, &t->narrow_32 },
                                           { 1, DEPTH, &t->narrow_deep } };
    struct yardstick *y = NULL;
    enum status s;

    t->wide = size_of(&wide);
    t->narrow = size_of(&narrow);
    t->n_shallow = YARDSTICK_DEPTH + 1;
    t->n_depth = DEPTH + 1;
    s = yardstick_new(&wide, n_threads, kernels, &y, err);
    for (size_t i = 0; i < ARRAY_LEN(wide_times) && s == ST_OK; i++)
        s = yardstick_time(y, wide_times[i].n_rows, wide_times[i].depth, wide_times[i].ret_s, err);
    if (s == ST_OK) {
        t->n_middle = middle_of(t->wide_1, t->wide_16);
        s = yardstick_time(y, t->n_middle, YARDSTICK_DEPTH, &t->wide_middle, err);
    }
    yardstick_free(y);
    if (s == ST_OK)
        s = time_all(&narrow, n_threads, kernels, narrow_times, ARRAY_LEN(narrow_times), err);
    return s;
}

static int by_size(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

/* Logits as a model's: a few stand out, others each time, and most say nothing. */
static void make_logits(float *logits)
{
    uint32_t x = 1;

    for (size_t i = 0; i < (size_t)N_SAMPLES * VOCABULARY; i++) {
        x = x * 1664525u + 1013904223u; /* Numerical Recipes */
        logits[i] = (float)(x >> 8) / (float)(1 << 24) * 8 + ((x >> 8) % 1021 == 0 ? 8.0f : 0.0f);
    }
}

/* Each of the logits once, as a step's are: neither the nearest cache nor the branch predictor knows
 * them. */
static enum status time_samples(struct sampler *sampler, const float *logits, uint64_t *times,
                                struct err *err)
{
    const int32_t token = 1;
    struct sampling how;
    struct sample_input in = { .how = &how, .tokens = &token, .n_prompt = 1, .n_tokens = 1 };
    enum status s = ST_OK;

    sampling_init(&how);
    for (size_t i = 0; i < N_SAMPLES && s == ST_OK; i++) {
        const uint64_t start_ns = clock_ns();
        struct sample chosen;

        how.seed = i;
        in.logits = logits + i * VOCABULARY;
        s = sampler_choose(sampler, &in, &chosen, err);
        times[i] = clock_ns() - start_ns;
    }
    return s;
}

static enum status time_sampling(double *ret_ns, struct err *err)
{
    float *logits = calloc((size_t)N_SAMPLES * VOCABULARY, sizeof(*logits));
    struct sampler *sampler = NULL;
    uint64_t times[N_SAMPLES];
    enum status s;

    if (!logits)
        return err_set(err, ST_NOMEM, "logits to measure sampling with");
    make_logits(logits);
    s = sampler_new(VOCABULARY, &sampler, err);
    if (s == ST_OK)
        s = time_samples(sampler, logits, times, err);
    if (s == ST_OK) {
        qsort(times, N_SAMPLES, sizeof(times[0]), by_size);
        *ret_ns = (double)times[N_SAMPLES / 2] / VOCABULARY;
    }
    sampler_free(sampler);
    free(logits);
    return s;
}

static enum status time_telling(struct node_speed *speed, struct err *err)
{
    double step_s, token_s;
    const enum status s = telling_time(&step_s, &token_s, err);

    if (s != ST_OK)
        return s;
    speed->step_us = step_s * 1e6;
    speed->token_us = token_s * 1e6;
    return ST_OK;
}

/* The machine's matrices are measured with all its cores.  What a layer and a row cost beside
 * them is of one core each: as many nodes as there is room for pay it at a time. */
static enum status measure_machine(unsigned n_threads, unsigned n_cores, const char *kernels,
                                   const struct node_speed *node, struct node_speed *ret,
                                   struct err *err)
{
    const double rooms = (double)n_cores / n_threads;
    struct speed_times times = { 0 };
    enum status s;

    *ret = *node;
    if (n_threads >= n_cores)
        return ST_OK;
    s = time_layers(n_cores, kernels, &times, err);
    if (s != ST_OK)
        return s;
    speed_solve(&times, ret);
    ret->attend_gops = node->attend_gops * rooms;
    ret->layer_us = node->layer_us / rooms;
    ret->row_ns = node->row_ns / rooms;
    ret->sample_ns = node->sample_ns / rooms;
    ret->step_us = node->step_us / rooms;
    ret->token_us = node->token_us / rooms;
    return ST_OK;
}

enum status speed_measure(unsigned n_threads, const char *kernels, struct node_measure *ret_measure,
                          struct err *err)
{
    const unsigned n_cores = machine_n_fast_cores();
    struct node_measure measure = { 0 };
    struct speed_times times = { 0 };
    struct busy_mark mark;
    enum status s;

    if (n_threads == 0)
        n_threads = n_cores;
    busy_mark(&mark);
    s = time_layers(n_threads, kernels, &times, err);
    if (s == ST_OK)
        s = time_sampling(&measure.node.sample_ns, err);
    if (s == ST_OK)
        s = time_telling(&measure.node, err);
    if (s != ST_OK)
        return s;
    speed_solve(&times, &measure.node);
    s = measure_machine(n_threads, n_cores, kernels, &measure.node, &measure.machine, err);
    if (s != ST_OK)
        return s;
    measure.others = busy_others(&mark);
    *ret_measure = measure;
    return ST_OK;
}
