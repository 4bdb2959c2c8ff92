/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/model/test_model.c - a llama file becomes weights; what the graph lacks is refused. */
#include "support/check.h"

#include <stdio.h>
#include <string.h>

#include "base/size.h"
#include "model/model.h"
#include "support/folder.h"
#include "support/tiny_llama.h"

struct fixture {
    struct folder folder;
    struct gguf_writer w;
    struct model *model;
    struct err err;
};

static int set_up(void **state)
{
    static struct fixture f;

    f = (struct fixture){ 0 };
    folder_make(&f.folder);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    model_free(f->model);
    gguf_writer_release(&f->w);
    folder_remove(&f->folder);
    return 0;
}

static enum status open_written(struct fixture *f)
{
    char path[PATH_MAX_BYTES];
    struct buf file = { 0 };
    enum status s;

    model_free(f->model);
    f->model = NULL;
    gguf_writer_finish(&f->w, &file);
    s = model_open(folder_put(&f->folder, "Tiny one.gguf", &file, path), &f->model, &f->err);
    buf_release(&file);
    return s;
}

static void assert_refused(struct fixture *f, enum status s, const char *word)
{
    assert_int_equal(open_written(f), s);
    assert_int_equal(f->err.status, s);
    if (!strstr(f->err.words, word))
        fail_msg("\"%s\" does not say \"%s\"", f->err.words, word);
}

static void put_whole(struct fixture *f, const struct tiny_llama *spec)
{
    gguf_writer_release(&f->w);
    f->w = (struct gguf_writer){ 0 };
    tiny_llama_put_numbers(spec, &f->w);
    tiny_llama_put_tensors(spec, &f->w);
}

static void every_number_format_opens(void **state)
{
    static const enum dtype dtypes[] = { DTYPE_F32, DTYPE_F16, DTYPE_Q4_0, DTYPE_Q4_1, DTYPE_Q8_0 };
    struct fixture *f = *state;
    struct shard_weights w;

    for (size_t i = 0; i < ARRAY_LEN(dtypes); i++) {
        struct tiny_llama spec = tiny_llama_default;

        spec.matrices = dtypes[i];
        spec.is_tied = i % 2 == 0;
        put_whole(f, &spec);
        assert_ok(open_written(f), f->err);
        assert_ok(model_shard(f->model, 0, spec.n_layer, &w, &f->err), f->err);
        assert_int_equal(w.layers[3].down.dtype, dtypes[i]);
        assert_int_equal(w.output.data == w.embedding.data, spec.is_tied);
        shard_weights_release(&w);
    }
}

static void the_description_follows_the_tensors(void **state)
{
    struct fixture *f = *state;
    const uint64_t row = 64 / 32 * 34;
    const uint64_t layer = (64 + 32 + 32 + 64 + 96 + 96) * row + 64 * 96 / 32 * 34 + 2 * 64 * 4;
    const struct model_info *info;

    put_whole(f, &tiny_llama_default);
    assert_ok(open_written(f), f->err);
    info = model_info(f->model);
    assert_string_equal(info->name, "Tiny-one");
    assert_int_equal(info->layer_bytes, layer);
    assert_int_equal(info->embedding_bytes, tiny_llama_n_vocab() * row);
    assert_int_equal(info->output_bytes, tiny_llama_n_vocab() * row + 64 * 4);
    assert_int_equal(info->n_hidden, 64);
    assert_int_equal(info->context_tokens, 512);
}

static void the_digest_follows_metadata_directory_and_size(void **state)
{
    struct fixture *f = *state;
    struct model_info first;

    put_whole(f, &tiny_llama_default);
    assert_ok(open_written(f), f->err);
    first = *model_info(f->model);
    assert_ok(open_written(f), f->err);
    assert_memory_equal(first.digest, model_info(f->model)->digest, MODEL_DIGEST_BYTES);
    gguf_put_text(&f->w, "general.name", "another");
    assert_ok(open_written(f), f->err);
    assert_memory_not_equal(first.digest, model_info(f->model)->digest, MODEL_DIGEST_BYTES);
}

static void an_architecture_not_known_is_named(void **state)
{
    struct fixture *f = *state;

    gguf_put_u32(&f->w, "a", 1);
    assert_refused(f, ST_FORMAT, "general.architecture");
    gguf_put_text(&f->w, "general.architecture", "mamba");
    assert_refused(f, ST_UNSUPPORTED, "'mamba'; this build runs llama");
}

static void a_block_type_not_known_is_named(void **state)
{
    static const struct {
        uint32_t type;
        const char *word;
    } cases[] = {
        { 12, "block type Q4_K; this build computes with F32, F16, Q4_0, Q4_1, Q8_0" },
        { 77, "number 77" },
    };
    struct fixture *f = *state;
    const uint64_t dims[] = { 64, tiny_llama_n_vocab() };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        gguf_writer_release(&f->w);
        f->w = (struct gguf_writer){ 0 };
        tiny_llama_put_numbers(&tiny_llama_default, &f->w);
        gguf_put_tensor(&f->w, "token_embd.weight", cases[i].type, 2, dims, "x", 1);
        for (int n = 0; n < 4;
             n++) { /* as many tensors as layers, so that the matrix is looked at */
            char name[16];

            snprintf(name, sizeof(name), "t%d", n);
            gguf_put_tensor(&f->w, name, DTYPE_F32, 1, (const uint64_t[]){ 1 }, "1234", 4);
        }
        assert_refused(f, ST_UNSUPPORTED, cases[i].word);
    }
}

static void tensors_the_graph_lacks_are_refused_by_name(void **state)
{
    static const char *const names[] = { "blk.0.attn_q.bias", "blk.3.ffn_gate_exps.weight",
                                         "blk.4.attn_norm.weight", "output.bias" };
    struct fixture *f = *state;
    const uint64_t dims[] = { 1 };

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        put_whole(f, &tiny_llama_default);
        gguf_put_tensor(&f->w, names[i], DTYPE_F32, 1, dims, "1234", 4);
        assert_refused(f, ST_UNSUPPORTED, names[i]);
    }
}

static void a_missing_tensor_is_named(void **state)
{
    struct fixture *f = *state;
    struct tiny_llama spec = tiny_llama_default;
    uint32_t seed = 1;

    tiny_llama_put_numbers(&spec, &f->w);
    for (int i = 0; i < 9; i++) {
        char name[16];

        snprintf(name, sizeof(name), "t%d", i);
        tiny_llama_put_matrix(&f->w, name, DTYPE_F32, 1, 32, &seed);
    }
    assert_refused(f, ST_FORMAT, "'token_embd.weight' is missing");
    gguf_writer_release(&f->w);
    f->w = (struct gguf_writer){ 0 };
    spec.n_layer = 5;
    tiny_llama_put_numbers(&spec, &f->w);
    tiny_llama_put_tensors(&tiny_llama_default, &f->w);
    assert_refused(f, ST_FORMAT, "'blk.4.attn_norm.weight' is missing");
}

static void a_tensor_of_another_shape_is_named(void **state)
{
    struct fixture *f = *state;
    struct tiny_llama other = tiny_llama_default;

    other.n_ff = 128;
    tiny_llama_put_numbers(&other, &f->w);
    tiny_llama_put_tensors(&tiny_llama_default, &f->w);
    assert_refused(f, ST_FORMAT, "'blk.0.ffn_gate.weight' is [64, 96, 1, 1]");
}

static void numbers_beyond_their_bounds_are_refused(void **state)
{
    static const struct {
        uint32_t n_layer, n_hidden, n_ff, n_head, n_kv_head, context_tokens;
        enum status status;
        const char *word;
    } cases[] = {
        { 0, 64, 96, 4, 2, 512, ST_RANGE, "llama.block_count" },
        { 1025, 64, 96, 4, 2, 512, ST_RANGE, "llama.block_count" },
        { 900, 64, 96, 4, 2, 512, ST_FORMAT, "900 layers" },
        { 4, 0, 96, 4, 2, 512, ST_RANGE, "llama.embedding_length" },
        { 4, 1u << 31, 96, 4, 2, 512, ST_RANGE, "llama.embedding_length" },
        { 4, 64, 0, 4, 2, 512, ST_RANGE, "llama.feed_forward_length" },
        { 4, 64, 96, 2000, 2, 512, ST_RANGE, "llama.attention.head_count" },
        { 4, 64, 96, 4, 0, 512, ST_RANGE, "llama.attention.head_count_kv" },
        { 4, 64, 96, 4, 3, 512, ST_FORMAT, "share 3" },
        { 4, 64, 96, 4, 8, 512, ST_FORMAT, "share 8" },
        { 4, 60, 96, 8, 2, 512, ST_FORMAT, "cut into 8" },
        { 4, 60, 96, 4, 2, 512, ST_FORMAT, "heads of 15" },
        { 4, 64, 96, 4, 2, 0, ST_RANGE, "llama.context_length" },
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct tiny_llama wrong = tiny_llama_default;

        wrong.n_layer = cases[i].n_layer;
        wrong.n_hidden = cases[i].n_hidden;
        wrong.n_ff = cases[i].n_ff;
        wrong.n_head = cases[i].n_head;
        wrong.n_kv_head = cases[i].n_kv_head;
        wrong.context_tokens = cases[i].context_tokens;
        gguf_writer_release(&f->w);
        f->w = (struct gguf_writer){ 0 };
        tiny_llama_put_numbers(&wrong, &f->w);
        tiny_llama_put_tensors(&tiny_llama_default, &f->w);
        assert_refused(f, cases[i].status, cases[i].word);
    }
}

static void settings_of_other_graphs_are_refused_by_name(void **state)
{
    static const struct {
        const char *key;
        uint32_t type;
        uint32_t bits;
    } cases[] = {
        { "llama.expert_count", 4, 8 },
        { "llama.attention.sliding_window", 4, 4096 },
        { "llama.logit_scale", 6, 0x40000000 },
        { "llama.attention.clamp_kqv", 6, 0x40000000 },
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        put_whole(f, &tiny_llama_default);
        gguf_put_raw(&f->w, cases[i].key, cases[i].type, &cases[i].bits, 4);
        assert_refused(f, ST_UNSUPPORTED, cases[i].key);
    }
    put_whole(f, &tiny_llama_default);
    gguf_put_text(&f->w, "llama.rope.scaling.type", "yarn");
    assert_refused(f, ST_UNSUPPORTED, "'yarn'");
    put_whole(f, &tiny_llama_default);
    gguf_put_bool(&f->w, "llama.attention.causal", false);
    assert_refused(f, ST_UNSUPPORTED, "encoder");
    put_whole(f, &tiny_llama_default);
    gguf_put_u32(&f->w, "split.count", 3);
    assert_refused(f, ST_UNSUPPORTED, "into 3 files");
    put_whole(f, &tiny_llama_default);
    gguf_put_u32(&f->w, "llama.attention.value_length", 8);
    assert_refused(f, ST_UNSUPPORTED, "values of 8");
}

static void rope_settings_reach_the_shape(void **state)
{
    struct fixture *f = *state;
    const uint64_t dims[] = { 8 };
    float factors[8] = { 1, 1, 1, 2, 4, 8, 8, 8 };

    put_whole(f, &tiny_llama_default);
    gguf_put_text(&f->w, "llama.rope.scaling.type", "linear");
    gguf_put_f32(&f->w, "llama.rope.scaling.factor", 4.0f);
    gguf_put_tensor(&f->w, "rope_freqs.weight", DTYPE_F32, 1, dims, factors, sizeof(factors));
    assert_ok(open_written(f), f->err);
    assert_true(model_shape(f->model)->rope_scale == 0.25f);
    assert_memory_equal(model_shape(f->model)->rope_factors, factors, sizeof(factors));
    factors[7] = 0.0f;
    put_whole(f, &tiny_llama_default);
    gguf_put_tensor(&f->w, "rope_freqs.weight", DTYPE_F32, 1, dims, factors, sizeof(factors));
    assert_refused(f, ST_FORMAT, "rope_freqs.weight");
}

static void vocabularies_of_two_sizes_are_refused(void **state)
{
    static const char *const pieces[] = { "a", "b" };
    struct fixture *f = *state;

    put_whole(f, &tiny_llama_default);
    gguf_put_texts(&f->w, "tokenizer.ggml.tokens", pieces, 2);
    assert_refused(f, ST_FORMAT, "lists 2 tokens");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(every_number_format_opens),
        TEST(the_description_follows_the_tensors),
        TEST(the_digest_follows_metadata_directory_and_size),
        TEST(an_architecture_not_known_is_named),
        TEST(a_block_type_not_known_is_named),
        TEST(tensors_the_graph_lacks_are_refused_by_name),
        TEST(a_missing_tensor_is_named),
        TEST(a_tensor_of_another_shape_is_named),
        TEST(numbers_beyond_their_bounds_are_refused),
        TEST(settings_of_other_graphs_are_refused_by_name),
        TEST(rope_settings_reach_the_shape),
        TEST(vocabularies_of_two_sizes_are_refused),
#undef TEST
    };
    return cmocka_run_group_tests_name("model/model", tests, NULL, NULL);
}
