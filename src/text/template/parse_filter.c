/* SPDX-License-Identifier: Apache-2.0 */
/* text/template/parse_filter.c - x|filter and x is test.
 *
 * Names are looked up here, so that a template with a filter that does not
 * exist is refused when its model is loaded, not when somebody talks to it.
 */
#include "base/size.h"
#include "text/template/builtin.h"
#include "text/template/parse.h"

enum status tmpl_parse_filter(struct parser *p, struct node *subject, struct node **ret)
{
    const struct token *name = p->token;
    struct node *node = tmpl_node(p, NODE_FILTER);
    enum status s = tmpl_expect(p, TOKEN_NAME);

    if (s != ST_OK)
        return s;
    if (!node)
        return tmpl_parse_no_memory(p);
    node->call.subject = subject;
    node->call.builtin = tmpl_filter_find(name->at, name->n);
    if (!node->call.builtin)
        return err_set(p->err, ST_UNSUPPORTED, "template line %u: no filter '%.*s'", name->line,
                       (int)size_min(name->n, 64), name->at);
    if (p->token->kind == TOKEN_LPAREN)
        s = tmpl_parse_arguments(p, node);
    if (s == ST_OK)
        *ret = node;
    return s;
}

/* Does an argument without brackets follow the test's name: x is divisibleby 3? */
static bool test_argument_follows(const struct token *t)
{
    if (t->kind == TOKEN_NAME)
        return !tmpl_token_is(t, "else") && !tmpl_token_is(t, "or") && !tmpl_token_is(t, "and") &&
               !tmpl_token_is(t, "if") && !tmpl_token_is(t, "is") && !tmpl_token_is(t, "in") &&
               !tmpl_token_is(t, "not");
    return t->kind == TOKEN_STRING || t->kind == TOKEN_INTEGER || t->kind == TOKEN_FLOAT ||
           t->kind == TOKEN_LBRACKET || t->kind == TOKEN_LBRACE;
}

static enum status parse_test(struct parser *p, struct node *subject, struct node **ret)
{
    struct node *node = tmpl_node(p, NODE_TEST);
    const struct token *name;
    enum status s;

    if (!node)
        return tmpl_parse_no_memory(p);
    node->call.subject = subject;
    node->call.negated = tmpl_skip_word(p, "not");
    name = p->token;
    s = tmpl_expect(p, TOKEN_NAME);
    if (s != ST_OK)
        return s;
    node->call.builtin = tmpl_test_find(name->at, name->n);
    if (!node->call.builtin)
        return err_set(p->err, ST_UNSUPPORTED, "template line %u: no test '%.*s'", name->line,
                       (int)size_min(name->n, 64), name->at);
    if (p->token->kind == TOKEN_LPAREN) {
        s = tmpl_parse_arguments(p, node);
    } else if (test_argument_follows(p->token)) {
        s = tmpl_parse_primary(p, &node->call.arguments);
        if (s == ST_OK)
            s = tmpl_parse_postfix(p, node->call.arguments, &node->call.arguments);
    }
    if (s == ST_OK)
        *ret = node;
    return s;
}

enum status tmpl_parse_filters(struct parser *p, struct node *subject, struct node **ret)
{
    enum status s = ST_OK;

    while (s == ST_OK) {
        if (tmpl_skip(p, TOKEN_PIPE))
            s = tmpl_parse_filter(p, subject, &subject);
        else if (tmpl_skip_word(p, "is"))
            s = parse_test(p, subject, &subject);
        else if (p->token->kind == TOKEN_LPAREN)
            s = tmpl_parse_call(p, subject, &subject);
        else
            break;
    }
    if (s == ST_OK)
        *ret = subject;
    return s;
}
