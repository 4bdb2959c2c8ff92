/* SPDX-License-Identifier: Apache-2.0 */
/* text/grammar/parse.c - the text of a grammar becomes a graph, without recursion.
 *
 * An open parenthesis is a frame; the frame below all is the rule itself.  Within a frame the
 * last element may still be repeated: it lies last in the graph, so it is copied as a range.
 */
#include "text/grammar/parse.h"

#include <stdlib.h>
#include <string.h>

#include "text/grammar/grammar.h"

struct frame {
    uint32_t start, end;        /* of the parenthesis */
    uint32_t tail;              /* where the next element of the sequence begins */
    uint32_t before;            /* where the last element began */
    struct graph_piece element; /* the last one */
    bool has_element;           /* it may still be repeated */
};

struct parser {
    const char *text, *end, *at;
    struct rules *r;
    struct frame frames[GRAMMAR_DEPTH_MAX + 1];
    size_t n_frames;
    uint32_t rule; /* being defined */
    struct char_range ranges[CHAR_RANGES_MAX];
    struct err *err;
};

static enum status refuse(const struct parser *p, const char *what)
{
    size_t line = 1;

    for (const char *c = p->text; c < p->at; c++)
        line += *c == '\n';
    return err_set(p->err, ST_FORMAT, "line %zu of the grammar: %s", line, what);
}

static bool is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
}

/* Blanks and comments; ends of lines too where they end nothing. */
static void skip(struct parser *p, bool over_lines)
{
    while (p->at < p->end) {
        const char c = *p->at;

        if (c == '#') {
            while (p->at < p->end && *p->at != '\n')
                p->at++;
        } else if (c == ' ' || c == '\t' || (over_lines && (c == '\n' || c == '\r'))) {
            p->at++;
        } else {
            return;
        }
    }
}

static bool has(const struct parser *p, const char *text)
{
    const size_t n = strlen(text);

    return (size_t)(p->end - p->at) >= n && memcmp(p->at, text, n) == 0;
}

/* The rule of the name that begins here, made where it is new. */
static enum status find_rule(struct parser *p, uint32_t *ret)
{
    const char *name = p->at;

    while (p->at < p->end && is_name_char(*p->at))
        p->at++;
    return rules_find(p->r, name, (size_t)(p->at - name), ret, p->err);
}

static enum status read_hex(struct parser *p, size_t n, uint32_t *ret)
{
    uint32_t value = 0;

    for (size_t i = 0; i < n; i++, p->at++) {
        const char c = p->at < p->end ? *p->at : ' ';

        if (c >= '0' && c <= '9')
            value = value << 4 | (uint32_t)(c - '0');
        else if ((c | 32) >= 'a' && (c | 32) <= 'f')
            value = value << 4 | (uint32_t)((c | 32) - 'a' + 10);
        else
            return refuse(p, "an escape lacks hexadecimal digits");
    }
    *ret = value;
    return ST_OK;
}

static enum status read_escape(struct parser *p, uint32_t *ret)
{
    const char c = p->at + 1 < p->end ? p->at[1] : '\0';

    p->at += 2;
    switch (c) {
    case 'n': *ret = '\n'; return ST_OK;
    case 'r': *ret = '\r'; return ST_OK;
    case 't': *ret = '\t'; return ST_OK;
    case 'x': return read_hex(p, 2, ret);
    case 'u': return read_hex(p, 4, ret);
    case 'U': return read_hex(p, 8, ret);
    case '"':
    case '\\':
    case '[':
    case ']':
    case '^':
    case '-': *ret = (unsigned char)c; return ST_OK;
    default: p->at -= 2; return refuse(p, "an escape that is not known");
    }
}

/* One character of a literal or a class: an escape, or UTF-8. */
static enum status read_char(struct parser *p, uint32_t *ret)
{
    const unsigned char lead = (unsigned char)*p->at;
    const size_t n = lead < 0x80 ? 1 : lead < 0xC2 ? 0 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    uint32_t c = lead & (n == 1 ? 0x7F : 0x7Fu >> n);
    uint8_t back[4];

    if (lead == '\\')
        return read_escape(p, ret);
    if (n == 0 || (size_t)(p->end - p->at) < n)
        return refuse(p, "this is not UTF-8");
    for (size_t i = 1; i < n; i++)
        c = c << 6 | ((unsigned char)p->at[i] & 0x3F);
    if (utf8_write(c, back) != n || memcmp(back, p->at, n) != 0)
        return refuse(p, "this is not UTF-8");
    p->at += n;
    *ret = c;
    return ST_OK;
}

/* A new element after the last one, and where it ends. */
static uint32_t begin_element(struct parser *p, struct frame *f)
{
    struct graph *g = &p->r->graph;
    const uint32_t start = graph_node(g);

    graph_skip(g, f->tail, start);
    f->before = f->tail;
    f->element = (struct graph_piece){
        .start = start, .end = graph_node(g), .first_node = start, .first_edge = g->n_edges
    };
    return start;
}

static void end_element(const struct parser *p, struct frame *f)
{
    f->element.n_nodes = p->r->graph.n_nodes - f->element.first_node;
    f->element.n_edges = p->r->graph.n_edges - f->element.first_edge;
    f->tail = f->element.end;
    f->has_element = true;
}

static enum status add_char(struct parser *p, uint32_t c, uint32_t *at)
{
    struct graph *g = &p->r->graph;
    uint8_t bytes[4];
    const size_t n = utf8_write(c, bytes);

    if (n == 0)
        return refuse(p, "an escape is no character");
    for (size_t i = 0; i < n; i++) {
        const uint32_t next = graph_node(g);

        graph_bytes(g, *at, next, bytes[i], bytes[i]);
        *at = next;
    }
    return ST_OK;
}

static enum status parse_literal(struct parser *p, struct frame *f)
{
    uint32_t at = begin_element(p, f), c = 0;
    enum status s = ST_OK;

    p->at++;
    while (s == ST_OK && p->at < p->end && *p->at != '"') {
        s = read_char(p, &c);
        if (s == ST_OK)
            s = add_char(p, c, &at);
    }
    if (s != ST_OK)
        return s;
    if (p->at == p->end)
        return refuse(p, "a literal has no closing quote");
    p->at++;
    graph_skip(&p->r->graph, at, f->element.end);
    end_element(p, f);
    return ST_OK;
}

static enum status read_range(struct parser *p, struct char_range *ret)
{
    enum status s = read_char(p, &ret->low);

    ret->high = ret->low;
    if (s == ST_OK && p->at + 1 < p->end && p->at[0] == '-' && p->at[1] != ']') {
        p->at++;
        s = read_char(p, &ret->high);
    }
    if (s == ST_OK && (ret->high < ret->low || ret->high > CHAR_LAST))
        return refuse(p, "a range of characters ends before it begins");
    return s;
}

static enum status parse_class(struct parser *p, struct frame *f)
{
    const uint32_t start = begin_element(p, f);
    bool is_not = false;
    enum status s = ST_OK;
    size_t n = 0;

    p->at++;
    if (p->at < p->end && *p->at == '^') {
        is_not = true;
        p->at++;
    }
    while (s == ST_OK && p->at < p->end && *p->at != ']') {
        if (n == CHAR_RANGES_MAX)
            return refuse(p, "a class has too many ranges");
        s = read_range(p, &p->ranges[n++]);
    }
    if (s != ST_OK)
        return s;
    if (p->at == p->end)
        return refuse(p, "a class has no closing bracket");
    p->at++;
    graph_chars(&p->r->graph, start, f->element.end, p->ranges, n, is_not);
    end_element(p, f);
    return ST_OK;
}

static enum status parse_name(struct parser *p, struct frame *f)
{
    const uint32_t start = begin_element(p, f);
    struct graph_edge call = { .from = start, .to = f->element.end, .kind = EDGE_CALL };
    const enum status s = find_rule(p, &call.rule);

    graph_add(&p->r->graph, &call);
    end_element(p, f);
    return s;
}

static void parse_any(struct parser *p, struct frame *f)
{
    const uint32_t start = begin_element(p, f);

    p->at++;
    graph_chars(&p->r->graph, start, f->element.end, NULL, 0, true);
    end_element(p, f);
}

enum { WITHOUT_END = -1 };

/* The last element, min to max times: copies in a row, from each of which there is a way out. */
static enum status repeat(struct parser *p, struct frame *f, long min, long max)
{
    struct graph *g = &p->r->graph;
    const struct graph_piece first = f->element;
    const long n = max == WITHOUT_END ? (min > 1 ? min : 1) : max;
    uint32_t at = f->before, start = first.start;
    uint32_t way_out;

    if (n > 0 && first.n_nodes > (uint32_t)(GRAMMAR_NODES_MAX / n))
        g->status = ST_RANGE;
    way_out = graph_node(g);
    if (min == 0)
        graph_skip(g, at, way_out);
    for (long i = 1; i <= n && g->status == ST_OK; i++) {
        const struct graph_piece copy = i == 1 ? first : graph_copy(g, g, &first);

        if (i > 1)
            graph_skip(g, at, copy.start);
        start = copy.start;
        at = copy.end;
        if (i >= min)
            graph_skip(g, at, way_out);
    }
    if (max == WITHOUT_END)
        graph_skip(g, at, start);
    p->r->rules[p->rule].has_loop |= max == WITHOUT_END;
    f->tail = way_out;
    f->has_element = false;
    return g->status == ST_OK ? ST_OK : graph_status(g, p->err);
}

static enum status read_count(struct parser *p, long *ret)
{
    const char *from = p->at;
    long value = 0;

    for (; p->at < p->end && *p->at >= '0' && *p->at <= '9'; p->at++) {
        value = 10 * value + (*p->at - '0');
        if (value > GRAMMAR_REPEAT_MAX)
            return err_set(p->err, ST_RANGE, "a repetition of more than %d", GRAMMAR_REPEAT_MAX);
    }
    if (p->at == from)
        return refuse(p, "a repetition lacks a number");
    *ret = value;
    return ST_OK;
}

static enum status parse_counts(struct parser *p, struct frame *f)
{
    long min = 0, max;
    enum status s;

    p->at++;
    skip(p, false);
    s = read_count(p, &min);
    max = min;
    skip(p, false);
    if (s == ST_OK && p->at < p->end && *p->at == ',') {
        p->at++;
        skip(p, false);
        max = WITHOUT_END;
        if (p->at < p->end && *p->at != '}')
            s = read_count(p, &max);
    }
    skip(p, false);
    if (s != ST_OK)
        return s;
    if (p->at == p->end || *p->at != '}' || (max != WITHOUT_END && max < min))
        return refuse(p, "a repetition is not {m}, {m,} or {m,n}");
    p->at++;
    return repeat(p, f, min, max);
}

static enum status parse_repeat(struct parser *p, struct frame *f)
{
    const char c = *p->at;

    if (!f->has_element)
        return refuse(p, "there is nothing to repeat");
    if (c == '{')
        return parse_counts(p, f);
    p->at++;
    return repeat(p, f, c == '+' ? 1 : 0, c == '?' ? 1 : WITHOUT_END);
}

static enum status open_group(struct parser *p, struct frame *f)
{
    uint32_t start;

    if (p->n_frames > GRAMMAR_DEPTH_MAX)
        return err_set(p->err, ST_RANGE, "the grammar nests parentheses more than %d deep",
                       GRAMMAR_DEPTH_MAX);
    p->at++;
    start = begin_element(p, f);
    p->frames[p->n_frames++] =
        (struct frame){ .start = start, .end = f->element.end, .tail = start };
    return ST_OK;
}

static enum status close_group(struct parser *p)
{
    const struct frame *inner = &p->frames[p->n_frames - 1];

    if (p->n_frames == 1)
        return refuse(p, "a parenthesis is closed that was not opened");
    p->at++;
    graph_skip(&p->r->graph, inner->tail, inner->end);
    p->n_frames--;
    end_element(p, &p->frames[p->n_frames - 1]);
    return ST_OK;
}

static void next_alternative(struct parser *p, struct frame *f)
{
    p->at++;
    skip(p, true);
    graph_skip(&p->r->graph, f->tail, f->end);
    f->tail = f->start;
    f->has_element = false;
}

static enum status parse_part(struct parser *p)
{
    struct frame *f = &p->frames[p->n_frames - 1];

    switch (*p->at) {
    case '"': return parse_literal(p, f);
    case '[': return parse_class(p, f);
    case '(': return open_group(p, f);
    case ')': return close_group(p);
    case '*':
    case '+':
    case '?':
    case '{': return parse_repeat(p, f);
    case '.': parse_any(p, f); return ST_OK;
    case '|': next_alternative(p, f); return ST_OK;
    default: break;
    }
    return is_name_char(*p->at) ? parse_name(p, f) : refuse(p, "this belongs to no grammar");
}

/* What follows `::=`, up to the end of the line that ends the rule. */
static enum status parse_body(struct parser *p)
{
    struct graph *g = &p->r->graph;
    enum status s = ST_OK;

    for (;;) {
        skip(p, p->n_frames > 1);
        if (s != ST_OK || p->at == p->end || *p->at == '\n' || *p->at == '\r')
            break;
        s = parse_part(p);
        if (s == ST_OK && g->status != ST_OK)
            s = graph_status(g, p->err);
    }
    if (s == ST_OK && p->n_frames > 1)
        return refuse(p, "a parenthesis is not closed");
    graph_skip(g, p->frames[0].tail, p->frames[0].end);
    return s;
}

static enum status parse_rule(struct parser *p)
{
    struct graph *g = &p->r->graph;
    struct graph_piece piece = { .first_node = g->n_nodes, .first_edge = g->n_edges };
    enum status s;

    if (!is_name_char(*p->at))
        return refuse(p, "a rule begins with its name");
    s = find_rule(p, &p->rule);
    if (s != ST_OK)
        return s;
    skip(p, false);
    if (!has(p, "::="))
        return refuse(p, "a rule's name is followed by '::='");
    if (p->r->rules[p->rule].is_defined)
        return refuse(p, "a rule is defined twice");
    p->at += 3;
    skip(p, true);
    piece.start = graph_node(g);
    piece.end = graph_node(g);
    p->frames[0] = (struct frame){ .start = piece.start, .end = piece.end, .tail = piece.start };
    p->n_frames = 1;
    s = parse_body(p);
    piece.n_nodes = g->n_nodes - piece.first_node;
    piece.n_edges = g->n_edges - piece.first_edge;
    p->r->rules[p->rule].piece = piece;
    p->r->rules[p->rule].is_defined = true;
    return s;
}

static enum status check_rules(const struct parser *p, uint32_t *ret_root)
{
    const struct rules *r = p->r;
    uint32_t root = r->n;

    for (uint32_t i = 0; i < r->n; i++) {
        if (!r->rules[i].is_defined)
            return err_set(p->err, ST_FORMAT,
                           "the grammar names a rule '%.*s' that it does not "
                           "define",
                           r->rules[i].n_name < 64 ? (int)r->rules[i].n_name : 64,
                           r->rules[i].name);
        if (r->rules[i].n_name == 4 && memcmp(r->rules[i].name, "root", 4) == 0)
            root = i;
    }
    if (root == r->n)
        return err_set(p->err, ST_FORMAT, "the grammar has no rule 'root'");
    *ret_root = root;
    return graph_status(&r->graph, p->err);
}

enum status rules_parse(const char *text, size_t n, struct rules *ret_rules, uint32_t *ret_root,
                        struct err *err)
{
    struct rules rules = { 0 };
    struct parser *p = calloc(1, sizeof(*p));
    enum status s = ST_OK;

    if (!p)
        return err_set(err, ST_NOMEM, "a grammar");
    *p = (struct parser){ .text = text, .end = text + n, .at = text, .r = &rules, .err = err };
    for (skip(p, true); s == ST_OK && p->at < p->end; skip(p, true))
        s = parse_rule(p);
    if (s == ST_OK)
        s = check_rules(p, ret_root);
    free(p);
    if (s != ST_OK)
        rules_release(&rules);
    else
        *ret_rules = rules;
    return s;
}
