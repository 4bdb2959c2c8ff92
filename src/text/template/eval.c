/* SPDX-License-Identifier: Apache-2.0 */
/* text/template/eval.c - expressions. */
#include "text/template/eval.h"

static enum status eval_literal(struct interp *in, const struct node *node, struct value *ret)
{
    (void)in;
    *ret = node->literal;
    return ST_OK;
}

static enum status eval_name(struct interp *in, const struct node *node, struct value *ret)
{
    return tmpl_lookup(in, node->name, ret);
}

static enum status eval_list(struct interp *in, const struct node *node, struct value *ret)
{
    struct list *list;
    size_t n = 0;
    enum status s;

    for (const struct node *item = node->operand; item; item = item->next)
        n++;
    s = tmpl_list_new(in, n, &list);
    n = 0;
    for (const struct node *item = node->operand; s == ST_OK && item; item = item->next)
        s = tmpl_eval(in, item, &list->items[n++]);
    if (s == ST_OK)
        *ret = value_list(node->kind == NODE_LIST ? VALUE_LIST : VALUE_TUPLE, list);
    return s;
}

static enum status eval_dict(struct interp *in, const struct node *node, struct value *ret)
{
    struct dict *dict;
    enum status s = tmpl_dict_new(in, &dict);

    for (const struct node *item = node->operand; s == ST_OK && item; item = item->next->next) {
        struct value key, value;

        s = tmpl_eval(in, item, &key);
        if (s == ST_OK)
            s = tmpl_eval(in, item->next, &value);
        if (s == ST_OK)
            s = tmpl_dict_put(in, dict, &key, &value);
    }
    if (s == ST_OK)
        *ret = (struct value){ .type = VALUE_DICT, .dict = dict };
    return s;
}

static enum status eval_attribute(struct interp *in, const struct node *node, struct value *ret)
{
    struct value subject;
    enum status s = tmpl_eval(in, node->attribute.subject, &subject);

    return s == ST_OK ? tmpl_attribute(in, &subject, node->attribute.name, ret) : s;
}

static enum status eval_both(struct interp *in, const struct node *node, struct value *ret_left,
                             struct value *ret_right)
{
    enum status s = tmpl_eval(in, node->binary.left, ret_left);

    return s == ST_OK ? tmpl_eval(in, node->binary.right, ret_right) : s;
}

static enum status eval_subscript(struct interp *in, const struct node *node, struct value *ret)
{
    struct value subject, key;
    enum status s = eval_both(in, node, &subject, &key);

    return s == ST_OK ? tmpl_subscript(in, &subject, &key, ret) : s;
}

static enum status eval_slice(struct interp *in, const struct node *node, struct value *ret)
{
    const struct node *const parts[3] = { node->slice.start, node->slice.stop, node->slice.step };
    struct value subject, bounds[3] = { 0 };
    enum status s = tmpl_eval(in, node->slice.subject, &subject);

    for (size_t i = 0; s == ST_OK && i < 3; i++)
        if (parts[i])
            s = tmpl_eval(in, parts[i], &bounds[i]);
    return s == ST_OK ? tmpl_slice(in, &subject, bounds, ret) : s;
}

static enum status eval_choice(struct interp *in, const struct node *node, struct value *ret)
{
    struct value condition;
    enum status s = tmpl_eval(in, node->choice.condition, &condition);

    if (s != ST_OK)
        return s;
    if (tmpl_truthy(&condition))
        return tmpl_eval(in, node->choice.then, ret);
    if (node->choice.otherwise)
        return tmpl_eval(in, node->choice.otherwise, ret);
    *ret = value_undefined(NULL);
    return ST_OK;
}

static enum status eval_not(struct interp *in, const struct node *node, struct value *ret)
{
    struct value v;
    enum status s = tmpl_eval(in, node->operand, &v);

    if (s == ST_OK)
        *ret = value_bool(!tmpl_truthy(&v), false);
    return s;
}

static enum status eval_sign(struct interp *in, const struct node *node, struct value *ret)
{
    const enum operator_kind op = node->kind == NODE_NEGATE ? OPERATOR_SUBTRACT : OPERATOR_ADD;
    const struct value zero = value_int(0, true);
    struct value v;
    enum status s = tmpl_eval(in, node->operand, &v);

    if (s != ST_OK)
        return s;
    if (!value_is_number(&v) && v.type != VALUE_UNDEFINED)
        return tmpl_error(in, ST_FORMAT, "%s has no sign", tmpl_type_name(&v));
    if (v.type == VALUE_FLOAT && node->kind == NODE_NEGATE) {
        *ret = value_float(-v.real, v.trusted); /* 0 - 0.0 would lose the sign of zero */
        return ST_OK;
    }
    return tmpl_operate(in, op, &zero, &v, ret);
}

/* As in Python the result is one of the operands, not a boolean. */
static enum status eval_and_or(struct interp *in, const struct node *node, struct value *ret)
{
    struct value left;
    enum status s = tmpl_eval(in, node->binary.left, &left);

    if (s != ST_OK)
        return s;
    if (tmpl_truthy(&left) == (node->kind == NODE_AND))
        return tmpl_eval(in, node->binary.right, ret);
    *ret = left;
    return ST_OK;
}

static enum status eval_arithmetic(struct interp *in, const struct node *node, struct value *ret)
{
    struct value left, right;
    enum status s = eval_both(in, node, &left, &right);

    return s == ST_OK ? tmpl_operate(in, node->binary.op, &left, &right, ret) : s;
}

static enum status eval_compare(struct interp *in, const struct node *node, struct value *ret)
{
    struct value left, right;
    bool yes = true;
    enum status s = tmpl_eval(in, node->binary.left, &left);

    for (const struct node *o = node->binary.right; s == ST_OK && yes && o; o = o->next) {
        s = tmpl_eval(in, o->binary.right, &right);
        if (s == ST_OK)
            s = tmpl_relate(in, o->binary.op, &left, &right, &yes);
        left = right;
    }
    if (s == ST_OK)
        *ret = value_bool(yes, false);
    return s;
}

static enum status eval_capture(struct interp *in, const struct node *node, struct value *ret)
{
    return tmpl_exec_captured(in, node->operand, ret);
}

typedef enum status eval_fn(struct interp *in, const struct node *node, struct value *ret);

static eval_fn *const evals[N_NODE_KINDS] = {
    [NODE_LITERAL] = eval_literal,
    [NODE_NAME] = eval_name,
    [NODE_LIST] = eval_list,
    [NODE_TUPLE] = eval_list,
    [NODE_DICT] = eval_dict,
    [NODE_ATTRIBUTE] = eval_attribute,
    [NODE_SUBSCRIPT] = eval_subscript,
    [NODE_SLICE] = eval_slice,
    [NODE_CALL] = tmpl_eval_call,
    [NODE_FILTER] = tmpl_eval_filter,
    [NODE_TEST] = tmpl_eval_test,
    [NODE_CHOICE] = eval_choice,
    [NODE_NOT] = eval_not,
    [NODE_NEGATE] = eval_sign,
    [NODE_POSITIVE] = eval_sign,
    [NODE_AND] = eval_and_or,
    [NODE_OR] = eval_and_or,
    [NODE_ARITHMETIC] = eval_arithmetic,
    [NODE_COMPARE] = eval_compare,
    [NODE_CAPTURE] = eval_capture,
};

enum status tmpl_eval(struct interp *in, const struct node *node, struct value *ret)
{
    enum status s = tmpl_enter(in);

    if (s != ST_OK)
        return s;
    in->line = node->line;
    s = evals[node->kind](in, node, ret);
    tmpl_leave(in);
    return s;
}
