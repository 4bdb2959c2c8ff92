/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/execute/test_best.c - the merged best logits of members give the token that all give.
 *
 * Logits are drawn with a fixed seed from few values, so that many are equal and lie on the edge of
 * what is sent; some are no numbers.
 */
#include "support/check.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "execute/sample/best.h"
#include "execute/sample/sample.h"

enum { N_VOCAB = 1000, N_ROUNDS = 300, N_TOKENS = 12, N_PROMPT = 5 };

static uint32_t state = 20261126;

static uint32_t draw(void)
{
    state = state * 1664525u + 1013904223u; /* Numerical Recipes LCG */
    return state >> 8;
}

struct row {
    float logits[N_VOCAB];
    int32_t tokens[N_TOKENS]; /* prompt and answer */
};

/* n_values: how many distinct logits there are. */
static void fill(struct row *row, uint32_t n_values)
{
    for (uint32_t i = 0; i < N_VOCAB; i++)
        row->logits[i] = (float)(draw() % n_values) * 8.0f / (float)n_values - 4.0f;
    row->logits[draw() % N_VOCAB] = NAN;
    row->logits[draw() % N_VOCAB] = INFINITY;
    row->logits[draw() % N_VOCAB] = -INFINITY;
    for (uint32_t i = 0; i < N_TOKENS; i++)
        row->tokens[i] = (int32_t)(draw() % N_VOCAB);
}

/* As members with unequal parts of the vocabulary send it; the first has fewer than are asked for. */
static void gather(const struct row *row, uint32_t ask, struct best_list *ret)
{
    static const uint32_t ends[] = { 3, 600, N_VOCAB };
    static unsigned char bytes[N_VOCAB * sizeof(struct best_entry)];
    static float scratch[N_VOCAB];
    uint32_t first = 0;

    best_clear(ret);
    for (size_t i = 0; i < ARRAY_LEN(ends); first = ends[i++]) {
        const uint32_t n = ends[i] - first;

        assert_in_range(best_bytes(ask, n), 1, best_bytes_max(n));
        best_pick(row->logits + first, n, first, ask, scratch, bytes);
        best_merge(ret, bytes, n, first, ask);
    }
}

static void assert_same_choice(struct sampler *sampler, const struct row *row,
                               const struct sampling *how, size_t n_banned)
{
    static struct best_list list;
    static const int32_t banned[] = { 7, 8 };
    struct sample_input in = { .logits = row->logits,
                               .how = how,
                               .tokens = row->tokens,
                               .n_prompt = N_PROMPT,
                               .n_tokens = N_TOKENS,
                               .banned = banned,
                               .n_banned = n_banned };
    const uint32_t ask = best_ask(how, N_PROMPT, N_TOKENS, n_banned);
    struct token_logprob top[REQUEST_TOP_LOGPROBS_MAX];
    struct sample all, best;

    assert_true(ask != 0 && best_is_ask(ask));
    assert_int_equal(sampler_choose(sampler, &in, &all, NULL), ST_OK);
    for (size_t i = 0; i < all.n_top; i++)
        top[i] = all.top[i];
    gather(row, ask, &list);
    in.best = &list;
    assert_int_equal(sampler_choose(sampler, &in, &best, NULL), ST_OK);
    assert_int_equal(best.token, all.token);
    assert_true(fabsf(best.logprob - all.logprob) < 2e-6f);
    assert_int_equal(best.n_top, all.n_top);
    for (size_t i = 0; i < all.n_top; i++) {
        assert_int_equal(best.top[i].token, top[i].token);
        assert_true(fabsf(best.top[i].logprob - top[i].logprob) < 2e-6f);
    }
}

static const struct sampling defaults = { .temperature = 0.8f,
                                          .top_p = 1,
                                          .repetition_penalty = 1 };

static void the_best_give_the_token_of_all(void **unused)
{
    struct sampling hows[8];
    struct sampler *sampler = NULL;
    struct row *row = calloc(1, sizeof(*row));

    (void)unused;
    for (size_t i = 0; i < ARRAY_LEN(hows); i++)
        hows[i] = defaults;
    hows[0].temperature = 0;
    hows[1].top_k = 1;
    hows[2].top_k = 40;
    hows[2].top_p = 0.9f;
    hows[3].top_k = 20;
    hows[3].min_p = 0.3f;
    hows[4].top_k = 40;
    hows[4].repetition_penalty = 1.3f;
    hows[5].top_k = 3;
    hows[5].presence_penalty = 2;
    hows[5].frequency_penalty = 0.5f;
    hows[6] = hows[2];
    hows[6].wants_logprobs = true;
    hows[6].n_top_logprobs = 20;
    hows[7].temperature = 0;
    hows[7].wants_logprobs = true;
    hows[7].n_top_logprobs = 5;

    assert_non_null(row);
    assert_int_equal(sampler_new(N_VOCAB, &sampler, NULL), ST_OK);
    for (uint32_t round = 0; round < N_ROUNDS; round++) {
        fill(row, round % 3 == 0 ? 4 : 100000);
        for (size_t i = 0; i < ARRAY_LEN(hows); i++) {
            hows[i].seed = round;
            assert_same_choice(sampler, row, &hows[i], round % 2 * 2);
        }
    }
    sampler_free(sampler);
    free(row);
}

/* Two logits whose weights round to one: the larger logit is what top-k keeps, on both ways. */
static void weights_that_round_to_one_do_not_change_what_top_k_keeps(void **unused)
{
    struct sampling how = defaults;
    struct sampler *sampler = NULL;
    struct row *row = calloc(1, sizeof(*row));

    (void)unused;
    assert_non_null(row);
    how.top_k = 2;
    how.temperature = 2;
    for (uint32_t i = 0; i < N_VOCAB; i++)
        row->logits[i] = -20;
    row->logits[900] = 10;
    row->logits[100] = 0x1.0p-24f; /* weighs what the next does, and has the lower number */
    row->logits[800] = 0x1.8p-24f;
    assert_int_equal(sampler_new(N_VOCAB, &sampler, NULL), ST_OK);
    for (how.seed = 0; how.seed < 2000; how.seed++)
        assert_same_choice(sampler, row, &how, 0);
    sampler_free(sampler);
    free(row);
}

static void what_the_best_do_not_tell_is_not_asked_of_them(void **unused)
{
    static const struct logit_bias up = { 3, 1.0f }, down = { 3, -1.0f };
    struct sampling how = defaults;

    (void)unused;
    assert_int_equal(best_ask(&how, 1, 2, 0), 0); /* a draw from all */
    how.top_p = 0.9f;
    assert_int_equal(best_ask(&how, 1, 2, 0), 0);
    how.temperature = 0;
    assert_int_equal(best_ask(&how, 1, 2, 0), 1);
    how.n_logit_bias = 1;
    how.logit_bias = &down;
    assert_int_equal(best_ask(&how, 1, 2, 0), 2);
    how.logit_bias = &up;
    assert_int_equal(best_ask(&how, 1, 2, 0), 0);
    how.n_logit_bias = 0;
    how.presence_penalty = -1;
    assert_int_equal(best_ask(&how, 1, 2, 0), 0);
    how.presence_penalty = 1;
    assert_int_equal(best_ask(&how, 10, 30, 2), 23);
    assert_int_equal(best_ask(&how, 10, 10 + BEST_MAX, 0), 0);
}

static void damaged_lists_are_left_out(void **unused)
{
    const struct best_entry bad[3] = { { 1, 9 }, { NAN, 4 }, { 2, -1 } };
    const double no_sum[2] = { NAN, NAN };
    unsigned char bytes[sizeof(bad) + sizeof(no_sum)];
    struct best_list list;

    (void)unused;
    memcpy(bytes, bad, sizeof(bad));
    memcpy(bytes + sizeof(bad), no_sum, sizeof(no_sum));
    best_clear(&list);
    best_merge(&list, bytes, 5, 3, 3 | BEST_WITH_SUM); /* tokens 3..7 */
    assert_int_equal(list.n, 0);
    assert_true(list.sum == 0);
    assert_false(best_is_ask(BEST_WITH_SUM));
    assert_false(best_is_ask(BEST_MAX + 1));
    assert_false(best_is_ask(1u << 20 | 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_best_give_the_token_of_all),
        cmocka_unit_test(weights_that_round_to_one_do_not_change_what_top_k_keeps),
        cmocka_unit_test(what_the_best_do_not_tell_is_not_asked_of_them),
        cmocka_unit_test(damaged_lists_are_left_out),
    };

    return cmocka_run_group_tests_name("execute/sample/best", tests, NULL, NULL);
}
