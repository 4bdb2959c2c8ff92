/* SPDX-License-Identifier: Apache-2.0 */
/* text/tokenizer/pieces.h - the vocabulary: bytes by id, ids by bytes.
 *
 * Ordinary pieces are found by their bytes and merged.  Special pieces
 * (control and user-defined) are kept out of that index: no merging of
 * ordinary text can end in one.
 */
#ifndef POMONA_TEXT_TOKENIZER_PIECES_H
#define POMONA_TEXT_TOKENIZER_PIECES_H

#include "base/status.h"
#include "text/tokenizer/tokenizer.h"

/* Longest piece as written: a bound of ours; SmolLM2's longest has 81 characters. */
enum { PIECE_BYTES_MAX = 1024 };

struct piece {
    uint32_t offset, n_bytes;
    enum token_kind kind;
};

struct piece_table {
    char *bytes;          /* of all pieces, one after the other */
    struct piece *pieces; /* [n], by id */
    size_t n;
    int32_t *slots; /* [slot_mask + 1], id or TOKEN_NONE; open addressing */
    size_t slot_mask;
};

/* Fill a zeroed table; release it also after a failure.
 * Errors  ST_FORMAT  two ordinary pieces are equal, or one is too long or of no known kind
 *         ST_NOMEM */
enum status piece_table_init(struct piece_table *table, const struct vocab *vocab, struct err *err);
void piece_table_release(struct piece_table *table);

/* Lent for the table's life. */
const char *piece_bytes(const struct piece_table *table, int32_t id, size_t *ret_n);
bool piece_is_special(const struct piece_table *table, int32_t id);

/* The ordinary piece of exactly these bytes, or TOKEN_NONE. */
int32_t piece_find(const struct piece_table *table, const char *bytes, size_t n);

#endif
