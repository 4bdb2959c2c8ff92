/* SPDX-License-Identifier: Apache-2.0 */
/* tests/arm64/test_engine.c - a whole model gives the same bits with every ISA but ref, in one
 * batch or row by row, on one thread or two; and nearly those of ref.
 *
 * The short form of unit/engine/test_exact, which takes minutes in an emulator.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/machine.h"
#include "base/size.h"
#include "engine/cpu/kernels.h"
#include "engine/engine.h"
#include "support/numbers.h"

enum { LENGTH = 37, N_VOCAB = 100, PAGE_TOKENS = 16, N_PAGES = 3, MAX_ISAS = 8 };

/* Of the logits, which are about 1: 16-bit activations and another order of sums.  Where both have
 * activations of 8 bits, the order of sums in norms decides the last bit of some. */
static const float bounds[N_ACTIVATION_FORMATS] = {
    [ACTIVATIONS_16] = 2e-3f,
    [ACTIVATIONS_8] = 2e-2f,
};

struct format {
    enum dtype dtype;
    enum activation_format activations;
};

static const struct format formats[] = {
    { DTYPE_F32, ACTIVATIONS_16 },  { DTYPE_F16, ACTIVATIONS_16 },  { DTYPE_Q4_0, ACTIVATIONS_16 },
    { DTYPE_Q4_1, ACTIVATIONS_16 }, { DTYPE_Q8_0, ACTIVATIONS_16 }, { DTYPE_Q4_0, ACTIVATIONS_8 },
    { DTYPE_Q4_1, ACTIVATIONS_8 },  { DTYPE_Q8_0, ACTIVATIONS_8 },
};

/* Positions start..start+n of the sequence. */
static void run_rows(struct engine_shard *shard, uint32_t start, uint32_t n, float *logits)
{
    static const uint32_t pages[N_PAGES] = { 1, 0, 2 };
    const struct engine_span span = {
        .n_rows = n, .start = start, .pages = pages, .n_pages = N_PAGES
    };
    struct engine_batch batch = { .n_rows = n, .spans = &span, .n_spans = 1, .n_logit_rows = n };
    int32_t tokens[LENGTH];
    uint32_t rows[LENGTH];
    struct err err = { 0 };

    for (uint32_t i = 0; i < n; i++) {
        tokens[i] = (int32_t)((start + i) * 31 % N_VOCAB);
        rows[i] = i;
    }
    batch.tokens = tokens;
    batch.logit_rows = rows;
    require(shard->type->step(shard, &batch, NULL, logits, &err) == ST_OK, "%s", err.words);
}

static void run(const struct shard_weights *model, const struct format *format, const char *isa,
                unsigned n_threads, uint32_t chunk, float *logits)
{
    const struct engine_options options = { .page_tokens = PAGE_TOKENS,
                                            .n_pages = N_PAGES,
                                            .max_rows = LENGTH,
                                            .max_logit_rows = LENGTH,
                                            .n_threads = n_threads,
                                            .kernels = isa,
                                            .activations = format->activations };
    struct engine_shard *shard = NULL;
    struct err err = { 0 };

    require(engine_find("cpu")->open(model, &options, &shard, &err) == ST_OK, "%s", err.words);
    for (uint32_t at = 0; at < LENGTH; at += chunk)
        run_rows(shard, at, LENGTH - at < chunk ? LENGTH - at : chunk, logits + at * N_VOCAB);
    shard->type->close(shard);
}

static void require_near(const float *a, const float *b, float bound, const char *isa)
{
    for (size_t i = 0; i < (size_t)LENGTH * N_VOCAB; i++)
        require(fabsf(a[i] - b[i]) <= bound, "%s: logit %zu is %g, with ref %g", isa, i,
                (double)a[i], (double)b[i]);
}

static void check_format(const struct format *format, char *const *isas, size_t n_isas)
{
    const struct random_model spec = { .dtype = format->dtype,
                                       .n_layer = 2,
                                       .n_hidden = 96,
                                       .n_ff = 160,
                                       .n_head = 4,
                                       .n_kv_head = 2,
                                       .head_dim = 32,
                                       .n_rope = 32,
                                       .n_vocab = N_VOCAB,
                                       .rope_style = ROPE_HALVES };
    static float ref[LENGTH * N_VOCAB], first[LENGTH * N_VOCAB], other[LENGTH * N_VOCAB];
    struct shard_weights model;

    random_model_init(&model, &spec);
    run(&model, format, "ref", 2, LENGTH, ref);
    run(&model, format, isas[1], 1, LENGTH, first);
    require_near(first, ref, bounds[format->activations], isas[1]);
    for (size_t i = 1; i < n_isas; i++) {
        run(&model, format, isas[i], 2, 1, other);
        require(memcmp(other, first, sizeof(first)) == 0, "%s: other bits row by row", isas[i]);
        run(&model, format, isas[i], 2, 11, other);
        require(memcmp(other, first, sizeof(first)) == 0, "%s: other bits in chunks", isas[i]);
    }
    random_model_release(&model);
}

int main(void)
{
    char names[128], *rest = names, *isas[MAX_ISAS];
    size_t n_isas = 0;

    kernel_isa_names(machine_cpu_features(), names, sizeof(names));
    while (n_isas < MAX_ISAS && (isas[n_isas] = strtok_r(rest, ", ", &rest)) != NULL)
        n_isas++;
    require(n_isas > 1, "there is no ISA but ref");
    for (size_t i = 0; i < ARRAY_LEN(formats); i++)
        check_format(&formats[i], isas, n_isas);
    printf("%zu ISAs agree\n", n_isas);
    return 0;
}
