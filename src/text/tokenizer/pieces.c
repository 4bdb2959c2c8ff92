/* SPDX-License-Identifier: Apache-2.0 */
/* text/tokenizer/pieces.c - copy the pieces as bytes, index the ordinary ones. */
#include "text/tokenizer/pieces.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/size.h"
#include "text/tokenizer/byte_alphabet.h"

static enum status count_bytes(const struct vocab *vocab, size_t *ret_n, struct err *err)
{
    size_t n = 0;

    for (size_t i = 0; i < vocab->n_pieces; i++) {
        if (vocab->pieces[i].n_bytes > PIECE_BYTES_MAX)
            return err_set(err, ST_FORMAT, "piece %zu is %u bytes long, more than %d", i,
                           vocab->pieces[i].n_bytes, PIECE_BYTES_MAX);
        n += vocab->pieces[i].n_bytes;
    }
    if (n > UINT32_MAX)
        return err_set(err, ST_FORMAT, "the vocabulary is %zu bytes long, more than 4 GiB", n);
    *ret_n = n;
    return ST_OK;
}

static enum status allocate(struct piece_table *table, size_t n_bytes, struct err *err)
{
    size_t n_slots = 2;

    while (n_slots < 2 * table->n) /* at most half full: probes stay short and end */
        n_slots *= 2;
    table->bytes = malloc(n_bytes + 1);
    table->pieces = calloc(table->n + 1, sizeof(*table->pieces));
    table->slots = malloc(n_slots * sizeof(*table->slots));
    if (!table->bytes || !table->pieces || !table->slots)
        return err_set(err, ST_NOMEM, "vocabulary of %zu pieces", table->n);
    table->slot_mask = n_slots - 1;
    for (size_t i = 0; i < n_slots; i++)
        table->slots[i] = TOKEN_NONE;
    return ST_OK;
}

/* The slot of these bytes, or the empty one where they belong. */
static int32_t *slot_of(const struct piece_table *table, const char *bytes, size_t n)
{
    size_t at = (size_t)XXH3_64bits(bytes, n) & table->slot_mask;

    for (;; at = (at + 1) & table->slot_mask) {
        int32_t *slot = &table->slots[at];
        const struct piece *piece;

        if (*slot == TOKEN_NONE)
            return slot;
        piece = &table->pieces[*slot];
        if (piece->n_bytes == n && memcmp(table->bytes + piece->offset, bytes, n) == 0)
            return slot;
    }
}

/* Special pieces are written as they are.  So are, in some vocabularies,
 * ordinary ones outside the byte alphabet: no text becomes such a piece, but
 * a model may still say it. */
static enum status add(struct piece_table *table, int32_t id, const struct vocab_piece *written,
                       uint32_t *offset, struct err *err)
{
    struct piece *piece = &table->pieces[id];
    char *bytes = table->bytes + *offset;
    size_t n = written->n_bytes;
    int32_t *slot;

    piece->offset = *offset;
    if (piece_is_special(table, id) ||
        !byte_alphabet_decode(written->bytes, written->n_bytes, bytes, &n)) {
        memcpy(bytes, written->bytes, written->n_bytes);
        piece->n_bytes = written->n_bytes;
        *offset += piece->n_bytes;
        return ST_OK;
    }

    slot = slot_of(table, bytes, n);
    if (*slot != TOKEN_NONE)
        return err_set(err, ST_FORMAT, "pieces %d and %d of the vocabulary are the same", *slot,
                       id);
    *slot = id;
    piece->n_bytes = (uint32_t)n;
    *offset += piece->n_bytes;
    return ST_OK;
}

enum status piece_table_init(struct piece_table *table, const struct vocab *vocab, struct err *err)
{
    uint32_t offset = 0;
    size_t n_bytes = 0;
    enum status s;

    if (vocab->n_pieces > INT32_MAX)
        return err_set(err, ST_FORMAT, "the vocabulary has %zu pieces, more than ids",
                       vocab->n_pieces);
    table->n = vocab->n_pieces;
    s = count_bytes(vocab, &n_bytes, err);
    if (s == ST_OK)
        s = allocate(table, n_bytes, err);
    for (size_t i = 0; s == ST_OK && i < table->n; i++) {
        const int32_t kind = vocab->kinds ? vocab->kinds[i] : TOKEN_NORMAL;

        if (kind < TOKEN_NORMAL || kind > TOKEN_BYTE)
            return err_set(err, ST_FORMAT, "piece %zu is of kind %d, which does not exist", i,
                           kind);
        table->pieces[i].kind = (enum token_kind)kind;
        s = add(table, (int32_t)i, &vocab->pieces[i], &offset, err);
    }
    return s;
}

void piece_table_release(struct piece_table *table)
{
    free(table->bytes);
    free(table->pieces);
    free(table->slots);
    *table = (struct piece_table){ 0 };
}

const char *piece_bytes(const struct piece_table *table, int32_t id, size_t *ret_n)
{
    *ret_n = table->pieces[id].n_bytes;
    return table->bytes + table->pieces[id].offset;
}

bool piece_is_special(const struct piece_table *table, int32_t id)
{
    const enum token_kind kind = table->pieces[id].kind;

    return kind == TOKEN_CONTROL || kind == TOKEN_USER_DEFINED;
}

int32_t piece_find(const struct piece_table *table, const char *bytes, size_t n)
{
    return *slot_of(table, bytes, n);
}
