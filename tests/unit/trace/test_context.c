/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/trace/test_context.c - traceparent and tracestate: what is one, and what is none (W3C Trace Context). */
#include "support/check.h"

#include <stdio.h>
#include <string.h>

#include "base/size.h"
#include "trace/context.h"

#define TRACE "0af7651916cd43dd8448eb211c80319c"
#define SPAN  "b7ad6b7169203331"
#define FINE  "00-" TRACE "-" SPAN "-01"

static void a_traceparent_is_read_and_written_again(void **state)
{
    struct trace_context c;
    char text[TRACE_PARENT_MAX];

    (void)state;
    assert_true(trace_context_read(FINE, &c));
    assert_true(c.is_sampled);
    assert_int_equal(c.trace_id[0], 0x0a);
    assert_int_equal(c.span_id[7], 0x31);
    trace_context_write(&c, text);
    assert_string_equal(text, FINE);
    assert_true(trace_context_read("00-" TRACE "-" SPAN "-fe", &c));
    assert_false(c.is_sampled);
    trace_context_write(&c, text);
    assert_string_equal(text, "00-" TRACE "-" SPAN "-00");
}

static void what_is_no_traceparent_is_refused(void **state)
{
    static const char *const wrong[] = {
        "",
        "00",
        "00-" TRACE "-" SPAN "-0",
        "00-" TRACE "-" SPAN "-01 ",
        "00-" TRACE "-" SPAN "-01-",
        " " FINE,
        "ff-" TRACE "-" SPAN "-01",
        "0g-" TRACE "-" SPAN "-01",
        "00-00000000000000000000000000000000-" SPAN "-01",
        "00-" TRACE "-0000000000000000-01",
        "00-0AF7651916CD43DD8448EB211C80319C-" SPAN "-01",
        "00-" TRACE "-B7AD6B7169203331-01",
        "00-" TRACE "-" SPAN "-0A",
        "00_" TRACE "-" SPAN "-01",
        "00-" TRACE "_" SPAN "-01",
        "00-" TRACE "-" SPAN "_01",
        "00-" TRACE "0-" SPAN "-01",
        "01-" TRACE "-" SPAN "-01x",
    };
    struct trace_context c = { .is_sampled = true };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        if (trace_context_read(wrong[i], &c))
            fail_msg("'%s' was taken", wrong[i]);
    }
    assert_false(trace_context_read(NULL, &c));
    assert_false(trace_context_is_set(&c));
}

static void of_versions_to_come_what_is_known_is_read(void **state)
{
    struct trace_context c;

    (void)state;
    assert_true(trace_context_read("cc-" TRACE "-" SPAN "-01", &c));
    assert_true(trace_context_read("cc-" TRACE "-" SPAN "-01-what-will-be", &c));
    assert_true(c.is_sampled);
}

static void a_tracestate_that_is_one_goes_on(void **state)
{
    static const char *const fine[] = {
        "rojo=00f067aa0ba902b7",
        "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE",
        "rojo=1 , congo=2\t,,x=3,",
        "t@v=1,0t@v=2",
        "a_-*/=~!",
        "a=b c",
    };
    static const char *const wrong[] = {
        "",       ",",          " ",       "a",           "a=",
        "=b",     "A=b",        "1a=b",    "a=b,a=c",     "a=b=c",
        "a@=b",   "@a=b",       "a@b@c=d", "a@1b=c",      "a=\x7f",
        "a=\x01", "a=\xc3\xa4", "a b=c",   "a=b\r\nX: y", "t@abcdefghijklmno=1",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(fine); i++) {
        if (!trace_state_is_valid(fine[i]))
            fail_msg("'%s' was refused", fine[i]);
    }
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        if (trace_state_is_valid(wrong[i]))
            fail_msg("'%s' was taken", wrong[i]);
    }
    assert_false(trace_state_is_valid(NULL));
}

static void a_tracestate_has_bounds(void **state)
{
    char text[1024];
    size_t n = 0;

    (void)state;
    for (int i = 0; i < TRACE_STATE_MEMBERS; i++)
        n += (size_t)snprintf(text + n, sizeof(text) - n, "%sk%d=v", i > 0 ? "," : "", i);
    assert_true(trace_state_is_valid(text));
    (void)snprintf(text + n, sizeof(text) - n, ",one=more");
    assert_false(trace_state_is_valid(text));
    memset(text, 'v', sizeof(text));
    text[0] = 'k';
    text[1] = '=';
    text[258] = '\0';
    assert_true(trace_state_is_valid(text));
    text[258] = 'v';
    text[259] = '\0';
    assert_false(trace_state_is_valid(text));
}

static void a_span_below_is_another_of_the_same_trace(void **state)
{
    struct trace_context a, b, fresh = { 0 };

    (void)state;
    assert_true(trace_context_read(FINE, &a));
    b = trace_context_below(&a);
    assert_memory_equal(a.trace_id, b.trace_id, sizeof(a.trace_id));
    assert_memory_not_equal(a.span_id, b.span_id, sizeof(a.span_id));
    assert_true(b.is_sampled);
    fresh = trace_context_below(&fresh);
    assert_true(trace_context_is_set(&fresh));
    assert_false(fresh.is_sampled);
}

/* The last seven bytes as a fraction of one: exactly a half here. */
static void the_ratio_is_of_the_ids_random_part(void **state)
{
    struct trace_context c = { .trace_id = { 0xff, 0xff, [9] = 0x80 } };

    (void)state;
    assert_false(trace_id_is_within(&c, 0));
    assert_false(trace_id_is_within(&c, 0.5));
    assert_true(trace_id_is_within(&c, 0.50001));
    assert_true(trace_id_is_within(&c, 1));
    memset(c.trace_id, 0xff, sizeof(c.trace_id));
    assert_true(trace_id_is_within(&c, 1));
    assert_false(trace_id_is_within(&c, 0.99));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_traceparent_is_read_and_written_again),
        cmocka_unit_test(what_is_no_traceparent_is_refused),
        cmocka_unit_test(of_versions_to_come_what_is_known_is_read),
        cmocka_unit_test(a_tracestate_that_is_one_goes_on),
        cmocka_unit_test(a_tracestate_has_bounds),
        cmocka_unit_test(a_span_below_is_another_of_the_same_trace),
        cmocka_unit_test(the_ratio_is_of_the_ids_random_part),
    };

    return cmocka_run_group_tests_name("trace/context", tests, NULL, NULL);
}
