/* SPDX-License-Identifier: Apache-2.0 */
/* tests/support/gguf_writer.c - lay out a GGUF file in memory. */
#include "support/gguf_writer.h"

#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "model/gguf/gguf.h"

static void put_u32(struct buf *b, uint32_t value)
{
    buf_append(b, &value, sizeof(value));
}

static void put_u64(struct buf *b, uint64_t value)
{
    buf_append(b, &value, sizeof(value));
}

static void put_text(struct buf *b, const char *text)
{
    put_u64(b, strlen(text));
    buf_puts(b, text);
}

static void pad(struct buf *b, size_t alignment)
{
    while (b->len % alignment != 0)
        buf_putc(b, '\0');
}

static size_t alignment_of(const struct gguf_writer *w)
{
    return w->alignment ? w->alignment : 32;
}

static void begin_pair(struct gguf_writer *w, const char *key, uint32_t type)
{
    put_text(&w->pairs, key);
    put_u32(&w->pairs, type);
    w->n_pairs++;
}

void gguf_writer_release(struct gguf_writer *w)
{
    buf_release(&w->pairs);
    buf_release(&w->tensors);
    buf_release(&w->data);
}

void gguf_put_raw(struct gguf_writer *w, const char *key, uint32_t type, const void *bytes,
                  size_t n)
{
    begin_pair(w, key, type);
    buf_append(&w->pairs, bytes, n);
}

void gguf_put_u32(struct gguf_writer *w, const char *key, uint32_t value)
{
    gguf_put_raw(w, key, GGUF_UINT32, &value, sizeof(value));
}

void gguf_put_f32(struct gguf_writer *w, const char *key, float value)
{
    gguf_put_raw(w, key, GGUF_FLOAT32, &value, sizeof(value));
}

void gguf_put_bool(struct gguf_writer *w, const char *key, bool value)
{
    const unsigned char byte = value ? 1 : 0;

    gguf_put_raw(w, key, GGUF_BOOL, &byte, 1);
}

void gguf_put_text(struct gguf_writer *w, const char *key, const char *value)
{
    begin_pair(w, key, GGUF_STRING);
    put_text(&w->pairs, value);
}

void gguf_put_texts(struct gguf_writer *w, const char *key, const char *const *values, size_t n)
{
    begin_pair(w, key, GGUF_ARRAY);
    put_u32(&w->pairs, GGUF_STRING);
    put_u64(&w->pairs, n);
    for (size_t i = 0; i < n; i++)
        put_text(&w->pairs, values[i]);
}

void gguf_put_i32s(struct gguf_writer *w, const char *key, const int32_t *values, size_t n)
{
    begin_pair(w, key, GGUF_ARRAY);
    put_u32(&w->pairs, GGUF_INT32);
    put_u64(&w->pairs, n);
    buf_append(&w->pairs, values, n * sizeof(*values));
}

void gguf_put_tensor(struct gguf_writer *w, const char *name, uint32_t type, uint32_t n_dims,
                     const uint64_t *dims, const void *bytes, size_t n)
{
    put_text(&w->tensors, name);
    put_u32(&w->tensors, n_dims);
    for (uint32_t i = 0; i < n_dims; i++)
        put_u64(&w->tensors, dims[i]);
    put_u32(&w->tensors, type);
    pad(&w->data, alignment_of(w));
    put_u64(&w->tensors, w->data.len);
    buf_append(&w->data, bytes, n);
    w->n_tensors++;
}

void gguf_writer_finish(const struct gguf_writer *w, struct buf *ret_file)
{
    buf_puts(ret_file, "GGUF");
    put_u32(ret_file, w->version ? w->version : 3);
    put_u64(ret_file, w->n_tensors);
    put_u64(ret_file, w->n_pairs);
    buf_append(ret_file, buf_text(&w->pairs), w->pairs.len);
    buf_append(ret_file, buf_text(&w->tensors), w->tensors.len);
    pad(ret_file, alignment_of(w));
    buf_append(ret_file, buf_text(&w->data), w->data.len);
    pad(ret_file, alignment_of(w));
    if (buf_status(&w->pairs) != ST_OK || buf_status(&w->tensors) != ST_OK ||
        buf_status(&w->data) != ST_OK || buf_status(ret_file) != ST_OK)
        abort();
}
