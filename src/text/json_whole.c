/* SPDX-License-Identifier: Apache-2.0 */
/* text/json_whole.c - copies of JSON that are whole. */
#include "text/json_whole.h"

#include <stdint.h>

json_t *json_whole_copy(const json_t *value)
{
    json_t *copy = json_copy((json_t *)(uintptr_t)value);

    if (json_object_size(copy) == json_object_size(value) &&
        json_array_size(copy) == json_array_size(value))
        return copy;
    json_decref(copy);
    return NULL;
}
