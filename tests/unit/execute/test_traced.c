/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/execute/test_traced.c - ranks that do not drive tell what they did for requests that are traced.
 *
 * Told to the work of a rank: the rows of its sequence, the prompt and each token but the last.
 */
#include "support/check.h"

#include <stdlib.h>
#include <string.h>

#include "support/allocations.h"
#include "support/fake_engine.h"
#include "support/pipeline.h"

enum { N_LAYERS = 3, N_VOCAB = 300, N_PROMPT = 20, N_ANSWER = 12, TOLD_MAX = 64 };

struct told {
    pthread_mutex_t lock;
    struct work_span works[TOLD_MAX];
    size_t n;
};

static void tell(void *arg, const struct work_span *work)
{
    struct told *t = arg;

    pthread_mutex_lock(&t->lock);
    assert_true(t->n < TOLD_MAX);
    t->works[t->n++] = *work;
    pthread_mutex_unlock(&t->lock);
}

static struct step_mark mark_of(uint32_t slot, uint8_t id)
{
    return (struct step_mark){
        .slot = slot, .trace = { .trace_id = { id }, .span_id = { id }, .is_sampled = true }
    };
}

/* One step of a batch of one span. */
static void step(struct traced *t, uint32_t slot, const struct step_mark *mark, uint64_t begin_ns,
                 uint64_t end_ns)
{
    const struct engine_span span = { .n_rows = 5 };
    const struct engine_batch batch = { .n_rows = 5, .spans = &span, .n_spans = 1 };
    const struct step_trace trace = { &slot, slot > 0 ? 1 : 0, mark, mark ? 1 : 0 };

    traced_step(t, &trace, &batch, begin_ns, end_ns);
}

static void a_slot_is_told_when_it_rests_or_stands_for_another(void **state)
{
    const struct step_mark a = mark_of(1, 10), b = mark_of(1, 11);
    struct told told = { .lock = PTHREAD_MUTEX_INITIALIZER };
    struct traced *t;

    (void)state;
    assert_int_equal(traced_new(2, tell, &told, &t, NULL), ST_OK);
    traced_set_rank(t, 7);
    step(t, 2, NULL, 1, 2); /* nobody knows what it stands for */
    step(t, 2, &a, 10, 14);
    step(t, 0, NULL, 15, 16);
    step(t, 2, NULL, 20, 21);
    traced_sweep(t, 30, 10);
    assert_int_equal(told.n, 0);
    traced_sweep(t, 31, 10);
    assert_int_equal(told.n, 1);
    assert_int_equal(told.works[0].parent.trace_id[0], 10);
    assert_int_equal(told.works[0].begin_ns, 10);
    assert_int_equal(told.works[0].end_ns, 21);
    assert_int_equal(told.works[0].n_steps, 2);
    assert_int_equal(told.works[0].n_tokens, 10);
    assert_int_equal(told.works[0].busy_ns, 5);
    assert_int_equal(told.works[0].rank, 7);
    traced_sweep(t, 100, 10);
    assert_int_equal(told.n, 1);
    step(t, 2, NULL, 200, 201); /* it goes on: a second piece */
    step(t, 2, &b, 202, 203);
    assert_int_equal(told.n, 2);
    assert_int_equal(told.works[1].begin_ns, 200);
    assert_int_equal(told.works[1].n_steps, 1);
    traced_sweep(t, 300, 0);
    assert_int_equal(told.n, 3);
    assert_int_equal(told.works[2].parent.trace_id[0], 11);
    step(t, 9, NULL, 400, 401); /* a slot that there is not */
    traced_free(t);
    traced_free(NULL);
}

static struct engine_shard *open_fake(void *arg, uint32_t first_layer, uint32_t n_layers,
                                      const struct pipeline_options *o)
{
    const struct fake_options fake = { .first_layer = first_layer,
                                       .n_layers = n_layers,
                                       .is_first = first_layer == 0,
                                       .is_last = first_layer + n_layers == N_LAYERS,
                                       .n_vocab = o->n_vocab,
                                       .page_tokens = o->page_tokens,
                                       .n_pages = o->n_pages,
                                       .max_rows = o->max_rows,
                                       .max_logit_rows = o->max_sequences };

    (void)arg;
    return fake_engine_new(&fake);
}

static void on_token(void *arg, const struct token_event *event, const struct err *failure)
{
    size_t *n_open = arg;

    assert_null(failure);
    assert_true(event->admitted_ns > 0);
    *n_open -= event->finish != FINISH_NONE;
}

/* Prompts differ, so that nothing of one is in the cache for another. */
static void submit(struct driver *d, uint8_t id, bool is_sampled, size_t *n_open)
{
    int32_t prompt[N_PROMPT];
    struct generation g = {
        .prompt = prompt,
        .n_prompt = N_PROMPT,
        .max_tokens = N_ANSWER,
        .ignores_eos = true,
        .trace = { .trace_id = { id }, .span_id = { id }, .is_sampled = is_sampled },
        .request_id = "req"
    };
    uint64_t ignored;
    struct err err;

    sampling_init(&g.sampling);
    for (int i = 0; i < N_PROMPT; i++)
        prompt[i] = (id * 7 + i) % N_VOCAB;
    assert_ok(driver_submit(d, &g, 0, on_token, n_open, &ignored, &err), err);
    ++*n_open;
}

static void run(struct driver *d, const size_t *n_open)
{
    struct err err;

    while (*n_open > 0)
        assert_ok(driver_step(d, &err), err);
}

static void every_rank_tells_of_each_traced_request_once(void **state)
{
    static const uint32_t layers[] = { 1, 1, 1 };
    enum { N_ROUNDS = 4, N_RANKS = 3, N_TRACED = 3 };
    struct told told = { .lock = PTHREAD_MUTEX_INITIALIZER };
    struct traced *traced[N_RANKS - 1];
    struct pipeline_options o = { .n_ranks = N_RANKS,
                                  .n_layers = layers,
                                  .transport = "tcp",
                                  .context_tokens = 256,
                                  .page_tokens = 16,
                                  .n_pages = 64,
                                  .max_rows = 9,
                                  .max_sequences = 4,
                                  .n_vocab = N_VOCAB,
                                  .n_hidden = FAKE_HIDDEN,
                                  .traced = traced,
                                  .open = open_fake };
    size_t n_open = 0, n_of[256] = { 0 };
    struct pipeline p;

    (void)state;
    for (uint32_t i = 0; i < N_RANKS - 1; i++) {
        assert_int_equal(traced_new(o.max_sequences, tell, &told, &traced[i], NULL), ST_OK);
        traced_set_rank(traced[i], i);
    }
    pipeline_open(&p, &o);
    for (uint8_t round = 0; round < N_ROUNDS; round++) { /* slots are used again */
        for (uint8_t i = 0; i < N_TRACED; i++)
            submit(p.driver, (uint8_t)(1 + 16 * round + i), true, &n_open);
        submit(p.driver, 200, false, &n_open);
        run(p.driver, &n_open);
    }
    pipeline_close(&p);
    for (uint32_t i = 0; i < N_RANKS - 1; i++)
        traced_sweep(traced[i], clock_ns(), 0);
    assert_int_equal(told.n, N_ROUNDS * N_TRACED * (N_RANKS - 1));
    for (size_t i = 0; i < told.n; i++) {
        const struct work_span *w = &told.works[i];

        assert_int_equal(w->kind, WORK_STEPS);
        assert_string_equal(w->request_id, "req");
        assert_true(w->parent.is_sampled && w->begin_ns < w->end_ns);
        assert_int_equal(w->n_tokens, N_PROMPT + N_ANSWER - 1);
        n_of[w->parent.trace_id[0]]++;
    }
    assert_int_equal(n_of[200], 0);
    for (uint8_t round = 0; round < N_ROUNDS; round++) {
        for (uint8_t i = 0; i < N_TRACED; i++)
            assert_int_equal(n_of[1 + 16 * round + i], N_RANKS - 1);
    }
    for (uint32_t i = 0; i < N_RANKS; i++)
        p.shards[i]->type->close(p.shards[i]);
    for (uint32_t i = 0; i < N_RANKS - 1; i++)
        traced_free(traced[i]);
}

static void it_is_made_or_not(void **state)
{
    struct told told = { .lock = PTHREAD_MUTEX_INITIALIZER };
    struct traced *t = NULL;

    (void)state;
    allocations_fail_at(1);
    assert_int_equal(traced_new(2, tell, &told, &t, NULL), ST_NOMEM);
    allocations_fail_at(0);
    assert_null(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_slot_is_told_when_it_rests_or_stands_for_another),
        cmocka_unit_test(every_rank_tells_of_each_traced_request_once),
        cmocka_unit_test(it_is_made_or_not),
    };

    return cmocka_run_group_tests_name("execute/traced", tests, NULL, NULL);
}
