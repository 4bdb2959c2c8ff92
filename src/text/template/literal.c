/* SPDX-License-Identifier: Apache-2.0 */
/* text/template/literal.c - what a string or number token stands for.
 *
 * Source  The Python Language Reference, "String and Bytes literals" and
 *         "Integer literals"; \N{...} is not supported
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "base/size.h"
#include "text/template/parse.h"

enum { NUMBER_MAX = 64 }; /* characters, underscores not counted */

/* The value of up to `max` digits of base 8 or 16 at `at`; how many there were. */
static size_t digits(const char *at, const char *end, size_t max, unsigned base, uint32_t *ret)
{
    uint32_t value = 0;
    size_t n = 0;

    for (; n < max && at + n < end; n++) {
        const char c = at[n];
        unsigned digit;

        if (c >= '0' && c <= '9')
            digit = (unsigned)(c - '0');
        else if (c >= 'a' && c <= 'f')
            digit = (unsigned)(c - 'a') + 10;
        else if (c >= 'A' && c <= 'F')
            digit = (unsigned)(c - 'A') + 10;
        else
            break;
        if (digit >= base)
            break;
        value = value * base + digit;
    }
    *ret = value;
    return n;
}

static enum status numeric_escape(struct parser *p, const char **at, const char *end,
                                  uint32_t *ret_codepoint)
{
    const char c = **at;
    const size_t want = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
    size_t n;

    if (want == 0) {
        *at += digits(*at, end, 3, 8, ret_codepoint);
    } else {
        n = digits(*at + 1, end, want, 16, ret_codepoint);
        *at += 1 + n;
        if (n != want)
            return err_set(p->err, ST_FORMAT, "template line %u: \\%c needs %zu hexadecimal digits",
                           p->token->line, c, want);
    }
    if (!utf8proc_codepoint_valid((utf8proc_int32_t)*ret_codepoint))
        return err_set(p->err, ST_FORMAT, "template line %u: an escape is no Unicode character",
                       p->token->line);
    return ST_OK;
}

/* One escape behind its backslash; *to is where its bytes go. */
static enum status escape(struct parser *p, const char **at, const char *end, char **to)
{
    static const char letters[] = "n\nt\tr\r\\\\'\'\"\"a\ab\bf\fv\v";
    const char c = **at;
    uint32_t codepoint;
    enum status s;

    if (c == '\n') {
        ++*at;
        return ST_OK;
    }
    for (size_t i = 0; letters[i]; i += 2) {
        if (letters[i] != c)
            continue;
        *(*to)++ = letters[i + 1];
        ++*at;
        return ST_OK;
    }
    if (c == 'N')
        return err_set(p->err, ST_UNSUPPORTED, "template line %u: \\N{...} is not supported",
                       p->token->line);
    if (c != 'x' && c != 'u' && c != 'U' && (c < '0' || c > '7')) {
        *(*to)++ = '\\';
        return ST_OK;
    }
    s = numeric_escape(p, at, end, &codepoint);
    if (s == ST_OK)
        *to += utf8proc_encode_char((utf8proc_int32_t)codepoint, (utf8proc_uint8_t *)*to);
    return s;
}

enum status tmpl_unescape(struct parser *p, struct str *so_far)
{
    const char *at = p->token->at, *end = at + p->token->n;
    /* no escape is shorter than the UTF-8 it stands for: \x80 makes two bytes */
    char *bytes = tmpl_arena_alloc(p->arena, so_far->n + p->token->n);
    char *to;

    if (!bytes)
        return tmpl_parse_no_memory(p);
    memcpy(bytes, so_far->bytes, so_far->n);
    to = bytes + so_far->n;
    while (at < end) {
        enum status s;

        if (*at != '\\') {
            *to++ = *at++;
            continue;
        }
        at++;
        s = escape(p, &at, end, &to);
        if (s != ST_OK)
            return s;
    }
    so_far->bytes = bytes;
    so_far->n = (size_t)(to - bytes);
    return ST_OK;
}

static int base_of(const char *text)
{
    if (text[0] != '0' || text[1] == '\0')
        return 10;
    if (text[1] == 'x' || text[1] == 'X')
        return 16;
    if (text[1] == 'o' || text[1] == 'O')
        return 8;
    if (text[1] == 'b' || text[1] == 'B')
        return 2;
    return 10;
}

enum status tmpl_parse_number(struct parser *p, struct node **ret)
{
    const struct token *t = p->token++;
    struct node *node = tmpl_node(p, NODE_LITERAL);
    char text[NUMBER_MAX + 1], *end;
    size_t n = 0;
    int base;

    if (!node)
        return tmpl_parse_no_memory(p);
    for (size_t i = 0; i < t->n && n <= NUMBER_MAX; i++)
        if (t->at[i] != '_')
            text[n++] = t->at[i];
    if (n > NUMBER_MAX)
        return err_set(p->err, ST_RANGE, "template line %u: a number is too long", t->line);
    text[n] = '\0';
    errno = 0;
    if (t->kind == TOKEN_FLOAT) {
        node->literal = value_float(strtod(text, &end), true);
    } else {
        base = base_of(text);
        node->literal = value_int(strtoll(text + (base == 10 ? 0 : 2), &end, base), true);
        if (errno == ERANGE)
            return err_set(p->err, ST_RANGE, "template line %u: an integer exceeds 64 bits",
                           t->line);
    }
    if (*end != '\0' || (t->kind == TOKEN_INTEGER && t->n > 1 && base_of(text) != 10 && n == 2))
        return err_set(p->err, ST_FORMAT, "template line %u: a malformed number", t->line);
    *ret = node;
    return ST_OK;
}
