/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/cmd/test_units.c - numbers as people read and write them. */
#include "support/check.h"

#include "base/size.h"
#include "cmd/units.h"

enum { LIST_MAX = 3 };

static void amounts_move_to_the_next_unit_before_they_are_four_digits_long(void **state)
{
    char text[UNITS_MAX];

    (void)state;
    assert_string_equal(units_bytes(0, text), "0 B");
    assert_string_equal(units_bytes(999, text), "999 B");
    assert_string_equal(units_bytes(1000, text), "1.0 kB");
    assert_string_equal(units_bytes(999949, text), "999.9 kB");
    assert_string_equal(units_bytes(999950, text), "1.0 MB");
    assert_string_equal(units_bytes(UINT64_MAX, text), "18446.7 PB");
    assert_string_equal(units_count(134515008, text), "134.5M");
}

static void durations_grow_coarser(void **state)
{
    char text[UNITS_MAX];

    (void)state;
    assert_string_equal(units_seconds(0.421, text), "0.42 s");
    assert_string_equal(units_seconds(12.3, text), "12 s");
    assert_string_equal(units_seconds(200.9, text), "3 min 20 s");
    assert_string_equal(units_seconds(7260, text), "2 h 1 min");
    assert_string_equal(units_seconds(-1, text), "?");
    assert_string_equal(units_seconds(1e300, text), "?");
}

static void a_list_is_numbers_and_commas(void **state)
{
    uint32_t values[LIST_MAX];
    struct err err = { 0 };
    size_t n = 0;

    (void)state;
    assert_ok(units_list("18,1,30", 1, 30, values, LIST_MAX, &n, &err), err);
    assert_int_equal(n, 3);
    assert_int_equal(values[0], 18);
    assert_int_equal(values[2], 30);
}

static void what_is_not_such_a_list_is_refused(void **state)
{
    static const char *const wrong[] = { "",   ",",  "1,", ",1",      "1,,2",
                                         "0",  "31", "-1", "1;2",     "1 ,2",
                                         "1x", "x",  " 1", "1,2,3,4", "99999999999999999999" };
    uint32_t values[LIST_MAX];
    size_t n = 77;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
        assert_int_equal(units_list(wrong[i], 1, 30, values, LIST_MAX, &n, NULL), ST_RANGE);
    assert_int_equal(n, 77);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(amounts_move_to_the_next_unit_before_they_are_four_digits_long),
        cmocka_unit_test(durations_grow_coarser),
        cmocka_unit_test(a_list_is_numbers_and_commas),
        cmocka_unit_test(what_is_not_such_a_list_is_refused),
    };

    return cmocka_run_group_tests_name("cmd/units", tests, NULL, NULL);
}
