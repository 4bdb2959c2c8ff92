/* SPDX-License-Identifier: Apache-2.0 */
/* text/template/import.c - a request's JSON as values.
 *
 * Strings are shared with the JSON, which outlives the render.
 */
#include <jansson.h>
#include <string.h>

#include "text/template/eval.h"
#include "text/template/template.h"

static enum status import_array(struct interp *in, const json_t *json, bool trusted,
                                struct value *ret)
{
    struct list *list;
    enum status s = tmpl_list_new(in, json_array_size(json), &list);

    for (size_t i = 0; s == ST_OK && i < list->n; i++)
        s = tmpl_import(in, json_array_get(json, i), trusted, &list->items[i]);
    if (s == ST_OK)
        *ret = value_list(VALUE_LIST, list);
    return s;
}

static enum status import_object(struct interp *in, const json_t *json, bool trusted,
                                 struct value *ret)
{
    json_t *object = (json_t *)(uintptr_t)json; /* jansson's iteration is not const */
    struct dict *dict;
    enum status s = tmpl_dict_new(in, &dict);

    for (void *i = json_object_iter(object); s == ST_OK && i;
         i = json_object_iter_next(object, i)) {
        const char *name = json_object_iter_key(i);
        struct value key, value;

        s = tmpl_str_view(in, name, strlen(name), trusted, &key);
        if (s == ST_OK)
            s = tmpl_import(in, json_object_iter_value(i), trusted, &value);
        if (s == ST_OK && strcmp(name, TEMPLATE_WRITTEN) == 0 && value.type == VALUE_STRING)
            dict->written = value.string;
        else if (s == ST_OK)
            s = tmpl_dict_append(in, dict, &key, &value);
    }
    if (s == ST_OK)
        *ret = (struct value){ .type = VALUE_DICT, .dict = dict };
    return s;
}

static enum status import(struct interp *in, const json_t *json, bool trusted, struct value *ret)
{
    if (json_is_object(json))
        return import_object(in, json, trusted, ret);
    if (json_is_array(json))
        return import_array(in, json, trusted, ret);
    if (json_is_string(json))
        return tmpl_str_view(in, json_string_value(json), json_string_length(json), trusted, ret);
    if (json_is_boolean(json))
        *ret = value_bool(json_is_true(json), trusted);
    else if (json_is_integer(json))
        *ret = value_int(json_integer_value(json), trusted);
    else if (json_is_real(json))
        *ret = value_float(json_real_value(json), trusted);
    else
        *ret = (struct value){ .type = VALUE_NONE, .trusted = trusted };
    return ST_OK;
}

enum status tmpl_import(struct interp *in, const void *json, bool trusted, struct value *ret)
{
    enum status s = tmpl_enter(in);

    if (s != ST_OK)
        return s;
    s = import(in, json, trusted, ret);
    tmpl_leave(in);
    return s;
}
