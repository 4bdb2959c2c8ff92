/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/text/small_vocab.h - a vocabulary made by hand.
 *
 * Pieces 0..255 are the bytes themselves.  What is added after them gets the
 * next id.  The byte alphabet is written here once more, by its definition,
 * so that a wrong table in the product does not agree with itself.
 */
#ifndef POMONA_TESTS_UNIT_TEXT_SMALL_VOCAB_H
#define POMONA_TESTS_UNIT_TEXT_SMALL_VOCAB_H

#include <stdio.h>
#include <string.h>

#include "text/tokenizer/tokenizer.h"

enum { SMALL_PIECES_MAX = 320, SMALL_PIECE_BYTES = 2048 };

struct small_vocab {
    struct vocab vocab;
    struct vocab_piece pieces[SMALL_PIECES_MAX], merges[SMALL_PIECES_MAX];
    int32_t kinds[SMALL_PIECES_MAX];
    char text[2 * SMALL_PIECES_MAX][SMALL_PIECE_BYTES];
    size_t n_text;
};

static inline struct vocab_piece small_store(struct small_vocab *v, const char *bytes, size_t n)
{
    char *kept = v->text[v->n_text++];

    memcpy(kept, bytes, n);
    return (struct vocab_piece){ .bytes = kept, .n_bytes = (uint32_t)n };
}

/* Returns the piece's id. */
static inline int32_t small_piece(struct small_vocab *v, const char *written, int32_t kind)
{
    const size_t id = v->vocab.n_pieces++;

    v->pieces[id] = small_store(v, written, strlen(written));
    v->kinds[id] = kind;
    return (int32_t)id;
}

static inline void small_merge_line(struct small_vocab *v, const char *line)
{
    v->merges[v->vocab.n_merges++] = small_store(v, line, strlen(line));
}

/* Adds "left right" and the piece that it makes, whose id it returns. */
static inline int32_t small_merge(struct small_vocab *v, const char *left, const char *right)
{
    char line[SMALL_PIECE_BYTES], merged[SMALL_PIECE_BYTES];

    snprintf(line, sizeof(line), "%s %s", left, right);
    snprintf(merged, sizeof(merged), "%s%s", left, right);
    small_merge_line(v, line);
    return small_piece(v, merged, TOKEN_NORMAL);
}

static inline void small_init(struct small_vocab *v, const char *pre)
{
    unsigned stand_in = 0x100;

    memset(v, 0, sizeof(*v));
    v->vocab = (struct vocab){
        .model = "gpt2",
        .pre = pre,
        .pieces = v->pieces,
        .kinds = v->kinds,
        .merges = v->merges,
        .bos = TOKEN_NONE,
        .eos = TOKEN_NONE,
        .eot = TOKEN_NONE,
        .unk = TOKEN_NONE,
    };
    for (unsigned b = 0; b < 256; b++) {
        const bool printed = (b >= '!' && b <= '~') || (b >= 0xA1 && b != 0xAD);
        const unsigned c = printed ? b : stand_in++;
        const char two[] = { (char)(0xC0 | c >> 6), (char)(0x80 | (c & 0x3F)), '\0' };
        const char one[] = { (char)c, '\0' };

        small_piece(v, c < 0x80 ? one : two, TOKEN_NORMAL);
    }
}

#endif
