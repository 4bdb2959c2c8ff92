/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/engine/test_profile.c - where a step's time goes is kept when asked for, and only then. */
#include "support/check.h"

#include <string.h>

#include "engine/engine.h"
#include "support/numbers.h"

enum { N_ROWS = 9, N_VOCAB = 40, N_STEPS = 3 };

struct pulses {
    unsigned n_begun, n_on, n_ended;
};

static void feel(void *arg, enum engine_pulse what)
{
    struct pulses *p = arg;

    assert_int_equal(p->n_begun - p->n_ended, what == PULSE_BEGIN ? 0 : 1);
    p->n_begun += what == PULSE_BEGIN;
    p->n_on += what == PULSE_ON;
    p->n_ended += what == PULSE_END;
}

static struct engine_profile profile_of_steps(bool is_profiled, struct pulses *pulses)
{
    static const uint32_t page = 0, logit_row = N_ROWS - 1;
    static const int32_t tokens[N_ROWS] = { 1, 2, 3 };
    const struct random_model spec = { .dtype = DTYPE_Q4_0,
                                       .n_layer = 2,
                                       .n_hidden = 64,
                                       .n_ff = 64,
                                       .n_head = 2,
                                       .n_kv_head = 2,
                                       .head_dim = 32,
                                       .n_rope = 32,
                                       .n_vocab = N_VOCAB };
    const struct engine_options options = { .page_tokens = 16,
                                            .n_pages = 1,
                                            .max_rows = N_ROWS,
                                            .max_logit_rows = 1,
                                            .n_threads = 2,
                                            .is_profiled = is_profiled,
                                            .on_pulse = pulses ? feel : NULL,
                                            .pulse_arg = pulses };
    const struct engine_span span = { .n_rows = N_ROWS, .pages = &page, .n_pages = 1 };
    const struct engine_batch batch = { .n_rows = N_ROWS,
                                        .tokens = tokens,
                                        .spans = &span,
                                        .n_spans = 1,
                                        .logit_rows = &logit_row,
                                        .n_logit_rows = 1 };
    struct engine_profile profile;
    struct engine_shard *shard = NULL;
    struct shard_weights model;
    float logits[N_VOCAB];
    struct err err = { 0 };

    random_model_init(&model, &spec);
    assert_ok(engine_find("cpu")->open(&model, &options, &shard, &err), err);
    for (int i = 0; i < N_STEPS; i++)
        assert_ok(shard->type->step(shard, &batch, NULL, logits, &err), err);
    shard->type->profile(shard, &profile);
    shard->type->close(shard);
    random_model_release(&model);
    return profile;
}

static void every_phase_of_a_step_takes_its_part_of_the_time(void **state)
{
    const struct engine_profile profile = profile_of_steps(true, NULL);
    uint64_t sum = 0;

    (void)state;
    assert_int_equal(profile.n_steps, N_STEPS);
    for (unsigned i = 0; i < N_ENGINE_PHASES; i++) {
        assert_true(profile.phase_ns[i] > 0);
        assert_true(strlen(engine_phase_name((enum engine_phase)i)) > 0);
        sum += profile.phase_ns[i];
    }
    assert_true(sum <= profile.total_ns);
}

static void no_time_is_kept_where_nobody_asked(void **state)
{
    static const struct engine_profile nothing;
    const struct engine_profile profile = profile_of_steps(false, NULL);

    (void)state;
    assert_memory_equal(&profile, &nothing, sizeof(profile));
}

static void a_step_is_felt_from_its_begin_to_its_end(void **state)
{
    struct pulses pulses = { 0 };

    (void)state;
    (void)profile_of_steps(false, &pulses);
    assert_int_equal(pulses.n_begun, N_STEPS);
    assert_int_equal(pulses.n_ended, N_STEPS);
    assert_true(pulses.n_on >= N_STEPS * 2); /* in each of two layers */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_phase_of_a_step_takes_its_part_of_the_time),
        cmocka_unit_test(no_time_is_kept_where_nobody_asked),
        cmocka_unit_test(a_step_is_felt_from_its_begin_to_its_end),
    };

    return cmocka_run_group_tests_name("engine/profile", tests, NULL, NULL);
}
