/* SPDX-License-Identifier: Apache-2.0 */
/* text/grammar/lark.c - Lark's rules become rules of a grammar, one for one.
 *
 * Names become numbers, as a grammar's have no underscores.  In a rule every terminal is followed by what
 * is ignored; inside of terminals nothing is.  A rule that begins with itself, which an automaton
 * cannot, is written as its other alternatives and then any number of what may follow it.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "text/grammar/grammar.h"
#include "text/grammar/lark_priv.h"

bool lark_is_terminal(const char *name, size_t n)
{
    size_t i = 0;

    while (i < n && name[i] == '_')
        i++;
    return i < n && isupper((unsigned char)name[i]);
}

/* Write a name as the grammar has it; it has to be defined somewhere. */
static enum status write_name(struct lark *l, const char *name, size_t n, struct buf *out)
{
    uint32_t number = 0;
    const enum status s = rules_find(&l->names, name, n, &number, l->err);

    if (s == ST_OK)
        buf_printf(out, "%s-%u", l->name, number);
    return s;
}

enum status lark_define(struct lark *l, const char *name, size_t n, struct buf *out)
{
    uint32_t number = 0;
    const enum status s = rules_find(&l->names, name, n, &number, l->err);

    if (s != ST_OK)
        return s;
    if (l->names.rules[number].is_defined)
        return err_set(l->err, ST_FORMAT, "line %u of the Lark grammar defines '%.*s' again",
                       l->line, (int)(n < 64 ? n : 64), name);
    l->names.rules[number].is_defined = true;
    buf_printf(out, "%s-%u ::= ", l->name, number);
    return ST_OK;
}

static enum status write_alternatives(struct lark *l, struct buf *out);

static enum status write_group(struct lark *l, struct buf *out)
{
    const bool is_optional = lark_is(l, '[');
    enum status s;

    if (l->depth == GRAMMAR_DEPTH_MAX)
        return err_set(l->err, ST_RANGE, "the Lark grammar nests more than %d parentheses",
                       GRAMMAR_DEPTH_MAX);
    l->depth++;
    buf_putc(out, '(');
    s = lark_next(l);
    if (s == ST_OK)
        s = write_alternatives(l, out);
    l->depth--;
    buf_puts(out, is_optional ? ")?" : ")");
    return s == ST_OK ? lark_expect(l, is_optional ? ']' : ')', "for one that it opened") : s;
}

static enum status write_reference(struct lark *l, struct buf *out)
{
    const struct lark_token name = l->token;
    enum status s;

    if (l->is_in_terminal && !lark_is_terminal(name.text, name.n))
        return lark_wrong(l, "has a rule in a terminal");
    s = write_name(l, name.text, name.n, out);
    if (s == ST_OK)
        s = lark_next(l);
    if (s == ST_OK && lark_is(l, '{'))
        return lark_refuse(l, "a template");
    return s;
}

/* What a repetition may follow, as one element. */
static enum status write_atom(struct lark *l, struct buf *out)
{
    const bool is_name = l->token.kind == LARK_NAME;
    const bool is_group = lark_is(l, '(') || lark_is(l, '[');
    const bool is_terminal = !is_group && (!is_name || lark_is_terminal(l->token.text, l->token.n));
    enum status s;

    buf_putc(out, '(');
    if (is_group)
        s = write_group(l, out);
    else if (is_name)
        s = write_reference(l, out);
    else if (l->token.kind == LARK_STRING)
        s = lark_write_string(l, out);
    else
        s = lark_write_regex(l, out);
    if (is_terminal && !l->is_in_terminal)
        buf_printf(out, " %s-i", l->name);
    buf_putc(out, ')');
    return s;
}

static enum status read_count(struct lark *l, unsigned long *ret)
{
    if (l->token.kind != LARK_NUMBER)
        return lark_wrong(l, "has a '~' without a number");
    *ret = l->token.n > 6 ? GRAMMAR_REPEAT_MAX + 1UL : strtoul(l->token.text, NULL, 10);
    if (*ret > GRAMMAR_REPEAT_MAX)
        return err_set(l->err, ST_RANGE, "the Lark grammar repeats something more than %d times",
                       GRAMMAR_REPEAT_MAX);
    return lark_next(l);
}

/* ~n, ~n..m */
static enum status write_counts(struct lark *l, struct buf *out)
{
    unsigned long least = 0, most = 0;
    enum status s = lark_next(l);

    if (s == ST_OK)
        s = read_count(l, &least);
    most = least;
    if (s == ST_OK && l->token.kind == LARK_RANGE) {
        s = lark_next(l);
        if (s == ST_OK)
            s = read_count(l, &most);
    }
    if (s == ST_OK && most < least)
        return lark_wrong(l, "has a repetition whose second number is less than its first");
    buf_printf(out, "{%lu,%lu}", least, most);
    return s;
}

static bool is_repetition(const struct lark *l)
{
    return lark_is(l, '?') || lark_is(l, '*') || lark_is(l, '+');
}

static enum status write_repetition(struct lark *l, struct buf *out)
{
    if (lark_is(l, '~'))
        return write_counts(l, out);
    if (!is_repetition(l))
        return ST_OK;
    buf_putc(out, *l->token.text);
    return lark_next(l);
}

static bool begins_atom(const struct lark *l)
{
    return l->token.kind == LARK_NAME || l->token.kind == LARK_STRING ||
           l->token.kind == LARK_REGEX || lark_is(l, '(') || lark_is(l, '[');
}

/* One alternative, as far as its alias. */
static enum status write_sequence(struct lark *l, struct buf *out)
{
    enum status s = ST_OK;

    buf_puts(out, "\"\"");
    while (s == ST_OK && begins_atom(l)) {
        buf_putc(out, ' ');
        s = write_atom(l, out);
        if (s == ST_OK)
            s = write_repetition(l, out);
    }
    if (s != ST_OK || l->token.kind != LARK_ARROW)
        return s;
    s = lark_next(l);
    if (s == ST_OK && l->token.kind != LARK_NAME)
        return lark_wrong(l, "has a '->' without a name");
    return s == ST_OK ? lark_next(l) : s;
}

static enum status write_alternatives(struct lark *l, struct buf *out)
{
    enum status s = write_sequence(l, out);

    while (s == ST_OK && lark_is(l, '|')) {
        buf_puts(out, " | ");
        s = lark_next(l);
        if (s == ST_OK)
            s = write_sequence(l, out);
    }
    return s;
}

/* Does an alternative begin with the rule itself, unrepeated?  It is read over then. */
static enum status skip_itself(struct lark *l, const struct lark_token *name, bool *ret)
{
    const struct lark before = *l;
    enum status s;

    *ret = false;
    if (l->token.kind != LARK_NAME || l->token.n != name->n ||
        memcmp(l->token.text, name->text, name->n) != 0)
        return ST_OK;
    s = lark_next(l);
    if (s == ST_OK && (is_repetition(l) || lark_is(l, '~')))
        *l = before;
    else
        *ret = s == ST_OK;
    return s;
}

/* heads: alternatives; tails: what may follow the rule itself to make it again. */
static enum status read_body(struct lark *l, const struct lark_token *name, struct buf *heads,
                             struct buf *tails)
{
    enum status s;

    for (;;) {
        bool is_tail;
        struct buf *into;

        s = skip_itself(l, name, &is_tail);
        into = is_tail ? tails : heads;
        buf_puts(into, into->len > 0 ? " | " : "");
        if (s == ST_OK)
            s = write_sequence(l, into);
        if (s != ST_OK || !lark_is(l, '|'))
            return s;
        s = lark_next(l);
        if (s != ST_OK)
            return s;
    }
}

static enum status write_body(struct lark *l, const struct lark_token *name)
{
    struct buf heads = { 0 }, tails = { 0 };
    enum status s = read_body(l, name, &heads, &tails);

    if (s == ST_OK && (heads.failed || tails.failed))
        s = ST_NOMEM;
    if (s == ST_OK && heads.len == 0)
        s = lark_wrong(l, "ends a rule of which every alternative begins with itself");
    buf_printf(l->out, "(%s)", buf_text(&heads));
    if (tails.len > 0)
        buf_printf(l->out, " (%s)*", buf_text(&tails));
    buf_putc(l->out, '\n');
    buf_release(&heads);
    buf_release(&tails);
    return s;
}

/* name.PRIORITY: ... */
static enum status read_definition(struct lark *l)
{
    const struct lark_token name = l->token;
    enum status s = lark_next(l);

    if (s == ST_OK && lark_is(l, '{'))
        return lark_refuse(l, "a template");
    if (s == ST_OK && lark_is(l, '.')) {
        s = lark_next(l);
        if (s == ST_OK && lark_is(l, '-'))
            s = lark_next(l);
        if (s == ST_OK && l->token.kind != LARK_NUMBER)
            return lark_wrong(l, "has a priority that is no number");
        if (s == ST_OK)
            s = lark_next(l);
    }
    if (s == ST_OK)
        s = lark_expect(l, ':', "behind a name");
    l->is_in_terminal = lark_is_terminal(name.text, name.n);
    if (s == ST_OK)
        s = lark_define(l, name.text, name.n, l->out);
    return s == ST_OK ? write_body(l, &name) : s;
}

static enum status read_ignored(struct lark *l)
{
    l->is_in_terminal = true;
    buf_puts(&l->ignored, l->ignored.len > 0 ? " | " : "");
    return write_alternatives(l, &l->ignored);
}

static bool is_word(const struct lark_token *t, const char *word)
{
    return t->n == strlen(word) && memcmp(t->text, word, t->n) == 0;
}

static enum status read_directive(struct lark *l)
{
    const struct lark_token word = l->token;
    enum status s = lark_next(l);

    if (s != ST_OK)
        return s;
    if (is_word(&word, "import"))
        return lark_import(l);
    if (is_word(&word, "ignore"))
        return read_ignored(l);
    return lark_refuse(l, "a directive other than %import and %ignore");
}

/* A line, however many of the text it takes. */
static enum status read_line(struct lark *l)
{
    enum status s = ST_OK;

    if (l->token.kind == LARK_DIRECTIVE) {
        s = read_directive(l);
    } else {
        while (s == ST_OK && (lark_is(l, '?') || lark_is(l, '!')))
            s = lark_next(l);
        if (s == ST_OK && l->token.kind != LARK_NAME)
            return lark_wrong(l, "begins with no name");
        if (s == ST_OK)
            s = read_definition(l);
    }
    if (s == ST_OK && l->token.kind != LARK_LINE && l->token.kind != LARK_END)
        return lark_wrong(l, "goes on with something that means nothing there");
    return s;
}

static enum status read_lines(struct lark *l)
{
    enum status s = lark_next(l);

    while (s == ST_OK && l->token.kind != LARK_END)
        s = l->token.kind == LARK_LINE ? lark_next(l) : read_line(l);
    return s;
}

static bool is_utf8(const char *text, size_t n)
{
    const utf8proc_uint8_t *at = (const utf8proc_uint8_t *)text, *end = at + n;
    utf8proc_int32_t c;

    while (at < end) {
        const utf8proc_ssize_t length = utf8proc_iterate(at, end - at, &c);

        if (length <= 0)
            return false;
        at += length;
    }
    return true;
}

static enum status check_names(const struct lark *l)
{
    for (uint32_t i = 0; i < l->names.n; i++) {
        const struct rule *r = &l->names.rules[i];

        if (!r->is_defined)
            return err_set(l->err, ST_FORMAT, "the Lark grammar does not define '%.*s'",
                           (int)(r->n_name < 64 ? r->n_name : 64), r->name);
    }
    return ST_OK;
}

enum status lark_rules(const char *text, size_t n, const char *name, enum lark_place place,
                       struct buf *out, struct err *err)
{
    static const char start[] = "start";
    const size_t n_before = out->len;
    struct lark l = {
        .at = text, .end = text + n, .line = 1, .name = name, .place = place, .out = out, .err = err
    };
    enum status s = ST_OK;

    if (n > LARK_BYTES_MAX)
        return err_set(err, ST_RANGE, "the Lark grammar is longer than %d bytes", LARK_BYTES_MAX);
    if (!is_utf8(text, n))
        return err_set(err, ST_FORMAT, "the Lark grammar is not UTF-8");
    buf_printf(out, "%s ::= %s-i ", name, name);
    s = write_name(&l, start, sizeof(start) - 1, out);
    buf_putc(out, '\n');
    if (s == ST_OK)
        s = read_lines(&l);
    if (s == ST_OK)
        s = check_names(&l);
    buf_printf(out, l.ignored.len > 0 ? "%s-i ::= (%s)*\n" : "%s-i ::= \"\"\n", name,
               buf_text(&l.ignored));
    if (s == ST_OK && (l.ignored.failed || buf_status(out) != ST_OK))
        s = err_set(err, ST_NOMEM, "a Lark grammar");
    if (s != ST_OK && out->data) {
        out->len = n_before;
        out->data[n_before] = '\0';
    }
    buf_release(&l.ignored);
    rules_release(&l.names);
    return s;
}
