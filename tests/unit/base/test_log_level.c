/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/base/test_log_level.c - levels are read, written, and hold for their component. */
#include "support/check.h"

#include <string.h>

#include "base/log_level.h"
#include "base/size.h"

static const char *text_of(const char *text)
{
    static char again[LOG_LEVELS_TEXT_MAX];
    struct log_levels levels;
    struct err err;

    assert_ok(log_levels_parse(text, &levels, &err), err);
    log_levels_text(&levels, again);
    return again;
}

static void levels_are_written_as_they_are_read(void **state)
{
    (void)state;
    assert_string_equal(text_of("info"), "info");
    assert_string_equal(text_of("warn,flow=debug,cluster=error"), "warn,cluster=error,flow=debug");
    assert_string_equal(text_of("debug,flow=debug"), "debug");
    assert_string_equal(text_of("debug,flow=info,flow=error"), "debug,flow=error");
}

static void the_longest_text_has_room(void **state)
{
    struct log_levels levels = { .common = LOG_INFO };
    char text[LOG_LEVELS_TEXT_MAX];
    struct err err;

    (void)state;
    for (size_t i = 0; i < N_LOG_COMPONENTS; i++)
        levels.of[i] = LOG_DEBUG;
    log_levels_text(&levels, text);
    assert_in_range(strlen(text), 1, LOG_LEVELS_TEXT_MAX - 2);
    assert_ok(log_levels_parse(text, &levels, &err), err);
}

static void what_is_wrong_is_named(void **state)
{
    static const struct {
        const char *text, *words;
    } wrong[] = {
        { "", "log level ''" },
        { "loud", "'loud'" },
        { "info,", "''" },
        { "info,flow", "'flow'" },
        { "info,engine=debug", "'engine'" },
        { "info,flow=loud", "'loud'" },
        { "info,flow=", "log level ''" },
        { "flow=debug", "'flow=debug'" },
        { "info flow=debug", "'info flow=debug'" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        struct log_levels levels = { .common = LOG_ERROR };
        struct err err = { 0 };

        assert_int_equal(log_levels_parse(wrong[i].text, &levels, &err), ST_RANGE);
        assert_int_equal(levels.common, LOG_ERROR);
        assert_non_null(strstr(err.words, wrong[i].words));
    }
}

static void a_component_has_its_own_level(void **state)
{
    (void)state;
    assert_true(log_is_on(LOG_INFO, LOG_IN_FLOW));
    assert_false(log_is_on(LOG_DEBUG, LOG_IN_FLOW));
    log_levels_choose("warn,flow=debug", "error");
    assert_true(log_is_on(LOG_DEBUG, LOG_IN_FLOW));
    assert_false(log_is_on(LOG_INFO, LOG_IN_CLUSTER));
    assert_true(log_is_on(LOG_WARN, LOG_IN_CLUSTER));
    log_levels_choose(NULL, "error");
    assert_false(log_is_on(LOG_WARN, LOG_IN_FLOW));
    log_levels_choose("", "");
    assert_true(log_is_on(LOG_INFO, LOG_IN_FLOW));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(levels_are_written_as_they_are_read),
        cmocka_unit_test(the_longest_text_has_room),
        cmocka_unit_test(what_is_wrong_is_named),
        cmocka_unit_test(a_component_has_its_own_level),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
