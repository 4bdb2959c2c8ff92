/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/engine/test_refusals.c - what the engine refuses, and with which words. */
#include "support/check.h"

#include <string.h>

#include "base/size.h"
#include "engine/cpu/panel.h"
#include "engine/engine.h"
#include "support/numbers.h"

enum { N_VOCAB = 40, N_HIDDEN = 64, N_PAGES = 4, PAGE_TOKENS = 16, MAX_ROWS = 20 };

static const struct random_model small = { .dtype = DTYPE_Q8_0,
                                           .n_layer = 2,
                                           .n_hidden = N_HIDDEN,
                                           .n_ff = 96,
                                           .n_head = 2,
                                           .n_kv_head = 1,
                                           .head_dim = 32,
                                           .n_rope = 32,
                                           .n_vocab = N_VOCAB };
static const struct engine_options usual = { .page_tokens = PAGE_TOKENS,
                                             .n_pages = N_PAGES,
                                             .max_rows = MAX_ROWS,
                                             .max_logit_rows = 2,
                                             .n_threads = 1 };

struct fixture {
    struct shard_weights model;
    struct engine_shard *whole, *first; /* the model, and its first layer */
};

static int set_up(void **state)
{
    static struct fixture f;
    struct shard_weights part;
    struct err err = { 0 };

    f = (struct fixture){ 0 };
    random_model_init(&f.model, &small);
    part = shard_of(&f.model, 0, 1);
    assert_ok(engine_find(NULL)->open(&f.model, &usual, &f.whole, &err), err);
    assert_ok(engine_find(NULL)->open(&part, &usual, &f.first, &err), err);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    f->whole->type->close(f->whole);
    f->first->type->close(f->first);
    random_model_release(&f->model);
    return 0;
}

static void assert_not_opened(const struct shard_weights *weights,
                              const struct engine_options *options, enum status expected,
                              const char *words)
{
    struct engine_shard *shard = NULL;
    struct err err = { 0 };

    assert_int_equal(engine_find(NULL)->open(weights, options, &shard, &err), expected);
    assert_null(shard);
    if (!strstr(err.words, words))
        fail_msg("'%s' does not say '%s'", err.words, words);
}

static void an_unknown_engine_is_not_found(void **state)
{
    (void)state;
    assert_null(engine_find("abacus"));
    assert_ptr_equal(engine_find(""), engine_find("cpu"));
}

static void unknown_kernels_are_refused_with_the_names_there_are(void **state)
{
    const struct fixture *f = *state;
    struct engine_options options = usual;

    options.kernels = "abacus";
    assert_not_opened(&f->model, &options, ST_UNSUPPORTED, "there are: ref");
}

static void options_out_of_range_are_refused(void **state)
{
    const struct fixture *f = *state;
    struct engine_options options = usual;

    options.page_tokens = 24;
    assert_not_opened(&f->model, &options, ST_RANGE, "24 tokens");
    options = usual;
    options.n_pages = 0;
    assert_not_opened(&f->model, &options, ST_RANGE, "0 pages");
    options = usual;
    options.max_logit_rows = MAX_ROWS + 1;
    assert_not_opened(&f->model, &options, ST_RANGE, "logit rows");
}

static void a_matrix_of_another_shape_or_format_is_named(void **state)
{
    const struct fixture *f = *state;
    struct layer_weights layers[2] = { f->model.layers[0], f->model.layers[1] };
    struct shard_weights model = f->model;

    model.layers = layers;
    layers[1].down.n_cols = 64;
    assert_not_opened(&model, &usual, ST_UNSUPPORTED, "the down matrix is 64 x 64");
    layers[1].down = f->model.layers[1].down;
    layers[0].v.dtype = (enum dtype)12;
    assert_not_opened(&model, &usual, ST_UNSUPPORTED, "the value matrix has number format 12");
    layers[0].v = f->model.layers[0].v;
    model.shape.n_head = 3;
    model.shape.n_kv_head = 2;
    assert_not_opened(&model, &usual, ST_UNSUPPORTED, "3 query heads");
}

/* ---- batches ---- */

/* A sound batch of three rows that tests then damage. */
struct example {
    int32_t tokens[MAX_ROWS];
    float hidden[MAX_ROWS * N_HIDDEN], logits[2 * N_VOCAB];
    uint32_t pages[N_PAGES], logit_rows[3];
    struct engine_span spans[2];
    struct engine_batch batch;
};

static void example_init(struct example *e)
{
    *e = (struct example){ .tokens = { 1, 2, 3 }, .pages = { 3, 1, 2, 0 }, .logit_rows = { 0, 2 } };
    e->spans[0] = (struct engine_span){ .n_rows = 2, .pages = e->pages, .n_pages = 1 };
    e->spans[1] =
        (struct engine_span){ .first_row = 2, .n_rows = 1, .pages = e->pages + 1, .n_pages = 1 };
    e->batch = (struct engine_batch){ .n_rows = 3,
                                      .tokens = e->tokens,
                                      .spans = e->spans,
                                      .n_spans = 2,
                                      .logit_rows = e->logit_rows,
                                      .n_logit_rows = 2 };
}

static void assert_refused(struct fixture *f, struct example *e, const char *words)
{
    struct err err = { 0 };

    assert_int_equal(f->whole->type->step(f->whole, &e->batch, NULL, e->logits, &err), ST_RANGE);
    if (!strstr(err.words, words))
        fail_msg("'%s' does not say '%s'", err.words, words);
}

static void a_sound_batch_is_computed(void **state)
{
    struct fixture *f = *state;
    struct err err = { 0 };
    struct example e;

    example_init(&e);
    assert_ok(f->whole->type->step(f->whole, &e.batch, NULL, e.logits, &err), err);
}

static void a_token_outside_the_vocabulary_is_refused(void **state)
{
    struct example e;

    example_init(&e);
    e.tokens[2] = N_VOCAB;
    assert_refused(*state, &e, "token 40");
    e.tokens[2] = -1;
    assert_refused(*state, &e, "token -1");
}

static void spans_that_leave_or_repeat_rows_are_refused(void **state)
{
    struct example e;

    example_init(&e);
    e.spans[1].first_row = 1;
    assert_refused(*state, &e, "do not cover");
    example_init(&e);
    e.spans[1].n_rows = UINT32_MAX;
    assert_refused(*state, &e, "do not cover");
    example_init(&e);
    e.batch.n_spans = 1;
    assert_refused(*state, &e, "cover 2 of 3");
    e.batch.n_rows = MAX_ROWS + 1;
    assert_refused(*state, &e, "21 rows");
}

static void pages_out_of_the_pool_or_too_few_are_refused(void **state)
{
    struct example e;

    example_init(&e);
    e.pages[1] = N_PAGES;
    assert_refused(*state, &e, "page 4");
    example_init(&e);
    e.spans[0].start = PAGE_TOKENS - 1; /* two rows, over the border */
    assert_refused(*state, &e, "1 pages do not hold 17");
    e.spans[0].start = UINT32_MAX;
    assert_refused(*state, &e, "do not hold");
}

static void logit_rows_that_do_not_ascend_are_refused(void **state)
{
    struct example e;

    example_init(&e);
    e.logit_rows[1] = 0;
    assert_refused(*state, &e, "ascend");
    e.logit_rows[1] = 3;
    assert_refused(*state, &e, "ascend");
    e.batch.n_logit_rows = 3;
    assert_refused(*state, &e, "at most 2");
}

static void a_shard_takes_and_gives_only_what_it_can(void **state)
{
    struct fixture *f = *state;
    struct err err = { 0 };
    struct example e;

    example_init(&e);
    e.batch.hidden = e.hidden;
    e.batch.tokens = NULL;
    assert_refused(f, &e, "takes tokens");
    example_init(&e);
    assert_int_equal(f->first->type->step(f->first, &e.batch, e.hidden, NULL, &err), ST_RANGE);
    e.batch.n_logit_rows = 0;
    assert_int_equal(f->first->type->step(f->first, &e.batch, NULL, NULL, &err), ST_RANGE);
    assert_ok(f->first->type->step(f->first, &e.batch, e.hidden, NULL, &err), err);
}

struct progress {
    uint64_t n_calls, done_bytes, total_bytes;
};

static void note_progress(void *arg, uint64_t done_bytes, uint64_t total_bytes)
{
    struct progress *p = arg;

    assert_true(done_bytes >= p->done_bytes && done_bytes <= total_bytes);
    *p = (struct progress){ p->n_calls + 1, done_bytes, total_bytes };
}

static void opening_reports_every_byte_of_its_own_panels(void **state)
{
    const struct fixture *f = *state;
    const struct shard_weights last = shard_of(&f->model, 1, 1);
    const size_t panel = panel_bytes(DTYPE_Q8_0, N_HIDDEN);
    const uint64_t layer = (uint64_t)(2 * 64 + 2 * 32 + 2 * 96) / PANEL_ROWS * panel +
                           64 / PANEL_ROWS * panel_bytes(DTYPE_Q8_0, 96);
    struct progress p = { 0 };
    struct engine_options options = usual;
    struct engine_shard *shard = NULL;
    struct err err = { 0 };

    options.on_progress = note_progress;
    options.progress_arg = &p;
    assert_ok(engine_find(NULL)->open(&last, &options, &shard, &err), err);
    assert_true(p.n_calls >= 1);
    assert_int_equal(p.done_bytes, p.total_bytes);
    assert_int_equal(p.total_bytes, layer + panel_count(N_VOCAB) * panel);
    shard->type->close(shard);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_unknown_engine_is_not_found),
        cmocka_unit_test(unknown_kernels_are_refused_with_the_names_there_are),
        cmocka_unit_test(options_out_of_range_are_refused),
        cmocka_unit_test(a_matrix_of_another_shape_or_format_is_named),
        cmocka_unit_test(a_sound_batch_is_computed),
        cmocka_unit_test(a_token_outside_the_vocabulary_is_refused),
        cmocka_unit_test(spans_that_leave_or_repeat_rows_are_refused),
        cmocka_unit_test(pages_out_of_the_pool_or_too_few_are_refused),
        cmocka_unit_test(logit_rows_that_do_not_ascend_are_refused),
        cmocka_unit_test(a_shard_takes_and_gives_only_what_it_can),
        cmocka_unit_test(opening_reports_every_byte_of_its_own_panels),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
