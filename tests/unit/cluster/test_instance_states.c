/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/cluster/test_instance_states.c - which way an instance may go. */
#include "support/check.h"

#include "cluster/cluster_priv.h"

static void only_forward(void **state)
{
    static const bool may[3][3] = {
        [INSTANCE_PLACING] = { [INSTANCE_READY] = true, [INSTANCE_GONE] = true },
        [INSTANCE_READY] = { [INSTANCE_GONE] = true },
        [INSTANCE_GONE] = { false },
    };

    (void)state;
    for (int from = 0; from < 3; from++)
        for (int to = 0; to < 3; to++)
            assert_int_equal(instance_may_move((enum instance_state)from, (enum instance_state)to),
                             may[from][to]);
}

static void every_state_has_a_word(void **state)
{
    (void)state;
    assert_string_equal(instance_state_word(INSTANCE_PLACING), "placing");
    assert_string_equal(instance_state_word(INSTANCE_READY), "ready");
    assert_string_equal(instance_state_word(INSTANCE_GONE), "gone");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_forward),
        cmocka_unit_test(every_state_has_a_word),
    };
    return cmocka_run_group_tests_name("cluster/instance_states", tests, NULL, NULL);
}
