/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/engine/test_golden.c - a real model's logits are those of the formulas.
 *
 * The golden tokens are fed back as they are, so an early difference cannot
 * hide later ones.  Distances are in standard deviations of a position's logits.
 */
#include "support/check.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/machine.h"
#include "engine/cpu/kernels.h"
#include "engine/engine.h"
#include "golden.h"
#include "model/model.h"

enum { PAGE_TOKENS = 64, N_PAGES = 8, MAX_ROWS = 256 };

struct fixture {
    struct golden golden;
    struct model *model;
    struct shard_weights weights;
};

struct distance {
    double squares, n, max;
    uint32_t n_other_tokens;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    const char *path = getenv("POMONA_TEST_MODEL");
    struct err err = { 0 };

    assert_non_null(f);
    assert_non_null(path);
    golden_load(&f->golden);
    assert_ok(model_open(path, &f->model, &err), err);
    assert_ok(model_shard(f->model, 0, model_shape(f->model)->n_layer, &f->weights, &err), err);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    shard_weights_release(&f->weights);
    model_free(f->model);
    golden_release(&f->golden);
    free(f);
    return 0;
}

static uint32_t best_of(const float *logits, uint32_t n)
{
    uint32_t best = 0;

    for (uint32_t i = 1; i < n; i++)
        if (logits[i] > logits[best])
            best = i;
    return best;
}

/* Logits at every position that predicts a golden token, in one step. */
static void forced_logits(const struct fixture *f, struct engine_shard *shard,
                          const struct golden_prompt *p, float *logits)
{
    static const uint32_t pages[N_PAGES] = { 3, 1, 0, 2, 7, 5, 4, 6 };
    const uint32_t n_steps = f->golden.n_steps, n_rows = p->n_tokens + n_steps - 1;
    const struct engine_span span = { .n_rows = n_rows, .pages = pages, .n_pages = N_PAGES };
    int32_t tokens[MAX_ROWS];
    uint32_t rows[MAX_ROWS];
    struct err err = { 0 };

    assert_true(n_rows <= MAX_ROWS);
    memcpy(tokens, p->tokens, p->n_tokens * sizeof(*tokens));
    memcpy(tokens + p->n_tokens, p->greedy, (n_steps - 1) * sizeof(*tokens));
    for (uint32_t i = 0; i < n_steps; i++)
        rows[i] = p->n_tokens - 1 + i;
    const struct engine_batch batch = { .n_rows = n_rows,
                                        .tokens = tokens,
                                        .spans = &span,
                                        .n_spans = 1,
                                        .logit_rows = rows,
                                        .n_logit_rows = n_steps };

    assert_ok(shard->type->step(shard, &batch, NULL, logits, &err), err);
}

/* A token may differ only where the best two are closer than `tolerance`. */
static void compare(const struct fixture *f, const struct golden_prompt *p, const float *logits,
                    double tolerance, struct distance *d)
{
    const uint32_t n_vocab = f->weights.shape.n_vocab, n_ids = f->golden.n_ids;

    for (uint32_t i = 0; i < f->golden.n_steps; i++) {
        const float *row = logits + (size_t)i * n_vocab;
        const int32_t best = (int32_t)best_of(row, n_vocab);

        if (best != p->greedy[i])
            d->n_other_tokens++;
        if (best != p->greedy[i] && (double)p->gap[i] > tolerance * (double)p->std[i])
            fail_msg("token %d of %td, not %d, with a gap of %g", (int)i, p - f->golden.prompts,
                     (int)p->greedy[i], (double)p->gap[i]);
        for (uint32_t j = 0; j < n_ids; j++) {
            const double off =
                fabs((double)row[f->golden.ids[j]] - (double)p->logits[(size_t)i * n_ids + j]) /
                (double)p->std[i];

            d->squares += off * off;
            d->max = fmax(d->max, off);
            d->n++;
        }
    }
}

static struct distance distance_of(const struct fixture *f, const char *kernels, double tolerance)
{
    const struct engine_options options = { .page_tokens = PAGE_TOKENS,
                                            .n_pages = N_PAGES,
                                            .max_rows = MAX_ROWS,
                                            .max_logit_rows = MAX_ROWS,
                                            .kernels = kernels };
    const struct engine_type *type = engine_find(NULL);
    const uint64_t start = clock_ns();
    struct engine_shard *shard = NULL;
    struct distance d = { 0 };
    struct err err = { 0 };
    float *logits;

    assert_ok(type->open(&f->weights, &options, &shard, &err), err);
    logits = calloc((size_t)f->golden.n_steps * f->weights.shape.n_vocab, sizeof(*logits));
    assert_non_null(logits);
    for (uint32_t i = 0; i < f->golden.n_prompts; i++) {
        forced_logits(f, shard, &f->golden.prompts[i], logits);
        compare(f, &f->golden.prompts[i], logits, tolerance, &d);
    }
    free(logits);
    type->close(shard);
    print_message("%s: RMS %.3g, largest %.3g standard deviations; %u other tokens; %.1f s\n",
                  kernels, sqrt(d.squares / d.n), d.max, d.n_other_tokens,
                  (double)(clock_ns() - start) / (double)NS_PER_S);
    return d;
}

static void reference_kernels_give_every_golden_token(void **state)
{
    const struct distance d = distance_of(*state, "ref", 0);

    assert_int_equal(d.n_other_tokens, 0);
    assert_true(d.max < 0.01);
    assert_true(sqrt(d.squares / d.n) < 0.001);
}

/* Under 2 % of a standard deviation, and no other token unless the best two are that close. */
static void fast_kernels_stay_within_two_percent(void **state)
{
    char names[128], *rest = names;

    kernel_isa_names(machine_cpu_features(), names, sizeof(names));
    for (char *name; (name = strtok_r(rest, ", ", &rest)) != NULL;) {
        if (strcmp(name, "ref") == 0)
            continue;
        const struct distance d = distance_of(*state, name, 0.02);

        assert_true(sqrt(d.squares / d.n) < 0.02);
        assert_true(d.max < 0.02);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reference_kernels_give_every_golden_token),
        cmocka_unit_test(fast_kernels_stay_within_two_percent),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
