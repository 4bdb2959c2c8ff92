/* SPDX-License-Identifier: Apache-2.0 */
/* text/grammar/vocab.h - the tokens of a model as a tree of bytes, so that what tokens have in
 * common is looked at once for all of them.
 *
 * Nodes lie in preorder: what is below a node follows it, up to next[node].
 *
 * Threads  immutable once made
 */
#ifndef POMONA_TEXT_GRAMMAR_VOCAB_H
#define POMONA_TEXT_GRAMMAR_VOCAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "text/tokenizer/tokenizer.h"

enum { VOCAB_TOKEN_BYTES_MAX = 255 }; /* no grammar allows a token that is longer */

struct vocab_token {
    const char *bytes; /* [n] */
    size_t n;
    bool is_text; /* false: control and the like, which no grammar allows */
};

struct grammar_vocab {
    uint32_t n_tokens;
    char *bytes;         /* of all tokens, control ones too */
    uint32_t *offsets;   /* [n_tokens + 1], in `bytes` */
    uint8_t usable[256]; /* there is a token of this byte alone */

    uint32_t n_nodes;
    uint8_t *byte;    /* [n_nodes]; node 0 is the root and has none */
    uint8_t *depth;   /* [n_nodes]: bytes from the root */
    uint32_t *next;   /* [n_nodes]: the node after all that are below it */
    uint32_t *parent; /* [n_nodes] */
    uint32_t *first;  /* [n_nodes + 1]: tokens that end at a node, in `sorted` */
    uint32_t *sorted; /* tokens in the order of their bytes */
};

/* tokens     [n], borrowed, copied; n >= 1
 * ret_vocab  given; release with grammar_vocab_free()
 * Errors     ST_NOMEM; ST_RANGE  more bytes than 32 bits can count */
enum status grammar_vocab_new(const struct vocab_token *tokens, uint32_t n,
                              struct grammar_vocab **ret_vocab, struct err *err);

/* Of a tokenizer, which may go afterwards.  n_vocab: as many as the model has logits; numbers that
 * are not the tokenizer's have no text. */
enum status grammar_vocab_of(const struct tokenizer *tokenizer, uint32_t n_vocab,
                             struct grammar_vocab **ret_vocab, struct err *err);
void grammar_vocab_free(struct grammar_vocab *vocab); /* NULL is allowed */

#endif
