/* SPDX-License-Identifier: Apache-2.0 */
/* text/template/lex.c - cut a template into text and tags, and tags into tokens.
 *
 * Two modes follow one another: text() runs to the next tag and settles the
 * white space before it; tag() reads tokens to the tag's end, which is only
 * looked for outside brackets, so that {{ {'a': {}}}} ends where it should.
 */
#include "text/template/lex.h"

#include <stdbool.h>
#include <string.h>

#include "base/size.h"
#include "text/template/bounds.h"
#include "text/template/str.h"

enum { TOKENS_FIRST = 256 };

struct lexer {
    struct arena *arena;
    struct err *err;
    struct str source;
    size_t pos;
    size_t counted; /* newlines before here are in `line` */
    unsigned line;
    bool line_starting; /* what was consumed last ended a line */
    struct token *tokens;
    size_t n, capacity;
    char open[TMPL_NESTING_MAX]; /* the closing bracket each open one waits for */
    size_t n_open;
};

static const struct spelling {
    const char *characters;
    enum token_kind kind;
} operators[] = {
    /* two characters before their first */
    { "//", TOKEN_DOUBLE_SLASH },
    { "**", TOKEN_POWER },
    { "==", TOKEN_EQ },
    { "!=", TOKEN_NE },
    { "<=", TOKEN_LE },
    { ">=", TOKEN_GE },
    { "+", TOKEN_PLUS },
    { "-", TOKEN_MINUS },
    { "*", TOKEN_STAR },
    { "/", TOKEN_SLASH },
    { "%", TOKEN_PERCENT },
    { "~", TOKEN_TILDE },
    { "<", TOKEN_LT },
    { ">", TOKEN_GT },
    { "=", TOKEN_ASSIGN },
    { ".", TOKEN_DOT },
    { ",", TOKEN_COMMA },
    { ":", TOKEN_COLON },
    { "|", TOKEN_PIPE },
    { "(", TOKEN_LPAREN },
    { ")", TOKEN_RPAREN },
    { "[", TOKEN_LBRACKET },
    { "]", TOKEN_RBRACKET },
    { "{", TOKEN_LBRACE },
    { "}", TOKEN_RBRACE },
};

/* Positions are asked for in order. */
static unsigned line_of(struct lexer *x, size_t pos)
{
    for (; x->counted < pos; x->counted++)
        x->line += x->source.bytes[x->counted] == '\n';
    return x->line;
}

static enum status add(struct lexer *x, enum token_kind kind, size_t from, size_t n)
{
    if (x->n == x->capacity) {
        const size_t capacity = x->capacity ? x->capacity * 2 : TOKENS_FIRST;
        struct token *tokens = tmpl_arena_grow(x->arena, x->tokens, x->n * sizeof(*tokens),
                                               capacity * sizeof(*tokens));

        if (!tokens)
            return err_set(x->err, x->arena->status, "out of memory for a template's tokens");
        x->tokens = tokens;
        x->capacity = capacity;
    }
    x->tokens[x->n++] = (struct token){
        .kind = kind, .line = line_of(x, from), .at = x->source.bytes + from, .n = n
    };
    return ST_OK;
}

static char peek(const struct lexer *x, size_t pos)
{
    return pos < x->source.n ? x->source.bytes[pos] : '\0';
}

static bool at(const struct lexer *x, size_t pos, const char *word)
{
    const size_t n = strlen(word);

    return pos <= x->source.n && x->source.n - pos >= n &&
           memcmp(x->source.bytes + pos, word, n) == 0;
}

static size_t skip_space(const struct lexer *x, size_t pos)
{
    size_t n;

    while (pos < x->source.n && tmpl_is_space(tmpl_utf8_at(&x->source, pos, &n)))
        pos += n;
    return pos;
}

static bool all_space(const struct lexer *x, size_t from, size_t end)
{
    return skip_space(x, from) >= end;
}

/* A tag's end at `pos`: `ret_after` is where the text after it begins. */
static bool tag_end(const struct lexer *x, size_t pos, const char *closing, size_t *ret_after)
{
    const bool trims = closing[0] != '}'; /* '}}' neither trims nor knows '+' */

    if (at(x, pos, closing)) {
        *ret_after = pos + 2 + (trims && peek(x, pos + 2) == '\n');
        return true;
    }
    if (peek(x, pos) == '-' && at(x, pos + 1, closing)) {
        *ret_after = skip_space(x, pos + 3);
        return true;
    }
    if (trims && peek(x, pos) == '+' && at(x, pos + 1, closing)) {
        *ret_after = pos + 3;
        return true;
    }
    return false;
}

static void move_to(struct lexer *x, size_t pos)
{
    x->line_starting = pos > x->pos && x->source.bytes[pos - 1] == '\n';
    x->pos = pos;
}

/* The text before the tag at `end`, less the white space that the tag takes. */
static enum status add_text(struct lexer *x, size_t end, char sign, bool is_print)
{
    const size_t from = x->pos;
    size_t line = end;

    if (sign == '-') {
        while (end > from) {
            const size_t before = tmpl_utf8_before(&x->source, end);
            size_t n;

            if (before < from || !tmpl_is_space(tmpl_utf8_at(&x->source, before, &n)))
                break;
            end = before;
        }
    } else if (sign != '+' && !is_print) {
        while (line > from && x->source.bytes[line - 1] != '\n')
            line--;
        if ((line > from || x->line_starting) && all_space(x, line, end))
            end = line;
    }
    return end > from ? add(x, TOKEN_TEXT, from, end - from) : ST_OK;
}

static char sign_at(const struct lexer *x, size_t pos)
{
    const char c = peek(x, pos);

    return c == '-' || c == '+' ? c : '\0';
}

/* `{%` [sign] `word` at `pos`: the position after the word, else 0. */
static size_t block_word(const struct lexer *x, size_t pos, const char *word)
{
    if (!at(x, pos, "{%"))
        return 0;
    pos = skip_space(x, pos + 2 + (sign_at(x, pos + 2) != '\0'));
    return at(x, pos, word) ? skip_space(x, pos + strlen(word)) : 0;
}

/* From the end of {% raw %} to {% endraw %}. */
static enum status raw(struct lexer *x, size_t begin)
{
    size_t after;

    for (size_t i = x->pos; i < x->source.n; i++) {
        const size_t end = block_word(x, i, "endraw");
        enum status s;

        if (end == 0 || !tag_end(x, end, "%}", &after))
            continue;
        s = add_text(x, i, sign_at(x, i + 2), false);
        move_to(x, after);
        return s;
    }
    return err_set(x->err, ST_FORMAT, "template line %u: expected {%% endraw %%}",
                   line_of(x, begin));
}

static enum status comment(struct lexer *x, size_t begin)
{
    for (size_t i = begin + 2 + (sign_at(x, begin + 2) != '\0'); i < x->source.n; i++) {
        size_t after;

        if (!tag_end(x, i, "#}", &after))
            continue;
        move_to(x, after);
        return ST_OK;
    }
    return err_set(x->err, ST_FORMAT, "template line %u: expected '#}', the comment's end",
                   line_of(x, begin));
}

static bool is_name_start(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static enum status name(struct lexer *x)
{
    size_t end = x->pos;

    while (is_name_start(peek(x, end)) || is_digit(peek(x, end)))
        end++;
    end -= x->pos;
    x->pos += end;
    return add(x, TOKEN_NAME, x->pos - end, end);
}

static size_t skip_digits(const struct lexer *x, size_t pos)
{
    while (is_digit(peek(x, pos)) || (peek(x, pos) == '_' && is_digit(peek(x, pos + 1))))
        pos++;
    return pos;
}

/* 12, 1_000, 0x1f, 1.5, 2e-3.  A dot without a digit after it is an attribute's. */
static enum status number(struct lexer *x)
{
    const size_t from = x->pos;
    enum token_kind kind = TOKEN_INTEGER;
    size_t end = skip_digits(x, from);
    size_t exponent;

    if (peek(x, from) == '0' && end == from + 1 && strchr("xXoObB", peek(x, end)) &&
        peek(x, end) != '\0') {
        do
            end++;
        while (is_digit(peek(x, end)) || is_name_start(peek(x, end)));
        x->pos = end;
        return add(x, kind, from, end - from);
    }
    if (peek(x, end) == '.' && is_digit(peek(x, end + 1))) {
        end = skip_digits(x, end + 1);
        kind = TOKEN_FLOAT;
    }
    exponent = end + 1;
    if (peek(x, exponent) == '+' || peek(x, exponent) == '-')
        exponent++;
    if ((peek(x, end) == 'e' || peek(x, end) == 'E') && is_digit(peek(x, exponent))) {
        end = skip_digits(x, exponent);
        kind = TOKEN_FLOAT;
    }
    x->pos = end;
    return add(x, kind, from, end - from);
}

static enum status string(struct lexer *x)
{
    const size_t from = x->pos;
    const char quote = peek(x, from);
    size_t end = from + 1;

    while (end < x->source.n && peek(x, end) != quote)
        end += peek(x, end) == '\\' ? 2 : 1;
    if (end >= x->source.n)
        return err_set(x->err, ST_FORMAT, "template line %u: expected a closing %c",
                       line_of(x, from), quote);
    x->pos = end + 1;
    return add(x, TOKEN_STRING, from + 1, end - from - 1);
}

/* Keep the stack of open brackets. */
static enum status bracket(struct lexer *x, char c)
{
    static const char pairs[] = "()[]{}";
    const char *found = strchr(pairs, c);

    if (!found)
        return ST_OK;
    if ((found - pairs) % 2 == 0) {
        if (x->n_open == TMPL_NESTING_MAX)
            return err_set(x->err, ST_RANGE, "template line %u: more than %d nested brackets",
                           line_of(x, x->pos), TMPL_NESTING_MAX);
        x->open[x->n_open++] = found[1];
        return ST_OK;
    }
    if (x->n_open == 0 || x->open[x->n_open - 1] != c)
        return err_set(x->err, ST_FORMAT, "template line %u: '%c' closes nothing",
                       line_of(x, x->pos), c);
    x->n_open--;
    return ST_OK;
}

static enum status operator_or_bracket(struct lexer *x)
{
    for (size_t i = 0; i < ARRAY_LEN(operators); i++) {
        const struct spelling *op = &operators[i];
        const size_t n = strlen(op->characters);
        enum status s;

        if (!at(x, x->pos, op->characters))
            continue;
        s = bracket(x, n == 1 ? op->characters[0] : ' ');
        if (s != ST_OK)
            return s;
        x->pos += n;
        return add(x, op->kind, x->pos - n, n);
    }
    return err_set(x->err, ST_FORMAT, "template line %u: a character that no expression has",
                   line_of(x, x->pos));
}

static enum status expression_token(struct lexer *x)
{
    const char c = peek(x, x->pos);

    if (is_name_start(c))
        return name(x);
    if (is_digit(c))
        return number(x);
    if (c == '\'' || c == '"')
        return string(x);
    return operator_or_bracket(x);
}

/* Tokens from behind '{{' or '{%' to the tag's end. */
static enum status tag(struct lexer *x, const char *closing, enum token_kind end_kind)
{
    size_t after;

    x->n_open = 0;
    for (;;) {
        enum status s;

        x->pos = skip_space(x, x->pos);
        if (x->pos >= x->source.n)
            return ST_OK; /* the parser says what is missing */
        if (x->n_open == 0 && tag_end(x, x->pos, closing, &after)) {
            s = add(x, end_kind, x->pos, 0);
            move_to(x, after);
            return s;
        }
        s = expression_token(x);
        if (s != ST_OK)
            return s;
    }
}

/* The tag at `begin`. */
static enum status open_tag(struct lexer *x, size_t begin)
{
    const char kind = x->source.bytes[begin + 1];
    const char sign = sign_at(x, begin + 2);
    const size_t word = block_word(x, begin, "raw");
    enum status s = add_text(x, begin, sign, kind == '{');

    if (s != ST_OK)
        return s;
    if (kind == '#')
        return comment(x, begin);
    if (word && at(x, word, "%}")) {
        move_to(x, word + 2);
        return raw(x, begin);
    }
    if (word && at(x, word, "-%}")) {
        move_to(x, skip_space(x, word + 3));
        return raw(x, begin);
    }
    s = add(x, kind == '{' ? TOKEN_PRINT_BEGIN : TOKEN_BLOCK_BEGIN, begin, 2);
    if (s != ST_OK)
        return s;
    x->pos = begin + 2 + (sign != '\0');
    return kind == '{' ? tag(x, "}}", TOKEN_PRINT_END) : tag(x, "%}", TOKEN_BLOCK_END);
}

/* The next '{{', '{%' or '{#' at or after `pos`; the source's end if none. */
static size_t next_tag(const struct lexer *x, size_t pos)
{
    for (; pos + 1 < x->source.n; pos++) {
        const char *hit = memchr(x->source.bytes + pos, '{', x->source.n - pos - 1);
        char kind;

        if (!hit)
            break;
        pos = (size_t)(hit - x->source.bytes);
        kind = hit[1];
        if (kind == '{' || kind == '%' || kind == '#')
            return pos;
    }
    return x->source.n;
}

enum status tmpl_lex(struct arena *arena, const char *source, size_t n, struct token **ret_tokens,
                     struct err *err)
{
    struct lexer x = { .arena = arena,
                       .err = err,
                       .source = { .bytes = source, .n = n },
                       .line = 1,
                       .line_starting = true };
    enum status s = ST_OK;

    while (s == ST_OK && x.pos < n) {
        const size_t begin = next_tag(&x, x.pos);

        if (begin < n) {
            s = open_tag(&x, begin);
        } else {
            s = add(&x, TOKEN_TEXT, x.pos, n - x.pos);
            x.pos = n;
        }
    }
    if (s == ST_OK)
        s = add(&x, TOKEN_END, n, 0);
    if (s == ST_OK)
        *ret_tokens = x.tokens;
    return s;
}
