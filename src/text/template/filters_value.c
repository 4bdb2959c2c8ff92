/* SPDX-License-Identifier: Apache-2.0 */
/* text/template/filters_value.c - filters of numbers and missing values.
 *
 * Source  Jinja 3.1 template designer documentation, "List of Builtin Filters"
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "text/template/eval.h"
#include "text/template/print.h"
#include "text/template/text.h"

enum { NUMBER_TEXT_MAX = 400, PRECISION_MAX = 300 };

/* default(default_value='', boolean=false) */
static enum status filter_default(struct interp *in, const struct value *self,
                                  const struct arguments *a, struct value *ret)
{
    const bool by_truth = tmpl_arg_bool(&a->at[1], false);

    if (self->type != VALUE_UNDEFINED && (!by_truth || tmpl_truthy(self))) {
        *ret = *self;
        return ST_OK;
    }
    if (a->at[0].type == VALUE_ABSENT)
        return tmpl_str_view(in, "", 0, true, ret);
    *ret = a->at[0];
    return ST_OK;
}

/* A Python number in text: no blanks around it, no underscores; false where
 * it cannot be one. */
static bool number_text(struct interp *in, const struct str *s, char ret_text[NUMBER_TEXT_MAX])
{
    struct value stripped;
    size_t n = 0;

    if (tmpl_text_strip(in, s, NULL, SIDE_BOTH, &stripped) != ST_OK)
        return false;
    s = stripped.string;
    if (s->n == 0 || s->n >= NUMBER_TEXT_MAX)
        return false;
    for (size_t i = 0; i < s->n; i++) {
        const bool between = i > 0 && i + 1 < s->n && s->bytes[i - 1] != '_';

        if (s->bytes[i] == '_' && between)
            continue;
        ret_text[n++] = s->bytes[i];
    }
    ret_text[n] = '\0';
    return n > 0;
}

/* Python's float(): decimal digits, inf and nan, but not C's hexadecimals. */
static bool read_float(const char *text, double *ret)
{
    static const char *const words[] = { "inf", "infinity", "nan" };
    const char *unsigned_text = text + (*text == '+' || *text == '-');
    char *end;
    bool word = false;

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        word = word || strcasecmp(unsigned_text, words[i]) == 0;
    if (!word && strspn(text, "0123456789.eE+-") != strlen(text))
        return false;
    *ret = strtod(text, &end);
    return end != text && *end == '\0';
}

static bool read_int(const char *text, int base, int64_t *ret)
{
    char *end;
    long long value;

    if (*text == ' ' || (text[0] != '\0' && strchr("+-", text[0]) && strchr(" +-", text[1])))
        return false;
    errno = 0;
    value = strtoll(text, &end, base);
    if (end == text || *end != '\0' || errno != 0)
        return false;
    *ret = value;
    return true;
}

static enum status int_of_real(struct interp *in, double d, bool trusted, struct value *ret)
{
    if (!(d > -9.2e18 && d < 9.2e18))
        return tmpl_error(in, ST_RANGE, "an integer exceeds 64 bits");
    *ret = value_int((int64_t)d, trusted);
    return ST_OK;
}

static enum status refuse_undefined(struct interp *in, const struct value *v)
{
    if (v->type != VALUE_UNDEFINED)
        return ST_OK;
    return tmpl_error(in, ST_FORMAT, "'%s' is undefined", v->hint ? v->hint : "value");
}

/* int(default=0, base=10) */
static enum status filter_int(struct interp *in, const struct value *self,
                              const struct arguments *a, struct value *ret)
{
    char text[NUMBER_TEXT_MAX];
    int64_t base, integer;
    double real;
    enum status s = tmpl_arg_int(in, &a->at[1], 10, &base);

    if (s == ST_OK)
        s = refuse_undefined(in, self);
    if (s == ST_OK && base != 0 && (base < 2 || base > 36))
        s = tmpl_error(in, ST_FORMAT, "the base of 'int' is not between 2 and 36");
    if (s != ST_OK)
        return s;
    if (value_is_integral(self)) {
        *ret = value_int(value_integer(self), self->trusted);
        return ST_OK;
    }
    if (self->type == VALUE_FLOAT && isfinite(self->real))
        return int_of_real(in, self->real, self->trusted, ret);
    if (self->type == VALUE_STRING && number_text(in, self->string, text)) {
        if (read_int(text, (int)base, &integer)) {
            *ret = value_int(integer, tmpl_trusted(self));
            return ST_OK;
        }
        if (read_float(text, &real) && isfinite(real))
            return int_of_real(in, real, tmpl_trusted(self), ret);
    }
    *ret = a->at[0].type == VALUE_ABSENT ? value_int(0, true) : a->at[0];
    return ST_OK;
}

/* float(default=0.0) */
static enum status filter_float(struct interp *in, const struct value *self,
                                const struct arguments *a, struct value *ret)
{
    char text[NUMBER_TEXT_MAX];
    double real;
    enum status s = refuse_undefined(in, self);

    if (s != ST_OK)
        return s;
    if (value_is_number(self))
        *ret = value_float(value_real(self), self->trusted);
    else if (self->type == VALUE_STRING && number_text(in, self->string, text) &&
             read_float(text, &real))
        *ret = value_float(real, tmpl_trusted(self));
    else
        *ret = a->at[0].type == VALUE_ABSENT ? value_float(0.0, true) : a->at[0];
    return ST_OK;
}

static enum status filter_abs(struct interp *in, const struct value *self,
                              const struct arguments *a, struct value *ret)
{
    const struct value zero = value_int(0, true);

    (void)a;
    if (!value_is_number(self))
        return tmpl_error(in, ST_FORMAT, "%s has no absolute value", tmpl_type_name(self));
    if (self->type == VALUE_FLOAT) {
        *ret = value_float(fabs(self->real), self->trusted);
        return ST_OK;
    }
    return tmpl_operate(in, value_integer(self) < 0 ? OPERATOR_SUBTRACT : OPERATOR_ADD, &zero, self,
                        ret);
}

/* The decimal nearest to what the double is exactly, ties to even, as Python's
 * round(): printf rounds the exact value. */
static double round_common(double d, int64_t precision)
{
    char text[NUMBER_TEXT_MAX + PRECISION_MAX];
    const double scale = pow(10.0, (double)-precision);

    if (!isfinite(d) || precision > PRECISION_MAX)
        return d;
    if (precision < 0)
        return precision < -PRECISION_MAX ? 0.0 * d : rint(d / scale) * scale;
    snprintf(text, sizeof(text), "%.*f", (int)precision, d);
    return strtod(text, NULL);
}

/* round(precision=0, method='common') */
static enum status filter_round(struct interp *in, const struct value *self,
                                const struct arguments *a, struct value *ret)
{
    static const struct str common = { .bytes = "common", .n = 6 };
    static const struct str ceiling = { .bytes = "ceil", .n = 4 };
    static const struct str down = { .bytes = "floor", .n = 5 };
    const struct str *method = &common;
    int64_t precision;
    double scale;
    enum status s = tmpl_arg_int(in, &a->at[0], 0, &precision);

    if (s == ST_OK && a->at[1].type != VALUE_ABSENT)
        s = tmpl_arg_str(in, &a->at[1], &method);
    if (s == ST_OK && !value_is_number(self))
        s = tmpl_error(in, ST_FORMAT, "%s cannot be rounded", tmpl_type_name(self));
    if (s != ST_OK)
        return s;
    scale = pow(10.0, (double)precision);
    if (tmpl_str_same(method, &ceiling))
        *ret = value_float(ceil(value_real(self) * scale) / scale, self->trusted);
    else if (tmpl_str_same(method, &down))
        *ret = value_float(floor(value_real(self) * scale) / scale, self->trusted);
    else if (!tmpl_str_same(method, &common))
        return tmpl_error(in, ST_FORMAT, "the method of 'round' is common, ceil or floor");
    else if (value_is_integral(self) && precision >= 0)
        *ret = value_int(value_integer(self), self->trusted);
    else if (value_is_integral(self))
        return int_of_real(in, round_common(value_real(self), precision), self->trusted, ret);
    else
        *ret = value_float(round_common(self->real, precision), self->trusted);
    return ST_OK;
}

const struct builtin tmpl_value_filters[] = {
    { "default", filter_default, 0, { "default_value", "boolean" } },
    { "d", filter_default, 0, { "default_value", "boolean" } },
    { "int", filter_int, 0, { "default", "base" } },
    { "float", filter_float, 0, { "default" } },
    { "abs", filter_abs, 0, { NULL } },
    { "round", filter_round, 0, { "precision", "method" } },
    { 0 },
};
