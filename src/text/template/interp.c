/* SPDX-License-Identifier: Apache-2.0 */
/* text/template/interp.c - errors, bounds, output and variables of a render. */
#include "text/template/interp.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/size.h"

enum {
    BYTES_PER_STEP = 64,
    WORDS_MAX = 400, /* leaves room in ERR_WORDS_MAX for what callers put before */
};

/* One line of whole characters, whatever a template's or a request's text put in. */
static void tidy(char *words)
{
    size_t n = strlen(words), start = n;

    for (size_t i = 0; i < n; i++)
        if ((unsigned char)words[i] < ' ')
            words[i] = ' ';
    while (start > 0 && ((unsigned char)words[start - 1] & 0xC0) == 0x80)
        start--;
    if (start > 0 && ((unsigned char)words[start - 1] & 0xC0) == 0xC0 && n == WORDS_MAX - 1)
        words[start - 1] = '\0'; /* the last one may be cut */
}

enum status tmpl_error(struct interp *in, enum status s, const char *fmt, ...)
{
    char words[WORDS_MAX];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(words, sizeof(words), fmt, ap);
    va_end(ap);
    tidy(words);
    return err_set(in->err, s, "template line %u: %s", in->line, words);
}

void *tmpl_alloc(struct interp *in, size_t n)
{
    return tmpl_arena_alloc(&in->arena, n);
}

enum status tmpl_no_memory(struct interp *in)
{
    if (in->arena.status == ST_RANGE)
        return tmpl_error(in, ST_RANGE, "the values need more than %d MiB of memory",
                          TMPL_ARENA_MAX / (1024 * 1024));
    return tmpl_error(in, ST_NOMEM, "out of memory");
}

enum status tmpl_charge(struct interp *in, size_t n_bytes)
{
    in->n_bytes_read += n_bytes;
    in->steps += in->n_bytes_read / BYTES_PER_STEP;
    in->n_bytes_read %= BYTES_PER_STEP;
    if (in->steps > TMPL_STEPS_MAX)
        return tmpl_error(in, ST_RANGE, "rendering takes more than %d steps", TMPL_STEPS_MAX);
    return ST_OK;
}

enum status tmpl_step(struct interp *in)
{
    in->steps++;
    return tmpl_charge(in, 0);
}

enum status tmpl_enter(struct interp *in)
{
    if (in->depth >= TMPL_DEPTH_MAX)
        return tmpl_error(in, ST_RANGE, "expressions, calls or values are nested too deeply");
    in->depth++;
    return tmpl_step(in);
}

void tmpl_leave(struct interp *in)
{
    in->depth--;
}

static void append_marks(struct buf *b, bool mark, size_t n)
{
    unsigned char block[256];

    memset(block, mark, sizeof(block));
    while (n > 0) {
        const size_t part = size_min(n, sizeof(block));

        buf_append(b, block, part);
        n -= part;
    }
}

enum status tmpl_write(struct interp *in, const struct str *s)
{
    if (s->n > TMPL_OUTPUT_MAX - in->text.len)
        return tmpl_error(in, ST_RANGE, "the output is longer than %d MiB",
                          TMPL_OUTPUT_MAX / (1024 * 1024));
    if (buf_reserve(&in->text, s->n) != ST_OK || buf_reserve(&in->trusted, s->n) != ST_OK)
        return tmpl_error(in, ST_NOMEM, "out of memory");
    buf_append(&in->text, s->bytes, s->n);
    if (s->marks) {
        buf_append(&in->trusted, s->marks, s->n);
        return ST_OK;
    }
    append_marks(&in->trusted, s->trusted, s->n);
    return ST_OK;
}

static void cut(struct buf *b, size_t len)
{
    b->len = len;
    if (b->data)
        b->data[len] = '\0';
}

enum status tmpl_capture(struct interp *in, size_t from, struct value *ret)
{
    const size_t n = in->text.len - from;
    struct str *s = tmpl_alloc(in, sizeof(*s));
    char *bytes = tmpl_alloc(in, n);
    unsigned char *marks = tmpl_alloc(in, n);

    if (!s || !bytes || !marks)
        return tmpl_no_memory(in);
    if (n > 0) {
        memcpy(bytes, in->text.data + from, n);
        memcpy(marks, in->trusted.data + from, n);
    }
    *s = (struct str){ .bytes = bytes, .n = n, .marks = marks, .trusted = true };
    if (tmpl_str_is_trusted(s))
        s->marks = NULL;
    cut(&in->text, from);
    cut(&in->trusted, from);
    *ret = value_string(s);
    return ST_OK;
}

struct scope *tmpl_scope_new(struct interp *in, const struct scope *parent)
{
    struct scope *scope = tmpl_alloc(in, sizeof(*scope));

    if (scope)
        *scope = (struct scope){ .parent = parent };
    return scope;
}

enum status tmpl_assign(struct interp *in, const char *name, const struct value *value)
{
    struct variable *v;

    for (v = in->scope->first; v; v = v->next) {
        if (strcmp(v->name, name) == 0) {
            v->value = *value;
            return ST_OK;
        }
    }
    v = tmpl_alloc(in, sizeof(*v));
    if (!v)
        return tmpl_no_memory(in);
    *v = (struct variable){ .name = name, .value = *value, .next = in->scope->first };
    in->scope->first = v;
    return ST_OK;
}

static const struct variable *find(const struct scope *scope, const char *name, size_t *n_seen)
{
    for (; scope; scope = scope->parent)
        for (const struct variable *v = scope->first; v; v = v->next, ++*n_seen)
            if (strcmp(v->name, name) == 0)
                return v;
    return NULL;
}

enum status tmpl_lookup(struct interp *in, const char *name, struct value *ret)
{
    size_t n_seen = 0;
    const struct variable *v = find(in->scope, name, &n_seen);

    *ret = v ? v->value : value_undefined(name);
    return tmpl_charge(in, n_seen * sizeof(*v));
}
