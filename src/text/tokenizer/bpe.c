/* SPDX-License-Identifier: Apache-2.0 */
/* text/tokenizer/bpe.c - merges by rank, leftmost first, in O(n log n).
 *
 * Symbols form a linked list in an array.  A heap holds the pairs that may be
 * merged, by rank and then position.  A merge leaves entries of the pairs it
 * broke in the heap; one is recognised when it comes up because its rank says
 * which two symbols it was made for.
 *
 * Invariant: every adjacent pair that has a rank is in the heap.
 */
#include "text/tokenizer/bpe.h"

#include <stdlib.h>

#include "base/size.h"
#include "text/tokenizer/tokens.h"

#define NO_SYMBOL UINT32_MAX

struct bpe_symbol {
    int32_t id; /* TOKEN_NONE once merged into its left neighbour */
    uint32_t previous, next;
};

void bpe_release(struct bpe *bpe)
{
    free(bpe->symbols);
    free(bpe->heap);
    *bpe = (struct bpe){ 0 };
}

/* n - 1 pairs to begin with and two more for each of n - 1 merges. */
static enum status reserve(struct bpe *bpe, size_t n, struct err *err)
{
    struct bpe_symbol *symbols = NULL;
    uint64_t *heap = NULL;
    size_t heap_bytes;

    if (n <= bpe->capacity)
        return ST_OK;
    n = size_max(n, 64);
    if (size_mul(n, 3 * sizeof(*heap), &heap_bytes)) {
        heap = malloc(heap_bytes);
        symbols = calloc(n, sizeof(*symbols));
    }
    if (!heap || !symbols) {
        free(heap);
        free(symbols);
        return err_set(err, ST_NOMEM, "merge a piece of %zu bytes", n);
    }
    bpe_release(bpe);
    bpe->symbols = symbols;
    bpe->heap = heap;
    bpe->capacity = n;
    return ST_OK;
}

static void heap_push(struct bpe *bpe, uint64_t entry)
{
    size_t at = bpe->n_heap++;

    while (at > 0 && bpe->heap[(at - 1) / 2] > entry) {
        bpe->heap[at] = bpe->heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    bpe->heap[at] = entry;
}

static uint64_t heap_pop(struct bpe *bpe)
{
    const uint64_t least = bpe->heap[0], entry = bpe->heap[--bpe->n_heap];
    size_t at = 0, child;

    for (; (child = 2 * at + 1) < bpe->n_heap; at = child) {
        if (child + 1 < bpe->n_heap && bpe->heap[child + 1] < bpe->heap[child])
            child++;
        if (bpe->heap[child] >= entry)
            break;
        bpe->heap[at] = bpe->heap[child];
    }
    bpe->heap[at] = entry;
    return least;
}

/* Note the pair that begins at `left`, if it has a rank. */
static void push_pair(struct bpe *bpe, const struct merge_table *merges, uint32_t left)
{
    const uint32_t right = left == NO_SYMBOL ? NO_SYMBOL : bpe->symbols[left].next;
    uint32_t rank;

    if (right == NO_SYMBOL)
        return;
    rank = merge_find(merges, bpe->symbols[left].id, bpe->symbols[right].id);
    if (rank != MERGE_NONE)
        heap_push(bpe, (uint64_t)rank << 32 | left);
}

static void merge_next(struct bpe *bpe, const struct merge_table *merges)
{
    const uint64_t entry = heap_pop(bpe);
    const struct merge *merge = &merges->merges[entry >> 32];
    const uint32_t at = (uint32_t)entry;
    struct bpe_symbol *left = &bpe->symbols[at], *right;

    if (left->id != merge->left || left->next == NO_SYMBOL)
        return;
    right = &bpe->symbols[left->next];
    if (right->id != merge->right)
        return;

    left->id = merge->merged;
    left->next = right->next;
    right->id = TOKEN_NONE;
    if (left->next != NO_SYMBOL)
        bpe->symbols[left->next].previous = at;
    push_pair(bpe, merges, left->previous);
    push_pair(bpe, merges, at);
}

/* One symbol for each byte that is a piece; returns how many. */
static uint32_t fill_symbols(struct bpe *bpe, const struct tokenizer *tokenizer, const char *text,
                             size_t n)
{
    uint32_t n_symbols = 0;

    for (size_t i = 0; i < n; i++) {
        const int32_t id = tokenizer->byte_ids[(unsigned char)text[i]];

        if (id == TOKEN_NONE)
            continue;
        bpe->symbols[n_symbols] = (struct bpe_symbol){
            .id = id,
            .previous = n_symbols > 0 ? n_symbols - 1 : NO_SYMBOL,
            .next = n_symbols + 1,
        };
        n_symbols++;
    }
    if (n_symbols > 0)
        bpe->symbols[n_symbols - 1].next = NO_SYMBOL;
    return n_symbols;
}

enum status bpe_encode(struct bpe *bpe, const struct tokenizer *tokenizer, const char *text,
                       size_t n, struct tokens *ret_tokens, struct err *err)
{
    const struct merge_table *merges = &tokenizer->merges;
    enum status s = reserve(bpe, n, err);
    uint32_t n_symbols;

    if (s == ST_OK)
        s = tokens_reserve(ret_tokens, n, err);
    if (s != ST_OK)
        return s;

    n_symbols = fill_symbols(bpe, tokenizer, text, n);
    bpe->n_heap = 0;
    for (uint32_t i = 0; i < n_symbols; i++)
        push_pair(bpe, merges, i);
    while (bpe->n_heap > 0)
        merge_next(bpe, merges);

    /* The first symbol is merged into, never away. */
    for (uint32_t i = 0; n_symbols > 0 && i != NO_SYMBOL; i = bpe->symbols[i].next)
        ret_tokens->ids[ret_tokens->n++] = bpe->symbols[i].id;
    return ST_OK;
}
