/* SPDX-License-Identifier: Apache-2.0 */
/* text/template/call.c - calls of macros, methods and functions; filters and tests. */
#include <string.h>

#include "text/template/eval.h"

enum { ARGUMENTS_MAX = 255 };

static size_t count(const struct node *list)
{
    size_t n = 0;

    for (; list; list = list->next)
        n++;
    return n;
}

static enum status eval_arguments(struct interp *in, const struct node *node, struct arguments *ret)
{
    const size_t n = count(node->call.arguments), n_named = count(node->call.named);
    struct value *at;
    struct named_value *named;
    size_t i = 0;
    enum status s = ST_OK;

    if (n + n_named > ARGUMENTS_MAX)
        return tmpl_error(in, ST_RANGE, "a call has more than %d arguments", ARGUMENTS_MAX);
    at = tmpl_alloc(in, n * sizeof(*at));
    named = tmpl_alloc(in, n_named * sizeof(*named));
    if (!at || !named)
        return tmpl_no_memory(in);
    for (const struct node *a = node->call.arguments; s == ST_OK && a; a = a->next)
        s = tmpl_eval(in, a, &at[i++]);
    i = 0;
    for (const struct node *a = node->call.named; s == ST_OK && a; a = a->next) {
        named[i].name = a->attribute.name;
        s = tmpl_eval(in, a->attribute.subject, &named[i++].value);
    }
    in->line = node->line;
    *ret = (struct arguments){ .at = at, .n = n, .named = named, .n_named = n_named };
    return s;
}

static const struct value *find_named(const struct arguments *arguments, const char *name)
{
    for (size_t i = 0; i < arguments->n_named; i++)
        if (strcmp(arguments->named[i].name, name) == 0)
            return &arguments->named[i].value;
    return NULL;
}

static enum status bind_parameter(struct interp *in, const struct node *parameter, size_t i,
                                  const struct arguments *arguments, size_t *n_named_used)
{
    const char *name = parameter->attribute.name;
    const struct value *given = i < arguments->n ? &arguments->at[i] : find_named(arguments, name);
    struct value v = value_undefined(name);
    enum status s = ST_OK;

    if (given)
        v = *given;
    else if (parameter->attribute.subject)
        s = tmpl_eval(in, parameter->attribute.subject, &v);
    *n_named_used += given && i >= arguments->n;
    return s == ST_OK ? tmpl_assign(in, name, &v) : s;
}

static enum status run_macro(struct interp *in, const struct macro *macro,
                             const struct arguments *arguments, struct value *ret)
{
    const struct node *node = macro->node;
    size_t n = 0, n_named_used = 0;
    enum status s = ST_OK;

    for (const struct node *p = node->macro.parameters; s == ST_OK && p; p = p->next)
        s = bind_parameter(in, p, n++, arguments, &n_named_used);
    if (s == ST_OK && (arguments->n > n || arguments->n_named > n_named_used))
        s = tmpl_error(in, ST_FORMAT, "macro '%s' is given an argument it does not have",
                       node->macro.name);
    return s == ST_OK ? tmpl_exec_captured(in, node->macro.body, ret) : s;
}

static enum status call_macro(struct interp *in, const struct macro *macro,
                              const struct arguments *arguments, struct value *ret)
{
    struct scope *caller = in->scope, *scope = tmpl_scope_new(in, macro->scope);
    enum status s;

    if (!scope)
        return tmpl_no_memory(in);
    in->scope = scope;
    s = run_macro(in, macro, arguments, ret);
    in->scope = caller;
    return s;
}

/* The thing called.  A method that Python has and this interpreter has not is
 * told apart from a mistake of the template as far as that can be seen. */
static enum status eval_callee(struct interp *in, const struct node *subject, struct value *ret)
{
    struct value self;
    enum status s;

    if (subject->kind != NODE_ATTRIBUTE)
        return tmpl_eval(in, subject, ret);
    s = tmpl_eval(in, subject->attribute.subject, &self);
    if (s == ST_OK)
        s = tmpl_attribute(in, &self, subject->attribute.name, ret);
    if (s != ST_OK || ret->type != VALUE_UNDEFINED || self.type == VALUE_NAMESPACE)
        return s;
    return tmpl_error(in, ST_UNSUPPORTED, "no method '%s' of %s", subject->attribute.name,
                      tmpl_type_name(&self));
}

enum status tmpl_eval_call(struct interp *in, const struct node *node, struct value *ret)
{
    struct arguments arguments;
    struct value callee;
    enum status s = eval_callee(in, node->call.subject, &callee);

    if (s == ST_OK)
        s = eval_arguments(in, node, &arguments);
    if (s != ST_OK)
        return s;
    if (callee.type == VALUE_MACRO)
        return call_macro(in, callee.macro, &arguments, ret);
    if (callee.type == VALUE_BUILTIN)
        return tmpl_builtin_run(in, callee.bound->builtin, &callee.bound->self, &arguments, ret);
    if (callee.type == VALUE_UNDEFINED)
        return tmpl_error(in, ST_FORMAT, "'%s' is undefined and cannot be called",
                          callee.hint ? callee.hint : "value");
    return tmpl_error(in, ST_FORMAT, "%s cannot be called", tmpl_type_name(&callee));
}

enum status tmpl_eval_filter(struct interp *in, const struct node *node, struct value *ret)
{
    struct arguments arguments;
    struct value subject;
    enum status s = tmpl_eval(in, node->call.subject, &subject);

    if (s == ST_OK)
        s = eval_arguments(in, node, &arguments);
    return s == ST_OK ? tmpl_builtin_run(in, node->call.builtin, &subject, &arguments, ret) : s;
}

enum status tmpl_eval_test(struct interp *in, const struct node *node, struct value *ret)
{
    enum status s = tmpl_eval_filter(in, node, ret);

    if (s == ST_OK && node->call.negated)
        ret->boolean = !ret->boolean;
    return s;
}
