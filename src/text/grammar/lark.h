/* SPDX-License-Identifier: Apache-2.0 */
/* text/grammar/lark.h - grammars in Lark's notation as grammar text (text/grammar/grammar.h).
 *
 * Held of it: rules and terminals with `|`, groups, [optional] parts, ? * + ~n ~n..m, strings with
 * escapes and the flag i, ranges "a".."z", /expressions/ as regex_rules() has them with the flags s
 * and u, %ignore, %import of Lark's `common` terminals, comments, rules that begin with themselves.
 * What shapes a tree says nothing of a text, so aliases, priorities, `?` and `!` before a rule are
 * read over.  Templates, %declare, %override, %extend and other imports are refused by name.
 *
 * A text is accepted where the rules derive it.  Lark's lexer takes the longest terminal first, so
 * of a grammar that hangs on that it would refuse some of these texts.  Between terminals, and before
 * the first, may stand what is ignored.  The first rule is `start`.
 *
 * Threads  any
 * Source   Lark's documentation, "Grammar Reference"; its common terminals
 */
#ifndef POMONA_TEXT_GRAMMAR_LARK_H
#define POMONA_TEXT_GRAMMAR_LARK_H

#include "base/buf.h"
#include "base/status.h"

enum { LARK_BYTES_MAX = 64 << 10 };

enum lark_place {
    LARK_ALONE,
    LARK_IN_JSON, /* inside a JSON string, so each character as JSON writes it there */
};

/* Append rules for the texts of a grammar: the rule `name`, and others whose names begin with it
 * and a '-'.
 *
 * name    letters, digits and '-'; no other rule of the grammar begins so
 * out     as it was on error
 * Errors  ST_FORMAT  no such grammar: line and reason
 *         ST_UNSUPPORTED  something that is not held: named
 *         ST_RANGE  beyond a bound here or of grammar.h; ST_NOMEM
 * What comes may still be refused by grammar_compile(): a rule that begins with itself by way of
 * another, or one that no text satisfies. */
enum status lark_rules(const char *text, size_t n, const char *name, enum lark_place place,
                       struct buf *out, struct err *err);

#endif
