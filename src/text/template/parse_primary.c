/* SPDX-License-Identifier: Apache-2.0 */
/* text/template/parse_primary.c - what operators work on: literals, names, brackets,
 * and the attributes, subscripts and calls behind them.
 */
#include "base/size.h"
#include "text/template/parse.h"

/* Items up to `closing`, which is left; a comma may end them.  `pairs`: each
 * is "key: value". */
static enum status parse_items(struct parser *p, enum token_kind closing, bool pairs,
                               struct node **last, bool *ret_comma)
{
    *ret_comma = false;
    while (p->token->kind != closing) {
        enum status s = tmpl_parse_expression(p, last);

        if (s != ST_OK)
            return s;
        last = &(*last)->next;
        if (pairs) {
            s = tmpl_expect(p, TOKEN_COLON);
            if (s == ST_OK)
                s = tmpl_parse_expression(p, last);
            if (s != ST_OK)
                return s;
            last = &(*last)->next;
        }
        if (!tmpl_skip(p, TOKEN_COMMA))
            break;
        *ret_comma = true;
    }
    return ST_OK;
}

/* (a, b), (a,), (), [a, b], {k: v}; (a) is a itself. */
static enum status parse_bracketed(struct parser *p, enum node_kind kind, enum token_kind closing,
                                   struct node **ret)
{
    struct node *node = tmpl_node(p, kind);
    bool comma;
    enum status s;

    if (!node)
        return tmpl_parse_no_memory(p);
    p->token++;
    s = parse_items(p, closing, kind == NODE_DICT, &node->operand, &comma);
    if (s == ST_OK)
        s = tmpl_expect(p, closing);
    if (s != ST_OK)
        return s;
    *ret = kind == NODE_TUPLE && node->operand && !comma ? node->operand : node;
    return ST_OK;
}

enum status tmpl_parse_tuple(struct parser *p, struct node **ret)
{
    struct node *first, *tuple, **last;
    enum status s = tmpl_parse_expression(p, &first);

    if (s != ST_OK || p->token->kind != TOKEN_COMMA) {
        if (s == ST_OK)
            *ret = first;
        return s;
    }
    tuple = tmpl_node(p, NODE_TUPLE);
    if (!tuple)
        return tmpl_parse_no_memory(p);
    tuple->operand = first;
    last = &first->next;
    while (s == ST_OK && tmpl_skip(p, TOKEN_COMMA)) {
        if (p->token->kind == TOKEN_PRINT_END || p->token->kind == TOKEN_BLOCK_END)
            break;
        s = tmpl_parse_expression(p, last);
        if (s == ST_OK)
            last = &(*last)->next;
    }
    if (s == ST_OK)
        *ret = tuple;
    return s;
}

static enum status parse_name(struct parser *p, struct node **ret)
{
    static const struct {
        const char *word;
        struct value value;
    } constants[] = {
        { "true", { .type = VALUE_BOOL, .trusted = true, .boolean = true } },
        { "True", { .type = VALUE_BOOL, .trusted = true, .boolean = true } },
        { "false", { .type = VALUE_BOOL, .trusted = true, .boolean = false } },
        { "False", { .type = VALUE_BOOL, .trusted = true, .boolean = false } },
        { "none", { .type = VALUE_NONE, .trusted = true } },
        { "None", { .type = VALUE_NONE, .trusted = true } },
    };
    static const char *const reserved[] = { "and", "or", "not", "in", "is", "if", "else" };
    struct node *node = tmpl_node(p, NODE_NAME);

    if (!node)
        return tmpl_parse_no_memory(p);
    for (size_t i = 0; i < ARRAY_LEN(reserved); i++)
        if (tmpl_token_is(p->token, reserved[i]))
            return tmpl_parse_expected(p, "an expression");
    *ret = node;
    for (size_t i = 0; i < ARRAY_LEN(constants); i++) {
        if (!tmpl_skip_word(p, constants[i].word))
            continue;
        node->kind = NODE_LITERAL;
        node->literal = constants[i].value;
        return ST_OK;
    }
    return tmpl_expect_name(p, &node->name);
}

/* Adjacent strings are one. */
static enum status parse_string(struct parser *p, struct node **ret)
{
    struct node *node = tmpl_node(p, NODE_LITERAL);
    struct str *text = tmpl_arena_zalloc(p->arena, sizeof(*text));
    enum status s = ST_OK;

    if (!node || !text)
        return tmpl_parse_no_memory(p);
    text->bytes = "";
    text->trusted = true;
    for (; s == ST_OK && p->token->kind == TOKEN_STRING; p->token++)
        s = tmpl_unescape(p, text);
    if (s != ST_OK)
        return s;
    node->literal = value_string(text);
    *ret = node;
    return ST_OK;
}

enum status tmpl_parse_primary(struct parser *p, struct node **ret)
{
    const enum token_kind kind = p->token->kind;

    if (kind == TOKEN_NAME)
        return parse_name(p, ret);
    if (kind == TOKEN_STRING)
        return parse_string(p, ret);
    if (kind == TOKEN_INTEGER || kind == TOKEN_FLOAT)
        return tmpl_parse_number(p, ret);
    if (kind == TOKEN_LPAREN)
        return parse_bracketed(p, NODE_TUPLE, TOKEN_RPAREN, ret);
    if (kind == TOKEN_LBRACKET)
        return parse_bracketed(p, NODE_LIST, TOKEN_RBRACKET, ret);
    if (kind == TOKEN_LBRACE)
        return parse_bracketed(p, NODE_DICT, TOKEN_RBRACE, ret);
    return tmpl_parse_expected(p, "an expression");
}

/* [start:stop:step] behind '[' or ':'; each part may be missing. */
static enum status parse_slice(struct parser *p, struct node *subject, struct node *start,
                               struct node **ret)
{
    struct node *slice = tmpl_node(p, NODE_SLICE);
    struct node **parts[2];
    enum status s = ST_OK;

    if (!slice)
        return tmpl_parse_no_memory(p);
    slice->slice.subject = subject;
    slice->slice.start = start;
    parts[0] = &slice->slice.stop;
    parts[1] = &slice->slice.step;
    for (size_t i = 0; s == ST_OK && i < 2 && tmpl_skip(p, TOKEN_COLON); i++)
        if (p->token->kind != TOKEN_COLON && p->token->kind != TOKEN_RBRACKET)
            s = tmpl_parse_expression(p, parts[i]);
    if (s == ST_OK)
        *ret = slice;
    return s;
}

static enum status parse_subscript(struct parser *p, struct node *subject, struct node **ret)
{
    const unsigned line = p->token++->line;
    struct node *index = NULL, *node = NULL;
    enum status s = ST_OK;

    if (p->token->kind != TOKEN_COLON)
        s = tmpl_parse_expression(p, &index);
    if (s != ST_OK)
        return s;
    if (p->token->kind == TOKEN_COLON)
        s = parse_slice(p, subject, index, &node);
    else
        s = tmpl_parse_binary(p, NODE_SUBSCRIPT, OPERATOR_EQ, line, subject, index, &node);
    if (s == ST_OK)
        s = tmpl_expect(p, TOKEN_RBRACKET);
    if (s == ST_OK)
        *ret = node;
    return s;
}

/* x.name, and x.0 for x[0]. */
static enum status parse_attribute(struct parser *p, struct node *subject, struct node **ret)
{
    const unsigned line = p->token++->line;
    struct node *node, *index;
    enum status s;

    if (p->token->kind == TOKEN_INTEGER) {
        s = tmpl_parse_number(p, &index);
        return s == ST_OK
                   ? tmpl_parse_binary(p, NODE_SUBSCRIPT, OPERATOR_EQ, line, subject, index, ret)
                   : s;
    }
    node = tmpl_node(p, NODE_ATTRIBUTE);
    if (!node)
        return tmpl_parse_no_memory(p);
    node->attribute.subject = subject;
    s = tmpl_expect_name(p, &node->attribute.name);
    if (s == ST_OK)
        *ret = node;
    return s;
}

enum status tmpl_parse_call(struct parser *p, struct node *subject, struct node **ret)
{
    struct node *call = tmpl_node(p, NODE_CALL);
    enum status s;

    if (!call)
        return tmpl_parse_no_memory(p);
    call->call.subject = subject;
    s = tmpl_parse_arguments(p, call);
    if (s == ST_OK)
        *ret = call;
    return s;
}

enum status tmpl_parse_postfix(struct parser *p, struct node *node, struct node **ret)
{
    enum status s = ST_OK;

    while (s == ST_OK) {
        if (p->token->kind == TOKEN_DOT)
            s = parse_attribute(p, node, &node);
        else if (p->token->kind == TOKEN_LBRACKET)
            s = parse_subscript(p, node, &node);
        else if (p->token->kind == TOKEN_LPAREN)
            s = tmpl_parse_call(p, node, &node);
        else
            break;
    }
    if (s == ST_OK)
        *ret = node;
    return s;
}

enum status tmpl_parse_arguments(struct parser *p, struct node *call)
{
    struct node **last = &call->call.arguments, **last_named = &call->call.named;

    p->token++;
    while (p->token->kind != TOKEN_RPAREN) {
        enum status s;

        if (p->token->kind == TOKEN_STAR || p->token->kind == TOKEN_POWER)
            return err_set(p->err, ST_UNSUPPORTED,
                           "template line %u: a call with * or ** arguments is not supported",
                           p->token->line);
        if (p->token->kind == TOKEN_NAME && p->token[1].kind == TOKEN_ASSIGN) {
            struct node *named = tmpl_node(p, NODE_NAMED);

            if (!named)
                return tmpl_parse_no_memory(p);
            (void)tmpl_expect_name(p, &named->attribute.name);
            p->token++;
            s = named->attribute.name ? tmpl_parse_expression(p, &named->attribute.subject)
                                      : tmpl_parse_no_memory(p);
            *last_named = named;
            last_named = &named->next;
        } else if (call->call.named) {
            return tmpl_parse_expected(p, "a named argument");
        } else {
            s = tmpl_parse_expression(p, last);
            if (s == ST_OK)
                last = &(*last)->next;
        }
        if (s != ST_OK)
            return s;
        if (!tmpl_skip(p, TOKEN_COMMA))
            break;
    }
    return tmpl_expect(p, TOKEN_RPAREN);
}

/* a, b or (a, b), or one name; for set also ns.name. */
enum status tmpl_parse_target(struct parser *p, struct node **ret)
{
    struct node *first, *tuple, **last;
    const bool bracketed = p->token->kind == TOKEN_LPAREN;
    enum status s = tmpl_parse_enter(p);

    if (s != ST_OK)
        return s;
    if (bracketed) {
        p->token++;
        s = tmpl_parse_target(p, &first);
        if (s == ST_OK)
            s = tmpl_expect(p, TOKEN_RPAREN);
    } else if (p->token->kind == TOKEN_NAME) {
        s = parse_name(p, &first);
        if (s == ST_OK && first->kind != NODE_NAME)
            s = tmpl_parse_expected(p, "a name that is not a constant, before this,");
        if (s == ST_OK && p->token->kind == TOKEN_DOT)
            s = parse_attribute(p, first, &first);
    } else {
        s = tmpl_parse_expected(p, "a name");
    }
    p->depth--;
    if (s != ST_OK || p->token->kind != TOKEN_COMMA) {
        if (s == ST_OK)
            *ret = first;
        return s;
    }
    tuple = tmpl_node(p, NODE_TUPLE);
    if (!tuple)
        return tmpl_parse_no_memory(p);
    tuple->operand = first;
    last = &first->next;
    while (s == ST_OK && tmpl_skip(p, TOKEN_COMMA) && p->token->kind == TOKEN_NAME) {
        s = parse_name(p, last);
        if (s == ST_OK && (*last)->kind != NODE_NAME)
            s = tmpl_parse_expected(p, "a name that is not a constant, before this,");
        if (s == ST_OK)
            last = &(*last)->next;
    }
    if (s == ST_OK)
        *ret = tuple;
    return s;
}
