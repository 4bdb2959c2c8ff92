/* SPDX-License-Identifier: Apache-2.0 */
/* text/grammar/regex.c - regular expressions as grammar text, which is nearly the same thing.
 *
 * Groups stay groups and repetitions stay repetitions, so nothing recurses and nothing can take
 * longer than the text is long; what the automaton of it costs is bounded by grammar.h.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "text/grammar/graph.h"
#include "text/grammar/schema_priv.h"

struct reader {
    const char *at;
    bool is_json;
    unsigned depth;
    bool has_element; /* something a repetition may follow */
    struct buf *out;
    struct err *err;
};

enum { SET_MAX = 128 };

struct set {
    struct char_range ranges[SET_MAX];
    size_t n;
    bool is_not;
};

static enum status refuse(const struct reader *r, const char *what)
{
    return err_set(r->err, ST_UNSUPPORTED, "the regular expression has %s, which is not supported",
                   what);
}

static enum status wrong(const struct reader *r, const char *what)
{
    return err_set(r->err, ST_FORMAT, "the regular expression %s", what);
}

static enum status add(struct reader *r, struct set *set, uint32_t low, uint32_t high)
{
    if (set->n == SET_MAX)
        return refuse(r, "a class of more than 128 parts");
    set->ranges[set->n++] = (struct char_range){ low, high };
    return ST_OK;
}

static uint32_t read_utf8(struct reader *r)
{
    const unsigned char lead = (unsigned char)*r->at;
    const size_t n = lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    uint32_t c = lead & (n == 1 ? 0x7F : 0x7Fu >> n);

    r->at++;
    for (size_t i = 1; i < n && ((unsigned char)*r->at & 0xC0) == 0x80; i++, r->at++)
        c = c << 6 | ((unsigned char)*r->at & 0x3F);
    return c;
}

static enum status read_hex(struct reader *r, size_t n, uint32_t *ret)
{
    uint32_t value = 0;

    for (size_t i = 0; i < n; i++, r->at++) {
        const char c = *r->at;

        if (!isxdigit((unsigned char)c))
            return wrong(r, "has an escape without hexadecimal digits");
        value = value << 4 | (uint32_t)(isdigit((unsigned char)c) ? c - '0' : (c | 32) - 'a' + 10);
    }
    *ret = value;
    return ST_OK;
}

/* \d and its like into `set`: ASCII, as ECMA-262 has them.  Returns false where it is none. */
static bool add_shorthand(struct reader *r, char c, struct set *set)
{
    static const struct shorthand {
        char name;
        size_t n;
        struct char_range ranges[5];
    } shorthands[] = {
        { 'd', 1, { { '0', '9' } } },
        { 'D', 2, { { 0, '/' }, { ':', CHAR_LAST } } },
        { 'w', 4, { { '0', '9' }, { 'A', 'Z' }, { 'a', 'z' }, { '_', '_' } } },
        { 'W', 5, { { 0, '/' }, { ':', '@' }, { '[', '^' }, { '`', '`' }, { '{', CHAR_LAST } } },
        { 's', 2, { { '\t', '\r' }, { ' ', ' ' } } },
        { 'S', 3, { { 0, '\b' }, { 0x0E, 0x1F }, { '!', CHAR_LAST } } },
    };

    for (size_t i = 0; i < ARRAY_LEN(shorthands); i++) {
        if (shorthands[i].name != c)
            continue;
        for (size_t k = 0; k < shorthands[i].n; k++)
            (void)add(r, set, shorthands[i].ranges[k].low, shorthands[i].ranges[k].high);
        return true;
    }
    return false;
}

/* The character an escape stands for; r->at is behind the backslash. */
static enum status read_escape(struct reader *r, uint32_t *ret)
{
    static const char names[] = "nrtfv0", chars[] = "\n\r\t\f\v";
    const char c = *r->at;
    const char *name = c ? strchr(names, c) : NULL;

    if (c == '\0')
        return wrong(r, "ends with a backslash");
    if (c == 'x' || c == 'u') {
        r->at++;
        return read_hex(r, c == 'x' ? 2 : 4, ret);
    }
    if (name) {
        r->at++;
        *ret = (uint32_t)(unsigned char)chars[name - names];
        return ST_OK;
    }
    if (isalnum((unsigned char)c))
        return refuse(r, isdigit((unsigned char)c) ? "a back-reference" : "an escape of a letter");
    *ret = read_utf8(r);
    return ST_OK;
}

static enum status read_class_char(struct reader *r, struct set *set, uint32_t *ret,
                                   bool *ret_is_char)
{
    *ret_is_char = true;
    if (*r->at != '\\') {
        *ret = read_utf8(r);
        return ST_OK;
    }
    r->at++;
    if (add_shorthand(r, *r->at, set)) {
        r->at++;
        *ret_is_char = false;
        return ST_OK;
    }
    if (*r->at == 'b') {
        r->at++;
        *ret = '\b';
        return ST_OK;
    }
    return read_escape(r, ret);
}

static enum status read_class_part(struct reader *r, struct set *set)
{
    uint32_t low = 0, high;
    bool is_char, is_high_char = true;
    enum status s = read_class_char(r, set, &low, &is_char);

    high = low;
    if (s != ST_OK || !is_char)
        return s;
    if (r->at[0] == '-' && r->at[1] != ']' && r->at[1] != '\0') {
        r->at++;
        s = read_class_char(r, set, &high, &is_high_char);
    }
    if (s == ST_OK && (high < low || !is_high_char || set->n == SET_MAX))
        return wrong(r, "has a range that is none");
    return s == ST_OK ? add(r, set, low, high) : s;
}

static bool holds(const struct set *set, uint32_t c)
{
    for (size_t i = 0; i < set->n; i++)
        if (set->ranges[i].low <= c && c <= set->ranges[i].high)
            return !set->is_not;
    return set->is_not;
}

static void write_class(const struct set *set, const char *also_not, struct buf *out)
{
    buf_puts(out, set->is_not ? "[^" : "[");
    for (size_t i = 0; i < set->n; i++)
        buf_printf(out, "\\U%08X-\\U%08X", set->ranges[i].low, set->ranges[i].high);
    buf_printf(out, "%s]", set->is_not ? also_not : "");
}

/* What JSON escapes is cut out of the ranges. */
static void write_plain(const struct set *set, struct buf *out)
{
    static const struct char_range plain[] = {
        { ' ', '!' }, { '#', '[' }, { ']', '~' }, { 0x80, CHAR_LAST }
    };

    if (set->is_not) {
        write_class(set, "\\x00-\\x1F\\x7F\\\"\\\\", out);
        return;
    }
    buf_putc(out, '[');
    for (size_t i = 0; i < set->n; i++) {
        for (size_t k = 0; k < ARRAY_LEN(plain); k++) {
            const uint32_t low = set->ranges[i].low, high = set->ranges[i].high;
            const uint32_t a = low > plain[k].low ? low : plain[k].low;
            const uint32_t b = high < plain[k].high ? high : plain[k].high;

            if (a <= b)
                buf_printf(out, "\\U%08X-\\U%08X", a, b);
        }
    }
    buf_putc(out, ']');
}

static void write_set(struct reader *r, const struct set *set)
{
    static const char chars[] = "\"\\\b\f\n\r\t", names[] = "\"\\bfnrt";

    r->has_element = true;
    if (!r->is_json) {
        write_class(set, "", r->out);
        buf_putc(r->out, ' ');
        return;
    }
    buf_putc(r->out, '(');
    write_plain(set, r->out);
    for (size_t i = 0; chars[i]; i++) {
        const char escape[] = { '\\', names[i] };

        if (!holds(set, (unsigned char)chars[i]))
            continue;
        buf_puts(r->out, " | ");
        grammar_literal(escape, 2, r->out);
    }
    buf_puts(r->out, ") ");
}

static enum status read_class(struct reader *r)
{
    struct set set = { .n = 0 };
    enum status s = ST_OK;

    r->at++;
    if (*r->at == '^') {
        set.is_not = true;
        r->at++;
    }
    while (s == ST_OK && *r->at && *r->at != ']')
        s = read_class_part(r, &set);
    if (s != ST_OK)
        return s;
    if (!*r->at)
        return wrong(r, "has a class that is not closed");
    r->at++;
    write_set(r, &set);
    return ST_OK;
}

static enum status read_char(struct reader *r)
{
    struct set set = { .n = 0 };
    enum status s = ST_OK;
    uint32_t c;

    if (*r->at == '.') {
        r->at++;
        set = (struct set){ .ranges = { { '\n', '\n' }, { '\r', '\r' } }, .n = 2, .is_not = true };
    } else if (*r->at == '\\') {
        r->at++;
        if (*r->at == 'b' || *r->at == 'B')
            return refuse(r, "a word boundary");
        if (*r->at == 'p' || *r->at == 'P')
            return refuse(r, "a class of Unicode's");
        if (add_shorthand(r, *r->at, &set)) {
            r->at++;
        } else {
            s = read_escape(r, &c);
            if (s == ST_OK)
                s = add(r, &set, c, c);
        }
    } else {
        c = read_utf8(r);
        s = add(r, &set, c, c);
    }
    if (s == ST_OK)
        write_set(r, &set);
    return s;
}

static enum status open_group(struct reader *r)
{
    r->at++;
    if (*r->at == '?') {
        if (r->at[1] == ':')
            r->at += 2;
        else if (r->at[1] == 'P' || (r->at[1] == '<' && r->at[2] != '=' && r->at[2] != '!'))
            return refuse(r, "a named group");
        else
            return refuse(r, "a look-around or a flag");
    }
    r->depth++;
    buf_putc(r->out, '(');
    r->has_element = false;
    return ST_OK;
}

static enum status close_group(struct reader *r)
{
    if (r->depth == 0)
        return wrong(r, "closes a parenthesis that was not opened");
    r->at++;
    r->depth--;
    buf_puts(r->out, "\"\") "); /* what is empty is written so */
    r->has_element = true;
    return ST_OK;
}

static size_t count_length(const char *at)
{
    size_t n = 1 + strspn(at + 1, "0123456789");

    if (n > 1 && at[n] == ',')
        n += 1 + strspn(at + n + 1, "0123456789");
    return n > 1 && at[n] == '}' ? n + 1 : 0;
}

/* {m,n} with less room above than below?  Numbers too long to be compared are refused later. */
static bool ends_before_it_begins(const char *at)
{
    const char *comma = at + 1 + strspn(at + 1, "0123456789");

    return *at == '{' && *comma == ',' && comma[1] != '}' &&
           strtoul(comma + 1, NULL, 10) < strtoul(at + 1, NULL, 10);
}

static enum status read_repeat(struct reader *r)
{
    const size_t n = *r->at == '{' ? count_length(r->at) : 1;

    if (n == 0)
        return read_char(r); /* a brace like any other */
    if (!r->has_element)
        return wrong(r, "repeats nothing");
    if (ends_before_it_begins(r->at))
        return wrong(r, "has a repetition whose second number is less than its first");
    buf_append(r->out, r->at, n);
    buf_putc(r->out, ' ');
    r->at += n;
    if (*r->at == '?') /* lazy: the same texts */
        r->at++;
    else if (*r->at == '+')
        return refuse(r, "a possessive repetition");
    r->has_element = false;
    return ST_OK;
}

/* Anchors say what holds anyhow, at the ends of all alternatives; elsewhere nothing would match. */
static enum status read_anchor(struct reader *r, const char *begin)
{
    const bool is_first = r->at == begin || (r->depth == 0 && r->at[-1] == '|');
    const bool is_last = r->at[1] == '\0' || (r->depth == 0 && r->at[1] == '|');

    if (*r->at == '^' ? !is_first : !is_last)
        return refuse(r, "an anchor inside");
    r->at++;
    return ST_OK;
}

static enum status read_part(struct reader *r, const char *begin)
{
    switch (*r->at) {
    case '(': return open_group(r);
    case ')': return close_group(r);
    case '[': return read_class(r);
    case '*':
    case '+':
    case '?':
    case '{': return read_repeat(r);
    case '^':
    case '$': return read_anchor(r, begin);
    case '|':
        r->at++;
        buf_puts(r->out, "\"\" | ");
        r->has_element = false;
        return ST_OK;
    default: return read_char(r);
    }
}

enum status regex_write(const char *regex, bool is_json, struct buf *out, struct err *err)
{
    struct reader r = { .at = regex, .is_json = is_json, .out = out, .err = err };
    enum status s = ST_OK;

    while (*r.at && s == ST_OK)
        s = read_part(&r, regex);
    if (s == ST_OK && r.depth > 0)
        return wrong(&r, "does not close a parenthesis");
    buf_puts(out, "\"\"");
    return s;
}

enum status regex_rules(const char *regex, const char *name, struct buf *out, struct err *err)
{
    const size_t n_before = out->len;
    enum status s;

    buf_printf(out, "%s ::= ", name);
    s = regex_write(regex, false, out, err);
    buf_putc(out, '\n');
    if (s == ST_OK)
        s = buf_status(out);
    if (s != ST_OK && out->data) {
        out->len = n_before;
        out->data[n_before] = '\0';
    }
    return s;
}
