/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/bench/work.c - count what a test must read and compute. */
#include "cmd/bench/work.h"

#include <stddef.h>

#include "base/size.h"

struct size {
    double bytes, elements;
};

static void add(struct size *size, const struct matrix *w)
{
    if (!w->data)
        return;
    size->bytes += (double)w->n_rows * (double)dtype_row_bytes(w->dtype, w->n_cols);
    size->elements += (double)w->n_rows * (double)w->n_cols;
}

static struct size layers_of(const struct shard_weights *weights)
{
    struct size size = { 0 };

    for (uint32_t i = 0; i < weights->n_layers; i++) {
        const struct layer_weights *l = &weights->layers[i];
        const struct matrix *const matrices[] = { &l->q,    &l->k,  &l->v,   &l->o,
                                                  &l->gate, &l->up, &l->down };

        for (size_t m = 0; m < ARRAY_LEN(matrices); m++)
            add(&size, matrices[m]);
    }
    return size;
}

struct count {
    const struct shard_weights *weights;
    double position_bytes;
    struct size layers, output;
    struct work work;
};

/* One sequence's rows start..start+n of a step.  Scores and sums over values: 2 operations for
 * each element of a head that each row meets. */
static void count_span(struct count *count, uint32_t start, uint32_t n)
{
    const struct model_shape *m = &count->weights->shape;
    const double end = (double)start + n, met = n * ((double)start + (n + 1) / 2.0);

    count->work.bytes += end * count->position_bytes;
    count->work.ops += 4.0 * met * m->n_head * m->head_dim * count->weights->n_layers;
}

static void count_matrices(struct count *count, uint32_t n_rows, uint32_t n_logit_rows)
{
    count->work.bytes += count->layers.bytes + (n_logit_rows > 0 ? count->output.bytes : 0);
    count->work.ops +=
        2 * (n_rows * count->layers.elements + n_logit_rows * count->output.elements);
}

static void count_prompt(struct count *count, const struct measure_test *test)
{
    for (uint32_t at = 0; at < test->n_tokens; at += MEASURE_ROWS_MAX) {
        const uint32_t n = (uint32_t)size_min(MEASURE_ROWS_MAX, test->n_tokens - at);

        count_span(count, at, n);
        count_matrices(count, n, at + n == test->n_tokens ? 1 : 0);
    }
}

static void count_decode(struct count *count, const struct measure_test *test)
{
    for (uint32_t at = 0; at < test->n_tokens; at++) {
        for (uint32_t i = 0; i < test->n_sequences; i++)
            count_span(count, at, 1);
        count_matrices(count, test->n_sequences, test->n_sequences);
    }
}

struct work work_of(const struct shard_weights *weights, double position_bytes,
                    const struct measure_test *test)
{
    struct count count = { .weights = weights, .position_bytes = position_bytes };

    count.layers = layers_of(weights);
    add(&count.output, &weights->output);
    if (test->kind == MEASURE_PROMPT)
        count_prompt(&count, test);
    else
        count_decode(&count, test);
    return count.work;
}
