/* SPDX-License-Identifier: Apache-2.0 */
/* text/template/parse.c - a source as a template, and what its parsers share. */
#include "text/template/parse.h"

#include <string.h>
#include <utf8proc.h>

#include "base/size.h"
#include "text/template/bounds.h"
#include "text/template/template.h"

struct node *tmpl_node(struct parser *p, enum node_kind kind)
{
    struct node *node = tmpl_arena_zalloc(p->arena, sizeof(*node));

    if (!node)
        return NULL;
    node->kind = kind;
    node->line = p->token->line;
    return node;
}

enum status tmpl_parse_no_memory(struct parser *p)
{
    return err_set(p->err, p->arena->status, "out of memory for a parsed template");
}

enum status tmpl_parse_expected(struct parser *p, const char *what)
{
    const struct token *t = p->token;

    if (t->kind == TOKEN_NAME)
        return err_set(p->err, ST_FORMAT, "template line %u: expected %s but found '%.*s'", t->line,
                       what, (int)size_min(t->n, 64), t->at);
    return err_set(p->err, ST_FORMAT, "template line %u: expected %s but found %s", t->line, what,
                   tmpl_token_words(t->kind));
}

enum status tmpl_parse_enter(struct parser *p)
{
    if (p->depth >= TMPL_NESTING_MAX)
        return err_set(p->err, ST_RANGE, "template line %u: nested more than %d deep",
                       p->token->line, TMPL_NESTING_MAX);
    p->depth++;
    return ST_OK;
}

bool tmpl_token_is(const struct token *token, const char *word)
{
    return token->kind == TOKEN_NAME && token->n == strlen(word) &&
           memcmp(token->at, word, token->n) == 0;
}

bool tmpl_skip(struct parser *p, enum token_kind kind)
{
    if (p->token->kind != kind)
        return false;
    p->token++;
    return true;
}

bool tmpl_skip_word(struct parser *p, const char *word)
{
    if (!tmpl_token_is(p->token, word))
        return false;
    p->token++;
    return true;
}

enum status tmpl_expect(struct parser *p, enum token_kind kind)
{
    return tmpl_skip(p, kind) ? ST_OK : tmpl_parse_expected(p, tmpl_token_words(kind));
}

enum status tmpl_expect_name(struct parser *p, const char **ret_name)
{
    const struct token *t = p->token;
    char *name;

    if (t->kind != TOKEN_NAME)
        return tmpl_parse_expected(p, "a name");
    name = tmpl_arena_alloc(p->arena, t->n + 1);
    if (!name)
        return tmpl_parse_no_memory(p);
    memcpy(name, t->at, t->n);
    name[t->n] = '\0';
    *ret_name = name;
    p->token++;
    return ST_OK;
}

/* \r\n and \r become \n; one newline at the very end goes (Jinja's
 * keep_trailing_newline is off). */
static size_t normalise(const char *source, size_t n, char *to)
{
    size_t n_to = 0;

    for (size_t i = 0; i < n; i++) {
        if (source[i] == '\r' && i + 1 < n && source[i + 1] == '\n')
            continue;
        to[n_to++] = source[i] == '\r' ? '\n' : source[i];
    }
    return n_to > 0 && to[n_to - 1] == '\n' ? n_to - 1 : n_to;
}

static bool is_utf8(const char *bytes, size_t n)
{
    for (size_t i = 0; i < n;) {
        utf8proc_int32_t codepoint;
        const utf8proc_ssize_t step = utf8proc_iterate((const utf8proc_uint8_t *)bytes + i,
                                                       (utf8proc_ssize_t)(n - i), &codepoint);

        if (step <= 0)
            return false;
        i += (size_t)step;
    }
    return true;
}

static enum status parse_source(struct arena *arena, struct arena *tokens, const char *source,
                                size_t n_source, struct template **ret, struct err *err)
{
    struct template *t = tmpl_arena_zalloc(arena, sizeof(*t));
    char *text = tmpl_arena_alloc(arena, n_source);
    struct token *first;
    struct node *body = NULL;
    struct parser p = { .arena = arena, .err = err };
    enum status s;

    if (!t || !text)
        return err_set(err, arena->status, "out of memory for a template");
    s = tmpl_lex(tokens, text, normalise(source, n_source, text), &first, err);
    if (s != ST_OK)
        return s;
    p.token = first;
    s = tmpl_parse_statements(&p, NULL, &body);
    if (s != ST_OK)
        return s;
    t->body = body;
    *ret = t;
    return ST_OK;
}

enum status template_parse(const char *source, size_t n_source, struct template **ret_template,
                           struct err *err)
{
    struct arena arena, tokens;
    struct template *t = NULL;
    enum status s;

    if (n_source > TMPL_SOURCE_MAX)
        return err_set(err, ST_RANGE, "a chat template of %zu bytes is longer than %d", n_source,
                       TMPL_SOURCE_MAX);
    if (!is_utf8(source, n_source))
        return err_set(err, ST_FORMAT, "a chat template is not UTF-8");

    tmpl_arena_init(&arena, TMPL_ARENA_MAX);
    tmpl_arena_init(&tokens, TMPL_ARENA_MAX);
    s = parse_source(&arena, &tokens, source, n_source, &t, err);
    tmpl_arena_release(&tokens);
    if (s != ST_OK) {
        tmpl_arena_release(&arena);
        return s;
    }
    t->arena = arena;
    *ret_template = t;
    return ST_OK;
}

void template_free(struct template *template)
{
    struct arena arena;

    if (!template)
        return;
    arena = template->arena; /* it holds the template itself */
    tmpl_arena_release(&arena);
}
