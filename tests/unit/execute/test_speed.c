/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/execute/test_speed.c - figures follow from times; a yardstick is a real engine. */
#include "support/check.h"

#include <math.h>

#include "execute/speed/speed.h"
#include "execute/speed/telling.h"
#include "execute/speed/yardstick.h"

static const struct node_speed truth = { .memory_gbs = 25,
                                         .compute_gops = 200,
                                         .overlap = 3,
                                         .attend_gops = 40,
                                         .layer_us = 12,
                                         .row_ns = 9 };

enum { SHALLOW = 64, DEEP = 512 };

static double attention(const struct speed_size *size, double positions)
{
    return 4 * positions * size->hidden / (truth.attend_gops * 1e9);
}

/* The wide layers' times are those of reading or computing alone: with an overlap of p they would be
 * a little longer, which the figures cannot tell from a slower machine. */
static double time_of(const struct speed_size *size, double rows, double overlap)
{
    const double read = size->bytes / (truth.memory_gbs * 1e9);
    const double compute = 2 * rows * size->params / (truth.compute_gops * 1e9);
    const double both = overlap > 0 ? pow(pow(read, overlap) + pow(compute, overlap), 1 / overlap)
                                    : fmax(read, compute);

    return both + truth.layer_us * 1e-6 + rows * size->hidden * truth.row_ns * 1e-9 +
           rows * attention(size, SHALLOW);
}

static struct speed_times times_of_truth(void)
{
    struct speed_times t = { .wide = { 34e6, 60e6, 2048 }, .narrow = { 1.7e6, 3e6, 512 } };

    t.wide_1 = time_of(&t.wide, 1, 0);
    t.wide_16 = time_of(&t.wide, 16, 0);
    t.narrow_1 = time_of(&t.narrow, 1, 0);
    t.narrow_8 = time_of(&t.narrow, 8, 0);
    t.narrow_16 = time_of(&t.narrow, 16, 0);
    t.narrow_32 = time_of(&t.narrow, 32, 0);
    t.n_middle = 2;
    t.wide_middle = time_of(&t.wide, 2, truth.overlap);
    t.n_shallow = SHALLOW;
    t.n_depth = DEEP;
    t.narrow_deep = t.narrow_1 + attention(&t.narrow, DEEP - SHALLOW);
    return t;
}

static void assert_near(double is, double should_be)
{
    assert_true(fabs(is - should_be) <= 0.01 * should_be);
}

static void the_figures_are_those_that_make_the_times(void **state)
{
    const struct speed_times times = times_of_truth();
    struct node_speed speed = { 0 };

    (void)state;
    speed_solve(&times, &speed);
    assert_near(speed.memory_gbs, truth.memory_gbs);
    assert_near(speed.compute_gops, truth.compute_gops);
    assert_near(speed.overlap, truth.overlap);
    assert_near(speed.attend_gops, truth.attend_gops);
    assert_near(speed.layer_us, truth.layer_us);
    assert_near(speed.row_ns, truth.row_ns);
}

/* Times that contradict each other, as they do where something else runs meanwhile. */
static void noise_makes_no_figure_negative(void **state)
{
    struct speed_times t = times_of_truth();

    (void)state;
    for (unsigned seed = 0; seed < 128; seed++) {
        struct speed_times noisy = t;
        struct node_speed speed = { 0 };

        noisy.wide_1 *= seed & 1 ? 3 : 1;
        noisy.wide_16 *= seed & 2 ? 3 : 1;
        noisy.narrow_1 *= seed & 4 ? 3 : 1;
        noisy.narrow_16 *= seed & 8 ? 3 : 1;
        noisy.narrow_32 *= seed & 16 ? 3 : 1;
        noisy.narrow_8 *= seed & 64 ? 3 : 1;
        noisy.narrow_deep /= seed & 32 ? 3 : 1;
        speed_solve(&noisy, &speed);
        assert_true(node_speed_is_sane(&speed));
        assert_true(speed.memory_gbs > 1 && speed.compute_gops > 1 && speed.attend_gops > 1);
        assert_true(speed.overlap >= 1);
    }
}

static void layers_of_made_up_weights_can_be_timed(void **state)
{
    const struct yardstick_shape shape = { 128, 256, 2, 1, 2 };
    struct yardstick *y = NULL;
    struct err err = { 0 };
    double one = 0, deep = 0, many = 0;

    (void)state;
    assert_int_equal(yardstick_new(&shape, 1, "ref", &y, &err), ST_OK);
    assert_string_equal(yardstick_kernels(y), "ref");
    assert_int_equal(yardstick_time(y, 1, 0, &one, &err), ST_OK);
    assert_int_equal(yardstick_time(y, 1, YARDSTICK_DEPTH_MAX, &deep, &err), ST_OK);
    assert_int_equal(yardstick_time(y, YARDSTICK_ROWS_MAX, 0, &many, &err), ST_OK);
    assert_true(one > 0 && deep > 0 && many > 0);
    yardstick_free(y);
    assert_int_equal(yardstick_new(&shape, 1, "no-such", &y, &err), ST_UNSUPPORTED);
}

static void telling_tokens_costs_time(void **state)
{
    double step_s = 0, token_s = -1;
    struct err err = { 0 };

    (void)state;
    assert_int_equal(telling_time(&step_s, &token_s, &err), ST_OK);
    assert_true(step_s > 0 && token_s >= 0);
}

static void a_machine_that_others_use_is_not_quiet(void **state)
{
    const struct node_measure alone = { .others = 0.02 }, shared = { .others = 0.4 };

    (void)state;
    assert_true(node_measure_is_quiet(&alone));
    assert_false(node_measure_is_quiet(&shared));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_figures_are_those_that_make_the_times),
        cmocka_unit_test(noise_makes_no_figure_negative),
        cmocka_unit_test(layers_of_made_up_weights_can_be_timed),
        cmocka_unit_test(telling_tokens_costs_time),
        cmocka_unit_test(a_machine_that_others_use_is_not_quiet),
    };
    return cmocka_run_group_tests_name("execute/speed", tests, NULL, NULL);
}
