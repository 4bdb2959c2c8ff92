/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/base/test_log.c - other machines' words change neither a terminal nor a log's fields. */
#include "support/check.h"

#include <string.h>

#include "base/log.h"

enum { CAPACITY = 256 };

static const char *format(const char *words, bool is_on_terminal)
{
    static char line[CAPACITY + 1];
    const struct log_event event = { LOG_INFO, { 0, 0 }, "node a", words, is_on_terminal };
    const size_t n = log_format(line, CAPACITY, &event);

    assert_in_range(n, 1, CAPACITY);
    line[n] = '\0';
    assert_int_equal(line[n - 1], '\n');
    return line;
}

static void control_bytes_do_not_reach_a_terminal(void **state)
{
    (void)state;
    assert_non_null(strstr(format("a\033[2Jb\rc\nd\177e", true), "node a: a [2Jb c d e\033[0m\n"));
    assert_non_null(strstr(format("C1: \xc2\x9b"
                                  "2J",
                                  true),
                           "C1:  2J\033[0m\n"));
    assert_non_null(strstr(format("Grüße, \"x\\y\"", true), "Grüße, \"x\\y\"\033[0m\n"));
}

static void logfmt_keeps_its_fields(void **state)
{
    (void)state;
    assert_string_equal(format("a\" level=error msg=\"b\n\\", false),
                        "ts=1970-01-01T00:00:00.000Z level=info src=\"node a\" "
                        "msg=\"a\\\" level=error msg=\\\"b \\\\\"\n");
}

static void long_words_are_cut(void **state)
{
    char words[2 * CAPACITY];

    (void)state;
    memset(words, '"', sizeof(words) - 1);
    words[sizeof(words) - 1] = '\0';
    assert_non_null(strstr(format(words, false), "\\\"\"\n"));
    assert_non_null(strstr(format(words, true), "\"\033[0m\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(control_bytes_do_not_reach_a_terminal),
        cmocka_unit_test(logfmt_keeps_its_fields),
        cmocka_unit_test(long_words_are_cut),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
