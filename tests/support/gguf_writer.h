/* SPDX-License-Identifier: Apache-2.0 */
/* tests/support/gguf_writer.h - GGUF files for tests, right or wrong on purpose.
 *
 * Metadata and tensors are appended in any order; gguf_writer_finish() lays
 * the file out.  Nothing is checked: a test that wants a key twice puts it
 * twice, and may change any byte of the result.
 *
 * Memory fails never here: a test that runs out of it ends (abort()).
 *
 * Source  ggml repository, docs/gguf.md
 */
#ifndef POMONA_TESTS_SUPPORT_GGUF_WRITER_H
#define POMONA_TESTS_SUPPORT_GGUF_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

struct gguf_writer {
    uint32_t version;   /* 0: 3 */
    uint32_t alignment; /* 0: 32; put the key general.alignment yourself */
    uint64_t n_pairs, n_tensors;
    struct buf pairs, tensors, data;
};

void gguf_writer_release(struct gguf_writer *w);

void gguf_put_u32(struct gguf_writer *w, const char *key, uint32_t value);
void gguf_put_f32(struct gguf_writer *w, const char *key, float value);
void gguf_put_bool(struct gguf_writer *w, const char *key, bool value);
void gguf_put_text(struct gguf_writer *w, const char *key, const char *value);
void gguf_put_texts(struct gguf_writer *w, const char *key, const char *const *values, size_t n);
void gguf_put_i32s(struct gguf_writer *w, const char *key, const int32_t *values, size_t n);

/* A value as raw bytes after its type id: for types without a function, and for nonsense. */
void gguf_put_raw(struct gguf_writer *w, const char *key, uint32_t type, const void *bytes,
                  size_t n);

/* dims: fastest first, [n_dims].  bytes: [n], borrowed. */
void gguf_put_tensor(struct gguf_writer *w, const char *name, uint32_t type, uint32_t n_dims,
                     const uint64_t *dims, const void *bytes, size_t n);

/* The whole file, appended to `ret_file`. */
void gguf_writer_finish(const struct gguf_writer *w, struct buf *ret_file);

#endif
