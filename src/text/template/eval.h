/* SPDX-License-Identifier: Apache-2.0 */
/* text/template/eval.h - running nodes; eval.c expressions, exec.c statements, call.c calls. */
#ifndef POMONA_TEXT_TEMPLATE_EVAL_H
#define POMONA_TEXT_TEMPLATE_EVAL_H

#include "text/template/ast.h"
#include "text/template/builtin.h"
#include "text/template/container.h"

struct macro {
    const struct node *node;   /* NODE_MACRO */
    const struct scope *scope; /* where it was defined */
};

enum status tmpl_eval(struct interp *in, const struct node *node, struct value *ret);

/* A list of statements.  Stops early where in->flow is no longer FLOW_ON. */
enum status tmpl_exec(struct interp *in, const struct node *first);

/* The same, its output as a string; names set end with it. */
enum status tmpl_exec_captured(struct interp *in, const struct node *first, struct value *ret);

/* call.c: NODE_CALL, NODE_FILTER, NODE_TEST. */
enum status tmpl_eval_call(struct interp *in, const struct node *node, struct value *ret);
enum status tmpl_eval_filter(struct interp *in, const struct node *node, struct value *ret);
enum status tmpl_eval_test(struct interp *in, const struct node *node, struct value *ret);

/* operate.c: a + b and the like, and the order or membership of two values. */
enum status tmpl_operate(struct interp *in, enum operator_kind op, const struct value *a,
                         const struct value *b, struct value *ret);
enum status tmpl_relate(struct interp *in, enum operator_kind op, const struct value *a,
                        const struct value *b, bool *ret);

/* access.c: x.name, x[key], x[a:b:c].  What is not there is undefined. */
enum status tmpl_attribute(struct interp *in, const struct value *v, const char *name,
                           struct value *ret);
enum status tmpl_subscript(struct interp *in, const struct value *v, const struct value *key,
                           struct value *ret);
/* bounds  start, stop, step; VALUE_ABSENT or none where not given */
enum status tmpl_slice(struct interp *in, const struct value *v, const struct value bounds[3],
                       struct value *ret);

/* import.c: JSON as a value. */
enum status tmpl_import(struct interp *in, const void *json, bool trusted, struct value *ret);

#endif
