/* SPDX-License-Identifier: Apache-2.0 */
/* text/speech_format.c - how a family of models writes thoughts and calls of functions: the tables.
 *
 * Sources  the chat templates that are published with the models
 */
#include "text/speech_format.h"

#include <string.h>

#include "base/size.h"

static const struct thought_format thoughts[] = {
    { "<think>", "</think>" },                    /* Qwen 3, DeepSeek R1 and what follows them */
    { "[THINK]", "[/THINK]" },                    /* Magistral */
    { "<|START_THINKING|>", "<|END_THINKING|>" }, /* Command A */
    { "<seed:think>", "</seed:think>" },          /* Seed OSS */
};

/* The first whose sign is found is taken, so the more particular stand first. */
static const struct tool_format tools[] = {
    { "qwen3-coder", "<function=", "<tool_call>", "</tool_call>", TOOL_BODY_XML, NULL, NULL },
    { "mistral", "[TOOL_CALLS]", "[TOOL_CALLS]", NULL, TOOL_BODY_NAMED, "arguments", "[ARGS]" },
    { "hermes", "<tool_call>", "<tool_call>", "</tool_call>", TOOL_BODY_JSON, "arguments", NULL },
    { "llama 3", "\"parameters\": ", "", NULL, TOOL_BODY_JSON, "parameters", NULL },
};

enum { TOOLS_DEFAULT = 2 }; /* what most models without marks of their own were shown */

static bool holds(const char *text, size_t n, const char *word)
{
    const size_t n_word = strlen(word);

    for (size_t i = 0; i + n_word <= n; i++) {
        if (text[i] == word[0] && memcmp(text + i, word, n_word) == 0)
            return true;
    }
    return false;
}

struct speech_format speech_format_of(const char *source, size_t n)
{
    struct speech_format format = { .tools = &tools[TOOLS_DEFAULT] };

    for (size_t i = 0; i < ARRAY_LEN(thoughts) && !format.thoughts; i++) {
        if (holds(source, n, thoughts[i].open) || holds(source, n, thoughts[i].close))
            format.thoughts = &thoughts[i];
    }
    format.has_tools = holds(source, n, "tools");
    format.has_short_ids =
        holds(source, n, "id|length != 9") || holds(source, n, "id | length != 9");
    for (size_t i = 0; i < ARRAY_LEN(tools) && format.has_tools; i++) {
        if (!holds(source, n, tools[i].sign))
            continue;
        format.tools = &tools[i];
        break;
    }
    return format;
}

static bool is_same(const char *mark, const char *bytes, size_t n)
{
    return mark && mark[0] && strlen(mark) == n && memcmp(mark, bytes, n) == 0;
}

bool speech_format_is_mark(const struct speech_format *format, const char *bytes, size_t n)
{
    const struct thought_format *t = format->thoughts;
    const struct tool_format *f = format->tools;

    if (t && (is_same(t->open, bytes, n) || is_same(t->close, bytes, n)))
        return true;
    return f && (is_same(f->open, bytes, n) || is_same(f->close, bytes, n) ||
                 is_same(f->arguments_mark, bytes, n));
}
