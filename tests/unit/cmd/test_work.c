/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/cmd/test_work.c - bytes and operations of a test, counted by hand for a small model. */
#include "support/check.h"

#include "cmd/bench/work.h"

enum {
    HIDDEN = 32,
    FF = 64,
    VOCAB = 96,
    LAYERS = 2,
    LAYER_ELEMENTS = 4 * HIDDEN * HIDDEN + 3 * FF * HIDDEN,
    OUTPUT_ELEMENTS = VOCAB * HIDDEN,
    POSITION = 100, /* bytes */
};

static const char data;

static struct matrix matrix_of(enum dtype dtype, uint32_t n_rows, uint32_t n_cols)
{
    return (struct matrix){ .dtype = dtype, .n_rows = n_rows, .n_cols = n_cols, .data = &data };
}

static struct shard_weights small_model(struct layer_weights *layers)
{
    for (int i = 0; i < LAYERS; i++) {
        const struct matrix square = matrix_of(DTYPE_Q4_0, HIDDEN, HIDDEN);

        layers[i] = (struct layer_weights){
            .q = square,
            .k = square,
            .v = square,
            .o = square,
            .gate = matrix_of(DTYPE_Q4_0, FF, HIDDEN),
            .up = matrix_of(DTYPE_Q4_0, FF, HIDDEN),
            .down = matrix_of(DTYPE_Q4_0, HIDDEN, FF),
        };
    }
    return (struct shard_weights){
        .shape = { .n_layer = LAYERS, .n_hidden = HIDDEN, .n_head = 2, .head_dim = 16 },
        .n_layers = LAYERS,
        .layers = layers,
        .output = matrix_of(DTYPE_F16, VOCAB, HIDDEN),
    };
}

static void a_decoded_token_reads_everything_once(void **state)
{
    struct layer_weights layers[LAYERS];
    const struct shard_weights weights = small_model(layers);
    const struct measure_test test = { MEASURE_DECODE, 1, 1 };
    const struct work work = work_of(&weights, POSITION, &test);

    (void)state;
    /* Q4_0: 18 bytes for 32 elements; F16: 2 for one. */
    assert_true(work.bytes ==
                LAYERS * LAYER_ELEMENTS * 18.0 / 32 + OUTPUT_ELEMENTS * 2.0 + POSITION);
    assert_true(work.ops ==
                2.0 * (LAYERS * LAYER_ELEMENTS + OUTPUT_ELEMENTS) + 4.0 * 2 * 16 * LAYERS);
}

static void sequences_share_the_weights_and_not_their_keys(void **state)
{
    struct layer_weights layers[LAYERS];
    const struct shard_weights weights = small_model(layers);
    const struct measure_test one = { MEASURE_DECODE, 1, 1 }, eight = { MEASURE_DECODE, 1, 8 };
    const struct work a = work_of(&weights, POSITION, &one),
                      b = work_of(&weights, POSITION, &eight);

    (void)state;
    assert_true(b.bytes == a.bytes + 7 * POSITION);
    assert_true(b.ops == 8 * a.ops);
}

static void a_prompt_wants_logits_of_one_row(void **state)
{
    struct layer_weights layers[LAYERS];
    const struct shard_weights weights = small_model(layers);
    const struct measure_test test = { MEASURE_PROMPT, 3, 1 };
    const struct work work = work_of(&weights, POSITION, &test);

    (void)state;
    assert_true(work.bytes ==
                LAYERS * LAYER_ELEMENTS * 18.0 / 32 + OUTPUT_ELEMENTS * 2.0 + 3 * POSITION);
    /* Rows meet 1 + 2 + 3 positions. */
    assert_true(work.ops ==
                2.0 * (3 * LAYERS * LAYER_ELEMENTS + OUTPUT_ELEMENTS) + 4.0 * 6 * 2 * 16 * LAYERS);
}

static void a_long_prompt_reads_the_weights_once_a_step(void **state)
{
    struct layer_weights layers[LAYERS];
    const struct shard_weights weights = small_model(layers);
    const struct measure_test test = { MEASURE_PROMPT, MEASURE_ROWS_MAX + 1, 1 };
    const struct work work = work_of(&weights, 0, &test);

    (void)state;
    assert_true(work.bytes == 2 * LAYERS * LAYER_ELEMENTS * 18.0 / 32 + OUTPUT_ELEMENTS * 2.0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_decoded_token_reads_everything_once),
        cmocka_unit_test(sequences_share_the_weights_and_not_their_keys),
        cmocka_unit_test(a_prompt_wants_logits_of_one_row),
        cmocka_unit_test(a_long_prompt_reads_the_weights_once_a_step),
    };

    return cmocka_run_group_tests_name("cmd/work", tests, NULL, NULL);
}
