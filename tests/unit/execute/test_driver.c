/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/execute/test_driver.c - sequences live and end as driver.h says. */
#include "support/check.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "execute/budget.h"
#include "execute/driver.h"
#include "support/fake_engine.h"

enum { N_VOCAB = 50, PAGE_TOKENS = 16, N_PAGES = 32, MAX_EVENTS = 600, N_LAYERS = 3 };

struct stream {
    int32_t tokens[MAX_EVENTS];
    size_t n;
    enum finish_reason finish;
    uint32_t tag;
    int n_failures;
    enum status failure;
    struct driver *cancels_in; /* cancel `cancel_id` on the second token */
    uint64_t cancel_id;
};

static void on_token(void *arg, const struct token_event *event, const struct err *failure)
{
    struct stream *s = arg;

    if (failure) {
        s->n_failures++;
        s->failure = failure->status;
        return;
    }
    assert_int_equal(s->finish, FINISH_NONE); /* nothing follows a finish */
    assert_true(s->n < MAX_EVENTS);
    s->tokens[s->n++] = event->token;
    s->finish = event->finish;
    s->tag = event->sequence;
    if (s->cancels_in && s->n == 2)
        driver_cancel(s->cancels_in, s->cancel_id);
}

struct fixture {
    struct engine_shard *shard;
    struct driver *driver;
    struct fake_options fake;
    struct driver_options options;
    uint64_t clock_ns;
};

static void open_all(struct fixture *f)
{
    struct err err = { 0 };

    f->shard = fake_engine_new(&f->fake);
    assert_non_null(f->shard);
    f->options.shard = f->shard;
    assert_ok(driver_new(&f->options, &f->driver, &err), err);
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    if (!f)
        return -1;
    f->fake = (struct fake_options){ .n_layers = N_LAYERS,
                                     .is_first = true,
                                     .is_last = true,
                                     .n_vocab = N_VOCAB,
                                     .page_tokens = PAGE_TOKENS,
                                     .n_pages = N_PAGES,
                                     .max_rows = 64,
                                     .max_logit_rows = 4 };
    f->options = (struct driver_options){ .n_ranks = 1,
                                          .n_vocab = N_VOCAB,
                                          .n_hidden = FAKE_HIDDEN,
                                          .context_tokens = 128,
                                          .page_tokens = PAGE_TOKENS,
                                          .n_pages = N_PAGES,
                                          .max_rows = 64,
                                          .max_sequences = 4,
                                          .max_waiting = 4 };
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    driver_free(f->driver);
    if (f->shard)
        f->shard->type->close(f->shard);
    free(f);
    return 0;
}

static const int32_t numbers[400] = { 3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9, 7, 9, 3, 2, 3, 8, 4 };

static struct generation generation_of(size_t n_prompt, uint32_t max_tokens)
{
    struct generation g = { .prompt = numbers, .n_prompt = n_prompt, .max_tokens = max_tokens };

    sampling_init(&g.sampling);
    g.sampling.seed = 7;
    return g;
}

static uint64_t submit(struct fixture *f, const struct generation *g, struct stream *s)
{
    struct err err = { 0 };
    uint64_t id = 0;

    assert_ok(driver_submit(f->driver, g, 5, on_token, s, &id, &err), err);
    return id;
}

static void run_to_end(struct fixture *f)
{
    struct err err = { 0 };

    for (int i = 0; driver_has_work(f->driver); i++) {
        assert_ok(driver_step(f->driver, &err), err);
        assert_true(i < 5000);
    }
}

static void a_sequence_ends_at_max_tokens(void **state)
{
    struct fixture *f = *state;
    const struct generation g = generation_of(20, 30);
    struct stream s = { 0 };

    open_all(f);
    submit(f, &g, &s);
    run_to_end(f);
    assert_int_equal(s.n, 30);
    assert_int_equal(s.finish, FINISH_LENGTH);
    assert_int_equal(s.tag, 5);
    assert_int_equal(driver_load(f->driver).kv_tokens_used, 0);
    assert_int_equal(driver_load(f->driver).n_generated_tokens, 30);
}

static void steps_of_a_sequence_alone_are_told_apart(void **state)
{
    struct fixture *f = *state;
    const struct generation g = generation_of(20, 30);
    struct stream alone = { 0 }, pair[2] = { { .n = 0 } };
    struct driver_load load;

    open_all(f);
    submit(f, &g, &alone);
    run_to_end(f);
    load = driver_load(f->driver);
    assert_int_equal(load.n_alone_tokens, 29); /* the first came with the prompt */
    assert_true(load.n_steps >= 30 && load.alone_ns <= load.step_ns);
    submit(f, &g, &pair[0]);
    submit(f, &g, &pair[1]);
    run_to_end(f);
    load = driver_load(f->driver);
    assert_int_equal(load.n_generated_tokens, 90);
    assert_true(load.n_alone_tokens <= 29 + 2); /* where one began or ended before the other */
}

struct told {
    struct driver *driver; /* cancel `id` at the first */
    uint64_t id;
    uint32_t computed[MAX_EVENTS], cached;
    size_t n, n_tokens;
};

static void on_progress(void *arg, const struct token_event *event, const struct err *failure)
{
    struct told *t = arg;

    assert_null(failure);
    t->n_tokens += event->token >= 0;
    if (event->n_computed == 0)
        return;
    assert_int_equal(event->token, -1);
    assert_int_equal(event->finish, FINISH_NONE);
    assert_int_equal(t->n_tokens, 0);
    t->cached = event->n_cached_tokens;
    t->computed[t->n++] = event->n_computed;
    if (t->driver)
        driver_cancel(t->driver, t->id);
}

static void how_far_a_prompt_is_is_told_where_it_is_asked(void **state)
{
    struct fixture *f = *state;
    struct generation g = generation_of(100, 3);
    struct told first = { 0 }, again = { 0 }, quiet = { 0 }, canceled = { 0 };
    uint64_t id;

    open_all(f);
    g.tells_progress = true;
    assert_int_equal(driver_submit(f->driver, &g, 0, on_progress, &first, &id, NULL), ST_OK);
    run_to_end(f);
    assert_true(first.n > 1 && first.n_tokens == 3 && first.cached == 0);
    for (size_t i = 1; i < first.n; i++)
        assert_true(first.computed[i - 1] < first.computed[i]);
    assert_int_equal(first.computed[first.n - 1], 100);
    assert_int_equal(driver_submit(f->driver, &g, 0, on_progress, &again, &id, NULL), ST_OK);
    run_to_end(f);
    assert_int_equal(again.cached, 96);
    assert_int_equal(again.computed[again.n - 1], 100);
    g.tells_progress = false;
    assert_int_equal(driver_submit(f->driver, &g, 0, on_progress, &quiet, &id, NULL), ST_OK);
    run_to_end(f);
    assert_true(quiet.n == 0 && quiet.n_tokens == 3);
    g.tells_progress = true;
    canceled.driver = f->driver;
    assert_int_equal(driver_submit(f->driver, &g, 0, on_progress, &canceled, &canceled.id, NULL),
                     ST_OK);
    run_to_end(f);
    assert_true(canceled.n == 1 && canceled.n_tokens == 0);
}

static void the_context_bounds_a_sequence(void **state)
{
    struct fixture *f = *state;
    const struct generation g = generation_of(100, 1000), too_long = generation_of(128, 1);
    struct stream s = { 0 };
    uint64_t id;

    open_all(f);
    submit(f, &g, &s);
    run_to_end(f);
    assert_int_equal(s.n, 28);
    assert_int_equal(s.finish, FINISH_LENGTH);
    assert_int_equal(driver_submit(f->driver, &too_long, 0, on_token, &s, &id, NULL), ST_RANGE);
}

static void a_token_outside_the_vocabulary_is_refused(void **state)
{
    struct fixture *f = *state;
    const int32_t bad[] = { 1, N_VOCAB }, negative[] = { -1 };
    struct generation g = generation_of(2, 5);
    uint64_t id;

    open_all(f);
    g.prompt = bad;
    assert_int_equal(driver_submit(f->driver, &g, 0, on_token, NULL, &id, NULL), ST_RANGE);
    g.prompt = negative;
    g.n_prompt = 1;
    assert_int_equal(driver_submit(f->driver, &g, 0, on_token, NULL, &id, NULL), ST_RANGE);
}

static void a_stop_token_ends_unless_it_is_too_early_or_ignored(void **state)
{
    struct fixture *f = *state;
    struct generation g = generation_of(10, 40);
    struct stream whole = { 0 }, stopped = { 0 }, late = { 0 }, ignoring = { 0 };
    size_t first = 0;

    open_all(f);
    submit(f, &g, &whole);
    run_to_end(f);

    g.stop_tokens = &whole.tokens[5];
    g.n_stop_tokens = 1;
    while (whole.tokens[first] != whole.tokens[5])
        first++;
    submit(f, &g, &stopped);
    run_to_end(f);
    assert_int_equal(stopped.n, first + 1);
    assert_int_equal(stopped.finish, FINISH_STOP);
    assert_int_equal(stopped.tokens[first], whole.tokens[5]);

    g.min_tokens = 20;
    submit(f, &g, &late);
    run_to_end(f);
    assert_true(late.n > 20);
    for (size_t i = 0; i < 20; i++)
        assert_int_not_equal(late.tokens[i], whole.tokens[5]);

    g.min_tokens = 0;
    g.ignores_eos = true;
    submit(f, &g, &ignoring);
    run_to_end(f);
    assert_int_equal(ignoring.n, 40);
    assert_memory_equal(ignoring.tokens, whole.tokens, 40 * sizeof(int32_t));
}

static void neither_company_nor_chunks_change_tokens(void **state)
{
    struct fixture *f = *state;
    const struct generation g = generation_of(60, 50);
    struct stream alone = { 0 }, other[3] = { { .n = 0 } }, late = { 0 };
    struct err err = { 0 };

    open_all(f);
    submit(f, &g, &alone);
    run_to_end(f);
    driver_free(f->driver);

    f->options.max_rows = 7; /* chunks of a prompt cross pages and other rows */
    f->options.max_sequences = 4;
    assert_ok(driver_new(&f->options, &f->driver, &err), err);
    for (int i = 0; i < 3; i++) {
        struct generation o = generation_of(11 + 20 * (size_t)i, 40);

        o.sampling.seed = (uint64_t)i;
        submit(f, &o, &other[i]);
    }
    for (int i = 0; i < 5; i++)
        assert_ok(driver_step(f->driver, &err), err);
    submit(f, &g, &late);
    run_to_end(f);
    assert_int_equal(late.n, alone.n);
    assert_memory_equal(late.tokens, alone.tokens, alone.n * sizeof(int32_t));
}

static void cancel_frees_pages_at_once(void **state)
{
    struct fixture *f = *state;
    const struct generation g = generation_of(20, 50);
    struct stream s = { 0 };
    uint64_t id;

    open_all(f);
    id = submit(f, &g, &s);
    assert_int_equal(driver_step(f->driver, NULL), ST_OK);
    assert_int_equal(driver_load(f->driver).kv_tokens_used, 32); /* 21 in whole pages */
    driver_cancel(f->driver, id);
    assert_int_equal(driver_load(f->driver).kv_tokens_used, 0);
    assert_false(driver_has_work(f->driver));
    driver_cancel(f->driver, id);
    assert_int_equal(driver_step(f->driver, NULL), ST_OK);
    assert_int_equal(s.n, 1);
}

static void a_callback_may_cancel_itself_and_others(void **state)
{
    struct fixture *f = *state;
    const struct generation g = generation_of(20, 50);
    struct stream itself = { 0 }, first = { 0 }, second = { 0 };

    open_all(f);
    itself.cancels_in = first.cancels_in = f->driver;
    itself.cancel_id = submit(f, &g, &itself);
    submit(f, &g, &first);
    first.cancel_id = submit(f, &g, &second);
    run_to_end(f);
    assert_int_equal(itself.n, 2);
    assert_int_equal(first.n, 50);
    assert_int_equal(second.n, 1); /* canceled by a callback that came before its own */
}

static void more_than_max_waiting_are_refused(void **state)
{
    struct fixture *f = *state;
    const struct generation g = generation_of(5, 5);
    struct stream s[8] = { { .n = 0 } };
    uint64_t id = 77;

    open_all(f);
    for (int i = 0; i < 8; i++)
        submit(f, &g, &s[i]);
    assert_int_equal(driver_submit(f->driver, &g, 0, on_token, NULL, &id, NULL), ST_FULL);
    assert_int_equal(id, 77);
    run_to_end(f);
    for (int i = 0; i < 8; i++)
        assert_int_equal(s[i].finish, FINISH_LENGTH);
}

static void a_small_pool_serves_one_after_another(void **state)
{
    struct fixture *f = *state;
    const struct generation g = generation_of(20, 40);
    struct stream s[3] = { { .n = 0 } };

    f->options.n_pages = 4;
    f->fake.n_pages = 4;
    open_all(f);
    for (int i = 0; i < 3; i++)
        submit(f, &g, &s[i]);
    assert_int_equal(driver_step(f->driver, NULL), ST_OK);
    assert_int_equal(driver_load(f->driver).n_running, 1);
    assert_int_equal(driver_load(f->driver).n_waiting, 2);
    run_to_end(f);
    for (int i = 0; i < 3; i++)
        assert_memory_equal(s[i].tokens, s[0].tokens, 40 * sizeof(int32_t));
}

static void a_broken_step_tells_every_sequence_once(void **state)
{
    struct fixture *f = *state;
    const struct generation g = generation_of(5, 20);
    struct stream s[6] = { { .n = 0 } };
    struct err err = { 0 };
    uint64_t id;

    f->fake.fail_at_step = 4;
    open_all(f);
    for (int i = 0; i < 6; i++)
        submit(f, &g, &s[i]);
    while (driver_step(f->driver, &err) == ST_OK)
        ;
    assert_int_equal(err.status, ST_IO);
    for (int i = 0; i < 6; i++) {
        assert_int_equal(s[i].n_failures, 1);
        assert_int_equal(s[i].failure, ST_IO);
    }
    assert_int_equal(driver_step(f->driver, &err), ST_IO);
    assert_int_equal(driver_submit(f->driver, &g, 0, on_token, NULL, &id, NULL), ST_PEER);
}

static void no_numbers_at_position_12(void *arg, uint32_t position, int32_t token, float *logits)
{
    (void)arg;
    (void)token;
    for (uint32_t v = 0; position == 12 && v < N_VOCAB; v++)
        logits[v] = NAN;
}

static void a_sequence_without_numbers_fails_alone(void **state)
{
    struct fixture *f = *state;
    const struct generation g = generation_of(10, 20), other = generation_of(15, 20);
    struct stream broken = { 0 }, whole = { 0 };

    f->fake.script = no_numbers_at_position_12;
    open_all(f);
    submit(f, &g, &broken);
    submit(f, &other, &whole);
    run_to_end(f);
    assert_int_equal(broken.n, 3); /* positions 9, 10, 11 */
    assert_int_equal(broken.n_failures, 1);
    assert_int_equal(broken.failure, ST_RANGE);
    assert_int_equal(whole.n, 20);
    assert_int_equal(whole.n_failures, 0);
    assert_false(driver_is_broken(f->driver));
    assert_int_equal(driver_load(f->driver).kv_tokens_used, 0);
}

static uint64_t read_clock(void *arg)
{
    return *(uint64_t *)arg;
}

/* A machine whose steps take `base_ns`, and `row_ns` for each row. */
static void set_machine(struct fixture *f, uint64_t base_ns, uint64_t row_ns)
{
    f->fake.clock_ns = f->options.clock_arg = &f->clock_ns;
    f->options.clock = read_clock;
    f->fake.base_ns = base_ns;
    f->fake.row_ns = row_ns;
    f->fake.max_rows = f->options.max_rows = 100;
}

static void where_nothing_decodes_steps_keep_their_time(void **state)
{
    struct fixture *f = *state;
    struct generation g = generation_of(120, 1);
    struct stream s[4] = { { .n = 0 } };

    set_machine(f, 0, 50000);
    f->options.step_target_ms = 4; /* 80 rows */
    open_all(f);
    for (int i = 0; i < 4; i++, g.prompt++) /* no page in common */
        submit(f, &g, &s[i]);
    assert_int_equal(driver_step(f->driver, NULL), ST_OK);
    assert_int_equal(fake_engine_most_rows(f->shard), 64); /* the speed is unknown */
    run_to_end(f);
    assert_in_range(fake_engine_most_rows(f->shard), 79, 81);
    for (int i = 0; i < 4; i++)
        assert_int_equal(s[i].finish, FINISH_LENGTH);
}

/* The gap between the tokens of `s` over `n` steps, at most; a step is not longer than a gap. */
static uint64_t widest_gap(struct fixture *f, int n)
{
    uint64_t widest = 0;

    for (int i = 0; i < n && driver_has_work(f->driver); i++) {
        const uint64_t from = f->clock_ns;

        assert_int_equal(driver_step(f->driver, NULL), ST_OK);
        if (f->clock_ns - from > widest)
            widest = f->clock_ns - from;
    }
    return widest;
}

static void a_long_prompt_slows_streams_by_less_than_half(void **state)
{
    struct fixture *f = *state;
    const struct generation g = generation_of(10, 100);
    struct generation slow = generation_of(300, 5); /* no short prompt */
    struct stream streams[2] = { { .n = 0 } }, newcomer = { 0 }, third = { 0 };
    uint64_t before;
    size_t n_before;

    set_machine(f, 5000000, 100000);
    f->options.context_tokens = 512;
    f->fake.n_pages = f->options.n_pages = 128;
    open_all(f);
    submit(f, &g, &streams[0]);
    submit(f, &g, &streams[1]);
    widest_gap(f, 10);
    slow.prompt += 3;
    submit(f, &slow, &newcomer);
    run_to_end(f); /* what a row costs is known now */

    streams[0] = streams[1] = newcomer = (struct stream){ 0 };
    slow.prompt += 3;
    submit(f, &g, &streams[0]);
    submit(f, &g, &streams[1]);
    widest_gap(f, 10);
    before = widest_gap(f, 10);
    n_before = streams[0].n;
    submit(f, &slow, &newcomer);
    slow.prompt += 3;
    submit(f, &slow, &third);
    assert_in_range(widest_gap(f, 30), before, before * 3 / 2);
    assert_int_equal(streams[0].n, n_before + 30); /* they go on */
    assert_true(newcomer.n > 0);                   /* and so do prompts: 300 rows, 17 a step */
    run_to_end(f);
    assert_int_equal(third.n, 5);
}

static void a_short_prompt_is_not_kept_waiting_by_streams(void **state)
{
    struct fixture *f = *state;
    const struct generation g = generation_of(10, 60);
    struct generation quick = generation_of(100, 5);
    struct stream streams[2] = { { .n = 0 } }, first = { 0 }, newcomer = { 0 };
    size_t n_before;

    set_machine(f, 5000000, 100000);
    open_all(f);
    submit(f, &g, &streams[0]);
    submit(f, &g, &streams[1]);
    widest_gap(f, 10);
    quick.prompt += 3; /* no page in common */
    submit(f, &quick, &first);
    widest_gap(f, 20); /* what a row costs is known now */
    assert_int_equal(first.n, 5);

    n_before = streams[0].n;
    quick.prompt += 3;
    submit(f, &quick, &newcomer);
    assert_in_range(widest_gap(f, 2), 10000000, BUDGET_SHORT_MS * 1100000); /* 98 rows, then 2 */
    assert_int_equal(newcomer.n, 1);
    assert_int_equal(streams[0].n, n_before + 2);
    run_to_end(f);
}

static void an_answer_that_had_begun_stands_still_no_longer_than_it_must(void **state)
{
    struct fixture *f = *state;
    const struct generation g = generation_of(10, 60);
    struct generation quick = generation_of(40, 5), begun = generation_of(90, 60);
    struct stream streams[2] = { { .n = 0 } }, first = { 0 }, resumed = { 0 };

    set_machine(f, 5000000, 1000000);
    open_all(f);
    submit(f, &g, &streams[0]);
    submit(f, &g, &streams[1]);
    widest_gap(f, 10);
    quick.prompt += 3; /* no page in common */
    submit(f, &quick, &first);
    widest_gap(f, 20); /* what a row costs is known now */

    begun.prompt += 7;
    begun.n_prior = 50;
    submit(f, &begun, &resumed);
    assert_true(widest_gap(f, 1) > BUDGET_SHORT_MS * 1100000);
    assert_int_equal(resumed.n, 1);
    run_to_end(f);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_sequence_ends_at_max_tokens),
        CASE(steps_of_a_sequence_alone_are_told_apart),
        CASE(how_far_a_prompt_is_is_told_where_it_is_asked),
        CASE(the_context_bounds_a_sequence),
        CASE(a_token_outside_the_vocabulary_is_refused),
        CASE(a_stop_token_ends_unless_it_is_too_early_or_ignored),
        CASE(neither_company_nor_chunks_change_tokens),
        CASE(cancel_frees_pages_at_once),
        CASE(a_callback_may_cancel_itself_and_others),
        CASE(more_than_max_waiting_are_refused),
        CASE(a_small_pool_serves_one_after_another),
        CASE(a_broken_step_tells_every_sequence_once),
        CASE(a_sequence_without_numbers_fails_alone),
        CASE(where_nothing_decodes_steps_keep_their_time),
        CASE(a_long_prompt_slows_streams_by_less_than_half),
        CASE(a_short_prompt_is_not_kept_waiting_by_streams),
        CASE(an_answer_that_had_begun_stands_still_no_longer_than_it_must),
    };

    return cmocka_run_group_tests_name("execute/driver", tests, NULL, NULL);
}
