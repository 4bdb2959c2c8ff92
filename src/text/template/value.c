/* SPDX-License-Identifier: Apache-2.0 */
/* text/template/value.c - what can be said of a value without a render. */
#include "text/template/value.h"

#include <string.h>

bool tmpl_str_is_trusted(const struct str *s)
{
    if (!s->marks)
        return s->trusted;
    return !memchr(s->marks, 0, s->n);
}

bool tmpl_truthy(const struct value *v)
{
    switch (v->type) {
    case VALUE_ABSENT:
    case VALUE_UNDEFINED:
    case VALUE_NONE: return false;
    case VALUE_BOOL: return v->boolean;
    case VALUE_INT: return v->integer != 0;
    case VALUE_FLOAT: return v->real != 0.0;
    case VALUE_STRING: return v->string->n > 0;
    case VALUE_LIST:
    case VALUE_TUPLE: return v->list->n > 0;
    case VALUE_DICT: return v->dict->n > 0;
    case VALUE_NAMESPACE:
    case VALUE_LOOP:
    case VALUE_MACRO:
    case VALUE_BUILTIN: return true;
    }
    return false;
}

const char *tmpl_type_name(const struct value *v)
{
    static const char *const names[] = {
        [VALUE_ABSENT] = "nothing",
        [VALUE_UNDEFINED] = "an undefined value",
        [VALUE_NONE] = "none",
        [VALUE_BOOL] = "a boolean",
        [VALUE_INT] = "an integer",
        [VALUE_FLOAT] = "a float",
        [VALUE_STRING] = "a string",
        [VALUE_LIST] = "a list",
        [VALUE_TUPLE] = "a tuple",
        [VALUE_DICT] = "a mapping",
        [VALUE_NAMESPACE] = "a namespace",
        [VALUE_LOOP] = "the loop variable",
        [VALUE_MACRO] = "a macro",
        [VALUE_BUILTIN] = "a function",
    };

    return names[v->type];
}

bool tmpl_trusted(const struct value *v)
{
    if (v->type == VALUE_STRING)
        return tmpl_str_is_trusted(v->string);
    return v->trusted;
}
