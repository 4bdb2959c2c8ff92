/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/execute/test_sharing.c - sequences share pages, make room for each other and wait for
 * each other, and no token shows it.
 */
#include "support/check.h"

#include <stdlib.h>
#include <string.h>

#include "execute/driver.h"
#include "support/fake_engine.h"

enum { N_VOCAB = 50, PAGE_TOKENS = 16, CONTEXT = 128, MAX_TOKENS = 64, MANY = 60 };

struct stream {
    int32_t tokens[MAX_TOKENS];
    size_t n;
    uint32_t n_cached;
    enum finish_reason finish;
};

static void on_token(void *arg, const struct token_event *event, const struct err *failure)
{
    struct stream *s = arg;

    assert_null(failure);
    assert_int_equal(s->finish, FINISH_NONE);
    assert_true(s->n < MAX_TOKENS);
    if (s->n == 0)
        s->n_cached = event->n_cached_tokens;
    else
        assert_int_equal(event->n_cached_tokens, 0);
    s->tokens[s->n++] = event->token;
    s->finish = event->finish;
}

struct fixture {
    struct engine_shard *shard;
    struct driver *driver;
    uint32_t n_pages, max_rows, max_sequences;
    bool has_time; /* steps take some */
    uint64_t clock_ns;
};

/* What is computed when does not depend on the machine. */
static uint64_t read_clock(void *arg)
{
    const struct fixture *f = arg;

    return f->has_time ? f->clock_ns : 0;
}

static void open_all(struct fixture *f)
{
    const struct fake_options fake = { .n_layers = 2,
                                       .is_first = true,
                                       .is_last = true,
                                       .n_vocab = N_VOCAB,
                                       .page_tokens = PAGE_TOKENS,
                                       .n_pages = f->n_pages,
                                       .max_rows = f->max_rows,
                                       .max_logit_rows = f->max_sequences,
                                       .clock_ns = &f->clock_ns,
                                       .base_ns = 1000000,
                                       .row_ns = 100000 };
    struct driver_options o = { .n_ranks = 1,
                                .n_vocab = N_VOCAB,
                                .n_hidden = FAKE_HIDDEN,
                                .context_tokens = CONTEXT,
                                .page_tokens = PAGE_TOKENS,
                                .n_pages = f->n_pages,
                                .max_rows = f->max_rows,
                                .max_sequences = f->max_sequences,
                                .max_waiting = MANY,
                                .clock = read_clock,
                                .clock_arg = f };
    struct err err = { 0 };

    f->shard = fake_engine_new(&fake);
    assert_non_null(f->shard);
    o.shard = f->shard;
    assert_ok(driver_new(&o, &f->driver, &err), err);
}

static void close_all(struct fixture *f)
{
    driver_free(f->driver);
    f->driver = NULL;
    f->shard->type->close(f->shard);
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    if (!f)
        return -1;
    *f = (struct fixture){ .n_pages = 64, .max_rows = 64, .max_sequences = 4 };
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    if (f->driver)
        close_all(f);
    free(f);
    return 0;
}

/* A prompt whose first tokens are those of every prompt of the same kind. */
static struct generation generation_of(int32_t *prompt, uint32_t kind, size_t n_prompt,
                                       uint32_t max_tokens, uint64_t seed)
{
    struct generation g = { .prompt = prompt, .n_prompt = n_prompt, .max_tokens = max_tokens };

    for (size_t i = 0; i < n_prompt; i++)
        prompt[i] = (int32_t)((kind * 31 + i * i * 7 + i) % N_VOCAB);
    sampling_init(&g.sampling);
    g.sampling.seed = seed;
    return g;
}

static uint64_t submit(struct fixture *f, const struct generation *g, struct stream *s)
{
    struct err err = { 0 };
    uint64_t id = 0;

    *s = (struct stream){ .n = 0 };
    assert_ok(driver_submit(f->driver, g, 0, on_token, s, &id, &err), err);
    return id;
}

static void run_to_end(struct fixture *f)
{
    struct err err = { 0 };

    for (int i = 0; driver_has_work(f->driver); i++) {
        assert_ok(driver_step(f->driver, &err), err);
        assert_true(i < 20000);
    }
    assert_int_equal(driver_load(f->driver).kv_tokens_used, 0);
}

/* What the generation gives where nothing is shared and nobody else is there. */
static struct stream alone(const struct generation *g)
{
    struct fixture f = { .n_pages = 64, .max_rows = 64, .max_sequences = 4 };
    struct stream s;

    open_all(&f);
    submit(&f, g, &s);
    run_to_end(&f);
    close_all(&f);
    return s;
}

static void assert_same(const struct stream *a, const struct stream *b)
{
    assert_int_equal(a->n, b->n);
    assert_int_equal(a->finish, b->finish);
    assert_memory_equal(a->tokens, b->tokens, a->n * sizeof(int32_t));
}

static void a_prompt_seen_before_is_computed_from_its_last_page(void **state)
{
    struct fixture *f = *state;
    int32_t prompt[CONTEXT];
    const struct generation g = generation_of(prompt, 1, 60, 10, 3);
    struct stream first, second;

    open_all(f);
    submit(f, &g, &first);
    run_to_end(f);
    assert_int_equal(first.n_cached, 0);
    assert_int_equal(fake_engine_n_rows(f->shard), 69);
    assert_int_equal(driver_load(f->driver).kv_tokens_cached, 64);
    submit(f, &g, &second);
    run_to_end(f);
    assert_int_equal(second.n_cached, 48);
    assert_int_equal(fake_engine_n_rows(f->shard), 69 + 21);
    assert_same(&second, &first);
}

static void a_prompt_of_whole_cached_pages_computes_its_last_token(void **state)
{
    struct fixture *f = *state;
    int32_t prompt[CONTEXT];
    const struct generation g = generation_of(prompt, 1, 64, 3, 3);
    struct stream first, second;

    open_all(f);
    submit(f, &g, &first);
    run_to_end(f);
    submit(f, &g, &second);
    run_to_end(f);
    assert_int_equal(second.n_cached, 48);
    assert_same(&second, &first);
    assert_int_equal(driver_load(f->driver).kv_tokens_cached, 64); /* the last page once */
}

static void the_next_turn_finds_the_answer_too(void **state)
{
    struct fixture *f = *state;
    int32_t prompt[CONTEXT];
    struct generation g = generation_of(prompt, 1, 60, 30, 3);
    struct stream first, second, want;

    open_all(f);
    g.n_prompt = 20;
    submit(f, &g, &first);
    run_to_end(f);
    memcpy(prompt + 20, first.tokens, 30 * sizeof(*prompt));
    g.n_prompt = 60;
    submit(f, &g, &second);
    run_to_end(f);
    assert_int_equal(second.n_cached, 48); /* 20 + 29 were computed */
    want = alone(&g);
    assert_same(&second, &want);
}

static void choices_of_one_request_prefill_once(void **state)
{
    struct fixture *f = *state;
    int32_t prompt[CONTEXT];
    struct stream s[4], want;
    uint64_t n_rows;

    f->max_rows = 20; /* the first takes several steps */
    open_all(f);
    for (uint64_t i = 0; i < 4; i++) {
        const struct generation g = generation_of(prompt, 1, 70, 1, i);

        submit(f, &g, &s[i]);
    }
    run_to_end(f);
    n_rows = fake_engine_n_rows(f->shard);
    assert_int_equal(n_rows, 70 + 3 * 6); /* the others: what follows the last whole page */
    for (uint64_t i = 0; i < 4; i++) {
        const struct generation g = generation_of(prompt, 1, 70, 1, i);

        want = alone(&g);
        assert_same(&s[i], &want);
        assert_int_equal(s[i].n_cached, i == 0 ? 0 : 64);
    }
}

static void who_waits_for_a_prefix_goes_on_when_its_maker_is_gone(void **state)
{
    struct fixture *f = *state;
    int32_t prompt[CONTEXT];
    const struct generation g = generation_of(prompt, 1, 100, 5, 1);
    struct stream maker, waiter, want = alone(&g);
    uint64_t id;

    f->max_rows = 20;
    open_all(f);
    id = submit(f, &g, &maker);
    submit(f, &g, &waiter);
    assert_int_equal(driver_step(f->driver, NULL), ST_OK);
    assert_int_equal(driver_step(f->driver, NULL), ST_OK);
    assert_int_equal(driver_load(f->driver).n_running, 1);
    driver_cancel(f->driver, id);
    run_to_end(f);
    assert_int_equal(maker.n, 0);
    assert_int_equal(waiter.n_cached, 32); /* what was computed stays */
    assert_same(&waiter, &want);
}

static void sequences_that_outgrow_the_pool_take_turns(void **state)
{
    struct fixture *f = *state;
    int32_t prompts[4][CONTEXT];
    struct generation g[4];
    struct stream s[4];

    f->n_pages = 8; /* one whole sequence, or the prompts of three */
    open_all(f);
    for (uint32_t i = 0; i < 4; i++) {
        g[i] = generation_of(prompts[i], i, 20, 60, i);
        submit(f, &g[i], &s[i]);
    }
    run_to_end(f);
    assert_true(driver_load(f->driver).n_preempted > 0);
    for (uint32_t i = 0; i < 4; i++) {
        const struct stream want = alone(&g[i]);

        assert_same(&s[i], &want);
        assert_int_equal(s[i].n_cached, 0); /* its own pages, found again, are no cache hit */
    }
}

static void an_interactive_newcomer_takes_the_place_of_a_batch(void **state)
{
    struct fixture *f = *state;
    int32_t prompts[4][CONTEXT];
    struct generation g[4];
    struct stream s[4];

    f->max_sequences = 2;
    open_all(f);
    for (uint32_t i = 0; i < 4; i++) {
        g[i] = generation_of(prompts[i], i, 10 + i, 40, i);
        g[i].priority = i < 3 ? PRIORITY_BATCH : PRIORITY_INTERACTIVE;
        submit(f, &g[i], &s[i]);
        assert_int_equal(driver_step(f->driver, NULL), ST_OK);
    }
    assert_int_equal(s[0].n, 4);
    assert_int_equal(s[1].n, 2); /* not in the last step: the latest of the batch made room */
    assert_int_equal(s[2].n, 0);
    assert_int_equal(s[3].n, 1);
    run_to_end(f);
    assert_int_equal(driver_load(f->driver).n_preempted, 1);
    for (uint32_t i = 0; i < 4; i++) {
        const struct stream want = alone(&g[i]);

        assert_same(&s[i], &want);
    }
}

static void a_tenant_with_many_requests_does_not_delay_another(void **state)
{
    struct fixture *f = *state;
    int32_t prompt[CONTEXT];
    struct stream many[20], one;
    size_t n_done = 0;

    f->max_sequences = 2;
    open_all(f);
    for (uint32_t i = 0; i < 20; i++) {
        struct generation g = generation_of(prompt, i, 10, 10, i);

        g.tenant = 1;
        submit(f, &g, &many[i]);
    }
    assert_int_equal(driver_step(f->driver, NULL), ST_OK);
    {
        struct generation g = generation_of(prompt, 40, 10, 10, 1);

        g.tenant = 2;
        submit(f, &g, &one);
    }
    while (one.finish == FINISH_NONE)
        assert_int_equal(driver_step(f->driver, NULL), ST_OK);
    for (uint32_t i = 0; i < 20; i++)
        n_done += many[i].finish != FINISH_NONE ? 1 : 0;
    assert_true(n_done <= 4); /* those that ran, and one for each of their places */
    run_to_end(f);
}

static uint32_t next_random(uint32_t *x)
{
    *x = *x * 1664525u + 1013904223u; /* Numerical Recipes */
    return *x >> 16;
}

/* Prompts that share beginnings, both priorities, cancels, a small pool: all at once.
 * Returns how often one made room for another. */
static uint64_t run_a_crowd(struct fixture *f, uint32_t x)
{
    static int32_t prompts[MANY][CONTEXT];
    static struct generation g[MANY];
    static struct stream s[MANY];
    uint64_t ids[MANY], n_preempted;
    uint32_t n = 0;

    f->n_pages = 12;
    f->max_rows = 24;
    open_all(f);
    while (n < MANY || driver_has_work(f->driver)) {
        if (n < MANY && next_random(&x) % 4 == 0) {
            g[n] = generation_of(prompts[n], next_random(&x) % 3, 1 + next_random(&x) % 90,
                                 1 + next_random(&x) % 30, n);
            g[n].priority = next_random(&x) % 2 == 0 ? PRIORITY_BATCH : PRIORITY_INTERACTIVE;
            g[n].tenant = next_random(&x) % 3;
            ids[n] = submit(f, &g[n], &s[n]);
            n++;
        }
        assert_int_equal(driver_step(f->driver, NULL), ST_OK);
        if (n > 0 && next_random(&x) % 40 == 0)
            driver_cancel(f->driver, ids[next_random(&x) % n]);
    }
    n_preempted = driver_load(f->driver).n_preempted;
    assert_int_equal(driver_load(f->driver).kv_tokens_used, 0);
    for (uint32_t i = 0; i < MANY; i++) {
        const struct stream want = alone(&g[i]);

        if (s[i].finish != FINISH_NONE)
            assert_int_equal(s[i].n, want.n);
        assert_memory_equal(s[i].tokens, want.tokens, s[i].n * sizeof(int32_t));
    }
    close_all(f);
    return n_preempted;
}

static void whatever_happens_no_token_changes(void **state)
{
    struct fixture *f = *state;
    uint64_t n_preempted = 0;

    for (uint32_t seed = 1; seed <= 10; seed++) {
        f->has_time = seed % 2 == 0;
        n_preempted += run_a_crowd(f, seed);
    }
    assert_true(n_preempted > 20);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_prompt_seen_before_is_computed_from_its_last_page),
        CASE(a_prompt_of_whole_cached_pages_computes_its_last_token),
        CASE(the_next_turn_finds_the_answer_too),
        CASE(choices_of_one_request_prefill_once),
        CASE(who_waits_for_a_prefix_goes_on_when_its_maker_is_gone),
        CASE(sequences_that_outgrow_the_pool_take_turns),
        CASE(an_interactive_newcomer_takes_the_place_of_a_batch),
        CASE(a_tenant_with_many_requests_does_not_delay_another),
        CASE(whatever_happens_no_token_changes),
    };

    return cmocka_run_group_tests_name("execute/sharing", tests, NULL, NULL);
}
