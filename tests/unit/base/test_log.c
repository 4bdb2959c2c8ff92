/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/base/test_log.c - a line is one line, its fields are those that were given, in each format. */
#include "support/check.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/size.h"
#include "support/allocations.h"

static const enum log_format formats[] = { LOG_LOGFMT, LOG_JSON, LOG_PRETTY, LOG_JOURNAL };

static char line[2 * LOG_LINE_MAX + 1];

static const char *render(enum log_format format, const char *message,
                          const struct log_field *fields, size_t n_fields)
{
    const struct log_field common[] = { log_text("node", "a"), log_count("rank", 2) };
    const struct log_event event = { .level = LOG_WARN,
                                     .component = LOG_IN_FLOW,
                                     .when = { 86400, 7000000 },
                                     .message = message,
                                     .common = common,
                                     .n_common = ARRAY_LEN(common),
                                     .fields = fields,
                                     .n_fields = n_fields };
    const size_t n = log_render(format, &event, line, LOG_LINE_MAX);

    assert_in_range(n, 1, LOG_LINE_MAX);
    line[n] = '\0';
    assert_int_equal(strlen(line), n);
    assert_int_equal(line[n - 1], '\n');
    return line;
}

static void each_format_has_level_component_and_fields(void **state)
{
    const struct log_field fields[] = { log_text("request_id", "req_1"), log_count("tokens", 7),
                                        log_number("status", -3), log_real("ms", 1.5),
                                        log_text("missing", NULL) };
    const size_t n = ARRAY_LEN(fields);

    (void)state;
    assert_string_equal(render(LOG_LOGFMT, "it is over", fields, n),
                        "ts=1970-01-02T00:00:00.007Z level=warn component=flow node=a rank=2 "
                        "msg=\"it is over\" request_id=req_1 tokens=7 status=-3 ms=1.5\n");
    assert_string_equal(render(LOG_JSON, "it is over", fields, n),
                        "{\"ts\":\"1970-01-02T00:00:00.007Z\",\"level\":\"warn\","
                        "\"component\":\"flow\",\"node\":\"a\",\"rank\":2,\"msg\":\"it is over\","
                        "\"request_id\":\"req_1\",\"tokens\":7,\"status\":-3,\"ms\":1.5}\n");
    assert_string_equal(render(LOG_PRETTY, "it is over", fields, n),
                        "00:00:00 warn  flow: it is over request_id=req_1 tokens=7 status=-3 "
                        "ms=1.5\n");
    assert_string_equal(render(LOG_JOURNAL, "it is over", fields, n),
                        "MESSAGE=it is over request_id=req_1 tokens=7 status=-3 ms=1.5\n"
                        "SYSLOG_IDENTIFIER=pomona\nPRIORITY=4\nPOMONA_LEVEL=warn\n"
                        "POMONA_COMPONENT=flow\nPOMONA_NODE=a\nPOMONA_RANK=2\n"
                        "POMONA_REQUEST_ID=req_1\nPOMONA_TOKENS=7\nPOMONA_STATUS=-3\n"
                        "POMONA_MS=1.5\n");
}

static void colour_is_for_terminals(void **state)
{
    struct log_event event = { .level = LOG_WARN, .message = "hot", .is_coloured = true };
    size_t n = log_render(LOG_PRETTY, &event, line, LOG_LINE_MAX);

    (void)state;
    line[n] = '\0';
    assert_string_equal(line, "\033[2m00:00:00\033[0m \033[33mwarn  main: hot\033[0m\n");
    event.is_coloured = false;
    n = log_render(LOG_PRETTY, &event, line, LOG_LINE_MAX);
    line[n] = '\0';
    assert_null(strchr(line, '\033'));
}

static size_t count(const char *text, char c)
{
    size_t n = 0;

    for (; *text; text++)
        n += *text == c;
    return n;
}

/* What others said can end no line, begin no field, and move no cursor. */
static void words_of_others_stay_values(void **state)
{
    const struct log_field field = log_text("error", "a\" level=error\nPOMONA_X=\\\r\t\033[2J\177");

    (void)state;
    assert_non_null(
        strstr(render(LOG_LOGFMT, "m", &field, 1),
               " error=\"a\\\" level=error\\nPOMONA_X=\\\\\\r\\t\\u001b[2J\\u007f\"\n"));
    assert_non_null(
        strstr(render(LOG_JSON, "m", &field, 1),
               ",\"error\":\"a\\\" level=error\\nPOMONA_X=\\\\\\r\\t\\u001b[2J\\u007f\"}\n"));
    for (size_t i = 0; i < ARRAY_LEN(formats); i++) {
        (void)render(formats[i], "x\ny\033[2J", &field, 1);
        assert_null(strchr(line, '\033'));
        assert_null(strchr(line, '\177'));
        assert_int_equal(count(line, '\n'), formats[i] == LOG_JOURNAL ? 8 : 1);
        assert_null(strstr(line, "\nPOMONA_X"));
    }
}

static void c1_is_a_control_too(void **state)
{
    (void)state;
    assert_non_null(strstr(render(LOG_PRETTY,
                                  "C1: \xc2\x9b"
                                  "2J",
                                  NULL, 0),
                           "C1:  2J\n"));
    assert_non_null(strstr(render(LOG_JSON,
                                  "C1: \xc2\x9b"
                                  "2J",
                                  NULL, 0),
                           "C1: \\u009b2J\""));
    assert_non_null(strstr(render(LOG_PRETTY, "Grüße, \"x\\y\"", NULL, 0), "Grüße, \"x\\y\"\n"));
}

/* A byte alone, an overlong form, half of a pair, beyond U+10FFFF, an end in the middle. */
static void what_is_not_utf8_is_replaced(void **state)
{
    static const char *const wrong[] = {
        "\xff", "\x80", "\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x82"
    };

    (void)state;
    for (size_t w = 0; w < ARRAY_LEN(wrong); w++) {
        const struct log_field field = log_text("error", wrong[w]);

        for (size_t i = 0; i < ARRAY_LEN(formats); i++) {
            (void)render(formats[i], wrong[w], &field, 1);
            assert_null(strstr(line, wrong[w]));
            assert_non_null(strstr(line, "\xef\xbf\xbd"));
        }
    }
}

static void a_value_needs_quotes_or_not(void **state)
{
    const struct log_field fields[] = { log_text("a", ""), log_text("b", "10.0.0.1:80"),
                                        log_text("c", "x=y"), log_text("d", "ü") };

    (void)state;
    assert_non_null(strstr(render(LOG_LOGFMT, "m", fields, ARRAY_LEN(fields)),
                           " a=\"\" b=10.0.0.1:80 c=\"x=y\" d=\"ü\"\n"));
}

static void no_number_is_none_in_json(void **state)
{
    const struct log_field fields[] = { log_real("a", NAN), log_real("b", INFINITY) };

    (void)state;
    assert_non_null(strstr(render(LOG_JSON, "m", fields, 2), "\"a\":null,\"b\":null}\n"));
}

/* The bound holds for the message, for a value and for many; the line ends as it has to. */
static void a_long_line_is_cut_and_says_so(void **state)
{
    static char words[3 * LOG_VALUE_MAX_BYTES];
    struct log_field fields[12];

    (void)state;
    memset(words, '"', sizeof(words) - 1);
    for (size_t i = 0; i < ARRAY_LEN(fields); i++)
        fields[i] = log_text("error", words);
    for (size_t i = 0; i < ARRAY_LEN(formats); i++) {
        (void)render(formats[i], words, fields, ARRAY_LEN(fields));
        assert_non_null(strstr(line, "..."));
    }
    assert_non_null(strstr(render(LOG_LOGFMT, words, fields, 12), "\" cut=true\n"));
    assert_non_null(strstr(render(LOG_JSON, words, fields, 12), "\",\"cut\":true}\n"));
    for (size_t room = LOG_LINE_MIN; room < LOG_LINE_MIN + 64; room++)
        for (size_t i = 0; i < ARRAY_LEN(formats); i++) {
            const struct log_event event = { .message = words, .fields = fields, .n_fields = 12 };

            assert_in_range(log_render(formats[i], &event, line, room), 1, room);
        }
}

static void characters_are_not_cut_in_two(void **state)
{
    char words[LOG_VALUE_MAX_BYTES + 2];

    (void)state;
    memset(words, 'x', sizeof(words));
    memcpy(words + LOG_VALUE_MAX_BYTES - 1, "ü", sizeof("ü"));
    assert_non_null(strstr(render(LOG_JSON, words, NULL, 0), "x...\""));
}

/* Standard error as a file, while fn() logs: what was written. */
static void captured(void (*fn)(void), char *ret, size_t capacity)
{
    FILE *file = tmpfile();
    const int old = dup(STDERR_FILENO);
    size_t n;

    assert_non_null(file);
    assert_true(old >= 0 && dup2(fileno(file), STDERR_FILENO) >= 0);
    fn();
    assert_true(dup2(old, STDERR_FILENO) >= 0);
    (void)close(old);
    rewind(file);
    n = fread(ret, 1, capacity - 1, file);
    ret[n] = '\0';
    (void)fclose(file);
}

static int n_evaluated;

static const char *evaluated(void)
{
    n_evaluated++;
    return "x";
}

static void log_some(void)
{
    log_with(LOG_INFO, "told", log_text("peer", "b"));
    log_debug("hidden %s", evaluated());
    log_with(LOG_DEBUG, "hidden", log_text("peer", evaluated()));
    log_of(LOG_IN_ACCESS, LOG_DEBUG, "an answer", log_text("request_id", "req_1"));
}

static void what_is_off_is_neither_told_nor_evaluated(void **state)
{
    char said[4096];
    struct log_levels levels;

    (void)state;
    assert_int_equal(log_levels_parse("info,access=debug", &levels, NULL), ST_OK);
    log_levels_use(&levels);
    log_use_format(LOG_LOGFMT);
    captured(log_some, said, sizeof(said));
    log_set_level(LOG_INFO);
    assert_non_null(strstr(said, "level=info component=main msg=\"told\" peer=b\n"));
    assert_non_null(strstr(said, "level=debug component=access msg=\"an answer\""));
    assert_null(strstr(said, "hidden"));
    assert_int_equal(n_evaluated, 0);
}

static void log_equal_lines(void)
{
    for (unsigned i = 0; i < 100; i++)
        log_with(LOG_WARN, "again", log_text("peer", "b"));
    for (unsigned i = 0; i < 100; i++)
        log_with(LOG_WARN, "another", log_count("i", i));
}

/* A hundred lines may take longer than a window on a crowded machine: then more of them are told. */
static void equal_lines_are_told_a_few_times_and_others_all(void **state)
{
    static char said[1 << 16];
    size_t n = 0;

    (void)state;
    captured(log_equal_lines, said, sizeof(said));
    for (const char *at = said; (at = strstr(at, "\"again\"")) != NULL; at++)
        n++;
    assert_in_range(n, 20, 99);
    assert_int_equal(count(said, '\n'), n + 100);
}

static void log_without_memory(void)
{
    log_with(LOG_WARN, "first", log_text("peer", "b"));
    allocations_reset();
    for (unsigned i = 0; i < 50; i++) {
        log_with(LOG_WARN, "a request", log_count("i", i), log_real("ms", 0.1 * i));
        log_warn("a request %u", i);
    }
}

static void a_line_allocates_nothing(void **state)
{
    static char said[1 << 16];

    (void)state;
    captured(log_without_memory, said, sizeof(said));
    assert_int_equal(count(said, '\n'), 101);
    assert_int_equal(allocations_peak_bytes(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_format_has_level_component_and_fields),
        cmocka_unit_test(colour_is_for_terminals),
        cmocka_unit_test(words_of_others_stay_values),
        cmocka_unit_test(c1_is_a_control_too),
        cmocka_unit_test(what_is_not_utf8_is_replaced),
        cmocka_unit_test(a_value_needs_quotes_or_not),
        cmocka_unit_test(no_number_is_none_in_json),
        cmocka_unit_test(a_long_line_is_cut_and_says_so),
        cmocka_unit_test(characters_are_not_cut_in_two),
        cmocka_unit_test(what_is_off_is_neither_told_nor_evaluated),
        cmocka_unit_test(equal_lines_are_told_a_few_times_and_others_all),
        cmocka_unit_test(a_line_allocates_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
