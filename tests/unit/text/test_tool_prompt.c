/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/text/test_tool_prompt.c - functions told of in words. */
#include "support/check.h"

#include <string.h>

#include "text/tool_prompt.h"

static json_t *told(const char *messages)
{
    const struct speech_format format = speech_format_of("", 0);
    json_t *variables =
        json_pack("{s:o,s:o,s:b}", "messages", json_loads(messages, 0, NULL), "tools",
                  json_loads("[{\"type\":\"function\",\"function\":{\"name\":"
                             "\"weather\"}}]",
                             0, NULL),
                  "add_generation_prompt", 1);
    json_t *before = json_deep_copy(variables);
    json_t *result = tool_prompt(variables, format.tools);

    assert_non_null(result);
    assert_true(json_is_true(json_object_get(result, "add_generation_prompt")));
    assert_true(json_equal(variables, before));
    json_decref(before);
    json_decref(variables);
    return result;
}

static const char *at(const json_t *result, size_t i, const char *key)
{
    const json_t *messages = json_object_get(result, "messages");

    return json_string_value(json_object_get(json_array_get(messages, i), key));
}

static void the_system_tells_of_functions(void **state)
{
    json_t *alone = told("[{\"role\":\"user\",\"content\":\"Hi\"}]");
    json_t *after = told("[{\"role\":\"system\",\"content\":\"Be brief.\"},"
                         "{\"role\":\"user\",\"content\":\"Hi\"}]");

    (void)state;
    assert_string_equal(at(alone, 0, "role"), "system");
    assert_non_null(strstr(at(alone, 0, "content"), "\"name\":\"weather\""));
    assert_non_null(strstr(at(alone, 0, "content"), "<tool_call>"));
    assert_string_equal(at(alone, 1, "content"), "Hi");
    assert_int_equal(json_array_size(json_object_get(after, "messages")), 2);
    assert_memory_equal(at(after, 0, "content"), "Be brief.\n\nYou may call", 23);
    json_decref(alone);
    json_decref(after);
}

static void calls_and_results_are_words(void **state)
{
    json_t *result = told("[{\"role\":\"user\",\"content\":\"Hi\"},"
                          "{\"role\":\"assistant\",\"content\":\"Look:\",\"tool_calls\":["
                          "{\"function\":{\"name\":\"weather\",\"arguments\":{\"at\":1}}},"
                          "{\"function\":{\"name\":\"weather\",\"arguments\":{\"at\":2}}}]},"
                          "{\"role\":\"tool\",\"content\":\"rain\"},"
                          "{\"role\":\"tool\",\"content\":\"sun\"},"
                          "{\"role\":\"user\",\"content\":\"So?\"}]");

    (void)state;
    assert_int_equal(json_array_size(json_object_get(result, "messages")), 5);
    assert_string_equal(at(result, 2, "content"),
                        "Look:\n<tool_call>\n{\"name\": \"weather\", \"arguments\": {\"at\":1}}\n"
                        "</tool_call>\n<tool_call>\n{\"name\": \"weather\", \"arguments\": "
                        "{\"at\":2}}\n</tool_call>");
    assert_string_equal(at(result, 3, "role"), "user");
    assert_string_equal(at(result, 3, "content"), "<tool_response>\nrain\n</tool_response>\n"
                                                  "<tool_response>\nsun\n</tool_response>");
    assert_string_equal(at(result, 4, "content"), "So?");
    json_decref(result);
}

static void a_call_is_said_as_it_was_written(void **state)
{
    json_t *result = told("[{\"role\":\"assistant\",\"tool_calls\":[{\"function\":{\"name\":\"f\","
                          "\"arguments\":{\"at\":1,\"\\u001fwritten\":\"{\\\"at\\\":   1}\"}}}]}]");

    (void)state;
    assert_non_null(strstr(at(result, 1, "content"), "\"arguments\": {\"at\":   1}}"));
    json_decref(result);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_system_tells_of_functions),
        cmocka_unit_test(calls_and_results_are_words),
        cmocka_unit_test(a_call_is_said_as_it_was_written),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
