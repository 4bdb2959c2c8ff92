/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/text/test_tool_grammar.c - grammars of calls compile, for each family of models. */
#include "support/check.h"

#include <string.h>

#include "base/size.h"
#include "text/grammar/grammar.h"
#include "text/tool_grammar.h"

static const char *const templates[] = {
    "tools <tool_call>",
    "tools <tool_call> <function=",
    "tools [TOOL_CALLS]",
    "tools \"parameters\": ",
};

static json_t *functions(void)
{
    return json_loads(
        "[{\"function\":{\"name\":\"f\",\"parameters\":{\"type\":\"object\",\"properties\":"
        "{\"n\":{\"type\":\"integer\"}},\"required\":[\"n\"]}}},"
        "{\"function\":{\"name\":\"g\",\"parameters\":{\"not\":{}}}},"
        "{\"function\":{\"name\":\"h\"}},"
        "{\"function\":{\"name\":\"l\",\"parameters\":{}},\"lark\":\"start: /[a-z]+/\"}]",
        0, NULL);
}

static void grammars_of_calls_compile(void **state)
{
    json_t *list = functions();

    (void)state;
    for (size_t i = 0; i < 8 * ARRAY_LEN(templates); i++) {
        const char *template = templates[i / 8];
        const enum tool_grammar_from from =
            i % 8 > 3 ? TOOL_GRAMMAR_AFTER_OPEN : TOOL_GRAMMAR_WHOLE;
        const struct speech_format format = speech_format_of(template, strlen(template));
        struct grammar *grammar = NULL;
        struct buf text = { 0 };
        struct err err = { 0 };

        assert_ok(
            tool_grammar(format.tools, list, i % 2 ? "g" : NULL, from, i % 4 > 1, &text, &err),
            err);
        assert_ok(grammar_compile(text.data, text.len, NULL, &grammar, &err), err);
        assert_true(i % 2 == 0 || !strstr(buf_text(&text), "call0 ::="));
        assert_true(i % 2 || format.tools->body == TOOL_BODY_XML ||
                    strstr(buf_text(&text), "args3-input ::="));
        grammar_free(grammar);
        buf_release(&text);
    }
    json_decref(list);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(grammars_of_calls_compile) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
