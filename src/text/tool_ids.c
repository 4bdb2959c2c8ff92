/* SPDX-License-Identifier: Apache-2.0 */
/* text/tool_ids.c - ids of calls for templates that want them short. */
#include "text/tool_ids.h"

#include "text/json_whole.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <xxhash.h>

static bool is_short(const char *id)
{
    size_t n = 0;

    while (n <= TOOL_ID_SHORT && isalnum((unsigned char)id[n]))
        n++;
    return n == TOOL_ID_SHORT && !id[n];
}

void tool_id_shorten(const char *id, char ret_id[TOOL_ID_SHORT + 1])
{
    static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    uint64_t hash = XXH3_64bits(id, strlen(id));

    for (size_t i = 0; i < TOOL_ID_SHORT; i++) {
        ret_id[i] = is_short(id) ? id[i] : digits[hash % (sizeof(digits) - 1)];
        hash /= sizeof(digits) - 1;
    }
    ret_id[TOOL_ID_SHORT] = '\0';
}

static bool shorten(json_t *object, const char *key)
{
    const char *id = json_string_value(json_object_get(object, key));
    char made[TOOL_ID_SHORT + 1];

    if (!id)
        return true;
    tool_id_shorten(id, made);
    return json_object_set_new(object, key, json_string(made)) == 0;
}

/* Given: a copy where there are ids.  NULL: no memory. */
static json_t *with_short_ids(json_t *message)
{
    json_t *copy;
    const json_t *calls;
    bool is_done;

    if (!json_object_get(message, "tool_calls") && !json_object_get(message, "tool_call_id"))
        return json_incref(message);
    copy = json_deep_copy(message);
    is_done = copy && shorten(copy, "tool_call_id");
    calls = json_object_get(copy, "tool_calls");
    for (size_t i = 0; is_done && i < json_array_size(calls); i++)
        is_done = shorten(json_array_get(calls, i), "id");
    if (is_done)
        return copy;
    json_decref(copy);
    return NULL;
}

json_t *tool_ids_shorten(const json_t *variables)
{
    const json_t *from = json_object_get(variables, "messages");
    json_t *made = json_whole_copy(variables);
    json_t *messages = json_array();
    bool is_done = made && messages;

    for (size_t i = 0; is_done && i < json_array_size(from); i++)
        is_done = json_array_append_new(messages, with_short_ids(json_array_get(from, i))) == 0;
    is_done = is_done && json_object_set(made, "messages", messages) == 0;
    json_decref(messages);
    if (is_done)
        return made;
    json_decref(made);
    return NULL;
}
