/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/execute/test_weights.c - weights of tokens against exponentials in double precision. */
#include "support/check.h"

#include <float.h>
#include <math.h>

#include "execute/sample/weights.h"

enum { N = 20011 }; /* a prime: no multiple of any vector */

static float logits[N], weights[N];

static void weights_are_exponentials_and_their_sum(void **state)
{
    static const float scales[] = { 0.2f, 1.0f, 1.4285714f, 5.0f };

    (void)state;
    for (unsigned s = 0; s < 4; s++) {
        const float top = 31.5f, scale = scales[s];
        double sum = 0, total;

        for (uint32_t i = 0; i < N; i++)
            logits[i] = top - 0.004f * (float)i;
        total = sample_weights(weights, logits, N, top, scale);
        for (uint32_t i = 0; i < N; i++) {
            const double x = ((double)logits[i] - (double)top) * (double)scale, exact = exp(x);

            sum += exact;
            if (exact < 0x1p-126)
                assert_true(weights[i] <= 0x1p-126f);
            else
                assert_true(fabs((double)weights[i] - exact) <= exact * (5e-7 - x * 1e-7));
        }
        assert_true(fabs(total - sum) <= 2e-6 * sum);
        assert_true(weights[0] == 1.0f);
    }
}

static void what_is_no_logit_weighs_nothing(void **state)
{
    const float odd[] = { NAN, INFINITY, -INFINITY, 2.5f, 2.0f, -FLT_MAX };
    float got[6];

    (void)state;
    assert_true(sample_weights(got, odd, 6, 2.0f, 1.0f) == 1.0);
    for (unsigned i = 0; i < 6; i++)
        assert_true(got[i] == (i == 4 ? 1.0f : 0.0f));
}

static void tiny_temperatures_leave_the_largest_alone(void **state)
{
    const float some[] = { 7.0f, 6.9999995f, 7.0f, -7.0f };
    float got[4];

    (void)state;
    assert_true(sample_weights(got, some, 4, 7.0f, FLT_MAX) == 2.0);
    assert_true(got[1] == 0.0f && got[3] == 0.0f);
}

static void a_row_may_become_its_own_weights(void **state)
{
    float row[] = { 0.0f, -1.0f, 0.0f };

    (void)state;
    (void)sample_weights(row, row, 3, 0.0f, 1.0f);
    assert_true(row[0] == 1.0f && row[2] == 1.0f && fabsf(row[1] - 0.36787944f) < 1e-6f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(weights_are_exponentials_and_their_sum),
        cmocka_unit_test(what_is_no_logit_weighs_nothing),
        cmocka_unit_test(tiny_temperatures_leave_the_largest_alone),
        cmocka_unit_test(a_row_may_become_its_own_weights),
    };

    return cmocka_run_group_tests_name("execute/weights", tests, NULL, NULL);
}
