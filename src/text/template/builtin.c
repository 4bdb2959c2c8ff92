/* SPDX-License-Identifier: Apache-2.0 */
/* text/template/builtin.c - finding a builtin and arranging its arguments. */
#include "text/template/builtin.h"

#include <string.h>

#include "base/size.h"

const struct builtin *tmpl_builtin_find(const struct builtin *rows, const char *name, size_t n)
{
    for (; rows->name; rows++)
        if (strlen(rows->name) == n && memcmp(rows->name, name, n) == 0)
            return rows;
    return NULL;
}

const struct builtin *tmpl_filter_find(const char *name, size_t n)
{
    const struct builtin *const tables[] = { tmpl_text_filters, tmpl_list_filters,
                                             tmpl_select_filters, tmpl_value_filters,
                                             tmpl_dict_filters };

    for (size_t i = 0; i < ARRAY_LEN(tables); i++) {
        const struct builtin *b = tmpl_builtin_find(tables[i], name, n);

        if (b)
            return b;
    }
    return NULL;
}

const struct builtin *tmpl_test_find(const char *name, size_t n)
{
    return tmpl_builtin_find(tmpl_tests, name, n);
}

const struct builtin *tmpl_method_find(const struct value *v, const char *name)
{
    const struct builtin *rows = v->type == VALUE_STRING ? tmpl_string_methods
                                 : v->type == VALUE_DICT ? tmpl_dict_methods
                                 : v->type == VALUE_LOOP ? tmpl_loop_methods
                                                         : NULL;

    return rows ? tmpl_builtin_find(rows, name, strlen(name)) : NULL;
}

static enum status arrange_named(struct interp *in, const struct builtin *b,
                                 const struct named_value *named, struct value *at)
{
    for (size_t i = 0; i < BUILTIN_PARAMETERS_MAX && b->parameters[i]; i++) {
        if (strcmp(b->parameters[i], named->name) != 0)
            continue;
        if (at[i].type != VALUE_ABSENT)
            return tmpl_error(in, ST_FORMAT, "'%s' is given '%s' twice", b->name, named->name);
        at[i] = named->value;
        return ST_OK;
    }
    return tmpl_error(in, ST_UNSUPPORTED, "'%s' has no argument '%s'", b->name, named->name);
}

enum status tmpl_builtin_run(struct interp *in, const struct builtin *b, const struct value *self,
                             const struct arguments *arguments, struct value *ret)
{
    struct value at[BUILTIN_PARAMETERS_MAX] = { 0 };
    const struct arguments arranged = { .at = at, .n = BUILTIN_PARAMETERS_MAX };
    size_t n = 0;
    enum status s = ST_OK;

    if (b->parameters[0] && strcmp(b->parameters[0], "*") == 0)
        return b->run(in, self, arguments, ret);
    while (n < BUILTIN_PARAMETERS_MAX && b->parameters[n])
        n++;
    if (arguments->n > n)
        return tmpl_error(in, ST_FORMAT, "'%s' takes at most %zu arguments", b->name, n);
    for (size_t i = 0; i < arguments->n; i++)
        at[i] = arguments->at[i];
    for (size_t i = 0; s == ST_OK && i < arguments->n_named; i++)
        s = arrange_named(in, b, &arguments->named[i], at);
    for (size_t i = 0; s == ST_OK && i < b->n_required; i++)
        if (at[i].type == VALUE_ABSENT)
            s = tmpl_error(in, ST_FORMAT, "'%s' needs '%s'", b->name, b->parameters[i]);
    return s == ST_OK ? b->run(in, self, &arranged, ret) : s;
}

enum status tmpl_arg_int(struct interp *in, const struct value *v, int64_t if_absent, int64_t *ret)
{
    if (v->type == VALUE_ABSENT || v->type == VALUE_NONE) {
        *ret = if_absent;
        return ST_OK;
    }
    if (!value_is_integral(v))
        return tmpl_error(in, ST_FORMAT, "an argument is %s but must be an integer",
                          tmpl_type_name(v));
    *ret = value_integer(v);
    return ST_OK;
}

enum status tmpl_arg_str(struct interp *in, const struct value *v, const struct str **ret)
{
    if (v->type != VALUE_STRING)
        return tmpl_error(in, ST_FORMAT, "an argument is %s but must be a string",
                          tmpl_type_name(v));
    *ret = v->string;
    return ST_OK;
}

bool tmpl_arg_bool(const struct value *v, bool if_absent)
{
    return v->type == VALUE_ABSENT ? if_absent : tmpl_truthy(v);
}
