/* SPDX-License-Identifier: Apache-2.0 */
/* text/grammar/schema_keys.c - keys that are none of the declared ones.
 *
 * The declared names are a tree of bytes; one rule for each of its nodes says how a key goes on
 * that began as the node does.  Keys are written without escapes here, so that a declared name
 * cannot be written another way.
 */
#include <stdlib.h>
#include <string.h>

#include "text/grammar/schema_priv.h"

enum { KEY_NODES_MAX = 20000 };

/* Names low..high, sorted, have their first `depth` characters in common. */
struct node {
    size_t low, high, depth;
    unsigned number;
};

struct keys {
    const char **names; /* [n], sorted */
    size_t n;
    struct node *nodes; /* [n_nodes], in the order of their numbers */
    size_t n_nodes, capacity;
    struct rule_name rule;
};

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Bytes of the character that `lead` begins; names are UTF-8, as JSON was. */
static size_t length_of(unsigned char lead)
{
    return lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
}

static bool add_node(struct keys *k, size_t low, size_t high, size_t depth)
{
    if (k->n_nodes == k->capacity) {
        const size_t capacity = k->capacity > 0 ? 2 * k->capacity : 64;
        struct node *nodes = realloc(k->nodes, capacity * sizeof(*nodes));

        if (!nodes)
            return false;
        k->nodes = nodes;
        k->capacity = capacity;
    }
    k->nodes[k->n_nodes] = (struct node){ low, high, depth, (unsigned)k->n_nodes };
    k->n_nodes++;
    return true;
}

static void write_char(const char *c, size_t n, struct buf *out)
{
    if (n == 1 && strchr("\"\\[]^-", *c))
        buf_printf(out, "\\%c", *c);
    else if ((unsigned char)*c < 0x20)
        buf_printf(out, "\\x%02X", *c);
    else
        buf_append(out, c, n);
}

/* How a key goes on at a node: by another character than the names do, or by one of theirs. */
static bool write_node(struct lowering *l, struct keys *k, struct node at)
{
    const bool is_name = k->names[at.low][at.depth] == '\0';
    size_t first = at.low + (is_name ? 1 : 0);

    buf_printf(l->out, "%s-k%u ::= [^\"\\\\\\x00-\\x1F\\x7F", k->rule.text, at.number);
    for (size_t i = first; i < at.high;) {
        const char *c = k->names[i] + at.depth;
        const size_t n = length_of((unsigned char)*c);

        write_char(c, n, l->out);
        while (i < at.high && strncmp(k->names[i] + at.depth, c, n) == 0)
            i++;
    }
    buf_printf(l->out, "] %s-any", k->rule.text);
    while (first < at.high) {
        const char *c = k->names[first] + at.depth;
        const size_t n = length_of((unsigned char)*c);
        size_t end = first;

        while (end < at.high && strncmp(k->names[end] + at.depth, c, n) == 0)
            end++;
        if ((unsigned char)*c >= 0x20 && *c != '"' && *c != '\\' && *c != 0x7F) {
            buf_puts(l->out, " | ");
            grammar_literal(c, n, l->out);
            buf_printf(l->out, " %s-k%u", k->rule.text, (unsigned)k->n_nodes);
            if (k->n_nodes == KEY_NODES_MAX || !add_node(k, first, end, at.depth + n))
                return false;
        }
        first = end;
    }
    buf_puts(l->out, is_name ? "\n" : " | \"\"\n");
    return true;
}

enum status schema_other_keys(struct lowering *l, const json_t *declared, struct rule_name *ret)
{
    struct keys k = { .n = json_object_size(declared) };
    bool is_done = false;
    const char *key;
    json_t *value;
    size_t i = 0;

    k.names = calloc(k.n + 1, sizeof(*k.names));
    if (!k.names)
        return err_set(l->err, ST_NOMEM, "a schema");
    json_object_foreach((json_t *)(uintptr_t)declared, key, value)
    {
        k.names[i++] = key;
    }
    qsort(k.names, k.n, sizeof(*k.names), by_name);
    schema_begin_rule(l, &k.rule);
    buf_printf(l->out, "\"\\\"\" %s-k0 \"\\\"\"\n", k.rule.text);
    buf_printf(l->out, "%s-any ::= [^\"\\\\\\x00-\\x1F\\x7F]*\n", k.rule.text);
    is_done = add_node(&k, 0, k.n, 0);
    for (size_t n = 0; n < k.n_nodes && is_done; n++)
        is_done = write_node(l, &k, k.nodes[n]);
    *ret = k.rule;
    free(k.names);
    free(k.nodes);
    if (!is_done && k.n_nodes < KEY_NODES_MAX)
        return err_set(l->err, ST_NOMEM, "a schema");
    return is_done ? ST_OK : err_set(l->err, ST_RANGE, "the declared names are too many");
}
