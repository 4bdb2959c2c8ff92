/* SPDX-License-Identifier: Apache-2.0 */
/* text/tokenizer/merges.c - the pairs of a model file as a hash table. */
#include "text/tokenizer/merges.h"

#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "text/tokenizer/byte_alphabet.h"

/* The multiplier is 2^64 divided by the golden ratio: Knuth, The Art of
 * Computer Programming, volume 3, section 6.4. */
static size_t hash(int32_t left, int32_t right)
{
    const uint64_t pair = (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
    const uint64_t mixed = (pair ^ pair >> 29) * 0x9E3779B97F4A7C15u;

    return (size_t)(mixed >> 32);
}

/* The slot of this pair, or the empty one where it belongs. */
static uint32_t *slot_of(const struct merge_table *table, int32_t left, int32_t right)
{
    size_t at = hash(left, right) & table->slot_mask;

    for (;; at = (at + 1) & table->slot_mask) {
        uint32_t *slot = &table->slots[at];

        if (*slot == MERGE_NONE ||
            (table->merges[*slot].left == left && table->merges[*slot].right == right))
            return slot;
    }
}

/* "left right" -> three ids. */
static enum status parse(const struct piece_table *pieces, const struct vocab_piece *line,
                         struct merge *ret_merge)
{
    const char *space;
    size_t n_left, n_right, n_written;
    char bytes[PIECE_BYTES_MAX];

    if (line->n_bytes == 0 || line->n_bytes > PIECE_BYTES_MAX)
        return ST_FORMAT;
    space = memchr(line->bytes, ' ', line->n_bytes);
    if (!space)
        return ST_FORMAT;
    n_written = (size_t)(space - line->bytes);
    if (!byte_alphabet_decode(line->bytes, n_written, bytes, &n_left) ||
        !byte_alphabet_decode(space + 1, line->n_bytes - n_written - 1, bytes + n_left, &n_right))
        return ST_FORMAT;

    ret_merge->left = piece_find(pieces, bytes, n_left);
    ret_merge->right = piece_find(pieces, bytes + n_left, n_right);
    ret_merge->merged = piece_find(pieces, bytes, n_left + n_right);
    return ret_merge->left == TOKEN_NONE || ret_merge->right == TOKEN_NONE ||
                   ret_merge->merged == TOKEN_NONE || n_left == 0 || n_right == 0
               ? ST_FORMAT
               : ST_OK;
}

static enum status allocate(struct merge_table *table, size_t n, struct err *err)
{
    size_t n_slots = 2;

    while (n_slots < 2 * n) /* at most half full: probes stay short and end */
        n_slots *= 2;
    table->merges = calloc(n + 1, sizeof(*table->merges));
    table->slots = malloc(n_slots * sizeof(*table->slots));
    if (!table->merges || !table->slots)
        return err_set(err, ST_NOMEM, "table of %zu merges", n);
    table->slot_mask = n_slots - 1;
    for (size_t i = 0; i < n_slots; i++)
        table->slots[i] = MERGE_NONE;
    return ST_OK;
}

enum status merge_table_init(struct merge_table *table, const struct vocab *vocab,
                             const struct piece_table *pieces, struct err *err)
{
    enum status s;

    if (vocab->n_merges > INT32_MAX)
        return err_set(err, ST_FORMAT, "the vocabulary has %zu merges, more than %d",
                       vocab->n_merges, INT32_MAX);
    s = allocate(table, vocab->n_merges, err);
    if (s != ST_OK)
        return s;

    for (; table->n < vocab->n_merges; table->n++) {
        struct merge *merge = &table->merges[table->n];
        uint32_t *slot;

        if (parse(pieces, &vocab->merges[table->n], merge) != ST_OK)
            return err_set(err, ST_FORMAT, "merge %zu is not two pieces that make a third",
                           table->n);
        slot = slot_of(table, merge->left, merge->right);
        if (*slot != MERGE_NONE)
            return err_set(err, ST_FORMAT, "merges %u and %zu are the same", *slot, table->n);
        *slot = (uint32_t)table->n;
    }
    return ST_OK;
}

void merge_table_release(struct merge_table *table)
{
    free(table->merges);
    free(table->slots);
    *table = (struct merge_table){ 0 };
}

uint32_t merge_find(const struct merge_table *table, int32_t left, int32_t right)
{
    return *slot_of(table, left, right);
}
