/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/dialect/messages.c - a chat's messages as a template wants them. */
#include "gateway/dialect/messages.h"

#include <stdio.h>
#include <string.h>

#include "base/size.h"
#include "gateway/dialect/param.h"
#include "gateway/dialect/tools.h"

/* Where in the body an error is: messages[3].content */
struct place {
    size_t message;
    char path[PARAM_MAX];
};

static const char *at(struct place *p, const char *rest)
{
    (void)snprintf(p->path, sizeof(p->path), "messages[%zu]%s", p->message, rest);
    return p->path;
}

/* "developer" is the newer name of "system"; templates know the older. */
static const char *role_for_template(const char *role)
{
    static const char *const roles[][2] = {
        { "system", "system" },       { "developer", "system" }, { "user", "user" },
        { "assistant", "assistant" }, { "tool", "tool" },        { "function", "tool" },
    };

    for (size_t i = 0; i < ARRAY_LEN(roles); i++) {
        if (strcmp(role, roles[i][0]) == 0)
            return roles[i][1];
    }
    return NULL;
}

static enum status append_part(const json_t *part, struct place *p, struct buf *text,
                               struct api_error *e)
{
    const char *type = json_string_value(json_object_get(part, "type"));
    const json_t *words = json_object_get(part, "text");

    if (!json_is_object(part))
        return param_wrong_type(at(p, ".content"), "an array of objects", part, e);
    if (!type)
        return api_error_set(e, API_MISSING, at(p, ".content"), "A content part needs a 'type'.");
    if (strcmp(type, "refusal") == 0)
        words = json_object_get(part, "refusal");
    else if (strcmp(type, "text") != 0)
        return api_error_set(e, API_UNSUPPORTED, at(p, ".content"),
                             "Content parts of type '%.32s' are not supported: send text.", type);
    if (!json_is_string(words))
        return api_error_set(e, API_INVALID_TYPE, at(p, ".content"),
                             "A content part of type '%.32s' needs its text as a string.", type);
    buf_append(text, json_string_value(words), json_string_length(words));
    return ST_OK;
}

static enum status append_content(const json_t *content, const char *role, struct place *p,
                                  struct buf *text, struct api_error *e)
{
    enum status s = ST_OK;

    if (!content || json_is_null(content)) {
        if (strcmp(role, "assistant") == 0)
            return ST_OK;
        return api_error_set(e, content ? API_INVALID_TYPE : API_MISSING, at(p, ".content"),
                             "The content of a %s message must be text.", role);
    }
    if (json_is_string(content)) {
        buf_append(text, json_string_value(content), json_string_length(content));
        return ST_OK;
    }
    if (!json_is_array(content))
        return param_wrong_type(at(p, ".content"), "a string or an array", content, e);
    for (size_t i = 0; i < json_array_size(content) && s == ST_OK; i++)
        s = append_part(json_array_get(content, i), p, text, e);
    return s;
}

/* Texts that templates look for beside role and content. */
static enum status copy_texts(const json_t *message, json_t *made, struct place *p,
                              struct api_error *e)
{
    static const char *const names[][2] = {
        { "name", "name" },
        { "tool_call_id", "tool_call_id" },
        { "reasoning", "reasoning_content" },
        { "reasoning_content", "reasoning_content" },
    };
    char rest[32];

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        json_t *value = param_get(message, names[i][0]);

        (void)snprintf(rest, sizeof(rest), ".%s", names[i][0]);
        if (value && !json_is_string(value))
            return param_wrong_type(at(p, rest), "a string", value, e);
        if (value && json_object_set(made, names[i][1], value) != 0)
            return param_no_memory(e);
    }
    return ST_OK;
}

static enum status parse_message(const struct api_request *r, const json_t *message,
                                 struct place *p, json_t *list, struct api_error *e)
{
    const json_t *role_given = json_object_get(message, "role");
    const char *role;
    struct buf text = { 0 };
    json_t *made = NULL;
    enum status s;

    if (!json_is_object(message))
        return param_wrong_type(at(p, ""), "an object", message, e);
    if (!role_given)
        return api_error_set(e, API_MISSING, at(p, ".role"), "A message needs a 'role'.");
    if (!json_is_string(role_given))
        return param_wrong_type(at(p, ".role"), "a string", role_given, e);
    role = role_for_template(json_string_value(role_given));
    if (!role)
        return api_error_set(e, API_INVALID_VALUE, at(p, ".role"),
                             "Unknown role: expected system, developer, user, assistant, tool or "
                             "function.");
    s = append_content(json_object_get(message, "content"), role, p, &text, e);
    if (s == ST_OK && buf_status(&text) == ST_OK)
        made = json_pack("{s:s,s:s%}", "role", role, "content", buf_text(&text), text.len);
    if (s == ST_OK && !made)
        s = param_no_memory(e);
    if (s == ST_OK)
        s = copy_texts(message, made, p, e);
    if (s == ST_OK && strcmp(role, "assistant") == 0)
        s = tool_calls_parse(r, message, made, at(p, ".tool_calls"), e);
    if (s == ST_OK && json_array_append(list, made) != 0)
        s = param_no_memory(e);
    json_decref(made);
    buf_release(&text);
    return s;
}

static enum status parse_list(const struct api_request *r, const json_t *body, json_t *list,
                              struct api_error *e)
{
    const json_t *messages = param_get(body, "messages");
    struct place p = { 0 };
    enum status s = ST_OK;

    if (!messages)
        return api_error_set(e, API_MISSING, "messages", "You must provide a messages parameter.");
    if (!json_is_array(messages))
        return param_wrong_type("messages", "an array", messages, e);
    if (json_array_size(messages) == 0 || json_array_size(messages) > MESSAGES_MAX)
        return api_error_set(e, API_INVALID_VALUE, "messages",
                             "'messages' must hold 1 to %d messages, not %zu.", MESSAGES_MAX,
                             json_array_size(messages));
    for (; p.message < json_array_size(messages) && s == ST_OK; p.message++)
        s = parse_message(r, json_array_get(messages, p.message), &p, list, e);
    return s;
}

/* Only these reach a template: a request must not choose what the template
 * or the tokenizer do with other text. */
static const char *const template_options[] = { "enable_thinking", "thinking", "reasoning_effort" };

static enum status add_option(const json_t *from, const char *name, json_t *variables,
                              struct api_error *e)
{
    json_t *value = param_get(from, name);

    if (!value)
        return ST_OK;
    if (!json_is_boolean(value) && (!json_is_string(value) || json_string_length(value) > 256))
        return param_wrong_type(name, "a boolean or a short string", value, e);
    return json_object_set(variables, name, value) == 0 ? ST_OK : param_no_memory(e);
}

static enum status add_options(const json_t *body, json_t *variables, struct api_error *e)
{
    const json_t *given = param_get(body, "chat_template_kwargs");
    enum status s = add_option(body, "reasoning_effort", variables, e);

    if (given && !json_is_object(given))
        return param_wrong_type("chat_template_kwargs", "an object", given, e);
    for (size_t i = 0; given && i < ARRAY_LEN(template_options) && s == ST_OK; i++)
        s = add_option(given, template_options[i], variables, e);
    return s;
}

bool messages_end_in_words(const json_t *messages)
{
    const json_t *last = json_array_get(messages, json_array_size(messages) - 1);
    const char *role = json_string_value(json_object_get(last, "role"));
    const char *words = json_string_value(json_object_get(last, "content"));

    return role && strcmp(role, "assistant") == 0 && words && words[strspn(words, " \t\r\n")] &&
           !json_object_get(last, "tool_calls");
}

enum status messages_continue(struct api_request *r, const char *param, struct api_error *e)
{
    if (!messages_end_in_words(json_object_get(r->variables, "messages")))
        return api_error_set(e, API_INVALID_VALUE, param,
                             "Only words of the assistant's, as the last message, can be gone on "
                             "with.");
    if (json_object_set_new(r->variables, "continue_final_message", json_true()) != 0 ||
        json_object_set_new(r->variables, "add_generation_prompt", json_false()) != 0)
        return param_no_memory(e);
    return ST_OK;
}

static enum status parse_continuation(const json_t *body, struct api_request *r,
                                      struct api_error *e)
{
    bool goes_on = false, begins = false;
    enum status s = param_bool(body, "continue_final_message", &goes_on, e);

    if (s == ST_OK)
        s = param_bool(body, "add_generation_prompt", &begins, e);
    if (s != ST_OK || !goes_on)
        return s;
    if (begins)
        return api_error_set(e, API_INVALID_VALUE, "add_generation_prompt",
                             "'add_generation_prompt' and 'continue_final_message' exclude each "
                             "other.");
    return messages_continue(r, "continue_final_message", e);
}

enum status messages_parse(const json_t *body, struct api_request *r, struct api_error *e)
{
    json_t *list = json_array();
    json_t *variables = json_pack("{s:o,s:b}", "messages", list, "add_generation_prompt", 1);
    enum status s;

    if (!variables) /* the list went with it */
        return param_no_memory(e);
    s = parse_list(r, body, list, e);
    if (s == ST_OK)
        s = add_options(body, variables, e);
    if (s != ST_OK) {
        json_decref(variables);
        return s;
    }
    r->variables = variables;
    return parse_continuation(body, r, e);
}
