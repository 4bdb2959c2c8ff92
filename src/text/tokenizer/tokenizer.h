/* SPDX-License-Identifier: Apache-2.0 */
/* text/tokenizer/tokenizer.h - text to tokens and back.
 *
 * Byte-level BPE (GPT-2 style): the text is cut at special tokens, then by
 * the pre-tokenizer's expressions, then merged by rank.  Encoding never
 * fails on any bytes; decoding gives back exactly the bytes encoded, less
 * those that the vocabulary has no piece for (SmolLM2's lacks a few control
 * characters and bytes that UTF-8 never or hardly uses), which are left out
 * as in the tokenizer the model was trained with.
 *
 * Special tokens are recognised only where the caller says the bytes may be
 * trusted: "<|im_end|>" typed by a user is text like any other.
 *
 * Threads  a tokenizer is immutable once made: any number may use it
 * Source   BPE: Sennrich et al. 2016, arXiv:1508.07909; byte alphabet: the
 *          GPT-2 release, encoder.py, bytes_to_unicode()
 */
#ifndef POMONA_TEXT_TOKENIZER_TOKENIZER_H
#define POMONA_TEXT_TOKENIZER_TOKENIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/status.h"

/* Values of tokenizer.ggml.token_type in GGUF. */
enum token_kind {
    TOKEN_NORMAL = 1,
    TOKEN_UNKNOWN = 2,
    TOKEN_CONTROL = 3,      /* special; not shown in decoded text */
    TOKEN_USER_DEFINED = 4, /* special; shown */
    TOKEN_UNUSED = 5,
    TOKEN_BYTE = 6,
};

enum { TOKEN_NONE = -1 };

struct vocab_piece {
    const char *bytes; /* not NUL-terminated; in the GPT-2 byte alphabet for "gpt2" */
    uint32_t n_bytes;
};

/* A tokenizer's description as a model file carries it.  All borrowed by
 * tokenizer_new(), which copies what it keeps. */
struct vocab {
    const char *model;                /* "gpt2" */
    const char *pre;                  /* "smollm"; unknown names are refused by name */
    const struct vocab_piece *pieces; /* [n_pieces] */
    const int32_t *kinds;             /* [n_pieces], enum token_kind; NULL: all normal */
    size_t n_pieces;
    const struct vocab_piece *merges; /* [n_merges], "left right", most important first */
    size_t n_merges;
    int32_t bos, eos, eot, unk; /* TOKEN_NONE where the model has none */
    bool adds_bos;
};

struct tokenizer;

/* ret_tokenizer  given; release with tokenizer_free()
 * Errors  ST_UNSUPPORTED  a tokenizer model or pre-tokenizer not known here, named
 *         ST_FORMAT       ids out of range, a merge that is not two pieces, duplicate pieces
 *         ST_NOMEM */
enum status tokenizer_new(const struct vocab *vocab, struct tokenizer **ret_tokenizer,
                          struct err *err);
void tokenizer_free(struct tokenizer *tokenizer); /* NULL is allowed */

struct tokens {
    int32_t *ids; /* [n], owned: tokens_release() */
    size_t n, capacity;
};
void tokens_release(struct tokens *tokens);

/* Append the tokens of `text` to `ret_tokens`.  No BOS is added.
 *
 * text     borrowed, [n_text] bytes, any bytes at all
 * trusted  borrowed, [n_text]: non-zero where special tokens may be recognised;
 *          a special token counts only when every byte of it is trusted.
 *          NULL: nowhere
 * Errors   ST_NOMEM; ST_RANGE a text of 4 GiB; ret_tokens is then as it was */
enum status tokenizer_encode(const struct tokenizer *tokenizer, const char *text, size_t n_text,
                             const uint8_t *trusted, struct tokens *ret_tokens, struct err *err);

/* The bytes of one token, possibly part of a character; special tokens give
 * their text.  Lent for the tokenizer's life.  `token` out of range: 0 bytes. */
const char *tokenizer_bytes(const struct tokenizer *tokenizer, int32_t token, size_t *ret_n);

size_t tokenizer_n_tokens(const struct tokenizer *tokenizer);
enum token_kind tokenizer_kind(const struct tokenizer *tokenizer, int32_t token);
int32_t tokenizer_bos(const struct tokenizer *tokenizer);
int32_t tokenizer_eos(const struct tokenizer *tokenizer);
bool tokenizer_adds_bos(const struct tokenizer *tokenizer);

/* Tokens after which an answer is over (eos, eot, and control tokens known to
 * end a turn): ret_ids [capacity]; returns how many, at most capacity. */
size_t tokenizer_end_tokens(const struct tokenizer *tokenizer, int32_t *ret_ids, size_t capacity);

/* Text out of a stream of tokens, whole characters at a time: bytes that may
 * still become a character are held back; bytes that cannot become U+FFFD. */
struct detokenizer {
    const struct tokenizer *tokenizer;
    unsigned char held[4];
    size_t n_held;
};

void detokenizer_init(struct detokenizer *d, const struct tokenizer *tokenizer);

/* Append the text that `token` completes; control tokens give none. */
void detokenizer_push(struct detokenizer *d, int32_t token, struct buf *ret_text);

/* The stream ended: what is held becomes U+FFFD. */
void detokenizer_flush(struct detokenizer *d, struct buf *ret_text);

#endif
