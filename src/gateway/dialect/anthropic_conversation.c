/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/dialect/anthropic_conversation.c - Anthropic's blocks as messages of a template.
 *
 * A message of blocks becomes one or several: results of calls are messages of
 * their own, before the words that stand beside them.  Roles stay where they
 * are: a system message in the middle is not moved to the front, as the
 * prompt before it is in a cache.
 */
#include <stdio.h>
#include <string.h>

#include "gateway/dialect/anthropic.h"
#include "gateway/dialect/messages.h"
#include "gateway/dialect/param.h"
#include "gateway/dialect/tools.h"

/* One message on its way. */
struct turn {
    const struct api_request *r;
    const char *role;
    struct buf text, thoughts;
    json_t *calls;
    json_t *list; /* where it goes; borrowed */
    char path[PARAM_MAX];
};

static enum status append(json_t *list, json_t *message, struct api_error *e)
{
    return json_array_append_new(list, message) == 0 ? ST_OK : param_no_memory(e);
}

static void add_text(struct buf *text, const json_t *words)
{
    if (text->len > 0)
        buf_putc(text, '\n');
    buf_append(text, json_string_value(words), json_string_length(words));
}

static const char *type_of(const json_t *block)
{
    const char *type = json_string_value(json_object_get(block, "type"));

    return type ? type : "";
}

/* Text of a string, or of the text blocks of an array. */
static enum status read_text(const json_t *content, const char *path, struct buf *text,
                             struct api_error *e)
{
    if (!content || json_is_null(content))
        return ST_OK;
    if (json_is_string(content)) {
        add_text(text, content);
        return ST_OK;
    }
    if (!json_is_array(content))
        return param_wrong_type(path, "a string or an array of blocks", content, e);
    for (size_t i = 0; i < json_array_size(content); i++) {
        const json_t *block = json_array_get(content, i);
        const json_t *words = json_object_get(block, "text");

        if (strcmp(type_of(block), "image") == 0)
            return api_error_set(e, API_UNSUPPORTED, path, "Images are not read: send text.");
        if (json_is_string(words))
            add_text(text, words);
    }
    return ST_OK;
}

static enum status read_result(const json_t *block, struct turn *t, struct api_error *e)
{
    const char *id = json_string_value(json_object_get(block, "tool_use_id"));
    struct buf text = { 0 };
    enum status s;

    if (!id)
        return api_error_set(e, API_MISSING, t->path, "A tool_result needs its 'tool_use_id'.");
    if (json_is_true(json_object_get(block, "is_error")))
        buf_puts(&text, "Error:");
    s = read_text(json_object_get(block, "content"), t->path, &text, e);
    if (s == ST_OK && buf_status(&text) != ST_OK)
        s = param_no_memory(e);
    if (s == ST_OK)
        s = append(t->list,
                   json_pack("{s:s,s:s%,s:s}", "role", "tool", "content", buf_text(&text), text.len,
                             "tool_call_id", id),
                   e);
    buf_release(&text);
    return s;
}

static enum status read_use(const json_t *block, struct turn *t, struct api_error *e)
{
    const char *id = json_string_value(json_object_get(block, "id"));
    const char *name = json_string_value(json_object_get(block, "name"));
    const json_t *input = param_get(block, "input");

    if (!id || !name || (input && !json_is_object(input)))
        return api_error_set(e, API_INVALID_VALUE, t->path,
                             "A tool_use needs 'id', 'name' and an object 'input'.");
    return append(t->calls, tool_call_of_object(t->r, id, name, input), e);
}

static enum status read_block(const json_t *block, struct turn *t, struct api_error *e)
{
    const char *type = type_of(block);

    if (!json_is_object(block))
        return param_wrong_type(t->path, "an array of blocks", block, e);
    if (strcmp(type, "text") == 0) {
        const json_t *words = json_object_get(block, "text");

        if (!json_is_string(words))
            return api_error_set(e, API_INVALID_TYPE, t->path, "A text block needs its 'text'.");
        add_text(&t->text, words);
        return ST_OK;
    }
    if (strcmp(type, "thinking") == 0) {
        add_text(&t->thoughts, json_object_get(block, "thinking"));
        return ST_OK;
    }
    if (strcmp(type, "tool_use") == 0)
        return read_use(block, t, e);
    if (strcmp(type, "tool_result") == 0)
        return read_result(block, t, e);
    if (strcmp(type, "document") == 0 || strcmp(type, "search_result") == 0) {
        const json_t *source = json_object_get(block, "source");
        const json_t *data = json_object_get(source, "data");
        const bool is_text = strcmp(type_of(source), "text") == 0;

        if (!is_text && strcmp(type, "document") == 0)
            return api_error_set(e, API_UNSUPPORTED, t->path, "Documents are read as text alone.");
        return read_text(is_text ? data : json_object_get(block, "content"), t->path, &t->text, e);
    }
    if (strcmp(type, "image") == 0)
        return api_error_set(e, API_UNSUPPORTED, t->path, "Images are not read: send text.");
    return ST_OK; /* what the provider's own tools left there */
}

static enum status put_turn(const struct turn *t, struct api_error *e)
{
    json_t *message;

    if (buf_status(&t->text) != ST_OK || buf_status(&t->thoughts) != ST_OK)
        return param_no_memory(e);
    if (t->text.len == 0 && json_array_size(t->calls) == 0 && strcmp(t->role, "assistant") != 0)
        return ST_OK; /* results alone */
    message = json_pack("{s:s,s:s%}", "role", t->role, "content", buf_text(&t->text), t->text.len);
    if (t->thoughts.len > 0 &&
        json_object_set_new(message, "reasoning_content",
                            json_stringn(t->thoughts.data, t->thoughts.len)) != 0)
        goto no_memory;
    if (json_array_size(t->calls) > 0 && json_object_set(message, "tool_calls", t->calls) != 0)
        goto no_memory;
    return append(t->list, message, e);

no_memory:
    json_decref(message);
    return param_no_memory(e);
}

static enum status read_message(const struct api_request *r, const json_t *message, size_t index,
                                json_t *list, struct api_error *e)
{
    const char *role = json_string_value(json_object_get(message, "role"));
    const json_t *content = json_object_get(message, "content");
    struct turn t = { .r = r, .list = list, .calls = json_array() };
    enum status s = ST_OK;

    (void)snprintf(t.path, sizeof(t.path), "messages.%zu.content", index);
    if (!role || !content)
        s = api_error_set(e, API_MISSING, t.path,
                          "messages.%zu: A message needs 'role' and "
                          "'content'.",
                          index);
    else if (strcmp(role, "assistant") == 0 || strcmp(role, "system") == 0)
        t.role = role;
    else
        t.role = "user";
    if (s == ST_OK && json_is_string(content))
        add_text(&t.text, content);
    else if (s == ST_OK && !json_is_array(content))
        s = param_wrong_type(t.path, "a string or an array of blocks", content, e);
    for (size_t i = 0; i < json_array_size(content) && s == ST_OK; i++)
        s = read_block(json_array_get(content, i), &t, e);
    if (s == ST_OK)
        s = put_turn(&t, e);
    buf_release(&t.text);
    buf_release(&t.thoughts);
    json_decref(t.calls);
    return s;
}

static enum status read_system(const json_t *system, json_t *list, struct api_error *e)
{
    static const char volatile_sign[] = "x-anthropic-";
    struct buf text = { 0 };
    enum status s = ST_OK;

    if (json_is_string(system) || !json_is_array(system))
        s = read_text(system, "system", &text, e);
    for (size_t i = 0; i < json_array_size(system); i++) {
        const json_t *words = json_object_get(json_array_get(system, i), "text");

        if (json_is_string(words) &&
            strncmp(json_string_value(words), volatile_sign, sizeof(volatile_sign) - 1) != 0)
            add_text(&text, words);
    }
    if (s == ST_OK && buf_status(&text) != ST_OK)
        s = param_no_memory(e);
    if (s == ST_OK && text.len > 0)
        s = append(list,
                   json_pack("{s:s,s:s%}", "role", "system", "content", buf_text(&text), text.len),
                   e);
    buf_release(&text);
    return s;
}

enum status anthropic_conversation(const struct api_request *r, const json_t *body, json_t *list,
                                   struct api_error *e)
{
    const json_t *messages = param_get(body, "messages");
    const size_t n = json_array_size(messages);
    enum status s;

    if (!messages)
        return api_error_set(e, API_MISSING, "messages", "messages: Field required");
    if (!json_is_array(messages) || n == 0 || n > MESSAGES_MAX)
        return api_error_set(e, API_INVALID_VALUE, "messages",
                             "messages: 1 to %d messages are required", MESSAGES_MAX);
    s = read_system(param_get(body, "system"), list, e);
    for (size_t i = 0; i < n && s == ST_OK; i++)
        s = read_message(r, json_array_get(messages, i), i, list, e);
    return s;
}
