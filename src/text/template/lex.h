/* SPDX-License-Identifier: Apache-2.0 */
/* text/template/lex.h - a template's source as tokens.
 *
 * White space around tags is settled here, with the two options that chat
 * templates are written for: the newline after a block tag or comment goes
 * (trim_blocks), and so do blanks before one at the start of a line
 * (lstrip_blocks).  "-" takes all white space on its side, "+" keeps it.
 * Comments and the tags of {% raw %} leave no token.
 *
 * Source  Jinja 3.1 template designer documentation, "Whitespace Control"
 */
#ifndef POMONA_TEXT_TEMPLATE_LEX_H
#define POMONA_TEXT_TEMPLATE_LEX_H

#include <stddef.h>

#include "base/status.h"
#include "text/template/arena.h"

enum token_kind {
    TOKEN_END,
    TOKEN_TEXT,
    TOKEN_PRINT_BEGIN,
    TOKEN_PRINT_END,
    TOKEN_BLOCK_BEGIN,
    TOKEN_BLOCK_END,
    TOKEN_NAME,
    TOKEN_STRING, /* between its quotes, escapes as written */
    TOKEN_INTEGER,
    TOKEN_FLOAT,
    TOKEN_PLUS,
    TOKEN_MINUS,
    TOKEN_STAR,
    TOKEN_SLASH,
    TOKEN_DOUBLE_SLASH,
    TOKEN_PERCENT,
    TOKEN_POWER,
    TOKEN_TILDE,
    TOKEN_EQ,
    TOKEN_NE,
    TOKEN_LT,
    TOKEN_LE,
    TOKEN_GT,
    TOKEN_GE,
    TOKEN_ASSIGN,
    TOKEN_DOT,
    TOKEN_COMMA,
    TOKEN_COLON,
    TOKEN_PIPE,
    TOKEN_LPAREN,
    TOKEN_RPAREN,
    TOKEN_LBRACKET,
    TOKEN_RBRACKET,
    TOKEN_LBRACE,
    TOKEN_RBRACE,
};

struct token {
    enum token_kind kind;
    unsigned line;
    const char *at; /* into the source */
    size_t n;
};

/* source       borrowed [n]; newlines are \n already; tokens point into it
 * ret_tokens   lent by `arena`; the last one is TOKEN_END
 * Errors       ST_FORMAT; ST_RANGE brackets nested too deeply; ST_NOMEM */
enum status tmpl_lex(struct arena *arena, const char *source, size_t n, struct token **ret_tokens,
                     struct err *err);

/* As a message shows it: "'endif'", "end of the template". */
const char *tmpl_token_words(enum token_kind kind);

#endif
