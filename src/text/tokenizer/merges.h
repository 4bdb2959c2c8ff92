/* SPDX-License-Identifier: Apache-2.0 */
/* text/tokenizer/merges.h - which two pieces become one, and in which order.
 *
 * A merge's rank is its line in the model file: of all pairs in a text the
 * one of lowest rank is merged first.
 */
#ifndef POMONA_TEXT_TOKENIZER_MERGES_H
#define POMONA_TEXT_TOKENIZER_MERGES_H

#include "base/status.h"
#include "text/tokenizer/pieces.h"

#define MERGE_NONE UINT32_MAX

struct merge {
    int32_t left, right, merged;
};

struct merge_table {
    struct merge *merges; /* [n], by rank */
    size_t n;
    uint32_t *slots; /* [slot_mask + 1], rank or MERGE_NONE; open addressing */
    size_t slot_mask;
};

/* Fill a zeroed table; release it also after a failure.
 * Errors  ST_FORMAT  a line that is not two pieces which make a third, or that came before
 *         ST_NOMEM */
enum status merge_table_init(struct merge_table *table, const struct vocab *vocab,
                             const struct piece_table *pieces, struct err *err);
void merge_table_release(struct merge_table *table);

/* The rank of a pair, or MERGE_NONE. */
uint32_t merge_find(const struct merge_table *table, int32_t left, int32_t right);

#endif
