/* SPDX-License-Identifier: Apache-2.0 */
/* text/template/tests.c - what can stand behind "is".
 *
 * Source  Jinja 3.1 template designer documentation, "List of Builtin Tests"
 */
#include "text/template/eval.h"
#include "text/template/print.h"
#include "text/template/text.h"

/* Tests of a value's type alone, each a function of one line. */
#define TYPE_TEST(name, condition)                                                                 \
    static enum status test_##name(struct interp *in, const struct value *self,                    \
                                   const struct arguments *a, struct value *ret)                   \
    {                                                                                              \
        (void)in;                                                                                  \
        (void)a;                                                                                   \
        *ret = value_bool(condition, true);                                                        \
        return ST_OK;                                                                              \
    }

static bool is_iterable(const struct value *v)
{
    return v->type == VALUE_STRING || v->type == VALUE_LIST || v->type == VALUE_TUPLE ||
           v->type == VALUE_DICT || v->type == VALUE_UNDEFINED;
}

TYPE_TEST(defined, self->type != VALUE_UNDEFINED)
TYPE_TEST(undefined, self->type == VALUE_UNDEFINED)
TYPE_TEST(none, self->type == VALUE_NONE)
TYPE_TEST(boolean, self->type == VALUE_BOOL)
TYPE_TEST(true, self->type == VALUE_BOOL && self->boolean)
TYPE_TEST(false, self->type == VALUE_BOOL && !self->boolean)
TYPE_TEST(integer, self->type == VALUE_INT)
TYPE_TEST(float, self->type == VALUE_FLOAT)
TYPE_TEST(number, value_is_number(self))
TYPE_TEST(string, self->type == VALUE_STRING)
TYPE_TEST(mapping, self->type == VALUE_DICT)
TYPE_TEST(sequence, is_iterable(self))
TYPE_TEST(iterable, is_iterable(self))
TYPE_TEST(callable, self->type == VALUE_MACRO || self->type == VALUE_BUILTIN)

static enum status relate(struct interp *in, enum operator_kind op, const struct value *self,
                          const struct arguments *a, struct value *ret)
{
    bool yes;
    enum status s = tmpl_relate(in, op, self, &a->at[0], &yes);

    if (s == ST_OK)
        *ret = value_bool(yes, false);
    return s;
}

#define RELATION_TEST(name, op)                                                                    \
    static enum status test_##name(struct interp *in, const struct value *self,                    \
                                   const struct arguments *a, struct value *ret)                   \
    {                                                                                              \
        return relate(in, op, self, a, ret);                                                       \
    }

RELATION_TEST(eq, OPERATOR_EQ)
RELATION_TEST(ne, OPERATOR_NE)
RELATION_TEST(lt, OPERATOR_LT)
RELATION_TEST(le, OPERATOR_LE)
RELATION_TEST(gt, OPERATOR_GT)
RELATION_TEST(ge, OPERATOR_GE)
RELATION_TEST(in, OPERATOR_IN)

static enum status divides(struct interp *in, const struct value *self, const struct value *by,
                           int64_t remainder, struct value *ret)
{
    const struct value wanted = value_int(remainder, true);
    struct value got;
    bool yes;
    enum status s = tmpl_operate(in, OPERATOR_MODULO, self, by, &got);

    if (s == ST_OK)
        s = tmpl_equal(in, &got, &wanted, &yes);
    if (s == ST_OK)
        *ret = value_bool(yes, false);
    return s;
}

static enum status test_divisibleby(struct interp *in, const struct value *self,
                                    const struct arguments *a, struct value *ret)
{
    return divides(in, self, &a->at[0], 0, ret);
}

static enum status test_even(struct interp *in, const struct value *self, const struct arguments *a,
                             struct value *ret)
{
    const struct value two = value_int(2, true);

    (void)a;
    return divides(in, self, &two, 0, ret);
}

static enum status test_odd(struct interp *in, const struct value *self, const struct arguments *a,
                            struct value *ret)
{
    const struct value two = value_int(2, true);

    (void)a;
    return divides(in, self, &two, 1, ret);
}

static enum status cased(struct interp *in, const struct value *self, bool upper, struct value *ret)
{
    const struct str *text;
    enum status s = tmpl_to_str(in, self, &text);

    if (s == ST_OK)
        s = tmpl_charge(in, text->n);
    if (s == ST_OK)
        *ret = value_bool(tmpl_text_is_cased(text, upper), false);
    return s;
}

static enum status test_lower(struct interp *in, const struct value *self,
                              const struct arguments *a, struct value *ret)
{
    (void)a;
    return cased(in, self, false, ret);
}

static enum status test_upper(struct interp *in, const struct value *self,
                              const struct arguments *a, struct value *ret)
{
    (void)a;
    return cased(in, self, true, ret);
}

/* Identity: the same container, or an equal value that cannot change. */
static enum status test_sameas(struct interp *in, const struct value *self,
                               const struct arguments *a, struct value *ret)
{
    const struct value *other = &a->at[0];

    if (self->type != other->type) {
        *ret = value_bool(false, true);
        return ST_OK;
    }
    if (self->type == VALUE_LIST || self->type == VALUE_TUPLE) {
        *ret = value_bool(self->list == other->list, true);
        return ST_OK;
    }
    if (self->type == VALUE_DICT) {
        *ret = value_bool(self->dict == other->dict, true);
        return ST_OK;
    }
    return relate(in, OPERATOR_EQ, self, a, ret);
}

const struct builtin tmpl_tests[] = {
    { "defined", test_defined, 0, { NULL } },
    { "undefined", test_undefined, 0, { NULL } },
    { "none", test_none, 0, { NULL } },
    { "boolean", test_boolean, 0, { NULL } },
    { "true", test_true, 0, { NULL } },
    { "false", test_false, 0, { NULL } },
    { "integer", test_integer, 0, { NULL } },
    { "float", test_float, 0, { NULL } },
    { "number", test_number, 0, { NULL } },
    { "string", test_string, 0, { NULL } },
    { "mapping", test_mapping, 0, { NULL } },
    { "sequence", test_sequence, 0, { NULL } },
    { "iterable", test_iterable, 0, { NULL } },
    { "callable", test_callable, 0, { NULL } },
    { "equalto", test_eq, 1, { "other" } },
    { "eq", test_eq, 1, { "other" } },
    { "ne", test_ne, 1, { "other" } },
    { "lt", test_lt, 1, { "other" } },
    { "lessthan", test_lt, 1, { "other" } },
    { "le", test_le, 1, { "other" } },
    { "gt", test_gt, 1, { "other" } },
    { "greaterthan", test_gt, 1, { "other" } },
    { "ge", test_ge, 1, { "other" } },
    { "==", test_eq, 1, { "other" } },
    { "!=", test_ne, 1, { "other" } },
    { "<", test_lt, 1, { "other" } },
    { "<=", test_le, 1, { "other" } },
    { ">", test_gt, 1, { "other" } },
    { ">=", test_ge, 1, { "other" } },
    { "in", test_in, 1, { "seq" } },
    { "divisibleby", test_divisibleby, 1, { "num" } },
    { "even", test_even, 0, { NULL } },
    { "odd", test_odd, 0, { NULL } },
    { "lower", test_lower, 0, { NULL } },
    { "upper", test_upper, 0, { NULL } },
    { "sameas", test_sameas, 1, { "other" } },
    { 0 },
};
