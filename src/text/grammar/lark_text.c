/* SPDX-License-Identifier: Apache-2.0 */
/* text/grammar/lark_text.c - what a Lark grammar says of characters: strings, ranges, expressions. */
#include <ctype.h>
#include <string.h>

#include "base/utf8.h"
#include "text/grammar/lark_priv.h"
#include "text/grammar/schema_priv.h"

static bool has_flag(const struct lark_token *t, char flag)
{
    return memchr(t->flags, flag, t->n_flags) != NULL;
}

static bool has_other_flag(const struct lark_token *t, const char *known)
{
    for (size_t i = 0; i < t->n_flags; i++)
        if (!strchr(known, t->flags[i]))
            return true;
    return false;
}

static enum status read_code(struct lark *l, const char *hex, size_t n_left, size_t n_digits,
                             struct buf *out)
{
    uint8_t bytes[4];
    uint32_t c = 0;

    for (size_t i = 0; i < n_digits; i++) {
        if (i >= n_left || !isxdigit((unsigned char)hex[i]))
            return lark_wrong(l, "has an escape without hexadecimal digits");
        c = c << 4 |
            (uint32_t)(isdigit((unsigned char)hex[i]) ? hex[i] - '0' : (hex[i] | 32) - 'a' + 10);
    }
    if (c == 0 || c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF))
        return lark_wrong(l, "has an escape of no character");
    buf_append(out, bytes, utf8_write(c, bytes));
    return ST_OK;
}

/* What the string says. */
static enum status unescape(struct lark *l, const struct lark_token *t, struct buf *out)
{
    static const char names[] = "nrtf\\\"", chars[] = "\n\r\t\f\\\"";
    enum status s = ST_OK;

    for (size_t i = 0; i < t->n && s == ST_OK; i++) {
        const char c = t->text[i], *name;
        size_t n_digits;

        if (c != '\\') {
            buf_putc(out, c);
            continue;
        }
        i++; /* a backslash is never the last */
        name = strchr(names, t->text[i]);
        if (name && *name) {
            buf_putc(out, chars[name - names]);
            continue;
        }
        n_digits = t->text[i] == 'x' ? 2 : t->text[i] == 'u' ? 4 : t->text[i] == 'U' ? 8 : 0;
        if (n_digits == 0)
            return lark_refuse(l, "an escape other than \\n \\r \\t \\f \\\\ \\\" \\x \\u \\U");
        s = read_code(l, t->text + i + 1, t->n - i - 1, n_digits, out);
        i += n_digits;
    }
    return s;
}

/* One character as it stands in the output. */
static void put_char(const struct lark *l, char c, struct buf *out)
{
    static const char chars[] = "\"\\\b\f\n\r\t", names[] = "\"\\bfnrt";
    const char *at = c ? strchr(chars, c) : NULL;

    if (l->place == LARK_ALONE)
        buf_putc(out, c);
    else if (at)
        buf_printf(out, "\\%c", names[at - chars]);
    else if ((unsigned char)c < 0x20 || c == 0x7F)
        buf_printf(out, "\\u%04x", (unsigned)c);
    else
        buf_putc(out, c);
}

static void write_literal(const struct lark *l, const struct buf *text, struct buf *out)
{
    struct buf written = { 0 };

    for (size_t i = 0; i < text->len; i++)
        put_char(l, text->data[i], &written);
    grammar_literal(buf_text(&written), written.len, out);
    out->failed |= written.failed;
    buf_release(&written);
}

/* Letters of ASCII in both cases, one by one. */
static void write_either_case(const struct lark *l, const struct buf *text, struct buf *out)
{
    buf_puts(out, "(\"\" ");
    for (size_t i = 0; i < text->len;) {
        struct buf run = { 0 };

        if (isalpha((unsigned char)text->data[i])) {
            const int c = (unsigned char)text->data[i++];

            buf_printf(out, "[%c%c] ", tolower(c), toupper(c));
            continue;
        }
        while (i < text->len && !isalpha((unsigned char)text->data[i]))
            buf_putc(&run, text->data[i++]);
        write_literal(l, &run, out);
        out->failed |= run.failed;
        buf_putc(out, ' ');
        buf_release(&run);
    }
    buf_putc(out, ')');
}

static void put_bound(const struct buf *text, struct buf *out)
{
    const unsigned char c = (unsigned char)text->data[0];

    if (c < 0x80)
        buf_printf(out, "\\x%02x", c);
    else
        buf_append(out, text->data, text->len);
}

/* "a".."z", as an expression's class. */
static enum status write_range(struct lark *l, const struct buf *low, const struct buf *high,
                               struct buf *out)
{
    struct buf regex = { 0 };
    enum status s;

    if (utf8_count(low->data, low->len) != 1 || utf8_count(high->data, high->len) != 1)
        return lark_wrong(l, "has a range whose ends are not one character each");
    buf_putc(&regex, '[');
    put_bound(low, &regex);
    buf_putc(&regex, '-');
    put_bound(high, &regex);
    buf_putc(&regex, ']');
    s = buf_status(&regex);
    if (s == ST_OK)
        s = regex_write(buf_text(&regex), l->place == LARK_IN_JSON, out, l->err);
    buf_release(&regex);
    return s;
}

/* Behind "..". */
static enum status read_range(struct lark *l, const struct buf *low, struct buf *out)
{
    struct buf high = { 0 };
    enum status s = lark_next(l);

    if (s == ST_OK && (l->token.kind != LARK_STRING || l->token.n_flags > 0))
        s = lark_wrong(l, "has a range without an end");
    if (s == ST_OK)
        s = unescape(l, &l->token, &high);
    if (s == ST_OK)
        s = buf_status(&high);
    if (s == ST_OK)
        s = write_range(l, low, &high, out);
    buf_release(&high);
    return s == ST_OK ? lark_next(l) : s;
}

enum status lark_write_string(struct lark *l, struct buf *out)
{
    const struct lark_token t = l->token;
    struct buf text = { 0 };
    enum status s = ST_OK;

    if (has_other_flag(&t, "i"))
        return lark_refuse(l, "a string with a flag other than i");
    s = unescape(l, &t, &text);
    if (s == ST_OK)
        s = buf_status(&text);
    if (s == ST_OK)
        s = lark_next(l);
    if (s == ST_OK && l->token.kind == LARK_RANGE && t.n_flags == 0)
        s = read_range(l, &text, out);
    else if (s == ST_OK && t.n_flags > 0)
        write_either_case(l, &text, out);
    else if (s == ST_OK)
        write_literal(l, &text, out);
    buf_release(&text);
    return s;
}

/* With the flag s a dot is a line break, too. */
static void put_regex(const struct lark_token *t, struct buf *out)
{
    bool is_in_class = false;

    for (size_t i = 0; i < t->n; i++) {
        const char c = t->text[i];

        if (c == '\\' && i + 1 < t->n) {
            buf_append(out, t->text + i++, 2);
            continue;
        }
        is_in_class = c == '[' || (is_in_class && c != ']');
        if (c == '.' && !is_in_class && has_flag(t, 's'))
            buf_puts(out, "[\\s\\S]");
        else
            buf_putc(out, c);
    }
}

enum status lark_write_regex(struct lark *l, struct buf *out)
{
    struct buf regex = { 0 };
    enum status s;

    if (has_other_flag(&l->token, "su"))
        return lark_refuse(l, "an expression with a flag other than s and u");
    put_regex(&l->token, &regex);
    s = buf_status(&regex);
    buf_putc(out, '(');
    if (s == ST_OK)
        s = regex_write(buf_text(&regex), l->place == LARK_IN_JSON, out, l->err);
    buf_putc(out, ')');
    buf_release(&regex);
    return s == ST_OK ? lark_next(l) : s;
}
