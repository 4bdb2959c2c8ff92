/* SPDX-License-Identifier: Apache-2.0 */
/* text/template/parse_expr.c - expressions, from the loosest binding to the tightest.
 *
 * a if b else c; or; and; not; comparisons; + -; ~; * / // %; **; sign;
 * attribute, subscript and call; filter and test.
 *
 * Two things differ from Python, as in Jinja: ** binds to the left, and a sign
 * binds tighter than ** and than a filter, so -1|abs is 1.
 */
#include "text/template/parse.h"

#include "base/size.h"

static enum status parse_unary(struct parser *p, bool with_filters, struct node **ret);

static const struct level {
    enum token_kind token;
    enum operator_kind op;
    unsigned binding; /* higher is tighter */
} levels[] = {
    { TOKEN_PLUS, OPERATOR_ADD, 1 },          { TOKEN_MINUS, OPERATOR_SUBTRACT, 1 },
    { TOKEN_TILDE, OPERATOR_CONCATENATE, 2 }, { TOKEN_STAR, OPERATOR_MULTIPLY, 3 },
    { TOKEN_SLASH, OPERATOR_DIVIDE, 3 },      { TOKEN_DOUBLE_SLASH, OPERATOR_FLOOR_DIVIDE, 3 },
    { TOKEN_PERCENT, OPERATOR_MODULO, 3 },    { TOKEN_POWER, OPERATOR_POWER, 4 },
};

static const struct level comparisons[] = {
    { TOKEN_EQ, OPERATOR_EQ, 0 }, { TOKEN_NE, OPERATOR_NE, 0 }, { TOKEN_LT, OPERATOR_LT, 0 },
    { TOKEN_LE, OPERATOR_LE, 0 }, { TOKEN_GT, OPERATOR_GT, 0 }, { TOKEN_GE, OPERATOR_GE, 0 },
};

static const struct level *level_of(const struct level *rows, size_t n, enum token_kind token)
{
    for (size_t i = 0; i < n; i++)
        if (rows[i].token == token)
            return &rows[i];
    return NULL;
}

enum status tmpl_parse_binary(struct parser *p, enum node_kind kind, enum operator_kind op,
                              unsigned line, struct node *left, struct node *right,
                              struct node **ret)
{
    struct node *node = tmpl_node(p, kind);

    if (!node)
        return tmpl_parse_no_memory(p);
    node->line = line;
    node->binary.op = op;
    node->binary.left = left;
    node->binary.right = right;
    *ret = node;
    return ST_OK;
}

static enum status unary(struct parser *p, enum node_kind kind, unsigned line, struct node *operand,
                         struct node **ret)
{
    struct node *node = tmpl_node(p, kind);

    if (!node)
        return tmpl_parse_no_memory(p);
    node->line = line;
    node->operand = operand;
    *ret = node;
    return ST_OK;
}

/* Operators of `binding` or tighter. */
static enum status parse_arithmetic(struct parser *p, unsigned binding, struct node **ret)
{
    struct node *left, *right;
    const struct level *level;
    enum status s = parse_unary(p, true, &left);

    while (s == ST_OK) {
        const unsigned line = p->token->line;

        level = level_of(levels, ARRAY_LEN(levels), p->token->kind);
        if (!level || level->binding < binding)
            break;
        p->token++;
        s = parse_arithmetic(p, level->binding + 1, &right);
        if (s == ST_OK)
            s = tmpl_parse_binary(p, NODE_ARITHMETIC, level->op, line, left, right, &left);
    }
    if (s == ST_OK)
        *ret = left;
    return s;
}

/* Is a comparison next?  Skip its operator. */
static bool skip_comparison(struct parser *p, enum operator_kind *ret_op)
{
    const struct level *level = level_of(comparisons, ARRAY_LEN(comparisons), p->token->kind);

    if (level) {
        p->token++;
        *ret_op = level->op;
        return true;
    }
    if (tmpl_skip_word(p, "in")) {
        *ret_op = OPERATOR_IN;
        return true;
    }
    if (tmpl_token_is(p->token, "not") && tmpl_token_is(p->token + 1, "in")) {
        p->token += 2;
        *ret_op = OPERATOR_NOT_IN;
        return true;
    }
    return false;
}

/* a < b < c compares each with the next, as in Python. */
static enum status parse_comparison(struct parser *p, struct node **ret)
{
    const unsigned line = p->token->line;
    struct node *left, *operands = NULL, **last = &operands;
    enum operator_kind op;
    enum status s = parse_arithmetic(p, 0, &left);

    while (s == ST_OK && skip_comparison(p, &op)) {
        struct node *right;

        s = parse_arithmetic(p, 0, &right);
        if (s == ST_OK)
            s = tmpl_parse_binary(p, NODE_OPERAND, op, line, NULL, right, last);
        if (s == ST_OK)
            last = &(*last)->next;
    }
    if (s != ST_OK)
        return s;
    if (operands)
        return tmpl_parse_binary(p, NODE_COMPARE, OPERATOR_EQ, line, left, operands, ret);
    *ret = left;
    return ST_OK;
}

static enum status parse_not(struct parser *p, struct node **ret)
{
    const unsigned line = p->token->line;
    struct node *operand;
    enum status s;

    if (!tmpl_skip_word(p, "not"))
        return parse_comparison(p, ret);
    s = tmpl_parse_enter(p);
    if (s != ST_OK)
        return s;
    s = parse_not(p, &operand);
    p->depth--;
    return s == ST_OK ? unary(p, NODE_NOT, line, operand, ret) : s;
}

static enum status parse_and(struct parser *p, struct node **ret)
{
    struct node *left, *right;
    enum status s = parse_not(p, &left);

    while (s == ST_OK && tmpl_token_is(p->token, "and")) {
        const unsigned line = p->token++->line;

        s = parse_not(p, &right);
        if (s == ST_OK)
            s = tmpl_parse_binary(p, NODE_AND, OPERATOR_EQ, line, left, right, &left);
    }
    if (s == ST_OK)
        *ret = left;
    return s;
}

enum status tmpl_parse_unconditional(struct parser *p, struct node **ret)
{
    struct node *left, *right;
    enum status s = parse_and(p, &left);

    while (s == ST_OK && tmpl_token_is(p->token, "or")) {
        const unsigned line = p->token++->line;

        s = parse_and(p, &right);
        if (s == ST_OK)
            s = tmpl_parse_binary(p, NODE_OR, OPERATOR_EQ, line, left, right, &left);
    }
    if (s == ST_OK)
        *ret = left;
    return s;
}

/* Behind "then if". */
static enum status parse_choice(struct parser *p, struct node *then, struct node **ret)
{
    struct node *choice = tmpl_node(p, NODE_CHOICE);
    enum status s;

    if (!choice)
        return tmpl_parse_no_memory(p);
    choice->choice.then = then;
    s = tmpl_parse_unconditional(p, &choice->choice.condition);
    if (s == ST_OK && tmpl_skip_word(p, "else"))
        s = tmpl_parse_expression(p, &choice->choice.otherwise);
    if (s == ST_OK)
        *ret = choice;
    return s;
}

enum status tmpl_parse_expression(struct parser *p, struct node **ret)
{
    struct node *node;
    enum status s = tmpl_parse_enter(p);

    if (s != ST_OK)
        return s;
    s = tmpl_parse_unconditional(p, &node);
    while (s == ST_OK && tmpl_skip_word(p, "if"))
        s = parse_choice(p, node, &node);
    p->depth--;
    if (s == ST_OK)
        *ret = node;
    return s;
}

static enum status parse_unary(struct parser *p, bool with_filters, struct node **ret)
{
    const unsigned line = p->token->line;
    const enum token_kind kind = p->token->kind;
    struct node *node;
    enum status s;

    if (kind == TOKEN_MINUS || kind == TOKEN_PLUS) {
        s = tmpl_parse_enter(p);
        if (s != ST_OK)
            return s;
        p->token++;
        s = parse_unary(p, false, &node);
        p->depth--;
        if (s == ST_OK)
            s = unary(p, kind == TOKEN_MINUS ? NODE_NEGATE : NODE_POSITIVE, line, node, &node);
    } else {
        s = tmpl_parse_primary(p, &node);
    }
    if (s == ST_OK)
        s = tmpl_parse_postfix(p, node, &node);
    if (s == ST_OK && with_filters)
        s = tmpl_parse_filters(p, node, &node);
    if (s == ST_OK)
        *ret = node;
    return s;
}
