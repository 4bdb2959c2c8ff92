/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/aggregate/test_speech.c - words, thoughts and calls, however the text is cut. */
#include "support/check.h"

#include <string.h>

#include "aggregate/speech.h"
#include "base/size.h"

/* Pieces as text: words as they are, (thoughts), and NAME:arguments; for each call. */
struct seen {
    struct buf out;
    enum reply_part last;
};

static void note(void *arg, const struct speech_piece *piece)
{
    static const char *const before[] = {
        [REPLY_TEXT] = "|",
        [REPLY_REASONING] = "(",
        [REPLY_TOOL_NAME] = "@",
        [REPLY_TOOL_ARGUMENTS] = ":",
    };
    struct seen *seen = arg;

    if (seen->out.len == 0 || seen->last != piece->part || piece->part == REPLY_TOOL_NAME)
        buf_puts(&seen->out, before[piece->part]);
    seen->last = piece->part;
    buf_append(&seen->out, piece->text, piece->n);
    assert_true(piece->n > 0 && piece->begin <= piece->end);
}

enum { PLAIN, HERMES, CODER, MISTRAL, LLAMA };

static const char *const templates[] = {
    [PLAIN] = "{{ messages }}",
    [HERMES] = "{{ tools }}<tool_call></think>",
    [CODER] = "{{ tools }}<tool_call><function=</think>",
    [MISTRAL] = "{{ tools }}[TOOL_CALLS]",
    [LLAMA] = "{{ tools }}\"parameters\": ",
};

static const struct example {
    int family;
    bool begins_in_thoughts;
    const char *text, *want;
} examples[] = {
    { PLAIN, false, "a <tool_call> b\n", "|a <tool_call> b\n" },
    { HERMES, false, "Hello\n\nyou\n", "|Hello\n\nyou\n" },
    { HERMES, false, "<think>\nHm.\n</think>\n\nYes", "(Hm.|Yes" },
    { HERMES, true, "Hm <tool_call> no\n</think>Yes", "(Hm <tool_call> no|Yes" },
    { HERMES, true, "<think>\nHm", "(Hm" },
    { HERMES, true, "<think>\n<think>\nHm", "(<think>\nHm" },
    { HERMES, false, "a<think>b</think>", "|a<think>b</think>" },
    { HERMES, false,
      "<tool_call>\n{\"name\": \"f\", \"arguments\": {\"x\": \"}\\\"</tool_call>\"}}\n</tool_call>",
      "@f:{\"x\": \"}\\\"</tool_call>\"}" },
    { HERMES, false,
      "I look. \n<tool_call>{\"arguments\":{\"a\":[1]},\"name\":\"f\"}</tool_call>\n"
      "<tool_call>{\"name\":\"g\"}</tool_call>\n",
      "|I look.@f:{\"a\":[1]}@g:{}" },
    { HERMES, false, "<tool_call>{\"name\":\"f\",\"arguments\":\"{\\\"a\\\":1}\"}</tool_call>ok",
      "@f:{\"a\":1}|ok" },
    { HERMES, false, "<tool_call>nothing</tool_call> so", "|<tool_call>nothing</tool_call> so" },
    { HERMES, false, "<tool_call>{\"name\":\"f\",\"argum", "|<tool_call>{\"name\":\"f\",\"argum" },
    { HERMES, false, "<tool_call>{\"name\":\"f\",\"arguments\":{\"a\":", "@f:{\"a\":" },
    { HERMES, false, "<tool_call>{\"name\":\"\",\"arguments\":{}}</tool_call>",
      "|<tool_call>{\"name\":\"\",\"arguments\":{}}</tool_call>" },
    { HERMES, false, "<tool_cal", "|<tool_cal" },
    { HERMES, false, "<tool_call>{\"name\":\"f\",\"arguments\":{}}", "@f:{}" },
    { HERMES, false, "<tool_call>{\"name\":\"f\",\"arguments\":{}}</tool", "@f:{}" },
    { HERMES, false, "<tool_call>[{\"name\":\"f\",\"arguments\":{}}, {\"name\":\"g\"}]</tool_call>",
      "@f:{}@g:{}" },
    { CODER, false,
      "<tool_call>\n<function=f>\n<parameter=n>\n12\n</parameter>\n<parameter=s>\n12\n</parameter>\n"
      "</function>\n</tool_call>",
      "@f:{\"n\":12,\"s\":\"12\"}" },
    { CODER, false, "<tool_call>\n<function=f>\n</function>\n</tool_call>Done", "@f:{}|Done" },
    { CODER, false, "<tool_call>\n<funct</tool_call>", "|<tool_call>\n<funct</tool_call>" },
    { MISTRAL, false,
      "[TOOL_CALLS][{\"name\":\"f\",\"arguments\":{\"a\":1},\"id\":\"x\"},"
      "{\"name\":\"g\",\"arguments\":{}}]",
      "@f:{\"a\":1}@g:{}" },
    { MISTRAL, false, "Now[TOOL_CALLS]f[ARGS]{\"a\":1}[TOOL_CALLS]g[ARGS]{}",
      "|Now@f:{\"a\":1}@g:{}" },
    { LLAMA, false, "{\"name\": \"f\", \"parameters\": {\"a\": 1}}", "@f:{\"a\": 1}" },
    { LLAMA, false, "{\"name\": \"f\", \"parameters\": {}}; {\"name\":\"f\",\"parameters\":{}}",
      "@f:{}@f:{}" },
    { LLAMA, false, "{\"name\": \"h\", \"parameters\": {}}",
      "|{\"name\": \"h\", \"parameters\": {}}" },
    { LLAMA, false, "{\"age\": 5} is JSON", "|{\"age\": 5} is JSON" },
    { LLAMA, false, "It is {5}", "|It is {5}" },
};

static json_t *functions(void)
{
    return json_loads("[{\"function\":{\"name\":\"f\",\"parameters\":{\"properties\":"
                      "{\"n\":{\"type\":\"integer\"},\"s\":{\"type\":\"string\"}}}}},"
                      "{\"function\":{\"name\":\"g\"}}]",
                      0, NULL);
}

/* In pieces of `step` bytes, the last one `is_last` or followed by an empty one. */
static void check(const struct example *x, const json_t *list, size_t step, bool ends_empty)
{
    const struct speech_format format =
        speech_format_of(templates[x->family], strlen(templates[x->family]));
    const struct speech_options options = {
        .thoughts = format.thoughts,
        .tools = format.has_tools ? format.tools : NULL,
        .functions = list,
        .begins_in_thoughts = x->begins_in_thoughts,
    };
    const size_t n = strlen(x->text);
    struct seen seen = { 0 };
    struct speech s;

    speech_init(&s, &options, note, &seen);
    for (size_t i = 0; i < n; i += step)
        speech_push(&s, x->text + i, size_min(step, n - i), !ends_empty && i + step >= n);
    if (ends_empty)
        speech_push(&s, "", 0, true);
    assert_string_equal(buf_text(&seen.out), x->want);
    assert_int_equal(s.held.len, 0);
    speech_release(&s);
    buf_release(&seen.out);
}

static void texts_are_told_apart(void **state)
{
    json_t *list = functions();

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(examples); i++) {
        for (size_t step = 1; step < 300; step += step < 20 ? 1 : 140) {
            check(&examples[i], list, step, false);
            check(&examples[i], list, step, true);
        }
    }
    json_decref(list);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(texts_are_told_apart) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
