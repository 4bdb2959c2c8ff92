/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/dialect/param.c - typed reading of a JSON body's parameters. */
#include "gateway/dialect/param.h"

#include <inttypes.h>
#include <string.h>

json_t *param_get(const json_t *body, const char *name)
{
    json_t *value = json_object_get(body, name);

    return json_is_null(value) ? NULL : value;
}

const char *json_type_word(const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT: return "an object";
    case JSON_ARRAY: return "an array";
    case JSON_STRING: return "a string";
    case JSON_INTEGER: return "an integer";
    case JSON_REAL: return "a number";
    case JSON_TRUE:
    case JSON_FALSE: return "a boolean";
    case JSON_NULL: return "null";
    }
    return "nothing";
}

enum status param_wrong_type(const char *name, const char *wanted, const json_t *got,
                             struct api_error *e)
{
    return api_error_set(e, API_INVALID_TYPE, name,
                         "Invalid type for '%s': expected %s, but got %s instead.", name, wanted,
                         json_type_word(got));
}

enum status param_no_memory(struct api_error *e)
{
    return api_error_set(e, API_INTERNAL, NULL, "There is no memory for this request.");
}

enum status param_bool(const json_t *body, const char *name, bool *ret, struct api_error *e)
{
    const json_t *value = param_get(body, name);

    if (!value)
        return ST_OK;
    if (!json_is_boolean(value))
        return param_wrong_type(name, "a boolean", value, e);
    *ret = json_is_true(value);
    return ST_OK;
}

/* Integers may be written as 5.0: some clients keep every number as a double. */
static bool is_whole(const json_t *value, int64_t *ret)
{
    const double number = json_real_value(value);

    if (json_is_integer(value)) {
        *ret = json_integer_value(value);
        return true;
    }
    if (!json_is_real(value) || !(number >= -9007199254740992.0 && number <= 9007199254740992.0))
        return false; /* beyond 2^53 a double skips integers */
    *ret = (int64_t)number;
    return (double)*ret == number;
}

enum status param_int(const json_t *body, const char *name, int64_t min, int64_t max, int64_t *ret,
                      struct api_error *e)
{
    const json_t *value = param_get(body, name);
    int64_t number;

    if (!value)
        return ST_OK;
    if (!is_whole(value, &number))
        return param_wrong_type(name, "an integer", value, e);
    if (number < min || number > max)
        return api_error_set(e, API_INVALID_VALUE, name,
                             "'%s' must be between %" PRId64 " and %" PRId64 ", not %" PRId64 ".",
                             name, min, max, number);
    *ret = number;
    return ST_OK;
}

enum status param_u32(const json_t *body, const char *name, uint32_t min, uint32_t max,
                      uint32_t *ret, struct api_error *e)
{
    int64_t number = *ret;
    const enum status s = param_int(body, name, min, max, &number, e);

    if (s == ST_OK)
        *ret = (uint32_t)number;
    return s;
}

enum status param_float(const json_t *body, const char *name, double min, double max, float *ret,
                        struct api_error *e)
{
    const json_t *value = param_get(body, name);

    if (!value)
        return ST_OK;
    if (!json_is_number(value))
        return param_wrong_type(name, "a number", value, e);
    if (!(json_number_value(value) >= min && json_number_value(value) <= max))
        return api_error_set(e, API_INVALID_VALUE, name, "'%s' must be between %g and %g, not %g.",
                             name, min, max, json_number_value(value));
    *ret = (float)json_number_value(value);
    return ST_OK;
}

enum status param_text(const json_t *body, const char *name, char *ret, size_t capacity,
                       struct api_error *e)
{
    const json_t *value = param_get(body, name);

    if (!value)
        return ST_OK;
    if (!json_is_string(value))
        return param_wrong_type(name, "a string", value, e);
    if (json_string_length(value) >= capacity)
        return api_error_set(e, API_INVALID_VALUE, name, "'%s' is longer than %zu bytes.", name,
                             capacity - 1);
    memcpy(ret, json_string_value(value), json_string_length(value) + 1);
    return ST_OK;
}
