/* SPDX-License-Identifier: Apache-2.0 */
/* tests/fuzz/fuzz_speech.c - whatever a model says is told apart into the same pieces however it was cut,
 * and what is said to be arguments of a call is JSON where the call is complete.
 */
#include <stdlib.h>
#include <string.h>

#include "aggregate/speech.h"
#include "base/size.h"
#include "drive.h"

static const char *const texts[] = {
    "<think>\nHm.\n</think>\n\nYes",
    ("<tool_call>\n{\"name\": \"f\", \"arguments\": {\"x\": \"}\\\"</tool_call>\"}}\n</tool_call> and "
     "<tool_call>{\"arguments\":{\"a\":[1]},\"name\":\"g\"}</tool_call>"),
    "<tool_call>\n<function=f>\n<parameter=x>\n1 < 2\n</parameter>\n</function>\n</tool_call>",
    "[TOOL_CALLS][{\"name\":\"f\",\"arguments\":{\"x\":1}},{\"name\":\"g\",\"arguments\":{}}]",
    "[TOOL_CALLS]f[ARGS]{\"x\":{\"y\":[1,2]}}[TOOL_CALLS]g[ARGS]{}",
    "{\"name\": \"f\", \"parameters\": {\"x\": 1}}",
    "<|python_tag|>{\"name\":\"f\",\"parameters\":{\"x\":\"\\u00e9\\ud83d\\ude00\"}}",
    "word \xC3\xA9 <tool_call word {\"a\": [[[{}]]]} </think> tail",
};

const struct fuzz_seeds fuzz_seeds = { texts, ARRAY_LEN(texts), false };

static const char *const templates[] = {
    "{{ messages }}",
    "{{ tools }}<tool_call></think>",
    "{{ tools }}<tool_call><function=</think>",
    "{{ tools }}[TOOL_CALLS]",
    "{{ tools }}\"parameters\": ",
};

struct seen {
    struct buf out;
    enum reply_part last;
    uint64_t end;
};

static void note(void *arg, const struct speech_piece *piece)
{
    struct seen *seen = arg;

    if (piece->n == 0 || piece->begin > piece->end || piece->begin < seen->end)
        abort();
    if (seen->out.len == 0 || seen->last != piece->part || piece->part == REPLY_TOOL_NAME)
        buf_printf(&seen->out, "\n%d:", (int)piece->part);
    seen->last = piece->part;
    buf_append(&seen->out, piece->text, piece->n);
}

static void say(const struct speech_options *options, const uint8_t *bytes, size_t n, size_t step,
                struct seen *seen)
{
    struct speech speech;

    speech_init(&speech, options, note, seen);
    for (size_t i = 0; i < n; i += step)
        speech_push(&speech, (const char *)bytes + i, size_min(step, n - i), false);
    speech_push(&speech, NULL, 0, true);
    speech_release(&speech);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    for (size_t i = 0; i < 2 * ARRAY_LEN(templates); i++) {
        const char *source = templates[i / 2];
        const struct speech_format format = speech_format_of(source, strlen(source));
        const struct speech_options options = {
            .thoughts = format.thoughts,
            .tools = format.has_tools ? format.tools : NULL,
            .begins_in_thoughts = format.thoughts && i % 2,
        };
        struct seen whole = { 0 }, cut = { 0 };

        say(&options, bytes, n, n + 1, &whole);
        say(&options, bytes, n, 1 + n % 7, &cut);
        if (whole.out.len != cut.out.len ||
            (whole.out.len > 0 && memcmp(whole.out.data, cut.out.data, cut.out.len) != 0))
            abort();
        buf_release(&whole.out);
        buf_release(&cut.out);
    }
    return 0;
}
