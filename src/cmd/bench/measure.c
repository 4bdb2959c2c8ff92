/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/bench/measure.c - fill batches and time the engine's steps.
 *
 * Tokens are drawn from a fixed sequence: what they say does not change the
 * work, but one token repeated would keep one row of the embedding in cache.
 */
#include "cmd/bench/measure.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/size.h"

/* Everything a test's steps point into. */
struct bed {
    struct engine_shard *shard;
    uint32_t n_vocab, page_tokens, pages_each;
    uint32_t random;
    int32_t *tokens;           /* [MEASURE_ROWS_MAX] */
    struct engine_span *spans; /* [n_sequences] */
    uint32_t *pages;           /* [n_sequences][pages_each] */
    uint32_t *logit_rows;      /* [n_sequences] */
    float *logits;             /* [n_sequences][n_vocab] */
};

const char *measure_name(const struct measure_test *test, char *ret_name)
{
    const char *kind = test->kind == MEASURE_PROMPT ? "pp" : "tg";

    if (test->n_sequences == 1)
        (void)snprintf(ret_name, MEASURE_NAME_MAX, "%s%u", kind, test->n_tokens);
    else
        (void)snprintf(ret_name, MEASURE_NAME_MAX, "%s%u@b%u", kind, test->n_tokens,
                       test->n_sequences);
    return ret_name;
}

static void bed_release(struct bed *bed)
{
    free(bed->tokens);
    free(bed->spans);
    free(bed->pages);
    free(bed->logit_rows);
    free(bed->logits);
}

static enum status bed_init(struct bed *bed, struct local *local, const struct model *model,
                            const struct measure_test *test, struct err *err)
{
    const size_t n = test->n_sequences;

    *bed = (struct bed){
        .shard = local_shard(local),
        .n_vocab = model_shape(model)->n_vocab,
        .page_tokens = local_page_tokens(local),
        .random = 1,
    };
    bed->pages_each = (test->n_tokens + bed->page_tokens - 1) / bed->page_tokens;
    bed->tokens = calloc(MEASURE_ROWS_MAX, sizeof(*bed->tokens));
    bed->spans = calloc(n, sizeof(*bed->spans));
    bed->pages = calloc(n * bed->pages_each, sizeof(*bed->pages));
    bed->logit_rows = calloc(n, sizeof(*bed->logit_rows));
    bed->logits = calloc(n * bed->n_vocab, sizeof(*bed->logits));
    if (!bed->tokens || !bed->spans || !bed->pages || !bed->logit_rows || !bed->logits)
        return err_set(err, ST_NOMEM, "no memory for a batch of %zu sequences", n);
    for (uint32_t i = 0; i < n * bed->pages_each; i++)
        bed->pages[i] = i;
    return ST_OK;
}

/* Numerical Recipes' linear congruential generator; its high bits are the better ones. */
int32_t measure_token(uint32_t *random, uint32_t n_vocab)
{
    *random = *random * 1664525u + 1013904223u;
    return (int32_t)((*random >> 8) % n_vocab);
}

static enum status step(struct bed *bed, uint32_t n_rows, uint32_t n_spans, uint32_t n_logit_rows,
                        struct err *err)
{
    const struct engine_batch batch = {
        .n_rows = n_rows,
        .tokens = bed->tokens,
        .spans = bed->spans,
        .n_spans = n_spans,
        .logit_rows = bed->logit_rows,
        .n_logit_rows = n_logit_rows,
    };

    for (uint32_t row = 0; row < n_rows; row++)
        bed->tokens[row] = measure_token(&bed->random, bed->n_vocab);
    return bed->shard->type->step(bed->shard, &batch, NULL, bed->logits, err);
}

/* Logits of the last row of the prompt only, as an answer needs them. */
static enum status prompt(struct bed *bed, const struct measure_test *test, struct err *err)
{
    enum status s = ST_OK;

    for (uint32_t at = 0; s == ST_OK && at < test->n_tokens;) {
        const uint32_t left = test->n_tokens - at;
        const uint32_t n = left < MEASURE_ROWS_MAX ? left : MEASURE_ROWS_MAX;

        bed->spans[0] = (struct engine_span){
            .n_rows = n, .start = at, .pages = bed->pages, .n_pages = bed->pages_each
        };
        bed->logit_rows[0] = n - 1;
        s = step(bed, n, 1, n == left ? 1 : 0, err);
        at += n;
    }
    return s;
}

static enum status decode(struct bed *bed, const struct measure_test *test, struct err *err)
{
    const uint32_t n = test->n_sequences;
    enum status s = ST_OK;

    for (uint32_t at = 0; s == ST_OK && at < test->n_tokens; at++) {
        for (uint32_t i = 0; i < n; i++) {
            bed->spans[i] = (struct engine_span){
                .first_row = i,
                .n_rows = 1,
                .start = at,
                .pages = bed->pages + (size_t)i * bed->pages_each,
                .n_pages = bed->pages_each,
            };
            bed->logit_rows[i] = i;
        }
        s = step(bed, n, n, n, err);
    }
    return s;
}

static enum status run_once(struct bed *bed, const struct measure_test *test, double *ret_rate,
                            struct err *err)
{
    const uint64_t start_ns = clock_ns();
    enum status s;

    s = test->kind == MEASURE_PROMPT ? prompt(bed, test, err) : decode(bed, test, err);
    if (s == ST_OK)
        *ret_rate = (double)test->n_tokens * test->n_sequences * (double)NS_PER_S /
                    (double)(clock_ns() - start_ns);
    return s;
}

enum status measure_run(struct local *local, const struct model *model,
                        const struct measure_test *test, uint32_t n_repetitions,
                        struct samples *ret_rates, struct err *err)
{
    struct bed bed;
    double rate = 0;
    enum status s;

    samples_clear(ret_rates);
    s = bed_init(&bed, local, model, test, err);
    if (s == ST_OK)
        s = run_once(&bed, test, &rate, err);
    for (uint32_t i = 0; s == ST_OK && i < n_repetitions; i++) {
        s = run_once(&bed, test, &rate, err);
        if (s == ST_OK)
            samples_add(ret_rates, rate);
    }
    bed_release(&bed);
    return s;
}
