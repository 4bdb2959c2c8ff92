/* SPDX-License-Identifier: Apache-2.0 */
/* text/template/render.c - one render from variables to text and marks.
 *
 * Three scopes lie within one another: the functions, the variables of the
 * request, and what the template sets.
 */
#include <jansson.h>
#include <string.h>

#include "text/template/eval.h"
#include "text/template/template.h"

static enum status add_functions(struct interp *in)
{
    enum status s = ST_OK;

    for (const struct builtin *b = tmpl_functions; s == ST_OK && b->name; b++) {
        struct bound *bound = tmpl_alloc(in, sizeof(*bound));
        const struct value v = { .type = VALUE_BUILTIN, .bound = bound };

        if (!bound)
            return tmpl_no_memory(in);
        *bound = (struct bound){ .builtin = b };
        s = tmpl_assign(in, b->name, &v);
    }
    return s;
}

static enum status add_variables(struct interp *in, const json_t *object, bool trusted)
{
    struct value all;
    enum status s;

    if (!object)
        return ST_OK;
    s = tmpl_import(in, object, trusted, &all);
    if (s != ST_OK)
        return s;
    if (all.type != VALUE_DICT)
        return tmpl_error(in, ST_FORMAT, "the variables of a render are not an object");
    for (size_t i = 0; s == ST_OK && i < all.dict->n; i++) {
        /* a JSON key is terminated by a zero byte where it lies */
        const char *name = all.dict->entries[i].key.string->bytes;

        s = tmpl_assign(in, name, &all.dict->entries[i].value);
    }
    return s;
}

static bool push_scope(struct interp *in)
{
    struct scope *scope = tmpl_scope_new(in, in->scope);

    if (scope)
        in->scope = scope;
    return scope;
}

static enum status prepare(struct interp *in, const json_t *trusted, const json_t *variables)
{
    enum status s;

    if (!push_scope(in))
        return tmpl_no_memory(in);
    s = add_functions(in);
    if (s == ST_OK && !push_scope(in))
        s = tmpl_no_memory(in);
    if (s == ST_OK)
        s = add_variables(in, variables, false);
    /* last, so that a request cannot put anything in the place of what is trusted */
    return s == ST_OK ? add_variables(in, trusted, true) : s;
}

enum status template_render(const struct template *template, const json_t *trusted,
                            const json_t *variables, struct rendered *ret_rendered, struct err *err)
{
    struct interp in = { .err = err, .line = 1 };
    enum status s;

    tmpl_arena_init(&in.arena, TMPL_ARENA_MAX);
    s = prepare(&in, trusted, variables);
    if (s == ST_OK && !push_scope(&in))
        s = tmpl_no_memory(&in);
    if (s == ST_OK)
        s = tmpl_exec(&in, template->body);
    if (s == ST_OK && (buf_status(&in.text) != ST_OK || buf_status(&in.trusted) != ST_OK))
        s = err_set(err, ST_NOMEM, "out of memory for a rendered template");
    if (s == ST_OK) {
        *ret_rendered = (struct rendered){ .text = in.text, .trusted = in.trusted };
        in.text = (struct buf){ 0 };
        in.trusted = (struct buf){ 0 };
    }
    buf_release(&in.text);
    buf_release(&in.trusted);
    tmpl_arena_release(&in.arena);
    return s;
}

void rendered_release(struct rendered *rendered)
{
    buf_release(&rendered->text);
    buf_release(&rendered->trusted);
}
