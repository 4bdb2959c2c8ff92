/* SPDX-License-Identifier: Apache-2.0 */
/* text/tokenizer/special.c - special tokens, sorted, narrowed byte by byte.
 *
 * Those that begin with the text read so far stand together in a sorted
 * table, so each further byte halves its way to a smaller range: a match
 * costs the token's length times log n, however many tokens share a prefix.
 */
#include "text/tokenizer/special.h"

#include <stdlib.h>
#include <string.h>

#include "base/size.h"

static int compare(const void *left, const void *right)
{
    const struct special *a = left, *b = right;
    const int order = memcmp(a->bytes, b->bytes, size_min(a->n_bytes, b->n_bytes));

    if (order != 0)
        return order;
    return (a->n_bytes > b->n_bytes) - (a->n_bytes < b->n_bytes);
}

enum status special_table_init(struct special_table *table, const struct piece_table *pieces,
                               struct err *err)
{
    size_t n = 0;

    for (size_t i = 0; i < pieces->n; i++)
        n += piece_is_special(pieces, (int32_t)i);
    table->rows = calloc(n + 1, sizeof(*table->rows));
    if (!table->rows)
        return err_set(err, ST_NOMEM, "table of %zu special tokens", n);

    for (size_t i = 0; i < pieces->n; i++) {
        struct special *row = &table->rows[table->n];

        if (!piece_is_special(pieces, (int32_t)i))
            continue;
        row->id = (int32_t)i;
        row->bytes = piece_bytes(pieces, row->id, &row->n_bytes);
        table->n += row->n_bytes > 0; /* an empty one is nowhere in a text */
    }
    qsort(table->rows, table->n, sizeof(*table->rows), compare);
    for (size_t i = 1; i < table->n; i++)
        if (compare(&table->rows[i - 1], &table->rows[i]) == 0)
            return err_set(err, ST_FORMAT,
                           "special pieces %d and %d of the vocabulary are the same",
                           table->rows[i - 1].id, table->rows[i].id);
    return ST_OK;
}

void special_table_release(struct special_table *table)
{
    free(table->rows);
    *table = (struct special_table){ 0 };
}

/* The first of rows[first..last) whose byte at `depth` is `byte` or more; all
 * of them are longer than `depth` and equal before it. */
static size_t lower_bound(const struct special_table *table, size_t first, size_t last,
                          size_t depth, int byte)
{
    while (first < last) {
        const size_t middle = first + (last - first) / 2;

        if ((unsigned char)table->rows[middle].bytes[depth] < byte)
            first = middle + 1;
        else
            last = middle;
    }
    return first;
}

const struct special *special_match(const struct special_table *table, const char *text,
                                    const uint8_t *trusted, size_t n)
{
    const struct special *longest = NULL;
    size_t first = 0, last = table->n;

    for (size_t depth = 0; depth < n && trusted[depth] != 0; depth++) {
        const int byte = (unsigned char)text[depth];

        first = lower_bound(table, first, last, depth, byte);
        last = lower_bound(table, first, last, depth, byte + 1);
        if (first == last)
            break;
        if (table->rows[first].n_bytes == depth + 1)
            longest = &table->rows[first++];
    }
    return longest;
}
