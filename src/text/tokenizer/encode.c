/* SPDX-License-Identifier: Apache-2.0 */
/* text/tokenizer/encode.c - text to tokens: special tokens, then pieces, then merges. */
#include "text/tokenizer/tokenizer.h"

#include "text/tokenizer/bpe.h"
#include "text/tokenizer/tokens.h"

/* One piece, which no merge crosses. */
static enum status encode_piece(struct bpe *bpe, const struct tokenizer *tokenizer,
                                const char *text, size_t n, struct tokens *ret_tokens,
                                struct err *err)
{
    const bool may_be_known = n == 1 || (tokenizer->pre->known_whole && n <= PIECE_BYTES_MAX);
    const int32_t id = may_be_known ? piece_find(&tokenizer->pieces, text, n) : TOKEN_NONE;
    enum status s;

    if (id == TOKEN_NONE)
        return bpe_encode(bpe, tokenizer, text, n, ret_tokens, err);
    s = tokens_reserve(ret_tokens, 1, err);
    if (s == ST_OK)
        ret_tokens->ids[ret_tokens->n++] = id;
    return s;
}

/* Text between special tokens; it is cut as if there were nothing around it. */
static enum status encode_plain(struct bpe *bpe, const struct tokenizer *tokenizer,
                                const char *text, size_t n, struct tokens *ret_tokens,
                                struct err *err)
{
    enum status s = ST_OK;
    size_t n_piece;

    for (size_t i = 0; s == ST_OK && i < n; i += n_piece) {
        n_piece = tokenizer->pre->cut(tokenizer->pre, text + i, n - i);
        s = encode_piece(bpe, tokenizer, text + i, n_piece, ret_tokens, err);
    }
    return s;
}

/* Where the next special token begins, and which it is: n and NULL for none. */
static size_t find_special(const struct tokenizer *tokenizer, const char *text,
                           const uint8_t *trusted, size_t from, size_t n,
                           const struct special **ret_special)
{
    *ret_special = NULL;
    if (!trusted)
        return n;
    for (; from < n; from++) {
        *ret_special = special_match(&tokenizer->specials, text + from, trusted + from, n - from);
        if (*ret_special)
            break;
    }
    return from;
}

static enum status encode_all(struct bpe *bpe, const struct tokenizer *tokenizer, const char *text,
                              size_t n, const uint8_t *trusted, struct tokens *ret_tokens,
                              struct err *err)
{
    const struct special *special;
    enum status s = ST_OK;

    for (size_t i = 0; s == ST_OK && i < n;) {
        const size_t begin = find_special(tokenizer, text, trusted, i, n, &special);

        s = encode_plain(bpe, tokenizer, text + i, begin - i, ret_tokens, err);
        if (s != ST_OK || !special)
            break;
        s = tokens_reserve(ret_tokens, 1, err);
        if (s == ST_OK)
            ret_tokens->ids[ret_tokens->n++] = special->id;
        i = begin + special->n_bytes;
    }
    return s;
}

enum status tokenizer_encode(const struct tokenizer *tokenizer, const char *text, size_t n_text,
                             const uint8_t *trusted, struct tokens *ret_tokens, struct err *err)
{
    const size_t n_before = ret_tokens->n;
    struct bpe bpe = { 0 };
    enum status s;

    if (n_text >= UINT32_MAX) /* positions in a piece are 32 bits */
        return err_set(err, ST_RANGE, "text of %zu bytes, more than 4 GiB", n_text);

    s = encode_all(&bpe, tokenizer, text, n_text, trusted, ret_tokens, err);
    if (s != ST_OK)
        ret_tokens->n = n_before;
    bpe_release(&bpe);
    return s;
}
