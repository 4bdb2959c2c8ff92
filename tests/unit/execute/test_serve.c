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

enum { N_VOCAB = 50, GATEWAY = 4, N_JOBS = 4, LAST_STEP = 40 };

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

struct told_of_grammars {
    struct told told;
    struct orders *orders;
    size_t n_over;
};

enum { N_OF_GRAMMARS = 3 };

static void put_with(struct orders *orders, uint64_t id, const char *grammar)
{
    struct order order = { .kind = ORDER_SUBMIT, .gateway = GATEWAY, .id = id };
    int32_t *copy = calloc(1, sizeof(*copy));
    const size_t n = strlen(grammar) + 1;

    order.generation = calloc(1, sizeof(*order.generation));
    assert_true(copy && order.generation);
    sampling_init(&order.generation->sampling);
    order.generation->prompt = copy;
    order.generation->n_prompt = 1;
    order.generation->max_tokens = 5;
    order.generation->grammar = malloc(n);
    assert_non_null(order.generation->grammar);
    memcpy((char *)(uintptr_t)order.generation->grammar, grammar, n);
    assert_int_equal(orders_put(orders, &order), ST_OK);
}

/* Once all with a grammar are over, one without comes, in which the engine fails: the loop ends. */
static void count_ends(void *arg, const struct report *report)
{
    struct told_of_grammars *t = arg;
    size_t n_over = 0;

    take_report(&t->told, report);
    for (size_t i = 0; i < N_OF_GRAMMARS; i++)
        n_over += t->told.is_finished[i] || t->told.n_refused[i] > 0 ? 1 : 0;
    if (n_over == N_OF_GRAMMARS - 1 && t->n_over < n_over) /* one of them was canceled */
        put(t->orders, N_OF_GRAMMARS, 4, 100);
    t->n_over = n_over;
}

static struct grammar_vocab *letters(void)
{
    static char bytes[N_VOCAB];
    struct vocab_token tokens[N_VOCAB];
    struct grammar_vocab *vocab = NULL;

    for (size_t i = 0; i < N_VOCAB; i++) {
        bytes[i] = (char)('0' + i);
        tokens[i] = (struct vocab_token){ &bytes[i], 1, true };
    }
    assert_int_equal(grammar_vocab_new(tokens, N_VOCAB, &vocab, NULL), ST_OK);
    return vocab;
}

/* 0 and 2 wait for one grammar, of which 2 is canceled; 1 has none that compiles. */
static void a_grammar_is_compiled_once_for_all_that_wait(void **state)
{
    const struct fake_options fake = { .n_layers = 2,
                                       .is_first = true,
                                       .is_last = true,
                                       .n_vocab = N_VOCAB,
                                       .page_tokens = 16,
                                       .n_pages = 32,
                                       .max_rows = 64,
                                       .max_logit_rows = 4,
                                       .fail_at_step = LAST_STEP };
    struct driver_options options = { .n_ranks = 1,
                                      .n_vocab = N_VOCAB,
                                      .n_hidden = FAKE_HIDDEN,
                                      .context_tokens = 128,
                                      .page_tokens = 16,
                                      .n_pages = 32,
                                      .max_rows = 64,
                                      .max_sequences = 4,
                                      .max_waiting = 4 };
    struct grammar_vocab *vocab = letters();
    struct told_of_grammars t = { .n_over = 0 };
    const struct reporter reporter = { count_ends, &t };

    (void)state;
    options.shard = fake_engine_new(&fake);
    options.vocab = vocab;
    assert_non_null(options.shard);
    assert_int_equal(orders_new(&t.orders, NULL), ST_OK);
    put_with(t.orders, 0, "root ::= [0-9]*");
    put_with(t.orders, 1, "root ::= absent");
    put_with(t.orders, 2, "root ::= [0-9]*");
    assert_int_equal(
        orders_put(t.orders, &(struct order){ .kind = ORDER_CANCEL, .gateway = GATEWAY, .id = 2 }),
        ST_OK);
    assert_int_equal(serve_run(&options, t.orders, &reporter, NULL), ST_IO);

    assert_int_equal(t.told.n_tokens[0], 5);
    assert_true(t.told.is_finished[0]);
    assert_int_equal(t.told.n_refused[1], 1);
    assert_int_equal(t.told.why[1], ST_FORMAT);
    assert_int_equal(t.told.n_tokens[2] + t.told.n_refused[2], 0);
    orders_free(t.orders);
    options.shard->type->close(options.shard);
    grammar_vocab_free(vocab);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_generation_that_fails_alone_is_told_and_others_go_on),
        cmocka_unit_test(a_grammar_is_compiled_once_for_all_that_wait),
    };

    return cmocka_run_group_tests_name("execute/serve", tests, NULL, NULL);
}
