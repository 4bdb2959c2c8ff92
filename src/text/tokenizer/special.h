/* SPDX-License-Identifier: Apache-2.0 */
/* text/tokenizer/special.h - finding special tokens in trusted text. */
#ifndef POMONA_TEXT_TOKENIZER_SPECIAL_H
#define POMONA_TEXT_TOKENIZER_SPECIAL_H

#include "base/status.h"
#include "text/tokenizer/pieces.h"

struct special {
    const char *bytes; /* lent by the piece table */
    size_t n_bytes;
    int32_t id;
};

struct special_table {
    struct special *rows; /* [n], sorted by bytes */
    size_t n;
};

/* Fill a zeroed table; release it also after a failure.
 * Errors  ST_FORMAT two special pieces are equal; ST_NOMEM */
enum status special_table_init(struct special_table *table, const struct piece_table *pieces,
                               struct err *err);
void special_table_release(struct special_table *table);

/* The longest special token that begins `text` [n] and whose bytes are all
 * trusted, or NULL. */
const struct special *special_match(const struct special_table *table, const char *text,
                                    const uint8_t *trusted, size_t n);

#endif
