/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/engine/test_long.c - long sequences give the same bits however they are computed.
 *
 * As test_exact.c, with sequences of several segments of attention, both formats of keys and
 * values, and query heads in groups.  One sequence is computed row by row on one thread; then in
 * chunks that end within and at segments, on pages of other sizes, with more threads, and in
 * batches where rows of sequences of other lengths stand before and after it.
 */
#include "support/check.h"

#include <stdlib.h>
#include <string.h>

#include "base/machine.h"
#include "base/size.h"
#include "engine/cpu/attend.h"
#include "engine/cpu/kernels.h"
#include "engine/engine.h"
#include "support/numbers.h"

enum {
    LENGTH = 2 * ATTEND_SEGMENT + 101,
    N_VOCAB = 40,
    POSITIONS = 2048, /* of the pool */
    PAGES_MAX = POSITIONS / 16,
    MAX_ROWS = LENGTH + 8,
};

struct fixture {
    struct shard_weights model;
    const char *kernels;
    enum kv_format format;
    int32_t tokens[LENGTH];
    float expected[LENGTH][N_VOCAB], got[LENGTH][N_VOCAB];
};

/* A shard, and two sequences' pages, interleaved. */
struct bed {
    struct engine_shard *shard;
    uint32_t pages[2][PAGES_MAX / 2], n_pages;
};

static void bed_open(struct bed *bed, const struct fixture *f, uint32_t page_tokens,
                     unsigned n_threads)
{
    const struct engine_options options = { .page_tokens = page_tokens,
                                            .n_pages = POSITIONS / page_tokens,
                                            .max_rows = MAX_ROWS,
                                            .max_logit_rows = MAX_ROWS,
                                            .kv_format = f->format,
                                            .n_threads = n_threads,
                                            .kernels = f->kernels };
    struct err err = { 0 };

    bed->n_pages = options.n_pages / 2;
    for (uint32_t i = 0; i < options.n_pages; i++)
        bed->pages[i % 2][i / 2] = options.n_pages - 1 - i;
    assert_ok(engine_find("cpu")->open(&f->model, &options, &bed->shard, &err), err);
    assert_int_equal(bed->shard->type->page_bytes(bed->shard),
                     engine_page_bytes(&f->model, page_tokens, f->format));
}

static struct engine_span span_of(const struct bed *bed, uint32_t sequence, uint32_t start,
                                  uint32_t n)
{
    return (struct engine_span){
        .n_rows = n, .start = start, .pages = bed->pages[sequence], .n_pages = bed->n_pages
    };
}

/* All spans' rows are tokens of the same text from their start; logits of the rows of span `wanted`. */
static void run(const struct fixture *f, const struct bed *bed, struct engine_span *spans,
                uint32_t n_spans, uint32_t wanted, float *logits)
{
    static int32_t tokens[MAX_ROWS];
    static uint32_t rows[MAX_ROWS];
    struct engine_batch batch = { .tokens = tokens,
                                  .spans = spans,
                                  .n_spans = n_spans,
                                  .logit_rows = rows,
                                  .n_logit_rows = spans[wanted].n_rows };
    struct err err = { 0 };

    for (uint32_t i = 0; i < n_spans; i++) {
        spans[i].first_row = batch.n_rows;
        memcpy(tokens + batch.n_rows, f->tokens + spans[i].start,
               spans[i].n_rows * sizeof(*tokens));
        batch.n_rows += spans[i].n_rows;
    }
    for (uint32_t i = 0; i < batch.n_logit_rows; i++)
        rows[i] = spans[wanted].first_row + i;
    assert_ok(bed->shard->type->step(bed->shard, &batch, NULL, logits, &err), err);
}

static void run_alone(const struct fixture *f, const struct bed *bed, uint32_t chunk,
                      float logits[LENGTH][N_VOCAB])
{
    for (uint32_t at = 0; at < LENGTH; at += chunk) {
        struct engine_span span = span_of(bed, 0, at, (uint32_t)size_min(chunk, LENGTH - at));

        run(f, bed, &span, 1, 0, logits[at]);
    }
}

static void fixture_init(struct fixture *f)
{
    const struct random_model spec = { .dtype = DTYPE_Q8_0,
                                       .n_layer = 2,
                                       .n_hidden = 64,
                                       .n_ff = 32,
                                       .n_head = 6,
                                       .n_kv_head = 2,
                                       .head_dim = 32,
                                       .n_rope = 32,
                                       .n_vocab = N_VOCAB,
                                       .rope_style = ROPE_HALVES };
    struct bed bed;
    uint32_t seed = 11;

    random_model_init(&f->model, &spec);
    for (int i = 0; i < LENGTH; i++)
        f->tokens[i] = (int32_t)(random_u32(&seed) % N_VOCAB);
    bed_open(&bed, f, 64, 1);
    run_alone(f, &bed, 1, f->expected);
    bed.shard->type->close(bed.shard);
}

static void hold_for_all(void (*fact)(struct fixture *f))
{
    char names[128], *rest = names;

    kernel_isa_names(machine_cpu_features(), names, sizeof(names));
    for (char *name; (name = strtok_r(rest, ", ", &rest)) != NULL;)
        for (unsigned format = 0; format < N_KV_FORMATS; format++) {
            struct fixture *f = calloc(1, sizeof(*f));

            assert_non_null(f);
            f->kernels = name;
            f->format = (enum kv_format)format;
            fixture_init(f);
            fact(f);
            random_model_release(&f->model);
            free(f);
        }
}

static void chunks(struct fixture *f)
{
    static const struct {
        uint32_t page_tokens, chunk;
        unsigned n_threads;
    } ways[] = { { 64, LENGTH, 2 },         { 16, 100, 3 }, { 256, 300, 2 },
                 { 64, ATTEND_SEGMENT, 1 }, { 128, 17, 2 }, { 16, 1, 3 } };

    for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
        struct bed bed;

        bed_open(&bed, f, ways[i].page_tokens, ways[i].n_threads);
        memset(f->got, 0, sizeof(f->got));
        run_alone(f, &bed, ways[i].chunk, f->got);
        assert_memory_equal(f->got, f->expected, sizeof(f->got));
        bed.shard->type->close(bed.shard);
    }
}

static void chunks_pages_and_threads_do_not_change_a_bit(void **state)
{
    (void)state;
    hold_for_all(chunks);
}

/* The sequence in pieces of growing length, between rows of another that is further or less far. */
static void ragged(struct fixture *f)
{
    struct bed bed;
    uint32_t other = 0;

    bed_open(&bed, f, 64, 3);
    for (uint32_t at = 0, n = 1; at < LENGTH; at += n, n = n * 2 % 97 + 1) {
        const uint32_t mine = (uint32_t)size_min(n, LENGTH - at);
        const uint32_t theirs = other + 5 <= LENGTH ? 5 : 0;
        struct engine_span spans[2] = { span_of(&bed, 1, other, theirs),
                                        span_of(&bed, 0, at, mine) };

        if (theirs > 0)
            run(f, &bed, spans, 2, 1, f->got[at]);
        else
            run(f, &bed, spans + 1, 1, 0, f->got[at]);
        other += theirs;
    }
    assert_memory_equal(f->got, f->expected, sizeof(f->got));
    bed.shard->type->close(bed.shard);
}

static void ragged_batches_do_not_change_a_bit(void **state)
{
    (void)state;
    hold_for_all(ragged);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chunks_pages_and_threads_do_not_change_a_bit),
        cmocka_unit_test(ragged_batches_do_not_change_a_bit),
    };

    return cmocka_run_group_tests_name("engine/long", tests, NULL, NULL);
}
