/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/engine/test_exact.c - a row's result depends on its own sequence only, bit for bit.
 *
 * One sequence is computed row by row on one thread; every other way of
 * computing it must give the same bits: in one batch, in chunks, beside other
 * sequences, with more threads, over several shards, on other pages.
 */
#include "support/check.h"

#include <stdlib.h>
#include <string.h>

#include "base/machine.h"
#include "engine/cpu/kernels.h"
#include "engine/engine.h"
#include "support/numbers.h"

enum {
    LENGTH = 83,
    N_VOCAB = 100,
    N_HIDDEN = 96,
    PAGE_TOKENS = 16,
    N_PAGES = 24,
    SEQ_PAGES = 6,
    N_LAYER = 3,
    MAX_ROWS = 2 * LENGTH
};

struct fixture {
    struct shard_weights model;
    const char *kernels;
    enum activation_format activations;
    int32_t tokens[LENGTH], other_tokens[LENGTH];
    float expected[LENGTH][N_VOCAB];
};

static const uint32_t in_order[SEQ_PAGES] = { 0, 1, 2, 3, 4, 5 };
static const uint32_t scattered[SEQ_PAGES] = { 9, 6, 22, 15, 8, 11 };

static struct engine_shard *open_shard(const struct fixture *f, const struct shard_weights *weights,
                                       unsigned n_threads)
{
    const struct engine_options options = { .page_tokens = PAGE_TOKENS,
                                            .n_pages = N_PAGES,
                                            .max_rows = MAX_ROWS,
                                            .max_logit_rows = MAX_ROWS,
                                            .n_threads = n_threads,
                                            .kernels = f->kernels,
                                            .activations = f->activations };
    struct engine_shard *shard = NULL;
    struct err err = { 0 };

    assert_ok(engine_find("cpu")->open(weights, &options, &shard, &err), err);
    return shard;
}

/* Rows start..start+n of the sequence, all with logits. */
static void run_rows(const struct fixture *f, struct engine_shard *shard, const uint32_t *pages,
                     uint32_t start, uint32_t n, float *logits)
{
    const struct engine_span span = {
        .n_rows = n, .start = start, .pages = pages, .n_pages = SEQ_PAGES
    };
    uint32_t rows[LENGTH];
    struct err err = { 0 };

    for (uint32_t i = 0; i < n; i++)
        rows[i] = i;
    const struct engine_batch batch = { .n_rows = n,
                                        .tokens = f->tokens + start,
                                        .spans = &span,
                                        .n_spans = 1,
                                        .logit_rows = rows,
                                        .n_logit_rows = n };

    assert_ok(shard->type->step(shard, &batch, NULL, logits, &err), err);
}

static void fixture_init(struct fixture *f, enum dtype dtype, enum rope_style style)
{
    const struct random_model spec = { .dtype = dtype,
                                       .n_layer = N_LAYER,
                                       .n_hidden = N_HIDDEN,
                                       .n_ff = 160,
                                       .n_head = 4,
                                       .n_kv_head = 2,
                                       .head_dim = 32,
                                       .n_rope = style == ROPE_HALVES ? 24 : 32,
                                       .n_vocab = N_VOCAB,
                                       .rope_style = style };
    struct engine_shard *shard;
    uint32_t seed = 7;

    random_model_init(&f->model, &spec);
    for (int i = 0; i < LENGTH; i++) {
        f->tokens[i] = (int32_t)(random_u32(&seed) % N_VOCAB);
        f->other_tokens[i] = (int32_t)(random_u32(&seed) % N_VOCAB);
    }
    shard = open_shard(f, &f->model, 1);
    for (uint32_t i = 0; i < LENGTH; i++)
        run_rows(f, shard, in_order, i, 1, f->expected[i]);
    shard->type->close(shard);
}

typedef void (*fact_fn)(const struct fixture *f);

/* `fact` for all kernels and formats; both pairings of positions take turns. */
static void hold_for_all(fact_fn fact)
{
    static const struct {
        enum dtype dtype;
        enum activation_format activations;
    } formats[] = {
        { DTYPE_F32, ACTIVATIONS_16 },  { DTYPE_F16, ACTIVATIONS_16 },
        { DTYPE_Q4_0, ACTIVATIONS_16 }, { DTYPE_Q4_0, ACTIVATIONS_8 },
        { DTYPE_Q4_1, ACTIVATIONS_8 },  { DTYPE_Q4_1, ACTIVATIONS_16 },
        { DTYPE_Q8_0, ACTIVATIONS_16 }, { DTYPE_Q8_0, ACTIVATIONS_8 },
    };
    char names[128], *rest = names;

    kernel_isa_names(machine_cpu_features(), names, sizeof(names));
    for (char *name; (name = strtok_r(rest, ", ", &rest)) != NULL;)
        for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
            struct fixture *f = calloc(1, sizeof(*f));

            assert_non_null(f);
            f->kernels = name;
            f->activations = formats[i].activations;
            fixture_init(f, formats[i].dtype, i % 2 == 0 ? ROPE_INTERLEAVED : ROPE_HALVES);
            fact(f);
            random_model_release(&f->model);
            free(f);
        }
}

static void one_batch(const struct fixture *f)
{
    struct engine_shard *shard = open_shard(f, &f->model, 1);
    float logits[LENGTH][N_VOCAB];

    assert_string_equal(shard->type->kernels(shard), f->kernels);
    run_rows(f, shard, scattered, 0, LENGTH, logits[0]);
    assert_memory_equal(logits, f->expected, sizeof(logits));
    shard->type->close(shard);
}

static void a_prompt_in_one_batch_gives_the_same_bits(void **state)
{
    (void)state;
    hold_for_all(one_batch);
}

static void chunks_and_threads(const struct fixture *f)
{
    static const uint32_t chunks[] = { 2, 5, 17, 64 };
    float logits[LENGTH][N_VOCAB];

    for (unsigned threads = 1; threads <= 3; threads++) {
        struct engine_shard *shard = open_shard(f, &f->model, threads);

        for (size_t c = 0; c < sizeof(chunks) / sizeof(chunks[0]); c++) {
            for (uint32_t at = 0; at < LENGTH; at += chunks[c])
                run_rows(f, shard, in_order, at, LENGTH - at < chunks[c] ? LENGTH - at : chunks[c],
                         logits[at]);
            assert_memory_equal(logits, f->expected, sizeof(logits));
        }
        shard->type->close(shard);
    }
}

static void chunks_and_threads_do_not_change_a_bit(void **state)
{
    (void)state;
    hold_for_all(chunks_and_threads);
}

/* Every batch also carries rows of another sequence, before and after ours. */
static void company(const struct fixture *f)
{
    static const uint32_t others[2][SEQ_PAGES] = { { 0, 1, 2, 3, 4, 5 },
                                                   { 23, 21, 20, 19, 18, 17 } };
    struct engine_shard *shard = open_shard(f, &f->model, 2);
    struct err err = { 0 };
    float logits[N_VOCAB];

    for (uint32_t i = 0; i < LENGTH; i++) {
        const uint32_t n = i % 3 + 1, last = LENGTH - i < n ? LENGTH - i : n;
        const struct engine_span spans[] = {
            { .first_row = 0,
              .n_rows = last,
              .start = i,
              .pages = others[0],
              .n_pages = SEQ_PAGES },
            { .first_row = last,
              .n_rows = 1,
              .start = i,
              .pages = scattered,
              .n_pages = SEQ_PAGES },
            { .first_row = last + 1,
              .n_rows = 1,
              .start = i,
              .pages = others[1],
              .n_pages = SEQ_PAGES },
        };
        int32_t tokens[8];
        const struct engine_batch batch = { .n_rows = last + 2,
                                            .tokens = tokens,
                                            .spans = spans,
                                            .n_spans = 3,
                                            .logit_rows = &last,
                                            .n_logit_rows = 1 };

        memcpy(tokens, f->other_tokens + i, last * sizeof(*tokens));
        tokens[last] = f->tokens[i];
        tokens[last + 1] = f->other_tokens[LENGTH - 1 - i];
        assert_ok(shard->type->step(shard, &batch, NULL, logits, &err), err);
        assert_memory_equal(logits, f->expected[i], sizeof(logits));
    }
    shard->type->close(shard);
}

static void other_sequences_of_the_batch_do_not_change_a_bit(void **state)
{
    (void)state;
    hold_for_all(company);
}

static void pipeline(const struct fixture *f, const uint32_t *layers, uint32_t n_shards)
{
    float hidden[2][LENGTH * N_HIDDEN], logits[LENGTH][N_VOCAB];
    const struct engine_span span = { .n_rows = LENGTH, .pages = scattered, .n_pages = SEQ_PAGES };
    uint32_t rows[LENGTH], first = 0;
    struct err err = { 0 };

    for (uint32_t i = 0; i < LENGTH; i++)
        rows[i] = i;
    for (uint32_t i = 0; i < n_shards; first += layers[i++]) {
        const struct shard_weights weights = shard_of(&f->model, first, layers[i]);
        const uint32_t is_last = i + 1 == n_shards;
        struct engine_shard *shard = open_shard(f, &weights, 1 + i);
        const struct engine_batch batch = { .n_rows = LENGTH,
                                            .tokens = i == 0 ? f->tokens : NULL,
                                            .hidden = i == 0 ? NULL : hidden[i % 2],
                                            .spans = &span,
                                            .n_spans = 1,
                                            .logit_rows = rows,
                                            .n_logit_rows = is_last ? LENGTH : 0 };

        assert_ok(shard->type->step(shard, &batch, is_last ? NULL : hidden[(i + 1) % 2],
                                    is_last ? logits[0] : NULL, &err),
                  err);
        shard->type->close(shard);
    }
    assert_memory_equal(logits, f->expected, sizeof(logits));
}

static void splits(const struct fixture *f)
{
    pipeline(f, (const uint32_t[]){ 1, 2 }, 2);
    pipeline(f, (const uint32_t[]){ 2, 1 }, 2);
    pipeline(f, (const uint32_t[]){ 1, 1, 1 }, 3);
}

static void where_layers_are_split_does_not_change_a_bit(void **state)
{
    (void)state;
    hold_for_all(splits);
}

/* Half the sequence moves to other pages of another shard, and goes on there. */
static void moved_pages(const struct fixture *f)
{
    enum { HALF = LENGTH / 2 };
    struct engine_shard *a = open_shard(f, &f->model, 1), *b = open_shard(f, &f->model, 1);
    float logits[LENGTH][N_VOCAB];
    void *bytes = malloc(a->type->page_bytes(a));

    assert_non_null(bytes);
    assert_int_equal(a->type->page_bytes(a), engine_page_bytes(&f->model, PAGE_TOKENS, KV_F16));
    run_rows(f, a, in_order, 0, HALF, logits[0]);
    for (uint32_t i = 0; i < SEQ_PAGES; i++) {
        a->type->page_copy(a, i + 12, i);
        a->type->page_export(a, i + 12, bytes);
        b->type->page_import(b, scattered[i], bytes);
    }
    run_rows(f, b, scattered, HALF, LENGTH - HALF, logits[HALF]);
    assert_memory_equal(logits, f->expected, sizeof(logits));
    free(bytes);
    a->type->close(a);
    b->type->close(b);
}

static void a_sequence_goes_on_where_its_pages_are_moved(void **state)
{
    (void)state;
    hold_for_all(moved_pages);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_prompt_in_one_batch_gives_the_same_bits),
        cmocka_unit_test(chunks_and_threads_do_not_change_a_bit),
        cmocka_unit_test(other_sequences_of_the_batch_do_not_change_a_bit),
        cmocka_unit_test(where_layers_are_split_does_not_change_a_bit),
        cmocka_unit_test(a_sequence_goes_on_where_its_pages_are_moved),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
