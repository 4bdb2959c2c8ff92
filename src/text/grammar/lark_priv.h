/* SPDX-License-Identifier: Apache-2.0 */
/* text/grammar/lark_priv.h - what the parts of reading Lark share.
 *
 *   lark.c         rules and their parts become rules of a grammar
 *   lark_token.c   the text as tokens
 *   lark_text.c    strings, ranges and expressions
 *   lark_import.c  %import
 */
#ifndef POMONA_TEXT_GRAMMAR_LARK_PRIV_H
#define POMONA_TEXT_GRAMMAR_LARK_PRIV_H

#include <stdbool.h>
#include <stdint.h>

#include "text/grammar/lark.h"
#include "text/grammar/parse.h"

enum lark_kind {
    LARK_END,
    LARK_LINE,      /* one or more line breaks, outside of parentheses and not before a '|' */
    LARK_NAME,      /* of a rule or a terminal */
    LARK_STRING,    /* "...", its flags behind */
    LARK_REGEX,     /* /.../, its flags behind */
    LARK_NUMBER,    /* digits */
    LARK_RANGE,     /* .. */
    LARK_ARROW,     /* -> */
    LARK_DIRECTIVE, /* %word: the word */
    LARK_SIGN,      /* one character, itself */
};

struct lark_token {
    enum lark_kind kind;
    const char *text; /* [n], in the grammar: without quotes and slashes */
    size_t n;
    const char *flags; /* [n_flags], letters */
    size_t n_flags;
};

struct lark {
    const char *at, *end;
    unsigned line;
    unsigned depth; /* of parentheses */
    struct lark_token token;
    struct rules names; /* numbers of rules and terminals; is_defined, else unused */
    const char *name;
    enum lark_place place;
    bool is_in_terminal;
    struct buf *out;
    struct buf ignored; /* what may stand between terminals, as alternatives */
    struct err *err;
};

/* Read the next token. */
enum status lark_next(struct lark *l);

bool lark_is(const struct lark *l, char sign);
/* Is the token that sign, it is read over.  Else ST_FORMAT. */
enum status lark_expect(struct lark *l, char sign, const char *where);

enum status lark_wrong(const struct lark *l, const char *what);
enum status lark_refuse(const struct lark *l, const char *what);

bool lark_is_terminal(const char *name, size_t n);

/* Begin the rule of a name, which must be new. */
enum status lark_define(struct lark *l, const char *name, size_t n, struct buf *out);

/* Write the token, a string or the first of a range, or an expression; the next token is read. */
enum status lark_write_string(struct lark *l, struct buf *out);
enum status lark_write_regex(struct lark *l, struct buf *out);

/* Behind "%import". */
enum status lark_import(struct lark *l);

#endif
