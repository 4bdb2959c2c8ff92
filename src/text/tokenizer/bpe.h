/* SPDX-License-Identifier: Apache-2.0 */
/* text/tokenizer/bpe.h - merging the bytes of one piece of text into tokens. */
#ifndef POMONA_TEXT_TOKENIZER_BPE_H
#define POMONA_TEXT_TOKENIZER_BPE_H

#include "text/tokenizer/tokenizer_priv.h"

struct bpe_symbol;

/* Work memory, kept from one piece to the next.  Zeroed is ready. */
struct bpe {
    struct bpe_symbol *symbols; /* [capacity] */
    uint64_t *heap;             /* [3 * capacity] */
    size_t n_heap, capacity;
};

void bpe_release(struct bpe *bpe);

/* Append the tokens of `text` [n]; bytes that are no piece of the vocabulary
 * are left out.
 * Errors  ST_NOMEM, some tokens may have been appended */
enum status bpe_encode(struct bpe *bpe, const struct tokenizer *tokenizer, const char *text,
                       size_t n, struct tokens *ret_tokens, struct err *err);

#endif
