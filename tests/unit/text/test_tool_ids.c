/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/text/test_tool_ids.c - ids of calls for templates that want them short. */
#include "support/check.h"

#include <ctype.h>
#include <string.h>

#include "text/speech_format.h"
#include "text/tool_ids.h"

static void a_short_id_stays_and_others_become_short(void **state)
{
    static const char *const ids[] = { "", "call_1", "abcdefghij", "abc-efghi",
                                       "toolu_0123456789" };
    char id[TOOL_ID_SHORT + 1], again[TOOL_ID_SHORT + 1];

    (void)state;
    tool_id_shorten("aB3dE6gH9", id);
    assert_string_equal(id, "aB3dE6gH9");
    for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
        tool_id_shorten(ids[i], id);
        assert_int_equal(strlen(id), TOOL_ID_SHORT);
        for (size_t k = 0; k < TOOL_ID_SHORT; k++)
            assert_true(isalnum((unsigned char)id[k]));
        tool_id_shorten(id, again);
        assert_string_equal(id, again);
        tool_id_shorten(i ? ids[i - 1] : "another", again);
        assert_string_not_equal(id, again);
    }
}

static const char *text_at(const json_t *message, const char *key)
{
    return json_string_value(json_object_get(message, key));
}

static void a_call_and_its_result_keep_together(void **state)
{
    json_t *variables = json_loads("{\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"},"
                                   "{\"role\":\"assistant\",\"tool_calls\":[{\"id\":\"call_1\"},"
                                   "{\"id\":\"aB3dE6gH9\"}]},"
                                   "{\"role\":\"tool\",\"tool_call_id\":\"call_1\"}],\"x\":1}",
                                   0, NULL);
    json_t *before = json_deep_copy(variables);
    json_t *made = tool_ids_shorten(variables);
    const json_t *messages = json_object_get(made, "messages");
    const json_t *calls = json_object_get(json_array_get(messages, 1), "tool_calls");

    (void)state;
    assert_true(json_equal(variables, before));
    assert_int_equal(json_integer_value(json_object_get(made, "x")), 1);
    assert_int_equal(json_array_size(messages), 3);
    assert_string_equal(text_at(json_array_get(calls, 0), "id"),
                        text_at(json_array_get(messages, 2), "tool_call_id"));
    assert_int_equal(strlen(text_at(json_array_get(calls, 0), "id")), TOOL_ID_SHORT);
    assert_string_equal(text_at(json_array_get(calls, 1), "id"), "aB3dE6gH9");
    json_decref(made);
    json_decref(before);
    json_decref(variables);
}

static void a_template_that_checks_their_length_wants_them_short(void **state)
{
    static const char wants[] =
        "{%- if tool_call.id|length != 9 %}{{ raise_exception('no') }}{% endif %} tools";
    static const char other[] = "{{ tools }} {{ messages|length != 9 }}";

    (void)state;
    assert_true(speech_format_of(wants, sizeof(wants) - 1).has_short_ids);
    assert_false(speech_format_of(other, sizeof(other) - 1).has_short_ids);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_short_id_stays_and_others_become_short),
        cmocka_unit_test(a_call_and_its_result_keep_together),
        cmocka_unit_test(a_template_that_checks_their_length_wants_them_short),
    };

    return cmocka_run_group_tests_name("text/tool_ids", tests, NULL, NULL);
}
