/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/execute/test_spec.c - an answer is the same with guesses and without, whoever guesses.
 *
 * The engine double makes texts that repeat for a while and then do not, so
 * that some guesses stand and some fall.  Its steps take a time of their own,
 * whatever their rows, so that guessing pays.  Each answer is compared event
 * by event with one made without guesses: tokens, probabilities, finish.
 */
#include "support/check.h"

#include <stdlib.h>
#include <string.h>

#include "support/fake_engine.h"
#include "support/pipeline.h"

enum {
    N_VOCAB = 60,
    PAGE_TOKENS = 16,
    N_PAGES = 160,
    CONTEXT = 320,
    MAX_ROWS = 64,
    MAX_LOGIT_ROWS = 40,
    N_TOP = 3,
    EVENTS_MAX = 256,
    N_STREAMS = 8,
    STEP_NS = 200000,
};

/* Seven tokens in turn, broken off where the position's hash says so.  The last of several
 * ranks does not see tokens, so only the position counts. */
static void script(void *arg, uint32_t position, int32_t token, float *logits)
{
    const uint32_t *breaks = arg; /* of 64 */

    (void)token;
    if ((position * 2654435761u >> 20) % 64 >= *breaks)
        logits[position % 7 + 10] += 12;
}

struct stream {
    struct token_event events[EVENTS_MAX];
    struct token_logprob top[EVENTS_MAX][N_TOP];
    size_t n;
};

static void on_token(void *arg, const struct token_event *event, const struct err *failure)
{
    struct stream *s = arg;

    assert_null(failure);
    assert_true(s->n < EVENTS_MAX);
    assert_true(event->n_top <= N_TOP);
    if (event->n_top > 0)
        memcpy(s->top[s->n], event->top, event->n_top * sizeof(*event->top));
    s->events[s->n] = *event;
    s->events[s->n++].top = NULL;
}

/* Every setting that changes what the sampler does, and every way to end. */
static struct generation generation_of(uint32_t i)
{
    static const int32_t prompt[40] = {
        3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9, 7, 9, 3, 2, 3, 8, 4
    };
    static const struct logit_bias bias[] = { { 11, 3 }, { 40, 9 }, { 12, -100 } };
    static const int32_t stops[] = { 13, 55 };
    struct generation g = { .prompt = prompt, .n_prompt = 20 + i, .max_tokens = 150 + 7 * i };

    sampling_init(&g.sampling);
    g.sampling.seed = 100 + i;
    g.sampling.wants_logprobs = true;
    g.sampling.n_top_logprobs = N_TOP;
    g.sampling.temperature = i % 2 == 0 ? 0 : 0.8f;
    g.sampling.top_k = i == 3 ? 20 : 0;
    g.sampling.top_p = i == 5 ? 0.9f : 1;
    g.sampling.repetition_penalty = i == 1 ? 1.1f : 1;
    g.sampling.frequency_penalty = i == 2 ? 0.05f : 0;
    g.sampling.presence_penalty = i == 2 ? 0.5f : 0;
    g.sampling.logit_bias = bias;
    g.sampling.n_logit_bias = i == 4 ? 3 : 0;
    g.stop_tokens = stops;
    g.n_stop_tokens = i == 6 || i == 7 ? 2 : 0;
    g.min_tokens = i == 6 ? 60 : i == 7 ? 61 : 0;
    if (i == 5)
        g.max_tokens = 3;
    return g;
}

struct scene {
    uint32_t n_ranks;
    const char *transport;
    uint32_t n_streams;
    uint32_t max_guesses;
    uint32_t breaks;
    uint32_t draft_layers; /* of the draft model; 0: none, 3: those of the model itself */
    bool without_guesses;  /* each generation asks so */
};

static struct engine_shard *open_part(void *arg, uint32_t first_layer, uint32_t n_layers,
                                      const struct pipeline_options *o)
{
    const struct fake_options fake = { .first_layer = first_layer,
                                       .n_layers = n_layers,
                                       .is_first = first_layer == 0,
                                       .is_last = first_layer + n_layers == 3,
                                       .n_vocab = N_VOCAB,
                                       .page_tokens = o->page_tokens,
                                       .n_pages = o->n_pages,
                                       .max_rows = o->max_rows,
                                       .max_logit_rows = o->max_logit_rows,
                                       .step_ns = STEP_NS,
                                       .script = script,
                                       .script_arg = arg };

    return fake_engine_new(&fake);
}

struct drafter {
    struct engine_shard *shard;
    struct draft *draft;
};

/* fail_at_step  as in struct fake_options */
static struct drafter drafter_open(uint32_t n_layers, uint32_t n_pages, uint32_t fail_at_step,
                                   uint32_t *breaks)
{
    const struct fake_options fake = { .n_layers = n_layers,
                                       .is_first = true,
                                       .is_last = true,
                                       .n_vocab = N_VOCAB,
                                       .page_tokens = PAGE_TOKENS,
                                       .n_pages = n_pages,
                                       .max_rows = 64,
                                       .max_logit_rows = N_STREAMS,
                                       .fail_at_step = fail_at_step,
                                       .script = script,
                                       .script_arg = breaks };
    struct draft_options o = { .n_vocab = N_VOCAB,
                               .context_tokens = CONTEXT,
                               .page_tokens = PAGE_TOKENS,
                               .n_pages = n_pages,
                               .max_rows = 64,
                               .max_sequences = N_STREAMS };
    struct drafter d = { .shard = fake_engine_new(&fake) };
    struct err err = { 0 };

    assert_non_null(d.shard);
    o.shard = d.shard;
    assert_ok(draft_new(&o, &d.draft, &err), err);
    return d;
}

static void drafter_close(struct drafter *d)
{
    draft_free(d->draft);
    d->shard->type->close(d->shard);
}

static void submit_all(struct driver *driver, const struct scene *scene, struct stream *streams)
{
    for (uint32_t i = 0; i < scene->n_streams; i++) {
        struct generation g = generation_of(i);
        struct err err = { 0 };
        uint64_t id;

        g.without_guesses = scene->without_guesses;
        streams[i].n = 0;
        assert_ok(driver_submit(driver, &g, i, on_token, &streams[i], &id, &err), err);
    }
}

/* Returns the number of steps. */
static uint32_t run_with(const struct scene *scene, struct draft *draft, struct stream *ret_streams)
{
    static const uint32_t layers[][3] = { { 3 }, { 1, 2 }, { 1, 1, 1 } };
    uint32_t breaks = scene->breaks, n_steps;
    const struct pipeline_options o = { .n_ranks = scene->n_ranks,
                                        .n_layers = layers[scene->n_ranks - 1],
                                        .transport = scene->transport,
                                        .context_tokens = CONTEXT,
                                        .page_tokens = PAGE_TOKENS,
                                        .n_pages = N_PAGES,
                                        .max_rows = MAX_ROWS,
                                        .max_sequences = N_STREAMS,
                                        .n_vocab = N_VOCAB,
                                        .n_hidden = FAKE_HIDDEN,
                                        .max_logit_rows = MAX_LOGIT_ROWS,
                                        .max_guesses = scene->max_guesses,
                                        .draft = draft,
                                        .open = open_part,
                                        .open_arg = &breaks };
    struct pipeline p;
    struct err err = { 0 };

    pipeline_open(&p, &o);
    submit_all(p.driver, scene, ret_streams);
    while (driver_has_work(p.driver))
        assert_ok(driver_step(p.driver, &err), err);
    assert_int_equal(driver_load(p.driver).kv_tokens_used, 0);
    pipeline_close(&p);
    n_steps = fake_engine_n_steps(p.shards[0]);
    for (uint32_t i = 0; i < scene->n_ranks; i++)
        p.shards[i]->type->close(p.shards[i]);
    return n_steps;
}

static uint32_t run(const struct scene *scene, struct stream *ret_streams)
{
    uint32_t breaks = scene->breaks, n_steps;
    struct drafter d;

    if (scene->draft_layers == 0)
        return run_with(scene, NULL, ret_streams);
    d = drafter_open(scene->draft_layers, N_PAGES, 0, &breaks);
    n_steps = run_with(scene, d.draft, ret_streams);
    drafter_close(&d);
    return n_steps;
}

static void assert_same(const struct stream *a, const struct stream *b, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        assert_int_equal(a[i].n, b[i].n);
        for (size_t k = 0; k < a[i].n; k++) {
            const struct token_event *x = &a[i].events[k], *y = &b[i].events[k];

            assert_int_equal(x->token, y->token);
            assert_int_equal(x->finish, y->finish);
            assert_memory_equal(&x->logprob, &y->logprob, sizeof(x->logprob));
            assert_int_equal(x->n_top, y->n_top);
            assert_memory_equal(a[i].top[k], b[i].top[k], x->n_top * sizeof(*a[i].top[k]));
        }
    }
}

static struct stream want[N_STREAMS], got[N_STREAMS];

/* Returns how many of 100 steps guesses saved. */
static uint32_t assert_guesses_change_nothing(struct scene scene)
{
    const struct scene plain = { .n_ranks = 1,
                                 .n_streams = scene.n_streams,
                                 .breaks = scene.breaks };
    const uint32_t n_plain = run(&plain, want);
    uint32_t n_steps;

    n_steps = run(&scene, got);
    assert_same(got, want, scene.n_streams);
    return n_steps < n_plain ? (n_plain - n_steps) * 100 / n_plain : 0;
}

static void the_scenes_make_what_they_are_to_test(void **state)
{
    const struct scene plain = { .n_ranks = 1, .n_streams = N_STREAMS, .breaks = 4 };

    (void)state;
    (void)run(&plain, want);
    assert_int_equal(want[5].n, 3);
    assert_int_equal(want[5].events[2].finish, FINISH_LENGTH);
    assert_true(want[6].n > 60 && want[7].n >= 61);
    assert_int_equal(want[6].events[want[6].n - 1].finish, FINISH_STOP);
    assert_int_equal(want[7].events[want[7].n - 1].finish, FINISH_STOP);
    assert_int_equal(want[0].n, 150);
}

static void lookup_changes_no_answer(void **state)
{
    (void)state;
    for (uint32_t breaks = 0; breaks <= 64; breaks += breaks < 16 ? 4 : 24) {
        const struct scene alone = {
            .n_ranks = 1, .n_streams = 1, .max_guesses = 32, .breaks = breaks
        };
        const struct scene together = {
            .n_ranks = 1, .n_streams = N_STREAMS, .max_guesses = 32, .breaks = breaks
        };

        (void)assert_guesses_change_nothing(alone);
        (void)assert_guesses_change_nothing(together);
    }
}

static void lookup_saves_steps_where_a_text_repeats(void **state)
{
    const struct scene scene = { .n_ranks = 1, .n_streams = 1, .max_guesses = 32, .breaks = 2 };

    (void)state;
    assert_true(assert_guesses_change_nothing(scene) > 25);
}

static void few_guesses_allowed_are_few(void **state)
{
    (void)state;
    for (uint32_t max_guesses = 1; max_guesses < 4; max_guesses++) {
        const struct scene scene = {
            .n_ranks = 1, .n_streams = N_STREAMS, .max_guesses = max_guesses, .breaks = 2
        };

        (void)assert_guesses_change_nothing(scene);
    }
}

static void several_ranks_verify_guesses_too(void **state)
{
    (void)state;
    for (uint32_t n_ranks = 2; n_ranks <= 3; n_ranks++) {
        const struct scene lookup = { .n_ranks = n_ranks,
                                      .transport = "tcp",
                                      .n_streams = N_STREAMS,
                                      .max_guesses = 32,
                                      .breaks = 4 };
        const struct scene drafts = { .n_ranks = n_ranks,
                                      .transport = "inproc",
                                      .n_streams = N_STREAMS,
                                      .max_guesses = 32,
                                      .breaks = 4,
                                      .draft_layers = 3 };

        (void)assert_guesses_change_nothing(lookup);
        (void)assert_guesses_change_nothing(drafts);
    }
}

/* With the model itself as its draft model all guesses stand, sampled ones too. */
static void a_draft_model_that_agrees_saves_most_steps(void **state)
{
    const struct scene scene = {
        .n_ranks = 1, .n_streams = N_STREAMS, .max_guesses = 32, .breaks = 40, .draft_layers = 3
    };

    (void)state;
    assert_true(assert_guesses_change_nothing(scene) > 25);
}

static void a_draft_model_that_disagrees_changes_no_answer(void **state)
{
    const struct scene scene = {
        .n_ranks = 1, .n_streams = N_STREAMS, .max_guesses = 32, .breaks = 20, .draft_layers = 2
    };

    (void)state;
    (void)assert_guesses_change_nothing(scene);
}

static void a_draft_model_without_pages_left_drafts_for_some(void **state)
{
    const struct scene plain = { .n_ranks = 1, .n_streams = N_STREAMS, .breaks = 4 };
    const struct scene scene = {
        .n_ranks = 1, .n_streams = N_STREAMS, .max_guesses = 32, .breaks = 4
    };
    uint32_t breaks = 4;
    struct drafter d;

    (void)state;
    (void)run(&plain, want);
    d = drafter_open(3, 20, 0, &breaks);
    (void)run_with(&scene, d.draft, got);
    assert_same(got, want, N_STREAMS);
    (void)run_with(&scene, d.draft, got); /* all pages came back */
    assert_same(got, want, N_STREAMS);
    drafter_close(&d);
}

static void a_draft_model_that_fails_fails_no_answer(void **state)
{
    const struct scene plain = { .n_ranks = 1, .n_streams = N_STREAMS, .breaks = 4 };
    const struct scene scene = {
        .n_ranks = 1, .n_streams = N_STREAMS, .max_guesses = 32, .breaks = 4
    };

    (void)state;
    (void)run(&plain, want);
    for (uint32_t fail_at_step = 1; fail_at_step < 40; fail_at_step += 6) {
        uint32_t breaks = 4;
        struct drafter d = drafter_open(3, N_PAGES, fail_at_step, &breaks);

        (void)run_with(&scene, d.draft, got);
        assert_same(got, want, N_STREAMS);
        drafter_close(&d);
    }
}

static void a_generation_may_refuse_guesses(void **state)
{
    const struct scene plain = { .n_ranks = 1, .n_streams = 1, .breaks = 2 };
    const struct scene scene = { .n_ranks = 1,
                                 .n_streams = 1,
                                 .max_guesses = 32,
                                 .breaks = 2,
                                 .draft_layers = 3,
                                 .without_guesses = true };

    (void)state;
    assert_int_equal(run(&plain, want), run(&scene, got));
    assert_same(got, want, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_scenes_make_what_they_are_to_test),
        cmocka_unit_test(lookup_changes_no_answer),
        cmocka_unit_test(lookup_saves_steps_where_a_text_repeats),
        cmocka_unit_test(few_guesses_allowed_are_few),
        cmocka_unit_test(several_ranks_verify_guesses_too),
        cmocka_unit_test(a_draft_model_that_agrees_saves_most_steps),
        cmocka_unit_test(a_draft_model_that_disagrees_changes_no_answer),
        cmocka_unit_test(a_draft_model_without_pages_left_drafts_for_some),
        cmocka_unit_test(a_draft_model_that_fails_fails_no_answer),
        cmocka_unit_test(a_generation_may_refuse_guesses),
    };

    return cmocka_run_group_tests_name("execute/spec", tests, NULL, NULL);
}
