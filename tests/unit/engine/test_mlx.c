/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/engine/test_mlx.c - the MLX engine beside the CPU engine: one model, one interface.
 *
 * Distances are in standard deviations of a position's logits; the CPU engine's keys and values are
 * f16 and its activations 16 bits, which is what the bound leaves room for.
 */
#include "support/check.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "engine/engine.h"
#include "model/model.h"
#include "support/allocations.h"
#include "support/folder.h"
#include "support/tiny_llama.h"

enum { PAGE_TOKENS = 16, N_PAGES = 12, MAX_ROWS = 64, N_PROMPT = 40, LOGITS_MAX = MAX_ROWS * 512 };

#define BOUND 0.02

struct fixture {
    struct folder folder;
    struct model *model;
    uint32_t n_layer, n_vocab, n_hidden;
};

struct open_shard {
    struct shard_weights weights;
    const struct engine_type *type;
    struct engine_shard *shard;
};

static const uint32_t pages_a[] = { 3, 0, 7 }, pages_b[] = { 5, 9, 1 }, pages_c[] = { 2, 4, 6 };

static void model_of(struct fixture *f, const char *name, enum dtype dtype)
{
    struct tiny_llama spec = tiny_llama_default;
    char path[PATH_MAX_BYTES];
    struct err err;

    spec.matrices = spec.embedding = dtype;
    tiny_llama_write(&spec, folder_path(&f->folder, name, path));
    assert_ok(model_open(path, &f->model, &err), err);
    f->n_layer = spec.n_layer;
    f->n_vocab = tiny_llama_n_vocab();
    f->n_hidden = spec.n_hidden;
}

static int set_up(void **state)
{
    static struct fixture f;

    folder_make(&f.folder);
    model_of(&f, "tiny.gguf", DTYPE_Q4_1);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    model_free(f->model);
    folder_remove(&f->folder);
    return 0;
}

static struct engine_options options_of(void)
{
    return (struct engine_options){ .page_tokens = PAGE_TOKENS,
                                    .n_pages = N_PAGES,
                                    .max_rows = MAX_ROWS,
                                    .max_logit_rows = MAX_ROWS,
                                    .n_threads = 1 };
}

static struct open_shard open_layers(const struct fixture *f, const char *engine, uint32_t first,
                                     uint32_t n)
{
    const struct engine_options options = options_of();
    struct open_shard o = { .type = engine_find(engine) };
    struct err err;

    assert_non_null(o.type);
    assert_ok(model_shard(f->model, first, n, &o.weights, &err), err);
    assert_ok(o.type->open(&o.weights, &options, &o.shard, &err), err);
    return o;
}

static void shut(struct open_shard *o)
{
    o->type->close(o->shard);
    shard_weights_release(&o->weights);
}

static int32_t token_of(const struct fixture *f, uint32_t seed, uint32_t i)
{
    return (int32_t)((seed * 131 + i * 17) % f->n_vocab);
}

/* Logits of every row of positions start..start+n of the sequence `seed`. */
static void run(const struct fixture *f, const struct open_shard *o, uint32_t seed,
                const uint32_t *pages, uint32_t start, uint32_t n, float *ret_logits)
{
    const struct engine_span span = { .n_rows = n, .start = start, .pages = pages, .n_pages = 3 };
    int32_t tokens[MAX_ROWS];
    uint32_t rows[MAX_ROWS];
    const struct engine_batch batch = { .n_rows = n,
                                        .tokens = tokens,
                                        .spans = &span,
                                        .n_spans = 1,
                                        .logit_rows = rows,
                                        .n_logit_rows = n };
    struct err err;

    for (uint32_t i = 0; i < n; i++) {
        tokens[i] = token_of(f, seed, start + i);
        rows[i] = i;
    }
    assert_ok(o->type->step(o->shard, &batch, NULL, ret_logits, &err), err);
}

/* The largest difference, in standard deviations of the row. */
static double distance(const float *a, const float *b, uint32_t n_rows, uint32_t n)
{
    double largest = 0;

    for (uint32_t row = 0; row < n_rows; row++, a += n, b += n) {
        double sum = 0, squares = 0, max = 0;

        for (uint32_t i = 0; i < n; i++) {
            assert_true(isfinite(a[i]) && isfinite(b[i]));
            sum += a[i];
            squares += (double)a[i] * a[i];
            max = fmax(max, fabs((double)a[i] - b[i]));
        }
        largest = fmax(largest, max / sqrt(squares / n - sum / n * (sum / n)));
    }
    return largest;
}

static void assert_near(const float *a, const float *b, uint32_t n_rows, uint32_t n, double bound)
{
    const double d = distance(a, b, n_rows, n);

    if (!(d < bound))
        fail_msg("the logits differ by %g deviations, %g are allowed", d, bound);
}

static void every_format_is_computed_as_by_the_cpu_engine(void **state)
{
    static const enum dtype dtypes[] = { DTYPE_F32, DTYPE_F16, DTYPE_Q4_0, DTYPE_Q4_1, DTYPE_Q8_0 };
    static float cpu[LOGITS_MAX], mlx[LOGITS_MAX];

    for (size_t i = 0; i < ARRAY_LEN(dtypes); i++) {
        struct fixture f = { .folder = ((struct fixture *)*state)->folder };
        struct open_shard a, b;

        model_of(&f, "format.gguf", dtypes[i]);
        a = open_layers(&f, "cpu", 0, f.n_layer);
        b = open_layers(&f, "mlx", 0, f.n_layer);
        run(&f, &a, 1, pages_a, 0, N_PROMPT, cpu);
        run(&f, &b, 1, pages_a, 0, N_PROMPT, mlx);
        assert_near(cpu, mlx, N_PROMPT, f.n_vocab, BOUND);
        shut(&a);
        shut(&b);
        model_free(f.model);
    }
}

/* A prompt, one token of a second sequence, and the end of a third prompt, in one step. */
static void rows_of_a_ragged_batch_are_those_of_their_sequences(void **state)
{
    static float alone[LOGITS_MAX], scratch[LOGITS_MAX], together[LOGITS_MAX];
    const struct fixture *f = *state;
    struct open_shard o = open_layers(f, "mlx", 0, f->n_layer);
    const struct engine_span spans[] = {
        { .first_row = 0, .n_rows = 7, .start = 0, .pages = pages_a, .n_pages = 3 },
        { .first_row = 7, .n_rows = 1, .start = 20, .pages = pages_b, .n_pages = 3 },
        { .first_row = 8, .n_rows = 6, .start = 14, .pages = pages_c, .n_pages = 3 },
    };
    int32_t tokens[14];
    uint32_t rows[14];
    const struct engine_batch batch = { .n_rows = 14,
                                        .tokens = tokens,
                                        .spans = spans,
                                        .n_spans = 3,
                                        .logit_rows = rows,
                                        .n_logit_rows = 14 };
    struct err err;

    for (uint32_t s = 0, row = 0; s < 3; s++) {
        const struct engine_span *span = &spans[s];

        if (span->start > 0)
            run(f, &o, s, span->pages, 0, span->start, scratch);
        run(f, &o, s, span->pages, span->start, span->n_rows, alone + row * f->n_vocab);
        for (uint32_t i = 0; i < span->n_rows; i++, row++) {
            tokens[row] = token_of(f, s, span->start + i);
            rows[row] = row;
        }
    }
    assert_ok(o.type->step(o.shard, &batch, NULL, together, &err), err);
    assert_near(alone, together, 14, f->n_vocab, 1e-4);
    shut(&o);
}

static void move_pages(const struct open_shard *from, const struct open_shard *to, uint32_t n)
{
    const size_t n_bytes = from->type->page_bytes(from->shard);
    void *bytes = malloc(n_bytes);

    assert_non_null(bytes);
    assert_int_equal(n_bytes, to->type->page_bytes(to->shard));
    for (uint32_t i = 0; i < n; i++) {
        from->type->page_export(from->shard, pages_a[i], bytes);
        to->type->page_import(to->shard, pages_b[i], bytes);
    }
    free(bytes);
}

static void pages_travel_between_engines(void **state)
{
    static const char *const engines[][2] = { { "cpu", "mlx" },
                                              { "mlx", "cpu" },
                                              { "mlx", "mlx" } };
    static float scratch[LOGITS_MAX], whole[LOGITS_MAX], moved[LOGITS_MAX];
    const struct fixture *f = *state;

    for (size_t i = 0; i < ARRAY_LEN(engines); i++) {
        struct open_shard from = open_layers(f, engines[i][0], 0, f->n_layer);
        struct open_shard to = open_layers(f, engines[i][1], 0, f->n_layer);

        run(f, &from, 4, pages_a, 0, N_PROMPT - 1, scratch);
        move_pages(&from, &to, 3);
        run(f, &from, 4, pages_a, N_PROMPT - 1, 1, whole);
        run(f, &to, 4, pages_b, N_PROMPT - 1, 1, moved);
        assert_near(whole, moved, 1, f->n_vocab, BOUND);
        shut(&from);
        shut(&to);
    }
}

static void a_copied_page_is_the_same(void **state)
{
    static float scratch[LOGITS_MAX], first[LOGITS_MAX], second[LOGITS_MAX];
    const struct fixture *f = *state;
    struct open_shard o = open_layers(f, "mlx", 0, f->n_layer);

    run(f, &o, 5, pages_a, 0, N_PROMPT - 1, scratch);
    for (uint32_t i = 0; i < 3; i++)
        o.type->page_copy(o.shard, pages_c[i], pages_a[i]);
    run(f, &o, 5, pages_a, N_PROMPT - 1, 1, first);
    run(f, &o, 5, pages_c, N_PROMPT - 1, 1, second);
    assert_memory_equal(first, second, f->n_vocab * sizeof(*first));
    shut(&o);
}

static void a_pipeline_may_have_both_engines(void **state)
{
    static const char *const engines[][2] = { { "cpu", "mlx" }, { "mlx", "cpu" } };
    static float whole[LOGITS_MAX], hidden[LOGITS_MAX], logits[LOGITS_MAX];
    const struct fixture *f = *state;
    const struct engine_span span = { .n_rows = N_PROMPT, .pages = pages_a, .n_pages = 3 };
    int32_t tokens[N_PROMPT];
    uint32_t rows[N_PROMPT];
    struct open_shard one = open_layers(f, "cpu", 0, f->n_layer);
    struct engine_batch batch = {
        .n_rows = N_PROMPT, .tokens = tokens, .spans = &span, .n_spans = 1
    };
    struct err err;

    for (uint32_t i = 0; i < N_PROMPT; i++) {
        tokens[i] = token_of(f, 6, i);
        rows[i] = i;
    }
    run(f, &one, 6, pages_a, 0, N_PROMPT, whole);
    for (size_t i = 0; i < ARRAY_LEN(engines); i++) {
        struct open_shard a = open_layers(f, engines[i][0], 0, 1);
        struct open_shard b = open_layers(f, engines[i][1], 1, f->n_layer - 1);
        struct engine_batch next = batch;

        assert_ok(a.type->step(a.shard, &batch, hidden, NULL, &err), err);
        next.tokens = NULL;
        next.hidden = hidden;
        next.logit_rows = rows;
        next.n_logit_rows = N_PROMPT;
        assert_ok(b.type->step(b.shard, &next, NULL, logits, &err), err);
        assert_near(whole, logits, N_PROMPT, f->n_vocab, BOUND);
        shut(&a);
        shut(&b);
    }
    shut(&one);
}

static void the_last_shard_gives_normed_rows(void **state)
{
    static float cpu[LOGITS_MAX], mlx[LOGITS_MAX];
    const struct fixture *f = *state;
    const struct engine_span span = { .n_rows = N_PROMPT, .pages = pages_a, .n_pages = 3 };
    int32_t tokens[N_PROMPT];
    const struct engine_batch batch = {
        .n_rows = N_PROMPT, .tokens = tokens, .spans = &span, .n_spans = 1
    };
    struct open_shard a = open_layers(f, "cpu", 0, f->n_layer);
    struct open_shard b = open_layers(f, "mlx", 0, f->n_layer);
    struct err err;

    for (uint32_t i = 0; i < N_PROMPT; i++)
        tokens[i] = token_of(f, 7, i);
    assert_ok(a.type->step(a.shard, &batch, cpu, NULL, &err), err);
    assert_ok(b.type->step(b.shard, &batch, mlx, NULL, &err), err);
    assert_near(cpu, mlx, N_PROMPT, f->n_hidden, BOUND);
    shut(&a);
    shut(&b);
}

struct heard {
    uint64_t n_progress, done_bytes, total_bytes, n_pulses[PULSE_END + 1];
};

static void on_progress(void *arg, uint64_t done_bytes, uint64_t total_bytes)
{
    struct heard *heard = arg;

    heard->n_progress++;
    assert_true(done_bytes <= total_bytes);
    heard->done_bytes = done_bytes;
    heard->total_bytes = total_bytes;
}

static void on_pulse(void *arg, enum engine_pulse what)
{
    ((struct heard *)arg)->n_pulses[what]++;
}

static void loading_and_steps_are_told_of(void **state)
{
    static float logits[LOGITS_MAX];
    const struct fixture *f = *state;
    struct heard heard = { 0 };
    struct engine_options options = options_of();
    struct open_shard o = { .type = engine_find("mlx") };
    struct err err;

    options.on_progress = on_progress;
    options.progress_arg = &heard;
    options.on_pulse = on_pulse;
    options.pulse_arg = &heard;
    assert_ok(model_shard(f->model, 0, f->n_layer, &o.weights, &err), err);
    assert_ok(o.type->open(&o.weights, &options, &o.shard, &err), err);
    assert_true(heard.n_progress >= 1);
    run(f, &o, 8, pages_a, 0, N_PROMPT, logits);
    assert_int_equal(heard.n_pulses[PULSE_BEGIN], 1);
    assert_true(heard.n_pulses[PULSE_ON] >= 1);
    assert_int_equal(heard.n_pulses[PULSE_END], 1);
    assert_non_null(strstr(o.type->kernels(o.shard), "MLX 0."));
    shut(&o);
}

static void what_it_cannot_do_is_refused_by_name(void **state)
{
    const struct fixture *f = *state;
    struct open_shard o = open_layers(f, "mlx", 0, f->n_layer);
    struct engine_options options = options_of();
    const struct engine_batch too_long = { .n_rows = MAX_ROWS + 1 };
    struct engine_shard *shard = NULL;
    struct err err;

    assert_int_equal(o.type->step(o.shard, &too_long, NULL, NULL, &err), ST_RANGE);
    options.kv_format = KV_Q8_0;
    assert_int_equal(o.type->open(&o.weights, &options, &shard, &err), ST_UNSUPPORTED);
    assert_non_null(strstr(err.words, "not as q8_0"));
    options = options_of();
    options.kernels = "avx2";
    assert_int_equal(o.type->open(&o.weights, &options, &shard, &err), ST_UNSUPPORTED);
    assert_non_null(strstr(err.words, "no kernels to choose"));
    assert_null(shard);
    shut(&o);
}

#if !defined(__APPLE__) /* where allocations can be made to fail */
static void opening_says_that_memory_is_out(void **state)
{
    const struct fixture *f = *state;
    const struct engine_options options = options_of();
    struct open_shard o = open_layers(f, "mlx", 0, f->n_layer);
    enum status s = ST_NOMEM;
    size_t k = 0;

    while (s == ST_NOMEM) {
        struct engine_shard *shard = NULL;
        struct err err = { 0 };

        allocations_fail_at(++k);
        s = o.type->open(&o.weights, &options, &shard, &err);
        allocations_fail_at(0);
        if (s == ST_OK)
            o.type->close(shard);
        else
            assert_true(strlen(err.words) > 0);
    }
    assert_int_equal(s, ST_OK);
    assert_true(k > 2);
    shut(&o);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_format_is_computed_as_by_the_cpu_engine),
        cmocka_unit_test(rows_of_a_ragged_batch_are_those_of_their_sequences),
        cmocka_unit_test(pages_travel_between_engines),
        cmocka_unit_test(a_copied_page_is_the_same),
        cmocka_unit_test(a_pipeline_may_have_both_engines),
        cmocka_unit_test(the_last_shard_gives_normed_rows),
        cmocka_unit_test(loading_and_steps_are_told_of),
        cmocka_unit_test(what_it_cannot_do_is_refused_by_name),
#if !defined(__APPLE__)
        cmocka_unit_test(opening_says_that_memory_is_out),
#endif
    };
    return cmocka_run_group_tests_name("engine/mlx", tests, set_up, tear_down);
}
