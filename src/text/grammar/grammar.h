/* SPDX-License-Identifier: Apache-2.0 */
/* text/grammar/grammar.h - a grammar that output has to obey, compiled to an automaton over bytes.
 *
 * The text is GBNF, the notation of llama.cpp's grammars/README.md:
 *
 *     root  ::= "{" ws pair ("," ws pair)* "}"      # a comment
 *     pair  ::= [a-z]+ ":" [^,}\x00-\x1F]{1,8}
 *     ws    ::= [ \t\n]*
 *
 * Names are letters, digits and '-'.  Literals and classes hold characters and \n \r \t \" \\ \[
 * \] \xHH \uHHHH \UHHHHHHHH; `.` is any character; * + ? {m} {m,} {m,n} repeat what they follow, a
 * literal as a whole.  A rule ends with its line, except inside parentheses and after `|` or `::=`.
 * Characters become UTF-8.  A rule that calls itself first (left recursion) is refused, and so is a
 * grammar that no text can satisfy.
 *
 * The automaton: for each rule a graph whose edges consume a range of bytes or call another rule;
 * small rules without loops are copied to where they are called.  Every node can still reach an
 * end, so whatever was accepted byte by byte can be completed.
 *
 * Compiling takes time and memory linear in the bounds below, without recursion.
 *
 * Threads  a grammar is immutable once compiled
 */
#ifndef POMONA_TEXT_GRAMMAR_GRAMMAR_H
#define POMONA_TEXT_GRAMMAR_GRAMMAR_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

enum {
    GRAMMAR_BYTES_MAX = 1 << 20,
    GRAMMAR_DEPTH_MAX = 64, /* of parentheses */
    GRAMMAR_RULES_MAX = 20000,
    GRAMMAR_REPEAT_MAX = 10000,  /* in {m,n} */
    GRAMMAR_NODES_MAX = 200000,  /* while compiling */
    GRAMMAR_EDGES_MAX = 1000000, /* without empty ones */
};

struct grammar;

/* usable       [256], borrowed: bytes that can be produced at all; NULL: all
 * ret_grammar  given; release with grammar_free(); untouched on error
 * Errors       ST_FORMAT  the text is no grammar: line and reason
 *              ST_RANGE   beyond a bound above
 *              ST_NOMEM */
enum status grammar_compile(const char *text, size_t n, const uint8_t *usable,
                            struct grammar **ret_grammar, struct err *err);
void grammar_free(struct grammar *grammar); /* NULL is allowed */

#endif
