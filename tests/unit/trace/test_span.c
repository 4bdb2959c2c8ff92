/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/trace/test_span.c - a span as the protocol's JSON; and what is too much for one. */
#include "support/check.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "trace/span.h"
#include "trace/work.h"

static void assert_json(const struct span *s, const char *want)
{
    json_t *told = span_json(s, 1000);
    char *text = json_dumps(told, JSON_COMPACT);

    assert_string_equal(text, want);
    free(text);
    json_decref(told);
}

static struct span some_span(void)
{
    return (struct span){ .context = { .trace_id = { 1 }, .span_id = { 2 }, .is_sampled = true },
                          .parent_id = { 3 },
                          .kind = SPAN_CLIENT,
                          .begin_ns = 5,
                          .end_ns = UINT64_C(9007199254740993),
                          .name = "n" };
}

static void a_span_says_what_it_was_told(void **state)
{
    struct span s = some_span();

    (void)state;
    span_text(&s, "text", "a \"quote\" \xc3\xa4");
    span_text(&s, "none", NULL);
    span_text(&s, "none", "");
    span_whole(&s, "whole", UINT64_MAX);
    span_real(&s, "real", 0.5);
    span_truth(&s, "truth");
    s.events[s.n_events++] = (struct span_event){ "event", 7 };
    span_fail(&s, "why");
    span_fail(&s, "not this");
    assert_json(&s,
                "{\"traceId\":\"01000000000000000000000000000000\",\"spanId\":\"0200000000000000\","
                "\"parentSpanId\":\"0300000000000000\",\"flags\":1,\"name\":\"n\",\"kind\":3,"
                "\"startTimeUnixNano\":\"1005\",\"endTimeUnixNano\":\"9007199254741993\","
                "\"attributes\":["
                "{\"key\":\"text\",\"value\":{\"stringValue\":\"a \\\"quote\\\" \xc3\xa4\"}},"
                "{\"key\":\"whole\",\"value\":{\"intValue\":\"9223372036854775807\"}},"
                "{\"key\":\"real\",\"value\":{\"doubleValue\":0.5}},"
                "{\"key\":\"truth\",\"value\":{\"boolValue\":true}}],"
                "\"events\":[{\"timeUnixNano\":\"1007\",\"name\":\"event\"}],"
                "\"status\":{\"code\":2,\"message\":\"why\"}}");
}

static void what_is_no_utf8_and_what_is_too_much_is_left_out(void **state)
{
    struct span s = some_span();
    char long_text[SPAN_TEXT_MAX + 1];
    json_t *told;

    (void)state;
    memset(long_text, 'x', sizeof(long_text));
    long_text[SPAN_TEXT_MAX] = '\0';
    span_text(&s, "bad", "\xff");
    span_text(&s, "long", long_text);
    for (int i = 0; i < 2 * SPAN_EVENTS_MAX; i++)
        span_event(&s, "event");
    told = span_json(&s, 0);
    assert_int_equal(json_array_size(json_object_get(told, "attributes")), 0);
    assert_int_equal(json_array_size(json_object_get(told, "events")), SPAN_EVENTS_MAX);
    assert_int_equal(json_integer_value(json_object_get(told, "droppedAttributesCount")), 1);
    json_decref(told);
}

static void an_attribute_has_one_value(void **state)
{
    struct span s = some_span();

    (void)state;
    span_whole(&s, "a", 1);
    span_whole(&s, "a", 2);
    assert_int_equal(s.n_attributes, 1);
    assert_int_equal(s.attributes[0].whole, 2);
}

static void what_is_not_sampled_needs_no_check(void **state)
{
    (void)state;
    span_name(NULL, "a", "b");
    span_text(NULL, "a", "b");
    span_whole(NULL, "a", 1);
    span_real(NULL, "a", 1);
    span_truth(NULL, "a");
    span_event(NULL, "a");
    span_fail(NULL, "a");
    work_describe(&(struct work_span){ .kind = WORK_STEPS }, NULL);
}

static void work_has_its_own_times(void **state)
{
    const struct work_span work = { .kind = WORK_STEPS,
                                    .request_id = "r",
                                    .begin_ns = 10,
                                    .end_ns = 20,
                                    .n_tokens = 3,
                                    .n_steps = 2,
                                    .busy_ns = 5,
                                    .has_failed = true };
    struct span s = some_span();

    (void)state;
    work_describe(&work, &s);
    assert_string_equal(s.name, "steps");
    assert_int_equal(s.begin_ns, 10);
    assert_int_equal(s.end_ns, 20);
    assert_non_null(s.failure);
    assert_string_equal(s.attributes[0].name, "request_id");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_span_says_what_it_was_told),
        cmocka_unit_test(what_is_no_utf8_and_what_is_too_much_is_left_out),
        cmocka_unit_test(an_attribute_has_one_value),
        cmocka_unit_test(what_is_not_sampled_needs_no_check),
        cmocka_unit_test(work_has_its_own_times),
    };

    return cmocka_run_group_tests_name("trace/span", tests, NULL, NULL);
}
