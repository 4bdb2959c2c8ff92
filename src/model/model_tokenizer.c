/* SPDX-License-Identifier: Apache-2.0 */
/* model/model_tokenizer.c - the tokenizer a model file carries.
 *
 * Source  ggml repository, docs/gguf.md, "Tokenizer"
 */
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "model/model_priv.h"

/* Bounds of ours: the longest published pieces are a few hundred bytes. */
enum { PIECE_BYTES_MAX = 65535, PIECES_MAX = 1 << 22, WORD_BYTES = 64 };

/* A vocabulary's parts while a tokenizer is made of them. */
struct text_parts {
    struct vocab_piece *pieces, *merges;
    int32_t *kinds;
    char model[WORD_BYTES], pre[WORD_BYTES];
};

static void text_parts_release(struct text_parts *parts)
{
    free(parts->pieces);
    free(parts->merges);
    free(parts->kinds);
}

static enum status read_pieces(const struct gguf *gguf, const char *key,
                               struct vocab_piece **ret_pieces, size_t *ret_n, struct err *err)
{
    struct vocab_piece *pieces;
    struct gguf_array array;
    struct gguf_text text;
    enum status s = gguf_get_array(gguf, key, GGUF_STRING, &array, err);
    size_t n = 0;

    if (s != ST_OK)
        return s;
    if (array.n > PIECES_MAX)
        return err_set(err, ST_RANGE, "'%s' has %llu entries; at most %d are read", key,
                       (unsigned long long)array.n, PIECES_MAX);
    pieces = calloc(size_max((size_t)array.n, 1), sizeof(*pieces));
    if (!pieces)
        return err_set(err, ST_NOMEM, "no memory for the entries of '%s'", key);
    for (; gguf_array_next(&array, &text); n++) {
        if (text.n > PIECE_BYTES_MAX) {
            free(pieces);
            return err_set(err, ST_RANGE, "entry %zu of '%s' is longer than %d bytes", n, key,
                           PIECE_BYTES_MAX);
        }
        pieces[n] = (struct vocab_piece){ text.bytes, (uint32_t)text.n };
    }
    *ret_pieces = pieces;
    *ret_n = n;
    return ST_OK;
}

/* NULL where the file does not tell kinds. */
static enum status read_kinds(const struct gguf *gguf, size_t n_pieces, int32_t **ret_kinds,
                              struct err *err)
{
    static const char *const key = "tokenizer.ggml.token_type";
    struct gguf_array array;
    enum status s;

    if (!gguf_has(gguf, key))
        return ST_OK;
    s = gguf_get_array(gguf, key, GGUF_INT32, &array, err);
    if (s != ST_OK)
        return s;
    if (array.n != n_pieces)
        return err_set(err, ST_FORMAT, "'%s' has %llu entries for %zu tokens", key,
                       (unsigned long long)array.n, n_pieces);
    *ret_kinds = calloc(size_max(n_pieces, 1), sizeof(**ret_kinds));
    if (!*ret_kinds)
        return err_set(err, ST_NOMEM, "no memory for the kinds of %zu tokens", n_pieces);
    memcpy(*ret_kinds, array.bytes, array.n_bytes);
    return ST_OK;
}

static enum status read_id(const struct gguf *gguf, const char *key, size_t n_pieces,
                           int32_t *ret_id, struct err *err)
{
    uint32_t id;
    enum status s;

    *ret_id = TOKEN_NONE;
    if (!gguf_has(gguf, key))
        return ST_OK;
    s = gguf_get_u32(gguf, key, &id, err);
    if (s != ST_OK || id == UINT32_MAX) /* how writers say "none" */
        return s;
    if (id >= n_pieces)
        return err_set(err, ST_FORMAT, "'%s' is %u but there are %zu tokens", key, (unsigned)id,
                       n_pieces);
    *ret_id = (int32_t)id;
    return ST_OK;
}

static enum status read_ids(const struct gguf *gguf, struct vocab *vocab, struct err *err)
{
    const struct {
        const char *key;
        int32_t *into;
    } ids[] = {
        { "tokenizer.ggml.bos_token_id", &vocab->bos },
        { "tokenizer.ggml.eos_token_id", &vocab->eos },
        { "tokenizer.ggml.eot_token_id", &vocab->eot },
        { "tokenizer.ggml.unknown_token_id", &vocab->unk },
    };
    enum status s = ST_OK;

    for (size_t i = 0; i < ARRAY_LEN(ids) && s == ST_OK; i++)
        s = read_id(gguf, ids[i].key, vocab->n_pieces, ids[i].into, err);
    if (s == ST_OK && gguf_has(gguf, "tokenizer.ggml.add_bos_token"))
        s = gguf_get_bool(gguf, "tokenizer.ggml.add_bos_token", &vocab->adds_bos, err);
    return s;
}

/* `vocab` points into `parts` and the mapping. */
static enum status read_vocab(const struct gguf *gguf, struct text_parts *parts,
                              struct vocab *vocab, struct err *err)
{
    enum status s =
        gguf_get_word(gguf, "tokenizer.ggml.model", parts->model, sizeof(parts->model), err);

    if (s == ST_OK && gguf_has(gguf, "tokenizer.ggml.pre"))
        s = gguf_get_word(gguf, "tokenizer.ggml.pre", parts->pre, sizeof(parts->pre), err);
    if (s == ST_OK)
        s = read_pieces(gguf, "tokenizer.ggml.tokens", &parts->pieces, &vocab->n_pieces, err);
    if (s == ST_OK && gguf_has(gguf, "tokenizer.ggml.merges"))
        s = read_pieces(gguf, "tokenizer.ggml.merges", &parts->merges, &vocab->n_merges, err);
    if (s == ST_OK)
        s = read_kinds(gguf, vocab->n_pieces, &parts->kinds, err);
    if (s == ST_OK)
        s = read_ids(gguf, vocab, err);
    vocab->model = parts->model;
    vocab->pre = parts->pre;
    vocab->pieces = parts->pieces;
    vocab->merges = parts->merges;
    vocab->kinds = parts->kinds;
    return s;
}

enum status model_tokenizer(const struct model *model, struct tokenizer **ret_tokenizer,
                            struct err *err)
{
    struct text_parts parts = { 0 };
    struct vocab vocab = { 0 };
    enum status s = read_vocab(model->gguf, &parts, &vocab, err);

    if (s == ST_OK)
        s = tokenizer_new(&vocab, ret_tokenizer, err);
    if (s == ST_NOTFOUND) { /* of a key; to our caller that word means a model */
        s = ST_FORMAT;
        if (err)
            err->status = s;
    }
    if (s != ST_OK)
        err_wrap(err, "the tokenizer of '%s'", model->info.name);
    text_parts_release(&parts);
    return s;
}
