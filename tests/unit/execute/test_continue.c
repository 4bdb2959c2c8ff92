/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/execute/test_continue.c - an answer begun by one driver goes on in another, bit for bit.
 *
 * Each way of sampling is run once undisturbed, then cut after every token
 * and continued by a driver that knows nothing but the tokens.  Taking prior tokens for
 * part of the prompt would change penalties, the least length and the last token.
 */
#include "support/check.h"

#include <string.h>

#include "execute/driver.h"
#include "execute/wire.h"
#include "support/fake_engine.h"

enum { N_VOCAB = 40, PAGE_TOKENS = 16, N_PAGES = 64, N_PROMPT = 21, N = 48, MAX_ROWS = 32 };

struct stream {
    int32_t tokens[N];
    float logprobs[N];
    size_t n;
    enum finish_reason finish;
};

static void on_token(void *arg, const struct token_event *event, const struct err *failure)
{
    struct stream *s = arg;

    assert_null(failure);
    assert_int_equal(s->finish, FINISH_NONE);
    assert_true(s->n < N);
    s->logprobs[s->n] = event->logprob;
    s->tokens[s->n++] = event->token;
    s->finish = event->finish;
}

static void run(const struct generation *g, uint32_t max_guesses, struct stream *ret_stream)
{
    const struct fake_options fake = { .n_layers = 3,
                                       .is_first = true,
                                       .is_last = true,
                                       .n_vocab = N_VOCAB,
                                       .page_tokens = PAGE_TOKENS,
                                       .n_pages = N_PAGES,
                                       .max_rows = MAX_ROWS,
                                       .max_logit_rows = 12 };
    struct driver_options o = { .n_ranks = 1,
                                .n_vocab = N_VOCAB,
                                .n_hidden = FAKE_HIDDEN,
                                .context_tokens = 256,
                                .page_tokens = PAGE_TOKENS,
                                .n_pages = N_PAGES,
                                .max_rows = MAX_ROWS,
                                .max_sequences = 2,
                                .max_logit_rows = 12,
                                .max_guesses = max_guesses };
    struct driver *d = NULL;
    struct err err = { 0 };
    uint64_t id;

    *ret_stream = (struct stream){ .n = 0 };
    o.shard = fake_engine_new(&fake);
    assert_non_null(o.shard);
    assert_ok(driver_new(&o, &d, &err), err);
    assert_ok(driver_submit(d, g, 0, on_token, ret_stream, &id, &err), err);
    while (driver_has_work(d))
        assert_ok(driver_step(d, &err), err);
    driver_free(d);
    o.shard->type->close(o.shard);
}

static const int32_t prompt[N_PROMPT + N] = { 3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9, 7, 9 };

static struct generation generation_of(void)
{
    struct generation g = { .prompt = prompt, .n_prompt = N_PROMPT, .max_tokens = N };

    sampling_init(&g.sampling);
    g.sampling.seed = 99;
    g.sampling.wants_logprobs = true;
    return g;
}

/* Cut after each token of `g`'s answer and continue. */
static void assert_continues(const struct generation *g, uint32_t max_guesses)
{
    int32_t tokens[N_PROMPT + N];
    struct generation rest = *g;
    struct stream whole, got;

    run(g, max_guesses, &whole);
    assert_true(whole.n > 10);
    memcpy(tokens, prompt, sizeof(tokens));
    memcpy(tokens + N_PROMPT, whole.tokens, whole.n * sizeof(*tokens));
    rest.prompt = tokens;
    for (size_t cut = 0; cut < whole.n; cut++) {
        rest.n_prior = cut;
        rest.n_prompt = N_PROMPT + cut;
        run(&rest, max_guesses, &got);
        assert_int_equal(got.n, whole.n - cut);
        assert_memory_equal(got.tokens, whole.tokens + cut, got.n * sizeof(*got.tokens));
        assert_memory_equal(got.logprobs, whole.logprobs + cut, got.n * sizeof(*got.logprobs));
        assert_int_equal(got.finish, whole.finish);
    }
}

static void a_greedy_answer_goes_on(void **state)
{
    struct generation g = generation_of();

    (void)state;
    g.sampling.temperature = 0;
    assert_continues(&g, 0);
    assert_continues(&g, 8);
}

static void a_sampled_answer_draws_the_same_numbers(void **state)
{
    struct generation g = generation_of();

    (void)state;
    g.sampling.temperature = 1.3f;
    g.sampling.top_p = 0.9f;
    assert_continues(&g, 0);
}

static void penalties_know_the_answer_from_the_prompt(void **state)
{
    struct generation g = generation_of();

    (void)state;
    g.sampling.temperature = 0;
    g.sampling.presence_penalty = 0.7f;
    g.sampling.frequency_penalty = 0.4f;
    assert_continues(&g, 0);
    g.sampling.temperature = 1;
    g.sampling.repetition_penalty = 1.2f;
    assert_continues(&g, 8);
}

static void an_answer_may_not_end_before_its_least_length(void **state)
{
    static const int32_t stops[] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 };
    struct generation g = generation_of();

    (void)state;
    g.stop_tokens = stops; /* of 40: without a least length it would end at once */
    g.n_stop_tokens = 16;
    g.min_tokens = 30;
    assert_continues(&g, 0);
}

static void what_is_there_already_leaves_room_for_a_token(void **state)
{
    struct generation g = generation_of();
    struct stream got;

    (void)state;
    g.n_prompt = N_PROMPT + N - 1;
    g.n_prior = N - 1;
    run(&g, 0, &got);
    assert_int_equal(got.n, 1);
    assert_int_equal(got.finish, FINISH_LENGTH);
}

struct sent {
    const struct generation *g;
    enum status status;
};

static void check_sent(void *arg, const ProtobufCMessage *base)
{
    const Wire__RunnerMessage *m = (const Wire__RunnerMessage *)base;
    struct generation *read = NULL;
    struct sent *sent = arg;
    struct err err;

    sent->status = generation_read(m->generate, &read, &err);
    if (sent->status != ST_OK)
        return;
    assert_int_equal(read->n_prior, sent->g->n_prior);
    assert_int_equal(read->n_prompt, sent->g->n_prompt);
    assert_int_equal(read->max_tokens, sent->g->max_tokens);
    generation_free(read);
}

static enum status send_and_read(const struct generation *g)
{
    struct sent sent = { g, ST_IO };
    struct err err = { 0 };

    assert_ok(wire_send_generation(g, 1, 0, check_sent, &sent, &err), err);
    return sent.status;
}

static void a_message_says_how_much_of_the_answer_there_is(void **state)
{
    struct generation g = generation_of();

    (void)state;
    g.n_prior = 7;
    assert_int_equal(send_and_read(&g), ST_OK);
    g.n_prior = N_PROMPT; /* no prompt at all */
    assert_int_equal(send_and_read(&g), ST_RANGE);
    g.n_prior = 7;
    g.max_tokens = 7; /* all of it is there */
    assert_int_equal(send_and_read(&g), ST_RANGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_greedy_answer_goes_on),
        cmocka_unit_test(a_sampled_answer_draws_the_same_numbers),
        cmocka_unit_test(penalties_know_the_answer_from_the_prompt),
        cmocka_unit_test(an_answer_may_not_end_before_its_least_length),
        cmocka_unit_test(what_is_there_already_leaves_room_for_a_token),
        cmocka_unit_test(a_message_says_how_much_of_the_answer_there_is),
    };

    return cmocka_run_group_tests_name("execute/continue", tests, NULL, NULL);
}
