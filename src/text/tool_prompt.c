/* SPDX-License-Identifier: Apache-2.0 */
/* text/tool_prompt.c - functions told of in words, to a model whose chat template has no place for them. */
#include "text/tool_prompt.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "text/json_whole.h"
#include "text/template/template.h"

static void put_json(struct buf *out, const json_t *value)
{
    const char *written = json_string_value(json_object_get(value, TEMPLATE_WRITTEN));
    char *text;

    if (written) {
        buf_puts(out, written);
        return;
    }
    text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
    buf_puts(out, text ? text : "null");
    free(text);
}

/* Takes what `words` holds. */
static bool say(json_t *messages, const char *role, struct buf *words)
{
    json_t *message = buf_status(words) != ST_OK ? NULL
                                                 : json_pack("{s:s,s:s%}", "role", role, "content",
                                                             buf_text(words), words->len);

    buf_release(words);
    return message && json_array_append_new(messages, message) == 0;
}

static const char *words_of(const json_t *message)
{
    const char *words = json_string_value(json_object_get(message, "content"));

    return words ? words : "";
}

static bool has_role(const json_t *message, const char *role)
{
    const char *is = json_string_value(json_object_get(message, "role"));

    return is && strcmp(is, role) == 0;
}

/* The system's message, with what it said before. */
static bool tell(json_t *messages, const char *before, const json_t *tools,
                 const struct tool_format *format)
{
    struct buf words = { 0 };

    buf_printf(&words, "%s%sYou may call these functions:\n<tools>\n", before,
               before[0] ? "\n\n" : "");
    for (size_t i = 0; i < json_array_size(tools); i++) {
        put_json(&words, json_array_get(tools, i));
        buf_putc(&words, '\n');
    }
    buf_printf(&words,
               "</tools>\nTo call one, answer with its name and arguments, and nothing else:\n"
               "%s\n{\"name\": \"...\", \"%s\": {...}}\n%s",
               format->open, format->arguments_key, format->close ? format->close : "");
    return say(messages, "system", &words);
}

static bool tell_calls(json_t *messages, const json_t *message, const json_t *calls,
                       const struct tool_format *format)
{
    struct buf words = { 0 };

    buf_puts(&words, words_of(message));
    for (size_t i = 0; i < json_array_size(calls); i++) {
        const json_t *function = json_object_get(json_array_get(calls, i), "function");

        buf_printf(&words, "%s%s\n{\"name\": ", words.len > 0 ? "\n" : "", format->open);
        put_json(&words, json_object_get(function, "name"));
        buf_printf(&words, ", \"%s\": ", format->arguments_key);
        put_json(&words, json_object_get(function, "arguments"));
        buf_printf(&words, "}\n%s", format->close ? format->close : "");
    }
    return say(messages, "assistant", &words);
}

/* Results that follow one another are one message, since many templates want roles to alternate. */
static bool tell_results(json_t *messages, const json_t *from, size_t *i)
{
    struct buf words = { 0 };

    for (; has_role(json_array_get(from, *i), "tool"); (*i)++)
        buf_printf(&words, "%s<tool_response>\n%s\n</tool_response>", words.len > 0 ? "\n" : "",
                   words_of(json_array_get(from, *i)));
    return say(messages, "user", &words);
}

static bool tell_message(json_t *messages, const json_t *from, size_t *i,
                         const struct tool_format *format)
{
    json_t *message = json_array_get(from, *i);
    const json_t *calls = json_object_get(message, "tool_calls");

    if (has_role(message, "tool"))
        return tell_results(messages, from, i);
    (*i)++;
    return json_array_size(calls) > 0 ? tell_calls(messages, message, calls, format)
                                      : json_array_append(messages, message) == 0;
}

json_t *tool_prompt(const json_t *variables, const struct tool_format *format)
{
    const json_t *from = json_object_get(variables, "messages");
    const json_t *first = json_array_get(from, 0);
    const bool has_system = has_role(first, "system");
    json_t *told = json_whole_copy(variables);
    json_t *messages = json_array();
    size_t i = has_system ? 1 : 0;
    bool is_done = told && messages &&
                   tell(messages, has_system ? words_of(first) : "",
                        json_object_get(variables, "tools"), format);

    while (is_done && i < json_array_size(from))
        is_done = tell_message(messages, from, &i, format);
    if (is_done)
        is_done = json_object_set(told, "messages", messages) == 0;
    json_decref(messages);
    if (is_done)
        return told;
    json_decref(told);
    return NULL;
}
