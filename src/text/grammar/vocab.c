/* SPDX-License-Identifier: Apache-2.0 */
/* text/grammar/vocab.c - the tokens of a model as a tree of bytes. */
#include "text/grammar/vocab.h"

#include <stdlib.h>
#include <string.h>

/* What is sorted: a token and its bytes. */
struct entry {
    const char *bytes;
    uint32_t n, token;
};

static int by_bytes(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    const int order = memcmp(x->bytes, y->bytes, x->n < y->n ? x->n : y->n);

    if (order != 0)
        return order;
    if (x->n != y->n)
        return x->n < y->n ? -1 : 1;
    return (x->token > y->token) - (x->token < y->token);
}

static enum status copy_bytes(struct grammar_vocab *v, const struct vocab_token *tokens,
                              struct err *err)
{
    size_t n_bytes = 0;

    for (uint32_t i = 0; i < v->n_tokens; i++)
        n_bytes += tokens[i].n;
    if (n_bytes >= UINT32_MAX)
        return err_set(err, ST_RANGE, "a vocabulary of %zu bytes", n_bytes);
    v->bytes = malloc(n_bytes + 1);
    v->offsets = calloc((size_t)v->n_tokens + 1, sizeof(*v->offsets));
    if (!v->bytes || !v->offsets)
        return err_set(err, ST_NOMEM, "a vocabulary of %u tokens", v->n_tokens);
    for (uint32_t i = 0; i < v->n_tokens; i++) {
        if (tokens[i].n > 0)
            memcpy(v->bytes + v->offsets[i], tokens[i].bytes, tokens[i].n);
        v->offsets[i + 1] = v->offsets[i] + (uint32_t)tokens[i].n;
        if (tokens[i].is_text && tokens[i].n == 1)
            v->usable[(unsigned char)tokens[i].bytes[0]] = 1;
    }
    return ST_OK;
}

static uint32_t common(const struct entry *a, const struct entry *b)
{
    uint32_t n = 0;

    while (n < a->n && n < b->n && a->bytes[n] == b->bytes[n])
        n++;
    return n;
}

static enum status allocate(struct grammar_vocab *v, const struct entry *entries, uint32_t n)
{
    size_t n_nodes = 1;

    for (uint32_t i = 0; i < n; i++)
        n_nodes += entries[i].n - (i > 0 ? common(&entries[i - 1], &entries[i]) : 0);
    v->byte = calloc(n_nodes, 1);
    v->depth = calloc(n_nodes, 1);
    v->next = calloc(n_nodes, sizeof(*v->next));
    v->parent = calloc(n_nodes, sizeof(*v->parent));
    v->first = calloc(n_nodes + 1, sizeof(*v->first));
    v->sorted = calloc((size_t)n + 1, sizeof(*v->sorted));
    return v->byte && v->depth && v->next && v->parent && v->first && v->sorted ? ST_OK : ST_NOMEM;
}

static void build(struct grammar_vocab *v, const struct entry *entries, uint32_t n)
{
    uint32_t path[VOCAB_TOKEN_BYTES_MAX + 1] = { 0 }, n_path = 0;

    v->n_nodes = 1;
    for (uint32_t i = 0; i < n; i++) {
        const uint32_t n_common = i > 0 ? common(&entries[i - 1], &entries[i]) : 0;

        for (; n_path > n_common; n_path--)
            v->next[path[n_path]] = v->n_nodes;
        while (n_path < entries[i].n) {
            const uint32_t node = v->n_nodes++;

            v->byte[node] = (uint8_t)entries[i].bytes[n_path];
            v->parent[node] = path[n_path];
            v->first[node] = i;
            path[++n_path] = node;
            v->depth[node] = (uint8_t)n_path;
        }
        v->sorted[i] = entries[i].token;
    }
    for (; n_path > 0; n_path--)
        v->next[path[n_path]] = v->n_nodes;
    v->next[0] = v->n_nodes;
    v->first[v->n_nodes] = n;
}

static enum status build_tree(struct grammar_vocab *v, const struct vocab_token *tokens)
{
    struct entry *entries = calloc(v->n_tokens, sizeof(*entries));
    uint32_t n = 0;
    enum status s;

    if (!entries)
        return ST_NOMEM;
    for (uint32_t i = 0; i < v->n_tokens; i++)
        if (tokens[i].is_text && tokens[i].n > 0 && tokens[i].n <= VOCAB_TOKEN_BYTES_MAX)
            entries[n++] = (struct entry){ v->bytes + v->offsets[i], (uint32_t)tokens[i].n, i };
    if (n > 0)
        qsort(entries, n, sizeof(*entries), by_bytes);
    s = allocate(v, entries, n);
    if (s == ST_OK)
        build(v, entries, n);
    free(entries);
    return s;
}

enum status grammar_vocab_new(const struct vocab_token *tokens, uint32_t n,
                              struct grammar_vocab **ret_vocab, struct err *err)
{
    struct grammar_vocab *v = calloc(1, sizeof(*v));
    enum status s;

    if (!v)
        return err_set(err, ST_NOMEM, "a vocabulary");
    v->n_tokens = n;
    s = copy_bytes(v, tokens, err);
    if (s == ST_OK && build_tree(v, tokens) != ST_OK)
        s = err_set(err, ST_NOMEM, "a vocabulary of %u tokens", n);
    if (s == ST_OK) {
        *ret_vocab = v;
        v = NULL;
    }
    grammar_vocab_free(v);
    return s;
}

enum status grammar_vocab_of(const struct tokenizer *tokenizer, uint32_t n_vocab,
                             struct grammar_vocab **ret_vocab, struct err *err)
{
    struct vocab_token *tokens = calloc((size_t)n_vocab + 1, sizeof(*tokens));
    const size_t n = tokenizer_n_tokens(tokenizer);
    enum status s;

    if (!tokens)
        return err_set(err, ST_NOMEM, "a vocabulary of %u tokens", n_vocab);
    for (uint32_t i = 0; i < n_vocab && i < n; i++) {
        const enum token_kind kind = tokenizer_kind(tokenizer, (int32_t)i);

        tokens[i].bytes = tokenizer_bytes(tokenizer, (int32_t)i, &tokens[i].n);
        tokens[i].is_text =
            kind == TOKEN_NORMAL || kind == TOKEN_USER_DEFINED || kind == TOKEN_BYTE;
    }
    s = grammar_vocab_new(tokens, n_vocab, ret_vocab, err);
    free(tokens);
    return s;
}

void grammar_vocab_free(struct grammar_vocab *v)
{
    if (!v)
        return;
    free(v->bytes);
    free(v->offsets);
    free(v->byte);
    free(v->depth);
    free(v->next);
    free(v->parent);
    free(v->first);
    free(v->sorted);
    free(v);
}
