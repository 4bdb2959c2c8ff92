/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/dialect/responses_items.c - the items of a Responses output. */
#include <string.h>

#include "gateway/dialect/responses.h"

json_t *responses_thoughts(const char *id, const char *text, size_t n)
{
    return json_pack("{s:s,s:s,s:[],s:[{s:s,s:s%}],s:n}", "id", id, "type", "reasoning", "summary",
                     "content", "type", "reasoning_text", "text", text, n, "encrypted_content");
}

json_t *responses_message(const char *id, const char *text, size_t n, const char *status)
{
    return json_pack("{s:s,s:s,s:s,s:s,s:[{s:s,s:s%,s:[],s:[]}]}", "id", id, "type", "message",
                     "status", status, "role", "assistant", "content", "type", "output_text",
                     "text", text, n, "annotations", "logprobs");
}

json_t *responses_custom_input(const char *arguments, size_t n)
{
    json_t *object = json_loadb(arguments, n, 0, NULL);
    json_t *input = json_incref(json_object_get(object, "input"));

    json_decref(object);
    if (json_is_string(input))
        return input;
    json_decref(input);
    return json_stringn(arguments, n); /* the model did not keep to the one string */
}

json_t *responses_call(const char *id, const struct answer_call *call, const char *arguments,
                       size_t n, bool is_custom)
{
    json_t *name = json_stringn(buf_text(&call->name), call->name.len);

    if (is_custom)
        return json_pack("{s:s,s:s,s:s,s:s,s:o,s:o}", "id", id, "type", "custom_tool_call",
                         "status", "completed", "call_id", call->id, "name", name, "input",
                         n ? responses_custom_input(arguments, n) : json_string(""));
    return json_pack("{s:s,s:s,s:s,s:s,s:o,s:s%}", "id", id, "type", "function_call", "status",
                     "completed", "call_id", call->id, "name", name, "arguments", arguments, n);
}

bool responses_is_custom(const struct answer *a, const struct answer_call *call)
{
    const json_t *names = json_object_get(a->context, "custom");

    for (size_t i = 0; i < json_array_size(names); i++) {
        if (strcmp(json_string_value(json_array_get(names, i)), buf_text(&call->name)) == 0)
            return true;
    }
    return false;
}
