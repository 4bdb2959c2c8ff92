/* SPDX-License-Identifier: Apache-2.0 */
/* text/template/operate.c - arithmetic and comparison, as in Python.
 *
 * Integers are 64 bits: what exceeds them is an error, never a wrong number.
 * A result counts as the template's only where both operands do.
 *
 * Source  The Python Language Reference, "Expressions"
 */
#include <math.h>

#include "base/size.h"
#include "text/template/eval.h"
#include "text/template/print.h"

static const char *const symbols[] = {
    [OPERATOR_ADD] = "+",    [OPERATOR_SUBTRACT] = "-",      [OPERATOR_MULTIPLY] = "*",
    [OPERATOR_DIVIDE] = "/", [OPERATOR_FLOOR_DIVIDE] = "//", [OPERATOR_MODULO] = "%",
    [OPERATOR_POWER] = "**", [OPERATOR_CONCATENATE] = "~",
};

static enum status overflow(struct interp *in)
{
    return tmpl_error(in, ST_RANGE, "an integer exceeds 64 bits");
}

static bool power(int64_t base, int64_t exponent, int64_t *ret)
{
    int64_t result = 1;

    while (exponent > 0) {
        if ((exponent & 1) && __builtin_mul_overflow(result, base, &result))
            return false;
        exponent >>= 1;
        if (exponent > 0 && __builtin_mul_overflow(base, base, &base))
            return false;
    }
    *ret = result;
    return true;
}

/* Python rounds a quotient down, and gives a remainder the divisor's sign. */
static enum status divide(struct interp *in, enum operator_kind op, int64_t a, int64_t b,
                          int64_t *ret)
{
    int64_t quotient, remainder;

    if (a == INT64_MIN && b == -1) {
        if (op == OPERATOR_FLOOR_DIVIDE)
            return overflow(in);
        *ret = 0;
        return ST_OK;
    }
    quotient = a / b;
    remainder = a % b;
    if (remainder != 0 && (remainder < 0) != (b < 0)) {
        quotient--;
        remainder += b;
    }
    *ret = op == OPERATOR_MODULO ? remainder : quotient;
    return ST_OK;
}

static enum status operate_integers(struct interp *in, enum operator_kind op, int64_t a, int64_t b,
                                    int64_t *ret)
{
    bool fits;

    if (op == OPERATOR_FLOOR_DIVIDE || op == OPERATOR_MODULO)
        return divide(in, op, a, b, ret);
    if (op == OPERATOR_ADD)
        fits = !__builtin_add_overflow(a, b, ret);
    else if (op == OPERATOR_SUBTRACT)
        fits = !__builtin_sub_overflow(a, b, ret);
    else if (op == OPERATOR_MULTIPLY)
        fits = !__builtin_mul_overflow(a, b, ret);
    else
        fits = power(a, b, ret);
    return fits ? ST_OK : overflow(in);
}

static double floor_modulo(double a, double b)
{
    const double remainder = fmod(a, b);

    if (remainder == 0.0)
        return copysign(0.0, b);
    return (remainder < 0.0) != (b < 0.0) ? remainder + b : remainder;
}

static double operate_reals(enum operator_kind op, double a, double b)
{
    if (op == OPERATOR_ADD)
        return a + b;
    if (op == OPERATOR_SUBTRACT)
        return a - b;
    if (op == OPERATOR_MULTIPLY)
        return a * b;
    if (op == OPERATOR_DIVIDE)
        return a / b;
    if (op == OPERATOR_FLOOR_DIVIDE)
        return floor(a / b);
    if (op == OPERATOR_MODULO)
        return floor_modulo(a, b);
    return pow(a, b);
}

static enum status operate_numbers(struct interp *in, enum operator_kind op, const struct value *a,
                                   const struct value *b, struct value *ret)
{
    const bool trusted = a->trusted && b->trusted;
    const bool divides =
        op == OPERATOR_DIVIDE || op == OPERATOR_FLOOR_DIVIDE || op == OPERATOR_MODULO;
    const bool negative_power = op == OPERATOR_POWER && value_real(b) < 0.0;
    int64_t integer = 0;
    enum status s;

    if (value_real(b) == 0.0 && divides)
        return tmpl_error(in, ST_FORMAT, "division by zero");
    if (value_real(a) == 0.0 && negative_power)
        return tmpl_error(in, ST_FORMAT, "zero to a negative power");
    if (value_is_integral(a) && value_is_integral(b) && op != OPERATOR_DIVIDE && !negative_power) {
        s = operate_integers(in, op, value_integer(a), value_integer(b), &integer);
        if (s == ST_OK)
            *ret = value_int(integer, trusted);
        return s;
    }
    *ret = value_float(operate_reals(op, value_real(a), value_real(b)), trusted);
    return ST_OK;
}

static enum status repeat_string(struct interp *in, const struct str *s, size_t times,
                                 struct value *ret)
{
    struct builder b;
    size_t n;
    enum status st = ST_OK;

    if (!size_mul(s->n, times, &n) || n > TMPL_ARENA_MAX)
        return tmpl_error(in, ST_RANGE, "a repeated string is too long");
    tmpl_build(&b, in);
    for (size_t i = 0; st == ST_OK && n > 0 && i < times; i++) {
        tmpl_build_str(&b, s);
        st = b.failed ? tmpl_no_memory(in) : tmpl_charge(in, s->n);
    }
    return st == ST_OK ? tmpl_build_finish(&b, ret) : st;
}

static enum status repeat_list(struct interp *in, const struct value *v, size_t times,
                               struct value *ret)
{
    struct list *list;
    size_t n;
    enum status s;

    if (!size_mul(v->list->n, times, &n))
        return tmpl_error(in, ST_RANGE, "a repeated list is too long");
    s = tmpl_list_new(in, n, &list);
    if (s != ST_OK)
        return s;
    for (size_t i = 0; i < n; i++)
        list->items[i] = v->list->items[i % v->list->n];
    *ret = value_list(v->type, list);
    return ST_OK;
}

static enum status concat_lists(struct interp *in, const struct value *a, const struct value *b,
                                struct value *ret)
{
    struct list *list;
    enum status s = tmpl_list_new(in, a->list->n + b->list->n, &list);

    if (s != ST_OK)
        return s;
    for (size_t i = 0; i < a->list->n; i++)
        list->items[i] = a->list->items[i];
    for (size_t i = 0; i < b->list->n; i++)
        list->items[a->list->n + i] = b->list->items[i];
    *ret = value_list(a->type, list);
    return ST_OK;
}

static bool is_sequence(const struct value *v)
{
    return v->type == VALUE_LIST || v->type == VALUE_TUPLE;
}

static enum status undefined_operand(struct interp *in, const struct value *v)
{
    return tmpl_error(in, ST_FORMAT, "'%s' is undefined", v->hint ? v->hint : "value");
}

/* a ~ b: both as text. */
static enum status concatenate(struct interp *in, const struct value *a, const struct value *b,
                               struct value *ret)
{
    const struct str *x, *y;
    enum status s = tmpl_to_str(in, a, &x);

    if (s == ST_OK)
        s = tmpl_to_str(in, b, &y);
    return s == ST_OK ? tmpl_str_concat(in, x, y, ret) : s;
}

static enum status multiply_other(struct interp *in, const struct value *a, const struct value *b,
                                  struct value *ret)
{
    const struct value *what = value_is_integral(b) ? a : b;
    const int64_t times = value_integer(value_is_integral(b) ? b : a);

    if (what->type == VALUE_STRING)
        return repeat_string(in, what->string, times > 0 ? (size_t)times : 0, ret);
    return repeat_list(in, what, times > 0 ? (size_t)times : 0, ret);
}

static bool multiplies(const struct value *sequence, const struct value *times)
{
    return value_is_integral(times) && (sequence->type == VALUE_STRING || is_sequence(sequence));
}

enum status tmpl_operate(struct interp *in, enum operator_kind op, const struct value *a,
                         const struct value *b, struct value *ret)
{
    if (op == OPERATOR_CONCATENATE)
        return concatenate(in, a, b, ret);
    if (a->type == VALUE_UNDEFINED)
        return undefined_operand(in, a);
    if (b->type == VALUE_UNDEFINED)
        return undefined_operand(in, b);
    if (value_is_number(a) && value_is_number(b))
        return operate_numbers(in, op, a, b, ret);
    if (op == OPERATOR_ADD && a->type == VALUE_STRING && b->type == VALUE_STRING)
        return tmpl_str_concat(in, a->string, b->string, ret);
    if (op == OPERATOR_ADD && is_sequence(a) && a->type == b->type)
        return concat_lists(in, a, b, ret);
    if (op == OPERATOR_MULTIPLY && (multiplies(a, b) || multiplies(b, a)))
        return multiply_other(in, a, b, ret);
    if (op == OPERATOR_MODULO && a->type == VALUE_STRING)
        return tmpl_error(in, ST_UNSUPPORTED, "formatting a string with %% is not supported");
    return tmpl_error(in, ST_FORMAT, "%s %s %s is not possible", tmpl_type_name(a), symbols[op],
                      tmpl_type_name(b));
}

static enum status ordered(struct interp *in, enum operator_kind op, const struct value *a,
                           const struct value *b, bool *ret)
{
    int order;
    enum status s;

    if (a->type == VALUE_UNDEFINED)
        return undefined_operand(in, a);
    if (b->type == VALUE_UNDEFINED)
        return undefined_operand(in, b);
    s = tmpl_compare(in, a, b, &order);
    if (s != ST_OK)
        return s;
    *ret = op == OPERATOR_LT   ? order < 0
           : op == OPERATOR_LE ? order <= 0
           : op == OPERATOR_GT ? order > 0
                               : order >= 0;
    return ST_OK;
}

enum status tmpl_relate(struct interp *in, enum operator_kind op, const struct value *a,
                        const struct value *b, bool *ret)
{
    bool yes;
    enum status s;

    if (op == OPERATOR_EQ || op == OPERATOR_NE)
        s = tmpl_equal(in, a, b, &yes);
    else if (op == OPERATOR_IN || op == OPERATOR_NOT_IN)
        s = tmpl_contains(in, b, a, &yes);
    else
        return ordered(in, op, a, b, ret);
    if (s == ST_OK)
        *ret = yes == (op == OPERATOR_EQ || op == OPERATOR_IN);
    return s;
}
