/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/execute/test_serve.c - what the driver's loop reports, without threads or sockets.
 *
 * The fake engine fails at a step late enough for all generations to end, which ends the loop.
 */
#include "support/check.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "execute/runner/serve.h"
#include "support/fake_engine.h"

enum { N_VOCAB = 50, GATEWAY = 4, N_JOBS = 3, LAST_STEP = 40 };

static const int32_t prompt[16] = { 3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9, 7, 9, 3 };

struct told {
    size_t n_tokens[N_JOBS], n_refused[N_JOBS];
    enum status why[N_JOBS];
    bool is_finished[N_JOBS];
};

static void take_report(void *arg, const struct report *report)
{
    struct told *told = arg;

    if (report->kind == REPORT_REFUSED) {
        assert_int_equal(report->gateway, GATEWAY);
        told->n_refused[report->id]++;
        told->why[report->id] = report->why.status;
    }
    for (size_t i = 0; report->kind == REPORT_TOKENS && i < report->batch->n_tokens; i++) {
        const struct batch_token *t = &report->batch->tokens[i];

        assert_int_equal(told->n_refused[t->id], 0);
        told->n_tokens[t->id]++;
        told->is_finished[t->id] = t->finish != FINISH_NONE;
    }
    batch_free(report->batch);
}

static void no_numbers_at_position_12(void *arg, uint32_t position, int32_t token, float *logits)
{
    (void)arg;
    (void)token;
    for (uint32_t v = 0; position == 12 && v < N_VOCAB; v++)
        logits[v] = NAN;
}

static void put(struct orders *orders, uint64_t id, size_t n_prompt, uint32_t max_tokens)
{
    struct order order = { .kind = ORDER_SUBMIT, .gateway = GATEWAY, .id = id };
    int32_t *copy = calloc(n_prompt, sizeof(*copy));

    order.generation = calloc(1, sizeof(*order.generation));
    assert_true(copy && order.generation);
    memcpy(copy, prompt, n_prompt * sizeof(*copy));
    sampling_init(&order.generation->sampling);
    order.generation->prompt = copy;
    order.generation->n_prompt = n_prompt;
    order.generation->max_tokens = max_tokens;
    assert_int_equal(orders_put(orders, &order), ST_OK);
}

/* 0 meets logits without numbers, 1 goes on to its end, 2 runs when the engine fails. */
static void a_generation_that_fails_alone_is_told_and_others_go_on(void **state)
{
    const struct fake_options fake = { .n_layers = 2,
                                       .is_first = true,
                                       .is_last = true,
                                       .n_vocab = N_VOCAB,
                                       .page_tokens = 16,
                                       .n_pages = 32,
                                       .max_rows = 64,
                                       .max_logit_rows = 4,
                                       .fail_at_step = LAST_STEP,
                                       .script = no_numbers_at_position_12 };
    struct driver_options options = { .n_ranks = 1,
                                      .n_vocab = N_VOCAB,
                                      .n_hidden = FAKE_HIDDEN,
                                      .context_tokens = 128,
                                      .page_tokens = 16,
                                      .n_pages = 32,
                                      .max_rows = 64,
                                      .max_sequences = 4,
                                      .max_waiting = 4 };
    struct told told = { 0 };
    const struct reporter reporter = { take_report, &told };
    struct orders *orders = NULL;

    (void)state;
    options.shard = fake_engine_new(&fake);
    assert_non_null(options.shard);
    assert_int_equal(orders_new(&orders, NULL), ST_OK);
    put(orders, 0, 10, 20);
    put(orders, 1, 15, 20);
    put(orders, 2, 14, 100);
    assert_int_equal(serve_run(&options, orders, &reporter, NULL), ST_IO);

    assert_int_equal(told.n_tokens[0], 3); /* positions 9, 10, 11 */
    assert_int_equal(told.n_refused[0], 1);
    assert_int_equal(told.why[0], ST_RANGE);
    assert_int_equal(told.n_tokens[1], 20);
    assert_true(told.is_finished[1]);
    assert_int_equal(told.n_tokens[2], LAST_STEP - 1);
    assert_int_equal(told.n_refused[1] + told.n_refused[2], 0); /* the end of all is told once */
    orders_free(orders);
    options.shard->type->close(options.shard);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_generation_that_fails_alone_is_told_and_others_go_on),
    };

    return cmocka_run_group_tests_name("execute/serve", tests, NULL, NULL);
}
