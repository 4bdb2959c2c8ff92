/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/dialect/responses_items.c - the items of a Responses output, and of its input. */
#include <stdio.h>
#include <string.h>

#include "base/random.h"
#include "gateway/dialect/responses.h"
#include "gateway/dialect/tools.h"
#include "text/json_whole.h"

json_t *responses_thoughts(const char *id, const char *text, size_t n)
{
    return json_pack("{s:s,s:s,s:[],s:[{s:s,s:s%}],s:n}", "id", id, "type", "reasoning", "summary",
                     "content", "type", "reasoning_text", "text", text, n, "encrypted_content");
}

json_t *responses_message(const char *id, const char *text, size_t n, const struct buf *logprobs,
                          const char *status)
{
    struct buf list = { 0 };
    json_t *message;

    buf_printf(&list, "[%s]", buf_text(logprobs));
    message = json_pack("{s:s,s:s,s:s,s:s,s:[{s:s,s:s%,s:[],s:o}]}", "id", id, "type", "message",
                        "status", status, "role", "assistant", "content", "type", "output_text",
                        "text", text, n, "annotations", "logprobs",
                        json_loadb(buf_text(&list), list.len, 0, NULL));
    buf_release(&list);
    return message;
}

json_t *responses_call(const char *id, const struct answer_call *call, const char *arguments,
                       size_t n)
{
    json_t *name = json_stringn(buf_text(&call->name), call->name.len);

    if (call->is_custom)
        return json_pack("{s:s,s:s,s:s,s:s,s:o,s:o}", "id", id, "type", "custom_tool_call",
                         "status", "completed", "call_id", call->id, "name", name, "input",
                         n ? tools_custom_input(arguments, n) : json_string(""));
    return json_pack("{s:s,s:s,s:s,s:s,s:o,s:s%}", "id", id, "type", "function_call", "status",
                     "completed", "call_id", call->id, "name", name, "arguments", arguments, n);
}

void responses_make_id(const char *prefix, char ret_id[REQUEST_ID_MAX])
{
    char digits[33];

    random_hex(digits, 16);
    (void)snprintf(ret_id, REQUEST_ID_MAX, "%s%s", prefix, digits);
}

/* Text alone is a message of one part. */
static json_t *text_item(const json_t *text)
{
    return json_pack("{s:s,s:s,s:s,s:[{s:s,s:O}]}", "type", "message", "role", "user", "status",
                     "completed", "content", "type", "input_text", "text", text);
}

/* As it was sent, but with a type and an id, and its content in parts. */
static json_t *told_again(const json_t *item)
{
    json_t *copy = json_whole_copy(item);
    json_t *content = json_object_get(copy, "content");
    const char *role = json_string_value(json_object_get(copy, "role"));
    const bool is_answer = role && strcmp(role, "assistant") == 0;
    char id[REQUEST_ID_MAX];

    bool is_whole = copy != NULL;

    if (is_whole && !json_object_get(copy, "type"))
        is_whole = json_object_set_new(copy, "type", json_string("message")) == 0;
    if (is_whole && json_is_string(content))
        is_whole = json_object_set_new(copy, "content",
                                       json_pack("[{s:s,s:O}]", "type",
                                                 is_answer ? "output_text" : "input_text", "text",
                                                 content)) == 0;
    if (is_whole && !json_is_string(json_object_get(copy, "id"))) {
        responses_make_id("item_", id);
        is_whole = json_object_set_new(copy, "id", json_string(id)) == 0;
    }
    if (is_whole)
        return copy;
    json_decref(copy);
    return NULL;
}

json_t *responses_input_items(const json_t *input)
{
    json_t *items = json_array();
    json_t *said = json_is_string(input) ? text_item(input) : NULL;
    bool is_whole = items && (said || !json_is_string(input));

    if (is_whole && said)
        is_whole = json_array_append_new(items, told_again(said)) == 0;
    for (size_t i = 0; is_whole && i < json_array_size(input); i++)
        is_whole = json_array_append_new(items, told_again(json_array_get(input, i))) == 0;
    json_decref(said);
    if (is_whole)
        return items;
    json_decref(items);
    return NULL;
}
