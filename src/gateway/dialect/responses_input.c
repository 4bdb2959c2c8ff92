/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/dialect/responses_input.c - items of a Responses input as messages of a template.
 *
 * Thoughts, words and calls of one turn are items of their own there and one message here.  Items
 * of tools that run at the provider are left out.
 */
#include <stdio.h>
#include <string.h>

#include "base/size.h"
#include "gateway/dialect/messages.h"
#include "gateway/dialect/param.h"
#include "gateway/dialect/responses.h"
#include "gateway/dialect/tools.h"

struct place {
    const struct api_request *r;
    json_t *list;        /* borrowed */
    struct buf thoughts; /* of the turn that follows */
    char path[PARAM_MAX];
};

static const char *text_of(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

static enum status append(struct place *p, json_t *message, struct api_error *e)
{
    return json_array_append_new(p->list, message) == 0 ? ST_OK : param_no_memory(e);
}

/* A string, or parts of text. */
static enum status read_parts(const json_t *content, struct place *p, struct buf *text,
                              struct api_error *e)
{
    if (json_is_string(content)) {
        buf_append(text, json_string_value(content), json_string_length(content));
        return buf_status(text) == ST_OK ? ST_OK : param_no_memory(e);
    }
    if (content && !json_is_null(content) && !json_is_array(content))
        return param_wrong_type(p->path, "a string or an array", content, e);
    for (size_t i = 0; i < json_array_size(content); i++) {
        const json_t *part = json_array_get(content, i);
        const json_t *words = json_object_get(part, "text");
        const char *type = text_of(part, "type");

        if (type && strcmp(type, "refusal") == 0)
            words = json_object_get(part, "refusal");
        if (!json_is_string(words))
            return api_error_set(e, API_UNSUPPORTED, p->path,
                                 "Content of type '%.32s' is not read: send text.",
                                 type ? type : "?");
        buf_append(text, json_string_value(words), json_string_length(words));
    }
    return buf_status(text) == ST_OK ? ST_OK : param_no_memory(e);
}

static enum status give_thoughts(struct place *p, json_t *message, struct api_error *e)
{
    if (p->thoughts.len == 0)
        return ST_OK;
    if (json_object_set_new(message, "reasoning_content",
                            json_stringn(p->thoughts.data, p->thoughts.len)) != 0)
        return param_no_memory(e);
    buf_clear(&p->thoughts);
    return ST_OK;
}

static enum status read_message(const json_t *item, struct place *p, struct api_error *e)
{
    static const char *const roles[][2] = {
        { "user", "user" },
        { "assistant", "assistant" },
        { "system", "system" },
        { "developer", "system" },
    };
    const char *given = text_of(item, "role"), *role = NULL;
    struct buf text = { 0 };
    json_t *message;
    enum status s;

    for (size_t i = 0; given && i < ARRAY_LEN(roles) && !role; i++) {
        if (strcmp(given, roles[i][0]) == 0)
            role = roles[i][1];
    }
    if (!role)
        return api_error_set(e, API_INVALID_VALUE, p->path,
                             "A message needs the role user, assistant, system or developer.");
    s = read_parts(json_object_get(item, "content"), p, &text, e);
    if (s == ST_OK) {
        message = json_pack("{s:s,s:s%}", "role", role, "content", buf_text(&text), text.len);
        s = append(p, message, e);
        if (s == ST_OK && strcmp(role, "assistant") == 0)
            s = give_thoughts(p, message, e);
    }
    buf_release(&text);
    return s;
}

/* Calls belong to the assistant's message that they follow. */
static enum status add_call(struct place *p, json_t *call, struct api_error *e)
{
    json_t *last = json_array_get(p->list, json_array_size(p->list) - 1);
    const char *role = text_of(last, "role");
    json_t *calls;

    if (!role || strcmp(role, "assistant") != 0) {
        last = json_pack("{s:s,s:s}", "role", "assistant", "content", "");
        if (append(p, last, e) != ST_OK) {
            json_decref(call);
            return ST_FORMAT;
        }
    }
    calls = json_object_get(last, "tool_calls");
    if (!calls) {
        calls = json_array();
        if (json_object_set_new(last, "tool_calls", calls) != 0)
            calls = NULL;
    }
    if (json_array_append_new(calls, call) != 0)
        return param_no_memory(e);
    return give_thoughts(p, last, e);
}

static enum status read_call(const json_t *item, struct place *p, struct api_error *e)
{
    const char *id = text_of(item, "call_id"), *name = text_of(item, "name");
    const json_t *arguments = json_object_get(item, "arguments");

    if (!id || !name)
        return api_error_set(e, API_MISSING, p->path, "A call needs 'call_id' and 'name'.");
    return add_call(p,
                    tool_call_for_template(
                        id, name, json_is_string(arguments) ? json_string_value(arguments) : "",
                        json_string_length(arguments)),
                    e);
}

static enum status read_custom_call(const json_t *item, struct place *p, struct api_error *e)
{
    const char *id = text_of(item, "call_id"), *name = text_of(item, "name");
    json_t *input = json_object_get(item, "input"), *arguments, *call;

    if (!id || !name || !json_is_string(input))
        return api_error_set(e, API_MISSING, p->path,
                             "A custom call needs 'call_id', 'name' and 'input'.");
    arguments = json_pack("{s:O}", "input", input);
    call = tool_call_of_object(p->r, id, name, arguments);
    json_decref(arguments);
    return add_call(p, call, e);
}

static enum status read_shell_call(const json_t *item, struct place *p, struct api_error *e)
{
    const char *id = text_of(item, "call_id");
    json_t *action = json_object_get(item, "action");

    if (!id || !json_is_object(action))
        return api_error_set(e, API_MISSING, p->path, "A call needs 'call_id' and 'action'.");
    return add_call(p,
                    json_pack("{s:s,s:s,s:{s:s,s:O}}", "id", id, "type", "function", "function",
                              "name", "local_shell", "arguments", action),
                    e);
}

static enum status read_output(const json_t *item, struct place *p, struct api_error *e)
{
    const char *id = text_of(item, "call_id");
    struct buf text = { 0 };
    enum status s;

    if (!id)
        id = text_of(item, "id");
    if (!id)
        return api_error_set(e, API_MISSING, p->path, "An output needs its 'call_id'.");
    s = read_parts(json_object_get(item, "output"), p, &text, e);
    if (s == ST_OK)
        s = append(p,
                   json_pack("{s:s,s:s%,s:s}", "role", "tool", "content", buf_text(&text), text.len,
                             "tool_call_id", id),
                   e);
    buf_release(&text);
    return s;
}

/* What is encrypted was not made here. */
static enum status read_thoughts(const json_t *item, struct place *p, struct api_error *e)
{
    const json_t *content = json_object_get(item, "content");

    if (json_array_size(content) == 0)
        content = json_object_get(item, "summary");
    return read_parts(content, p, &p->thoughts, e);
}

static enum status refuse_reference(const json_t *item, struct place *p, struct api_error *e)
{
    (void)item;
    return api_error_set(e, API_UNSUPPORTED, p->path,
                         "Items are not kept one by one: send the item itself, or "
                         "previous_response_id.");
}

static enum status read_item(const json_t *item, struct place *p, struct api_error *e)
{
    static const struct {
        const char *type;
        enum status (*read)(const json_t *, struct place *, struct api_error *);
    } readers[] = {
        { "message", read_message },
        { "function_call", read_call },
        { "function_call_output", read_output },
        { "custom_tool_call", read_custom_call },
        { "custom_tool_call_output", read_output },
        { "local_shell_call", read_shell_call },
        { "local_shell_call_output", read_output },
        { "reasoning", read_thoughts },
        { "item_reference", refuse_reference },
    };
    const char *type = text_of(item, "type");

    if (!json_is_object(item))
        return param_wrong_type(p->path, "an array of objects", item, e);
    if (!type)
        return read_message(item, p, e);
    for (size_t i = 0; i < ARRAY_LEN(readers); i++) {
        if (strcmp(type, readers[i].type) == 0)
            return readers[i].read(item, p, e);
    }
    return ST_OK;
}

enum status responses_input(const struct api_request *r, const json_t *input, json_t *list,
                            struct api_error *e)
{
    struct place p = { .r = r, .list = list };
    enum status s = ST_OK;

    if (json_is_string(input))
        return append(&p, json_pack("{s:s,s:O}", "role", "user", "content", input), e);
    if (!json_is_array(input) || json_array_size(input) > MESSAGES_MAX)
        return api_error_set(e, API_INVALID_TYPE, "input",
                             "'input' must be a string or an array of at most %d items.",
                             MESSAGES_MAX);
    for (size_t i = 0; i < json_array_size(input) && s == ST_OK; i++) {
        (void)snprintf(p.path, sizeof(p.path), "input[%zu]", i);
        s = read_item(json_array_get(input, i), &p, e);
    }
    buf_release(&p.thoughts);
    return s;
}
