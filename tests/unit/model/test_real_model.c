/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/model/test_real_model.c - SmolLM2-135M-Instruct is read as it is. */
#include "support/check.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/gguf/gguf.h"
#include "model/model.h"

static const char *real_path(void)
{
    const char *path = getenv("POMONA_TEST_MODEL");

    if (!path)
        fail_msg("POMONA_TEST_MODEL is not set");
    return path;
}

static int set_up(void **state)
{
    struct err err;
    struct model *model = NULL;

    assert_ok(model_open(real_path(), &model, &err), err);
    *state = model;
    return 0;
}

static int tear_down(void **state)
{
    model_free(*state);
    return 0;
}

static void the_shape_is_the_published_one(void **state)
{
    const struct model_shape *sh = model_shape(*state);

    assert_int_equal(sh->n_layer, 30);
    assert_int_equal(sh->n_hidden, 576);
    assert_int_equal(sh->n_ff, 1536);
    assert_int_equal(sh->n_head, 9);
    assert_int_equal(sh->n_kv_head, 3);
    assert_int_equal(sh->head_dim, 64);
    assert_int_equal(sh->n_rope, 64);
    assert_int_equal(sh->n_vocab, 49152);
    assert_int_equal(sh->context_tokens, 8192);
    assert_int_equal(sh->rope_style, ROPE_INTERLEAVED);
    assert_true(sh->rope_base == 100000.0f);
    assert_true(sh->rope_scale == 1.0f);
    assert_true(fabsf(sh->norm_eps - 1.0e-5f) < 1.0e-9f);
    assert_null(sh->rope_factors);
}

static void the_description_adds_up(void **state)
{
    const struct model_info *info = model_info(*state);

    assert_string_equal(info->name, "SmolLM2-135M-Instruct.Q4_1");
    assert_string_equal(info->architecture, "llama");
    assert_int_equal(info->n_layer, 30);
    assert_int_equal(info->file_bytes, 98362432);
    assert_int_equal(info->n_parameters, 134515008); /* the model's card: 135M */
    assert_int_equal(info->embedding_bytes, 49152ull * 576 / 32 * 34);
    assert_int_equal(info->output_bytes, info->embedding_bytes + 576 * 4);
    assert_true(info->created_unix_s > 0);
    /* Layers, both ends, and the head of the file make the file, but for padding. */
    assert_true(30 * info->layer_bytes + info->output_bytes < info->file_bytes);
    assert_true(30 * info->layer_bytes + info->output_bytes + (2u << 20) > info->file_bytes);
}

static void the_directory_has_272_tensors_of_three_formats(void **state)
{
    struct gguf *g = NULL;
    struct err err;
    size_t n_f32 = 0, n_q4_1 = 0, n_q8_0 = 0;

    (void)state;
    assert_ok(gguf_open(real_path(), &g, &err), err);
    assert_int_equal(gguf_n_tensors(g), 272);
    for (size_t i = 0; i < gguf_n_tensors(g); i++) {
        n_f32 += gguf_tensor(g, i)->type == DTYPE_F32;
        n_q4_1 += gguf_tensor(g, i)->type == DTYPE_Q4_1;
        n_q8_0 += gguf_tensor(g, i)->type == DTYPE_Q8_0;
    }
    assert_int_equal(n_f32, 61);
    assert_int_equal(n_q4_1, 210);
    assert_int_equal(n_q8_0, 1);
    gguf_free(g);
}

static void output_and_embedding_are_one_matrix(void **state)
{
    struct shard_weights w;
    struct err err;

    assert_ok(model_shard(*state, 0, 30, &w, &err), err);
    assert_ptr_equal(w.embedding.data, w.output.data);
    assert_int_equal(w.output.dtype, DTYPE_Q8_0);
    assert_int_equal(w.output.n_rows, 49152);
    assert_int_equal(w.layers[0].q.dtype, DTYPE_Q4_1);
    assert_int_equal(w.layers[29].down.n_cols, 1536);
    assert_non_null(w.output_norm);
    shard_weights_release(&w);
}

static void every_split_in_two_covers_the_model(void **state)
{
    struct shard_weights whole, low, high;
    struct err err;

    assert_ok(model_shard(*state, 0, 30, &whole, &err), err);
    for (uint32_t cut = 1; cut < 30; cut++) {
        assert_ok(model_shard(*state, 0, cut, &low, &err), err);
        assert_ok(model_shard(*state, cut, 30 - cut, &high, &err), err);
        assert_non_null(low.embedding.data);
        assert_null(low.output.data);
        assert_null(low.output_norm);
        assert_null(high.embedding.data);
        assert_non_null(high.output.data);
        assert_non_null(high.output_norm);
        assert_ptr_equal(high.layers[0].q.data, whole.layers[cut].q.data);
        /* The tied matrix counts on both sides of a cut. */
        assert_int_equal(low.total_bytes + high.total_bytes,
                         whole.total_bytes + model_info(*state)->embedding_bytes);
        shard_weights_release(&low);
        shard_weights_release(&high);
    }
    shard_weights_release(&whole);
}

static void layers_beyond_the_model_are_refused(void **state)
{
    struct shard_weights w;
    struct err err;

    assert_int_equal(model_shard(*state, 0, 31, &w, &err), ST_RANGE);
    assert_int_equal(model_shard(*state, 30, 1, &w, &err), ST_RANGE);
    assert_int_equal(model_shard(*state, 4, 0, &w, &err), ST_RANGE);
    assert_int_equal(model_shard(*state, 1, UINT32_MAX, &w, &err), ST_RANGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_shape_is_the_published_one),
        cmocka_unit_test(the_description_adds_up),
        cmocka_unit_test(the_directory_has_272_tensors_of_three_formats),
        cmocka_unit_test(output_and_embedding_are_one_matrix),
        cmocka_unit_test(every_split_in_two_covers_the_model),
        cmocka_unit_test(layers_beyond_the_model_are_refused),
    };
    return cmocka_run_group_tests_name("model/real_model", tests, set_up, tear_down);
}
