/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/execute/test_sample.c - tokens follow the distribution the settings describe.
 *
 * Expected probabilities are computed here in double from the definitions.
 * Draws use positions 0..N_DRAWS of one seed, so every run is the same.
 */
#include "support/check.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "execute/sample/sample.h"

enum { N_VOCAB = 8, N_DRAWS = 20000, N_LARGE = 50000 };

/* Upper 0.1 % point of chi-square with 7 degrees of freedom (NIST handbook, table 1.3.6.7.4). */
static const double chi_square_limit = 24.322;

static const float logits[N_VOCAB] = { 1.0f, 3.0f, 2.0f, 2.5f, -1.0f, 0.0f, 3.0f, -4.0f };

struct fixture {
    struct sampler *sampler;
    struct sampling how;
    int32_t tokens[N_DRAWS];
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    if (!f || sampler_new(N_VOCAB, &f->sampler, NULL) != ST_OK)
        return -1;
    sampling_init(&f->how);
    f->how.seed = 20240117;
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    sampler_free(f->sampler);
    free(f);
    return 0;
}

static struct sample choose(struct sampler *sampler, const struct sample_input *in)
{
    struct sample sample = { .token = -1 };
    struct err err = { 0 };

    assert_ok(sampler_choose(sampler, in, &sample, &err), err);
    return sample;
}

static struct sample choose_at(struct fixture *f, size_t position)
{
    const struct sample_input in = { .logits = logits,
                                     .how = &f->how,
                                     .tokens = f->tokens,
                                     .n_prompt = position,
                                     .n_tokens = position };

    return choose(f->sampler, &in);
}

static void assert_distribution(struct fixture *f, const double *weights)
{
    double total = 0, chi_square = 0;
    unsigned counts[N_VOCAB] = { 0 };

    for (size_t i = 0; i < N_DRAWS; i++)
        counts[choose_at(f, i).token]++;
    for (int v = 0; v < N_VOCAB; v++)
        total += weights[v];
    for (int v = 0; v < N_VOCAB; v++) {
        const double want = weights[v] / total * N_DRAWS;

        if (!(want > 0)) {
            assert_int_equal(counts[v], 0);
            continue;
        }
        chi_square += (counts[v] - want) * (counts[v] - want) / want;
    }
    assert_true(chi_square < chi_square_limit);
}

static void plain_sampling_is_softmax(void **state)
{
    double weights[N_VOCAB];

    for (int v = 0; v < N_VOCAB; v++)
        weights[v] = exp((double)logits[v]);
    assert_distribution(*state, weights);
}

static void temperature_divides_logits(void **state)
{
    struct fixture *f = *state;
    double weights[N_VOCAB];

    f->how.temperature = 2.0f;
    for (int v = 0; v < N_VOCAB; v++)
        weights[v] = exp((double)logits[v] / 2);
    assert_distribution(f, weights);
}

static void top_k_keeps_the_largest(void **state)
{
    struct fixture *f = *state;
    const double weights[N_VOCAB] = { 0, exp(3), 0, exp(2.5), 0, 0, exp(3), 0 };

    f->how.top_k = 3;
    assert_distribution(f, weights);
}

static void top_p_keeps_the_smallest_set_that_reaches_it(void **state)
{
    struct fixture *f = *state;
    const double weights[N_VOCAB] = { 0, exp(3), 0, exp(2.5), 0, 0, exp(3), 0 };

    f->how.top_p = 0.75f; /* 1, 6: 0.64; with 3: 0.84 */
    assert_distribution(f, weights);
}

static void top_p_is_of_what_top_k_left(void **state)
{
    struct fixture *f = *state;
    const double weights[N_VOCAB] = { 0, exp(3), 0, 0, 0, 0, exp(3), 0 };

    f->how.top_k = 3;
    f->how.top_p = 0.7f; /* of the three, 1 and 6 have 0.77 */
    assert_distribution(f, weights);
}

static void min_p_cuts_relative_to_the_largest(void **state)
{
    struct fixture *f = *state;
    const double weights[N_VOCAB] = { 0, exp(3), exp(2), exp(2.5), 0, 0, exp(3), 0 };

    f->how.min_p = 0.3f; /* e^-1 = 0.37 stays, e^-2 goes */
    assert_distribution(f, weights);
    f->how.top_p = 0.999f;
    assert_distribution(f, weights);
}

static void temperature_zero_takes_the_lowest_of_equals(void **state)
{
    struct fixture *f = *state;

    f->how.temperature = 0;
    for (size_t i = 0; i < 100; i++)
        assert_int_equal(choose_at(f, i).token, 1);
}

static void the_same_seed_and_position_give_the_same_token(void **state)
{
    struct fixture *f = *state;
    int32_t first[64];
    bool differs = false;

    for (size_t i = 0; i < 64; i++)
        first[i] = choose_at(f, i).token;
    for (size_t i = 64; i-- > 0;)
        assert_int_equal(choose_at(f, i).token, first[i]);
    f->how.seed++;
    for (size_t i = 0; i < 64; i++)
        differs |= choose_at(f, i).token != first[i];
    assert_true(differs);
}

static void bias_and_bans_move_the_choice(void **state)
{
    struct fixture *f = *state;
    const struct logit_bias bias[] = { { 7, 100 }, { 1, -100 }, { 9999, 100 } };
    const int32_t banned[] = { 7, -5 };
    struct sample_input in = { .logits = logits, .how = &f->how };

    f->how.temperature = 0;
    f->how.logit_bias = bias;
    f->how.n_logit_bias = 3;
    assert_int_equal(choose(f->sampler, &in).token, 7);
    in.banned = banned;
    in.n_banned = 2;
    assert_int_equal(choose(f->sampler, &in).token, 6);
}

static void penalties_look_at_the_tokens_they_should(void **state)
{
    struct fixture *f = *state;
    const int32_t tokens[] = { 1, 6, 6 }; /* prompt 1, answer 6 6 */
    struct sample_input in = {
        .logits = logits, .how = &f->how, .tokens = tokens, .n_prompt = 1, .n_tokens = 3
    };

    f->how.temperature = 0;
    f->how.repetition_penalty = 1.5f; /* 1 and 6 fall to 2 */
    assert_int_equal(choose(f->sampler, &in).token, 3);

    f->how.repetition_penalty = 1;
    f->how.presence_penalty = 0.1f; /* the answer only: 6 falls below 1 */
    assert_int_equal(choose(f->sampler, &in).token, 1);

    f->how.presence_penalty = 0;
    f->how.frequency_penalty = -1; /* twice */
    assert_int_equal(choose(f->sampler, &in).token, 6);
    f->how.frequency_penalty = 0;
    assert_int_equal(choose(f->sampler, &in).token, 1); /* nothing was left behind */
}

static void logprobs_are_of_the_model_alone(void **state)
{
    struct fixture *f = *state;
    const struct logit_bias bias = { 5, 100 };
    double sum = 0;
    struct sample s;

    f->how.temperature = 0.3f;
    f->how.logit_bias = &bias;
    f->how.n_logit_bias = 1;
    f->how.wants_logprobs = true;
    f->how.n_top_logprobs = 4;
    for (int v = 0; v < N_VOCAB; v++)
        sum += exp((double)logits[v]);
    s = choose_at(f, 0);
    assert_int_equal(s.token, 5);
    assert_true(fabs((double)s.logprob - (0.0 - log(sum))) < 1e-5);
    assert_int_equal(s.n_top, 4);
    assert_int_equal(s.top[0].token, 1);
    assert_int_equal(s.top[1].token, 6);
    assert_int_equal(s.top[2].token, 3);
    assert_int_equal(s.top[3].token, 2);
    assert_true(fabs((double)s.top[0].logprob - (3.0 - log(sum))) < 1e-5);
}

static int by_falling_value(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;

    return x < y ? 1 : x > y ? -1 : 0;
}

/* Selection by cutoff and heap equals a full sort, for flat and steep logits. */
static void a_large_vocabulary_is_filtered_as_by_a_full_sort(void **state)
{
    static float large[N_LARGE], sorted[N_LARGE];
    static const float steepness[] = { 0.001f, 1, 10, 100 };
    struct fixture *f = *state;
    struct sampler *sampler = NULL;
    uint32_t x = 20240117;

    assert_int_equal(sampler_new(N_LARGE, &sampler, NULL), ST_OK);
    for (size_t k = 0; k < 4; k++) {
        double total = 0, mass = 0;
        size_t n_kept = 0;

        for (size_t i = 0; i < N_LARGE; i++) {
            x = x * 1664525u + 1013904223u; /* Numerical Recipes LCG */
            large[i] = sorted[i] = (float)(x >> 8) * 0x1p-24f * steepness[k];
        }
        qsort(sorted, N_LARGE, sizeof(*sorted), by_falling_value);
        for (size_t i = 0; i < N_LARGE; i++)
            total += exp((double)sorted[i]);
        while (mass < 0.9 * total)
            mass += exp((double)sorted[n_kept++]);

        for (size_t i = 0; i < 50; i++) {
            const struct sample_input in = {
                .logits = large, .how = &f->how, .tokens = f->tokens, .n_prompt = i, .n_tokens = i
            };

            f->how.top_k = 50;
            f->how.top_p = 1;
            assert_true(large[choose(sampler, &in).token] >= sorted[49]);
            f->how.top_k = 0;
            f->how.top_p = 0.9f; /* +2: sums of float weights may end a token apart */
            assert_true(large[choose(sampler, &in).token] >=
                        sorted[n_kept + 2 < N_LARGE ? n_kept + 2 : N_LARGE - 1]);
        }
    }
    sampler_free(sampler);
}

static void what_is_no_number_is_never_chosen(void **state)
{
    static const float broken[N_VOCAB] = { NAN, 1, INFINITY, 2, -INFINITY, NAN, 2, INFINITY };
    struct fixture *f = *state;

    f->how.wants_logprobs = true;
    f->how.n_top_logprobs = N_VOCAB;
    for (uint32_t top_k = 0; top_k <= N_VOCAB; top_k++)
        for (size_t i = 0; i < 200; i++) {
            const struct sample_input in = {
                .logits = broken, .how = &f->how, .tokens = f->tokens, .n_prompt = i, .n_tokens = i
            };
            struct sample s;

            f->how.top_k = top_k;
            f->how.temperature = i == 0 ? 0 : 5;
            f->how.top_p = i % 2 == 0 ? 1 : 0.99f;
            s = choose(f->sampler, &in);
            assert_true(s.token == 1 || s.token == 3 || s.token == 6);
            assert_true(i > 0 || s.token == 3);
            assert_true(isfinite(s.logprob));
            assert_int_equal(s.n_top, 3);
            assert_true(isfinite(s.top[0].logprob) && s.top[2].token == 1);
        }
}

static void without_any_number_nothing_is_chosen(void **state)
{
    static const float broken[N_VOCAB] = { NAN, NAN, INFINITY, -INFINITY, NAN, NAN, NAN, NAN };
    struct fixture *f = *state;
    const struct sample_input in = { .logits = broken, .how = &f->how };
    struct sample sample = { .token = 77 };

    f->how.wants_logprobs = true;
    assert_int_equal(sampler_choose(f->sampler, &in, &sample, NULL), ST_RANGE);
    f->how.temperature = 0;
    assert_int_equal(sampler_choose(f->sampler, &in, &sample, NULL), ST_RANGE);
    assert_int_equal(sample.token, 77);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(plain_sampling_is_softmax),
        CASE(temperature_divides_logits),
        CASE(top_k_keeps_the_largest),
        CASE(top_p_keeps_the_smallest_set_that_reaches_it),
        CASE(top_p_is_of_what_top_k_left),
        CASE(min_p_cuts_relative_to_the_largest),
        CASE(temperature_zero_takes_the_lowest_of_equals),
        CASE(the_same_seed_and_position_give_the_same_token),
        CASE(bias_and_bans_move_the_choice),
        CASE(penalties_look_at_the_tokens_they_should),
        CASE(logprobs_are_of_the_model_alone),
        CASE(a_large_vocabulary_is_filtered_as_by_a_full_sort),
        CASE(what_is_no_number_is_never_chosen),
        CASE(without_any_number_nothing_is_chosen),
    };

    return cmocka_run_group_tests_name("execute/sample", tests, NULL, NULL);
}
