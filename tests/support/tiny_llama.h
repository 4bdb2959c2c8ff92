/* SPDX-License-Identifier: Apache-2.0 */
/* tests/support/tiny_llama.h - a whole llama model of a few hundred kilobytes.
 *
 * Its numbers are drawn from a fixed seed, so every test that asks for the
 * same model gets the same bytes.  Its tokenizer is a real byte-level BPE: the
 * 256 byte pieces, a few merges, and three special tokens.
 */
#ifndef POMONA_TESTS_SUPPORT_TINY_LLAMA_H
#define POMONA_TESTS_SUPPORT_TINY_LLAMA_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "engine/dtype.h"
#include "support/gguf_writer.h"

struct tiny_llama {
    uint32_t n_layer, n_hidden, n_ff, n_head, n_kv_head, context_tokens;
    enum dtype matrices; /* number format of all but norms and embedding */
    enum dtype embedding;
    bool is_tied;
    uint32_t seed;
};

/* 4 layers of 64, 4 heads on 2, feed-forward 96, Q8_0, tied. */
extern const struct tiny_llama tiny_llama_default;

uint32_t tiny_llama_n_vocab(void);

/* Metadata and tensors apart, for tests that add to them or leave some out. */
void tiny_llama_put_numbers(const struct tiny_llama *spec, struct gguf_writer *w);
void tiny_llama_put_text(struct gguf_writer *w);
void tiny_llama_put_tensors(const struct tiny_llama *spec, struct gguf_writer *w);

/* One matrix of random numbers in any known format. */
void tiny_llama_put_matrix(struct gguf_writer *w, const char *name, enum dtype dtype,
                           uint32_t n_rows, uint32_t n_cols, uint32_t *seed);

/* The whole file, appended. */
void tiny_llama_build(const struct tiny_llama *spec, struct buf *ret_file);

/* The whole file, at `path`; aborts where it cannot be written. */
void tiny_llama_write(const struct tiny_llama *spec, const char *path);

#endif
