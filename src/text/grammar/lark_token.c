/* SPDX-License-Identifier: Apache-2.0 */
/* text/grammar/lark_token.c - the text of a Lark grammar as tokens. */
#include <ctype.h>
#include <string.h>

#include "text/grammar/lark_priv.h"

enum status lark_wrong(const struct lark *l, const char *what)
{
    return err_set(l->err, ST_FORMAT, "line %u of the Lark grammar %s", l->line, what);
}

enum status lark_refuse(const struct lark *l, const char *what)
{
    return err_set(l->err, ST_UNSUPPORTED,
                   "line %u of the Lark grammar has %s, which is not supported", l->line, what);
}

bool lark_is(const struct lark *l, char sign)
{
    return l->token.kind == LARK_SIGN && *l->token.text == sign;
}

enum status lark_expect(struct lark *l, char sign, const char *where)
{
    if (lark_is(l, sign))
        return lark_next(l);
    return err_set(l->err, ST_FORMAT, "line %u of the Lark grammar lacks a '%c' %s", l->line, sign,
                   where);
}

static bool is_name_char(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

static bool begins_comment(const struct lark *l)
{
    return *l->at == '#' || (*l->at == '/' && l->end - l->at > 1 && l->at[1] == '/');
}

/* Blanks and comments; true: with a line break. */
static bool skip(struct lark *l)
{
    bool has_break = false;

    while (l->at < l->end) {
        if (begins_comment(l)) {
            while (l->at < l->end && *l->at != '\n')
                l->at++;
        } else if (*l->at == '\n') {
            has_break = true;
            l->line++;
            l->at++;
        } else if (*l->at == ' ' || *l->at == '\t' || *l->at == '\r') {
            l->at++;
        } else {
            break;
        }
    }
    return has_break;
}

/* As far as the same mark that is not behind a backslash.  Neither spans lines. */
static enum status read_quoted(struct lark *l, char mark)
{
    const char *from = ++l->at;

    while (l->at < l->end && *l->at != mark && *l->at != '\n')
        l->at += *l->at == '\\' && l->end - l->at > 1 && l->at[1] != '\n' ? 2 : 1;
    if (l->at >= l->end || *l->at != mark)
        return lark_wrong(l, mark == '"' ? "has a string that is not closed"
                                         : "has an expression that is not closed");
    l->token.text = from;
    l->token.n = (size_t)(l->at++ - from);
    l->token.flags = l->at;
    while (l->at < l->end && strchr("imslux", *l->at) && *l->at)
        l->at++;
    l->token.n_flags = (size_t)(l->at - l->token.flags);
    l->token.kind = mark == '"' ? LARK_STRING : LARK_REGEX;
    return ST_OK;
}

static void read_while(struct lark *l, enum lark_kind kind, bool (*is_part)(char))
{
    l->token.kind = kind;
    l->token.text = l->at;
    while (l->at < l->end && is_part(*l->at))
        l->at++;
    l->token.n = (size_t)(l->at - l->token.text);
}

static bool is_digit(char c)
{
    return isdigit((unsigned char)c);
}

static bool begins_with(const struct lark *l, const char *word)
{
    return (size_t)(l->end - l->at) >= strlen(word) && memcmp(l->at, word, strlen(word)) == 0;
}

static enum status read_sign(struct lark *l)
{
    static const char signs[] = ":|()[]{}?!*+~,.-";

    l->token.text = l->at;
    l->token.n = 1;
    l->token.kind = LARK_SIGN;
    if (begins_with(l, "->") || begins_with(l, "..")) {
        l->token.kind = *l->at == '-' ? LARK_ARROW : LARK_RANGE;
        l->token.n = 2;
    } else if (!*l->at || !strchr(signs, *l->at)) {
        return lark_wrong(l, "has a character that means nothing there");
    }
    l->at += l->token.n;
    return ST_OK;
}

enum status lark_next(struct lark *l)
{
    const bool has_break = skip(l);

    l->token = (struct lark_token){ .kind = LARK_END, .text = l->at };
    if (has_break && l->depth == 0 && (l->at == l->end || *l->at != '|'))
        l->token.kind = LARK_LINE;
    else if (l->at == l->end)
        l->token.kind = LARK_END;
    else if (*l->at == '"' || *l->at == '/')
        return read_quoted(l, *l->at);
    else if (is_digit(*l->at))
        read_while(l, LARK_NUMBER, is_digit);
    else if (is_name_char(*l->at))
        read_while(l, LARK_NAME, is_name_char);
    else if (*l->at == '%') {
        l->at++;
        read_while(l, LARK_DIRECTIVE, is_name_char);
    } else
        return read_sign(l);
    return ST_OK;
}
