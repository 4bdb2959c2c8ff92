/* SPDX-License-Identifier: Apache-2.0 */
/* text/template/parse.h - tokens to nodes.
 *
 * Recursive descent.  Recursion is counted in `depth`, so that no source can
 * exhaust the C stack.
 */
#ifndef POMONA_TEXT_TEMPLATE_PARSE_H
#define POMONA_TEXT_TEMPLATE_PARSE_H

#include "text/template/ast.h"
#include "text/template/lex.h"

struct parser {
    struct arena *arena; /* of the template */
    const struct token *token;
    unsigned depth;   /* of statements and expressions around the current token */
    unsigned n_loops; /* around the current statement, within its macro */
    struct err *err;
};

/* All of these leave the current token behind what they parsed. */
enum status tmpl_parse_expression(struct parser *p, struct node **ret);
enum status tmpl_parse_unconditional(struct parser *p, struct node **ret); /* without a if b */
enum status tmpl_parse_tuple(struct parser *p, struct node **ret);     /* a, b without brackets */
enum status tmpl_parse_target(struct parser *p, struct node **ret);    /* of for and set */
enum status tmpl_parse_arguments(struct parser *p, struct node *call); /* from '(' to ')' */
enum status tmpl_parse_filters(struct parser *p, struct node *subject, struct node **ret);
enum status tmpl_parse_filter(struct parser *p, struct node *subject, struct node **ret);

/* parse_primary.c: a literal, a name or a bracket, and what hangs on one. */
enum status tmpl_parse_primary(struct parser *p, struct node **ret);
enum status tmpl_parse_postfix(struct parser *p, struct node *node, struct node **ret);
enum status tmpl_parse_call(struct parser *p, struct node *subject, struct node **ret);

/* parse_statement.c: to '{%' and one of `ends` [NULL-terminated], whose word is
 * next; NULL: to the end of the source. */
enum status tmpl_parse_statements(struct parser *p, const char *const *ends, struct node **last);

/* A node with two sides. */
enum status tmpl_parse_binary(struct parser *p, enum node_kind kind, enum operator_kind op,
                              unsigned line, struct node *left, struct node *right,
                              struct node **ret);

struct node *tmpl_node(struct parser *p, enum node_kind kind); /* NULL: tmpl_parse_no_memory() */
enum status tmpl_parse_no_memory(struct parser *p);
enum status tmpl_parse_expected(struct parser *p, const char *what); /* ... but found the token */
enum status tmpl_parse_enter(struct parser *p);

bool tmpl_token_is(const struct token *token, const char *word); /* a name of this spelling */
bool tmpl_skip(struct parser *p, enum token_kind kind);
bool tmpl_skip_word(struct parser *p, const char *word);
enum status tmpl_expect(struct parser *p, enum token_kind kind);
enum status tmpl_expect_name(struct parser *p, const char **ret_name);

/* literal.c: append the current string token, without its escapes, to `so_far`. */
enum status tmpl_unescape(struct parser *p, struct str *so_far);

/* literal.c: the current integer or float token. */
enum status tmpl_parse_number(struct parser *p, struct node **ret);

#endif
