/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/execute/test_guesses.c - guessed tokens change how many a step makes, never which. */
#include "support/check.h"

#include <string.h>

#include "execute/driver/driver_priv.h"
#include "support/fake_engine.h"

enum { N_VOCAB = 50, PAGE_TOKENS = 16, N_PAGES = 64, MAX_LOGIT_ROWS = 12, N_STREAMS = 3, N = 60 };

struct stream {
    int32_t tokens[N];
    size_t n;
    enum finish_reason finish;
};

static void on_token(void *arg, const struct token_event *event, const struct err *failure)
{
    struct stream *s = arg;

    assert_null(failure);
    assert_int_equal(s->finish, FINISH_NONE);
    assert_true(s->n < N);
    s->tokens[s->n++] = event->token;
    s->finish = event->finish;
}

/* Guess up to n_guesses tokens of what was made before, each wrong_every-th of them wrong. */
static void guess(struct driver *d, const struct stream *known, uint32_t n_guesses,
                  uint32_t wrong_every)
{
    for (size_t i = 0; i < d->n_sequences; i++) {
        struct sequence *q = d->sequences[i];

        if (!q->is_running || q->n_tokens == q->n_prompt)
            continue;
        for (q->n_drafts = 0; q->n_drafts < n_guesses && q->n_tokens + q->n_drafts + 1 < q->n_limit;
             q->n_drafts++) {
            const uint32_t at = q->n_tokens + q->n_drafts;
            const int32_t right = known[q->tag].tokens[at - q->n_prompt];

            q->tokens[at] = at % wrong_every == 0 ? (right + 1) % N_VOCAB : right;
        }
    }
}

/* Returns the number of steps. */
static uint32_t run(const struct stream *known, uint32_t n_guesses, uint32_t wrong_every,
                    const int32_t *stop, struct stream *ret_streams)
{
    static const int32_t prompt[30] = { 3, 1, 4, 1, 5, 9, 2, 6 };
    const struct fake_options fake = { .n_layers = 3,
                                       .is_first = true,
                                       .is_last = true,
                                       .n_vocab = N_VOCAB,
                                       .page_tokens = PAGE_TOKENS,
                                       .n_pages = N_PAGES,
                                       .max_rows = 32,
                                       .max_logit_rows = MAX_LOGIT_ROWS };
    struct driver_options o = { .n_ranks = 1,
                                .n_vocab = N_VOCAB,
                                .n_hidden = FAKE_HIDDEN,
                                .context_tokens = 128,
                                .page_tokens = PAGE_TOKENS,
                                .n_pages = N_PAGES,
                                .max_rows = 32,
                                .max_sequences = N_STREAMS,
                                .max_logit_rows = MAX_LOGIT_ROWS };
    struct driver *d = NULL;
    struct err err = { 0 };
    uint32_t n_steps;

    o.shard = fake_engine_new(&fake);
    assert_non_null(o.shard);
    assert_ok(driver_new(&o, &d, &err), err);
    for (uint32_t i = 0; i < N_STREAMS; i++) {
        struct generation g = { .prompt = prompt, .n_prompt = 10 + 9 * i, .max_tokens = N };
        uint64_t id;

        sampling_init(&g.sampling);
        g.sampling.seed = i;
        g.sampling.temperature = i == 0 ? 0 : 1;
        g.stop_tokens = stop;
        g.n_stop_tokens = stop && i == 1 ? 1 : 0;
        ret_streams[i] = (struct stream){ .n = 0 };
        assert_ok(driver_submit(d, &g, i, on_token, &ret_streams[i], &id, &err), err);
    }
    while (driver_has_work(d)) {
        if (known)
            guess(d, known, n_guesses, wrong_every);
        assert_ok(driver_step(d, &err), err);
    }
    driver_free(d);
    n_steps = fake_engine_n_steps(o.shard);
    o.shard->type->close(o.shard);
    return n_steps;
}

static void assert_same(const struct stream *a, const struct stream *b)
{
    for (size_t i = 0; i < N_STREAMS; i++) {
        assert_int_equal(a[i].n, b[i].n);
        assert_int_equal(a[i].finish, b[i].finish);
        assert_memory_equal(a[i].tokens, b[i].tokens, a[i].n * sizeof(int32_t));
    }
}

static void guesses_right_or_wrong_leave_every_token(void **state)
{
    struct stream want[N_STREAMS], got[N_STREAMS];
    const uint32_t n_plain = run(NULL, 0, 0, NULL, want);

    (void)state;
    for (uint32_t n_guesses = 1; n_guesses <= 9; n_guesses += 2) {
        for (uint32_t wrong_every = 1; wrong_every <= 7; wrong_every++) {
            const uint32_t n_steps = run(want, n_guesses, wrong_every, NULL, got);

            assert_same(got, want);
            assert_true(n_steps <= n_plain);
        }
        assert_true(run(want, n_guesses, N + N, NULL, got) < n_plain * 2 / 3);
        assert_same(got, want);
    }
}

static void a_stop_token_among_guesses_ends_the_sequence(void **state)
{
    struct stream whole[N_STREAMS], want[N_STREAMS], got[N_STREAMS];

    (void)state;
    run(NULL, 0, 0, NULL, whole);
    run(NULL, 0, 0, &whole[1].tokens[20], want);
    assert_int_equal(want[1].finish, FINISH_STOP);
    run(whole, 5, N + N, &whole[1].tokens[20], got);
    assert_same(got, want);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(guesses_right_or_wrong_leave_every_token),
        cmocka_unit_test(a_stop_token_among_guesses_ends_the_sequence),
    };

    return cmocka_run_group_tests_name("execute/guesses", tests, NULL, NULL);
}
