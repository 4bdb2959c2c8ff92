/* SPDX-License-Identifier: Apache-2.0 */
/* text/template/exec.c - statements. */
#include <string.h>

#include "text/template/eval.h"
#include "text/template/print.h"

static enum status exec_text(struct interp *in, const struct node *node)
{
    return tmpl_write(in, node->literal.string);
}

static enum status exec_print(struct interp *in, const struct node *node)
{
    const struct str *text;
    struct value v;
    enum status s = tmpl_eval(in, node->operand, &v);

    if (s == ST_OK)
        s = tmpl_to_str(in, &v, &text);
    return s == ST_OK ? tmpl_write(in, text) : s;
}

static enum status exec_if(struct interp *in, const struct node *node)
{
    while (node && node->kind == NODE_IF) {
        struct value condition;
        enum status s = tmpl_eval(in, node->choice.condition, &condition);

        if (s != ST_OK)
            return s;
        if (tmpl_truthy(&condition))
            return tmpl_exec(in, node->choice.then);
        node = node->choice.otherwise;
    }
    return tmpl_exec(in, node);
}

static enum status assign_attribute(struct interp *in, const struct node *target,
                                    const struct value *v)
{
    const char *name = target->attribute.name;
    struct value subject, key;
    enum status s = tmpl_eval(in, target->attribute.subject, &subject);

    if (s != ST_OK)
        return s;
    if (subject.type != VALUE_NAMESPACE)
        return tmpl_error(in, ST_FORMAT, "cannot set '%s' of %s: only a namespace has that", name,
                          tmpl_type_name(&subject));
    s = tmpl_str_view(in, name, strlen(name), true, &key);
    return s == ST_OK ? tmpl_dict_put(in, subject.dict, &key, v) : s;
}

/* A name, ns.name, or names that share out an iterable. */
static enum status assign(struct interp *in, const struct node *target, const struct value *v)
{
    const struct list *list;
    size_t i = 0;
    enum status s;

    if (target->kind == NODE_NAME)
        return tmpl_assign(in, target->name, v);
    if (target->kind == NODE_ATTRIBUTE)
        return assign_attribute(in, target, v);
    s = tmpl_iterate(in, v, &list);
    for (const struct node *t = target->operand; s == ST_OK && t; t = t->next, i++) {
        if (i == list->n)
            break;
        s = assign(in, t, &list->items[i]);
        if (!t->next && i + 1 == list->n)
            return s;
    }
    if (s == ST_OK)
        s = tmpl_error(in, ST_FORMAT, "%zu values do not fit the names they are given to", list->n);
    return s;
}

static enum status exec_set(struct interp *in, const struct node *node)
{
    struct value v;
    enum status s = tmpl_eval(in, node->assign.value, &v);

    return s == ST_OK ? assign(in, node->assign.target, &v) : s;
}

static enum status exec_macro(struct interp *in, const struct node *node)
{
    struct macro *macro = tmpl_alloc(in, sizeof(*macro));
    const struct value v = { .type = VALUE_MACRO, .macro = macro };

    if (!macro)
        return tmpl_no_memory(in);
    *macro = (struct macro){ .node = node, .scope = in->scope };
    return tmpl_assign(in, node->macro.name, &v);
}

static enum status in_new_scope(struct interp *in, const struct node *first)
{
    struct scope *outer = in->scope, *inner = tmpl_scope_new(in, outer);
    enum status s;

    if (!inner)
        return tmpl_no_memory(in);
    in->scope = inner;
    s = tmpl_exec(in, first);
    in->scope = outer;
    return s;
}

static enum status exec_scope(struct interp *in, const struct node *node)
{
    return in_new_scope(in, node->operand);
}

/* {% for x in list if condition %}: the items that pass, known before the
 * first turn because the loop's length counts only them. */
static enum status keep_passing(struct interp *in, const struct node *node,
                                const struct list **list)
{
    struct scope *outer = in->scope;
    struct list *kept;
    size_t n = 0;
    enum status s = tmpl_list_new(in, (*list)->n, &kept);

    for (size_t i = 0; s == ST_OK && i < (*list)->n; i++) {
        struct value passes;

        in->scope = tmpl_scope_new(in, outer);
        if (!in->scope) {
            s = tmpl_no_memory(in);
            break;
        }
        s = assign(in, node->loop.target, &(*list)->items[i]);
        if (s == ST_OK)
            s = tmpl_eval(in, node->loop.condition, &passes);
        if (s == ST_OK && tmpl_truthy(&passes))
            kept->items[n++] = (*list)->items[i];
    }
    in->scope = outer;
    if (s != ST_OK)
        return s;
    kept->n = n;
    *list = kept;
    return ST_OK;
}

static enum status turn(struct interp *in, const struct node *node, struct loop *loop)
{
    const struct value v = { .type = VALUE_LOOP, .loop = loop };
    enum status s = tmpl_assign(in, "loop", &v);

    if (s == ST_OK)
        s = assign(in, node->loop.target, &loop->list->items[loop->i]);
    return s == ST_OK ? tmpl_exec(in, node->loop.body) : s;
}

static enum status turns(struct interp *in, const struct node *node, struct loop *loop)
{
    struct scope *outer = in->scope;
    enum status s = ST_OK;

    for (loop->i = 0; s == ST_OK && loop->i < loop->list->n; loop->i++) {
        in->scope = tmpl_scope_new(in, outer);
        s = in->scope ? turn(in, node, loop) : tmpl_no_memory(in);
        in->scope = outer;
        if (in->flow == FLOW_BREAK)
            break;
        in->flow = FLOW_ON;
    }
    in->flow = FLOW_ON;
    return s;
}

static enum status exec_for(struct interp *in, const struct node *node)
{
    struct loop *loop = tmpl_alloc(in, sizeof(*loop));
    const struct list *list;
    struct value iterable;
    enum status s = loop ? tmpl_eval(in, node->loop.iterable, &iterable) : tmpl_no_memory(in);

    if (s == ST_OK)
        s = tmpl_iterate(in, &iterable, &list);
    if (s == ST_OK && node->loop.condition)
        s = keep_passing(in, node, &list);
    if (s != ST_OK)
        return s;
    if (list->n == 0)
        return in_new_scope(in, node->loop.otherwise);
    *loop = (struct loop){ .list = list, .depth = ++in->n_loops };
    s = turns(in, node, loop);
    in->n_loops--;
    return s;
}

static enum status exec_break(struct interp *in, const struct node *node)
{
    (void)node;
    in->flow = FLOW_BREAK;
    return ST_OK;
}

static enum status exec_continue(struct interp *in, const struct node *node)
{
    (void)node;
    in->flow = FLOW_CONTINUE;
    return ST_OK;
}

typedef enum status exec_fn(struct interp *in, const struct node *node);

static exec_fn *const execs[N_NODE_KINDS] = {
    [NODE_TEXT] = exec_text,   [NODE_PRINT] = exec_print, [NODE_IF] = exec_if,
    [NODE_FOR] = exec_for,     [NODE_SET] = exec_set,     [NODE_MACRO] = exec_macro,
    [NODE_SCOPE] = exec_scope, [NODE_BREAK] = exec_break, [NODE_CONTINUE] = exec_continue,
};

enum status tmpl_exec(struct interp *in, const struct node *first)
{
    for (const struct node *node = first; node && in->flow == FLOW_ON; node = node->next) {
        enum status s = tmpl_enter(in);

        if (s != ST_OK)
            return s;
        in->line = node->line;
        s = execs[node->kind](in, node);
        tmpl_leave(in);
        if (s != ST_OK)
            return s;
    }
    return ST_OK;
}

enum status tmpl_exec_captured(struct interp *in, const struct node *first, struct value *ret)
{
    const size_t from = in->text.len;
    enum status s = in_new_scope(in, first);

    return s == ST_OK ? tmpl_capture(in, from, ret) : s;
}
