/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/base/test_status.c - statuses have words, errors keep their order. */
#include "support/check.h"

#include <string.h>

#include "base/status.h"

static void every_status_has_words_and_survives_the_wire(void **state)
{
    static const enum status all[] = {
#define X(name, code, words) name,
        STATUS_MAP(X)
#undef X
    };

    (void)state;
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        assert_string_not_equal(status_words(all[i]), "unknown status");
        assert_int_equal(status_from_code((int)all[i]), all[i]);
    }
    assert_int_equal(status_from_code(77), ST_IO);
}

static void wrapping_puts_the_outer_words_first(void **state)
{
    struct err err;

    (void)state;
    assert_int_equal(err_set(&err, ST_FORMAT, "byte %d is wrong", 7), ST_FORMAT);
    err_wrap(&err, "load '%s'", "x.gguf");
    assert_string_equal(err.words, "load 'x.gguf': byte 7 is wrong");
    assert_int_equal(err.status, ST_FORMAT);
}

static void long_words_are_cut_not_overrun(void **state)
{
    char longest[2 * ERR_WORDS_MAX];
    struct err err;

    (void)state;
    memset(longest, 'a', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    err_set(&err, ST_IO, "%s", longest);
    err_wrap(&err, "%s", longest);
    assert_int_equal(strlen(err.words), ERR_WORDS_MAX - 1);
}

static void no_buffer_is_fine(void **state)
{
    (void)state;
    assert_int_equal(err_set(NULL, ST_RANGE, "unused"), ST_RANGE);
    err_wrap(NULL, "unused");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_status_has_words_and_survives_the_wire),
        cmocka_unit_test(wrapping_puts_the_outer_words_first),
        cmocka_unit_test(long_words_are_cut_not_overrun),
        cmocka_unit_test(no_buffer_is_fine),
    };
    return cmocka_run_group_tests_name("base/status", tests, NULL, NULL);
}
