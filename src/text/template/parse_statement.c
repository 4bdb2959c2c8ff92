/* SPDX-License-Identifier: Apache-2.0 */
/* text/template/parse_statement.c - text, {{ }} and the statements of {% %}.
 *
 * Statements are rows of one table: a word, the function that parses what
 * follows it up to and including the tag that ends it.
 */
#include "base/size.h"
#include "text/template/parse.h"

static enum status parse_body(struct parser *p, const char *const *ends, struct node **ret);

/* '%}', the statements to one of `ends`, and its '{%'; the end's word is next. */
static enum status parse_block(struct parser *p, const char *const *ends, struct node **ret)
{
    enum status s = tmpl_expect(p, TOKEN_BLOCK_END);

    return s == ST_OK ? parse_body(p, ends, ret) : s;
}

/* A block that only its own end word can end, up to its '%}'. */
static enum status parse_block_to(struct parser *p, const char *end, struct node **ret)
{
    const char *const ends[] = { end, NULL };
    enum status s = parse_block(p, ends, ret);

    if (s != ST_OK)
        return s;
    p->token++;
    return tmpl_expect(p, TOKEN_BLOCK_END);
}

static enum status parse_if(struct parser *p, struct node **ret)
{
    static const char *const ends[] = { "elif", "else", "endif", NULL };
    struct node **branch = ret;
    enum status s;

    do {
        *branch = tmpl_node(p, NODE_IF);
        if (!*branch)
            return tmpl_parse_no_memory(p);
        s = tmpl_parse_tuple(p, &(*branch)->choice.condition);
        if (s == ST_OK)
            s = parse_block(p, ends, &(*branch)->choice.then);
        if (s != ST_OK)
            return s;
        branch = &(*branch)->choice.otherwise;
    } while (tmpl_skip_word(p, "elif"));

    if (tmpl_skip_word(p, "else"))
        return parse_block_to(p, "endif", branch);
    p->token++;
    return tmpl_expect(p, TOKEN_BLOCK_END);
}

static enum status parse_for(struct parser *p, struct node **ret)
{
    static const char *const ends[] = { "else", "endfor", NULL };
    struct node *node = tmpl_node(p, NODE_FOR);
    enum status s;

    if (!node)
        return tmpl_parse_no_memory(p);
    s = tmpl_parse_target(p, &node->loop.target);
    if (s == ST_OK && !tmpl_skip_word(p, "in"))
        s = tmpl_parse_expected(p, "'in'");
    if (s == ST_OK)
        s = tmpl_parse_unconditional(p, &node->loop.iterable);
    if (s == ST_OK && p->token->kind == TOKEN_COMMA)
        s = tmpl_parse_expected(p, "one value to loop over, a tuple in brackets,");
    if (s == ST_OK && tmpl_skip_word(p, "if"))
        s = tmpl_parse_expression(p, &node->loop.condition);
    if (s == ST_OK && tmpl_token_is(p->token, "recursive"))
        s = err_set(p->err, ST_UNSUPPORTED, "template line %u: a recursive loop is not supported",
                    p->token->line);
    if (s != ST_OK)
        return s;

    p->n_loops++;
    s = parse_block(p, ends, &node->loop.body);
    p->n_loops--;
    if (s == ST_OK && tmpl_skip_word(p, "else"))
        s = parse_block_to(p, "endfor", &node->loop.otherwise);
    else if (s == ST_OK) {
        p->token++;
        s = tmpl_expect(p, TOKEN_BLOCK_END);
    }
    *ret = node;
    return s;
}

/* {% set x = value %}, or {% set x | filter %}text{% endset %}. */
static enum status parse_set(struct parser *p, struct node **ret)
{
    struct node *node = tmpl_node(p, NODE_SET), *text = tmpl_node(p, NODE_CAPTURE);
    enum status s;

    if (!node || !text)
        return tmpl_parse_no_memory(p);
    *ret = node;
    s = tmpl_parse_target(p, &node->assign.target);
    if (s != ST_OK)
        return s;
    if (tmpl_skip(p, TOKEN_ASSIGN)) {
        s = tmpl_parse_tuple(p, &node->assign.value);
        return s == ST_OK ? tmpl_expect(p, TOKEN_BLOCK_END) : s;
    }
    s = tmpl_parse_filters(p, text, &node->assign.value);
    return s == ST_OK ? parse_block_to(p, "endset", &text->operand) : s;
}

/* {% filter name(...) | name %}text{% endfilter %} */
static enum status parse_filter_block(struct parser *p, struct node **ret)
{
    struct node *node = tmpl_node(p, NODE_PRINT), *text = tmpl_node(p, NODE_CAPTURE);
    enum status s;

    if (!node || !text)
        return tmpl_parse_no_memory(p);
    *ret = node;
    s = tmpl_parse_filter(p, text, &node->operand);
    if (s == ST_OK)
        s = tmpl_parse_filters(p, node->operand, &node->operand);
    return s == ST_OK ? parse_block_to(p, "endfilter", &text->operand) : s;
}

/* name(a, b=default) of a macro's head. */
static enum status parse_parameters(struct parser *p, struct node **last)
{
    enum status s = tmpl_expect(p, TOKEN_LPAREN);

    while (s == ST_OK && p->token->kind != TOKEN_RPAREN) {
        struct node *parameter = tmpl_node(p, NODE_NAMED);

        if (!parameter)
            return tmpl_parse_no_memory(p);
        *last = parameter;
        last = &parameter->next;
        s = tmpl_expect_name(p, &parameter->attribute.name);
        if (s == ST_OK && tmpl_skip(p, TOKEN_ASSIGN))
            s = tmpl_parse_expression(p, &parameter->attribute.subject);
        if (s == ST_OK && !tmpl_skip(p, TOKEN_COMMA))
            break;
    }
    return s == ST_OK ? tmpl_expect(p, TOKEN_RPAREN) : s;
}

static enum status parse_macro(struct parser *p, struct node **ret)
{
    struct node *node = tmpl_node(p, NODE_MACRO);
    const unsigned n_loops = p->n_loops;
    enum status s;

    if (!node)
        return tmpl_parse_no_memory(p);
    *ret = node;
    s = tmpl_expect_name(p, &node->macro.name);
    if (s == ST_OK)
        s = parse_parameters(p, &node->macro.parameters);
    if (s != ST_OK)
        return s;
    p->n_loops = 0;
    s = parse_block_to(p, "endmacro", &node->macro.body);
    p->n_loops = n_loops;
    return s;
}

/* {% generation %} marks what a model wrote, for training; its text stays. */
static enum status parse_generation(struct parser *p, struct node **ret)
{
    *ret = tmpl_node(p, NODE_SCOPE);
    if (!*ret)
        return tmpl_parse_no_memory(p);
    return parse_block_to(p, "endgeneration", &(*ret)->operand);
}

static enum status parse_jump(struct parser *p, enum node_kind kind, struct node **ret)
{
    if (p->n_loops == 0)
        return err_set(p->err, ST_FORMAT, "template line %u: break or continue outside a loop",
                       p->token->line);
    *ret = tmpl_node(p, kind);
    return *ret ? tmpl_expect(p, TOKEN_BLOCK_END) : tmpl_parse_no_memory(p);
}

static enum status parse_break(struct parser *p, struct node **ret)
{
    return parse_jump(p, NODE_BREAK, ret);
}

static enum status parse_continue(struct parser *p, struct node **ret)
{
    return parse_jump(p, NODE_CONTINUE, ret);
}

static const struct statement {
    const char *word;
    enum status (*parse)(struct parser *p, struct node **ret); /* NULL: not supported */
} statements[] = {
    { "if", parse_if },
    { "for", parse_for },
    { "set", parse_set },
    { "macro", parse_macro },
    { "filter", parse_filter_block },
    { "generation", parse_generation },
    { "break", parse_break },
    { "continue", parse_continue },
    { "autoescape", NULL },
    { "block", NULL },
    { "call", NULL },
    { "do", NULL },
    { "extends", NULL },
    { "from", NULL },
    { "import", NULL },
    { "include", NULL },
    { "trans", NULL },
    { "with", NULL },
};

/* Behind '{%'. */
static enum status parse_statement(struct parser *p, struct node **ret)
{
    for (size_t i = 0; i < ARRAY_LEN(statements); i++) {
        const struct token *t = p->token;

        if (!tmpl_skip_word(p, statements[i].word))
            continue;
        if (!statements[i].parse)
            return err_set(p->err, ST_UNSUPPORTED, "template line %u: {%% %s %%} is not supported",
                           t->line, statements[i].word);
        return statements[i].parse(p, ret);
    }
    return tmpl_parse_expected(p, "a statement");
}

static enum status parse_text(struct parser *p, struct node **ret)
{
    struct str *text = tmpl_arena_alloc(p->arena, sizeof(*text));
    struct node *node = tmpl_node(p, NODE_TEXT);

    if (!text || !node)
        return tmpl_parse_no_memory(p);
    *text = (struct str){ .bytes = p->token->at, .n = p->token->n, .trusted = true };
    node->literal = value_string(text);
    *ret = node;
    p->token++;
    return ST_OK;
}

static enum status parse_print(struct parser *p, struct node **ret)
{
    struct node *node = tmpl_node(p, NODE_PRINT);
    enum status s;

    if (!node)
        return tmpl_parse_no_memory(p);
    *ret = node;
    p->token++;
    s = tmpl_parse_tuple(p, &node->operand);
    return s == ST_OK ? tmpl_expect(p, TOKEN_PRINT_END) : s;
}

static bool is_end(const struct parser *p, const char *const *ends)
{
    for (; *ends; ends++)
        if (tmpl_token_is(p->token, *ends))
            return true;
    return false;
}

enum status tmpl_parse_statements(struct parser *p, const char *const *ends, struct node **last)
{
    while (p->token->kind != TOKEN_END) {
        enum status s;

        if (p->token->kind == TOKEN_TEXT) {
            s = parse_text(p, last);
        } else if (p->token->kind == TOKEN_PRINT_BEGIN) {
            s = parse_print(p, last);
        } else {
            p->token++;
            if (ends && is_end(p, ends))
                return ST_OK;
            s = parse_statement(p, last);
        }
        if (s != ST_OK)
            return s;
        last = &(*last)->next;
    }
    if (!ends)
        return ST_OK;
    while (ends[1])
        ends++;
    return err_set(p->err, ST_FORMAT, "template line %u: expected {%% %s %%}", p->token->line,
                   *ends);
}

static enum status parse_body(struct parser *p, const char *const *ends, struct node **ret)
{
    enum status s = tmpl_parse_enter(p);

    if (s != ST_OK)
        return s;
    s = tmpl_parse_statements(p, ends, ret);
    p->depth--;
    return s;
}
