/* SPDX-License-Identifier: Apache-2.0 */
/* text/template/interp.h - one render in progress, as the interpreter's parts share it.
 *
 * Every function that can fail returns a status and has put its words, with
 * the line of the template, where the caller of template_render() finds them.
 * Everything handed out is lent until the render ends.
 */
#ifndef POMONA_TEXT_TEMPLATE_INTERP_H
#define POMONA_TEXT_TEMPLATE_INTERP_H

#include "base/buf.h"
#include "text/template/arena.h"
#include "text/template/bounds.h"
#include "text/template/value.h"

struct variable {
    const char *name;
    struct value value;
    struct variable *next;
};

/* Names set in a loop's body or a macro end with it; an {% if %} has no scope
 * of its own. */
struct scope {
    const struct scope *parent;
    struct variable *first;
};

enum flow { FLOW_ON, FLOW_BREAK, FLOW_CONTINUE };

struct interp {
    struct arena arena;
    struct buf text, trusted; /* what was written so far, and its marks */
    struct scope *scope;
    enum flow flow;
    unsigned n_loops; /* around the current statement */
    unsigned depth;
    unsigned line;
    size_t steps;
    size_t n_bytes_read; /* not yet counted as steps */
    struct err *err;
};

/* Store "template line N: ..." and return `s`. */
enum status tmpl_error(struct interp *in, enum status s, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Memory; NULL where there is none, then return tmpl_no_memory(). */
void *tmpl_alloc(struct interp *in, size_t n);
enum status tmpl_no_memory(struct interp *in);

/* Count work: one step, or what reading `n_bytes` costs. */
enum status tmpl_step(struct interp *in);
enum status tmpl_charge(struct interp *in, size_t n_bytes);

/* Around everything that recurses; leave only after a successful enter. */
enum status tmpl_enter(struct interp *in);
void tmpl_leave(struct interp *in);

/* Append to the output. */
enum status tmpl_write(struct interp *in, const struct str *s);

/* Take what was written since `from` out of the output, as a string. */
enum status tmpl_capture(struct interp *in, size_t from, struct value *ret);

/* Variables.  tmpl_lookup gives an undefined value for an unknown name. */
struct scope *tmpl_scope_new(struct interp *in, const struct scope *parent);
enum status tmpl_assign(struct interp *in, const char *name, const struct value *value);
enum status tmpl_lookup(struct interp *in, const char *name, struct value *ret);

#endif
