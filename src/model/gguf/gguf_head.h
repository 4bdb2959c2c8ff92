/* SPDX-License-Identifier: Apache-2.0 */
/* model/gguf/gguf_head.h - write the head of a GGUF file: metadata and tensor directory.
 *
 * Pairs and tensors are appended, then gguf_head_finish() lays them out; the tensors' bytes follow
 * in the order of the directory, each padded to GGUF_ALIGNMENT.  Memory that is missing shows
 * at the end, as with struct buf.
 *
 * Source  ggml repository, docs/gguf.md, version 3, little endian
 */
#ifndef POMONA_MODEL_GGUF_GGUF_HEAD_H
#define POMONA_MODEL_GGUF_GGUF_HEAD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "model/gguf/gguf.h"

enum { GGUF_ALIGNMENT = 32 };

struct gguf_head { /* zeroed is empty */
    struct buf pairs, tensors;
    uint64_t n_pairs, n_tensors, data_bytes;
};

void gguf_head_release(struct gguf_head *h);

void gguf_head_put_u32(struct gguf_head *h, const char *key, uint32_t value);
void gguf_head_put_f32(struct gguf_head *h, const char *key, float value);
void gguf_head_put_bool(struct gguf_head *h, const char *key, bool value);
void gguf_head_put_text(struct gguf_head *h, const char *key, const char *text, size_t n);

/* An array of texts: then n times gguf_head_add_text(). */
void gguf_head_begin_texts(struct gguf_head *h, const char *key, uint64_t n);
void gguf_head_add_text(struct gguf_head *h, const char *text, size_t n);

void gguf_head_put_i32s(struct gguf_head *h, const char *key, const int32_t *values, size_t n);

/* type  an enum dtype; dims fastest first; n_bytes without padding */
void gguf_head_put_tensor(struct gguf_head *h, const char *name, uint32_t type, uint32_t n_dims,
                          const uint64_t *dims, uint64_t n_bytes);

/* Append the head, padded, to `ret_bytes`.  Errors: ST_NOMEM, of any call before, too. */
enum status gguf_head_finish(const struct gguf_head *h, struct buf *ret_bytes, struct err *err);

#endif
