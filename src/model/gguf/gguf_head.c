/* SPDX-License-Identifier: Apache-2.0 */
/* model/gguf/gguf_head.c - lay out metadata and tensor directory. */
#include "model/gguf/gguf_head.h"

#include <string.h>

#include "base/size.h"

enum { VERSION = 3 };

static void put_u32(struct buf *b, uint32_t value)
{
    buf_append(b, &value, sizeof(value));
}

static void put_u64(struct buf *b, uint64_t value)
{
    buf_append(b, &value, sizeof(value));
}

static void put_text(struct buf *b, const char *text, size_t n)
{
    put_u64(b, n);
    buf_append(b, text, n);
}

static void begin_pair(struct gguf_head *h, const char *key, enum gguf_type type)
{
    put_text(&h->pairs, key, strlen(key));
    put_u32(&h->pairs, (uint32_t)type);
    h->n_pairs++;
}

void gguf_head_release(struct gguf_head *h)
{
    buf_release(&h->pairs);
    buf_release(&h->tensors);
}

void gguf_head_put_u32(struct gguf_head *h, const char *key, uint32_t value)
{
    begin_pair(h, key, GGUF_UINT32);
    put_u32(&h->pairs, value);
}

void gguf_head_put_f32(struct gguf_head *h, const char *key, float value)
{
    begin_pair(h, key, GGUF_FLOAT32);
    buf_append(&h->pairs, &value, sizeof(value));
}

void gguf_head_put_bool(struct gguf_head *h, const char *key, bool value)
{
    begin_pair(h, key, GGUF_BOOL);
    buf_putc(&h->pairs, value ? 1 : 0);
}

void gguf_head_put_text(struct gguf_head *h, const char *key, const char *text, size_t n)
{
    begin_pair(h, key, GGUF_STRING);
    put_text(&h->pairs, text, n);
}

static void begin_array(struct gguf_head *h, const char *key, enum gguf_type type, uint64_t n)
{
    begin_pair(h, key, GGUF_ARRAY);
    put_u32(&h->pairs, (uint32_t)type);
    put_u64(&h->pairs, n);
}

void gguf_head_begin_texts(struct gguf_head *h, const char *key, uint64_t n)
{
    begin_array(h, key, GGUF_STRING, n);
}

void gguf_head_add_text(struct gguf_head *h, const char *text, size_t n)
{
    put_text(&h->pairs, text, n);
}

void gguf_head_put_i32s(struct gguf_head *h, const char *key, const int32_t *values, size_t n)
{
    begin_array(h, key, GGUF_INT32, n);
    buf_append(&h->pairs, values, n * sizeof(*values));
}

void gguf_head_put_tensor(struct gguf_head *h, const char *name, uint32_t type, uint32_t n_dims,
                          const uint64_t *dims, uint64_t n_bytes)
{
    put_text(&h->tensors, name, strlen(name));
    put_u32(&h->tensors, n_dims);
    for (uint32_t i = 0; i < n_dims; i++)
        put_u64(&h->tensors, dims[i]);
    put_u32(&h->tensors, type);
    put_u64(&h->tensors, h->data_bytes);
    h->data_bytes += size_round_up(n_bytes, GGUF_ALIGNMENT);
    h->n_tensors++;
}

enum status gguf_head_finish(const struct gguf_head *h, struct buf *ret_bytes, struct err *err)
{
    const size_t start = ret_bytes->len;

    buf_puts(ret_bytes, "GGUF");
    put_u32(ret_bytes, VERSION);
    put_u64(ret_bytes, h->n_tensors);
    put_u64(ret_bytes, h->n_pairs);
    buf_append(ret_bytes, h->pairs.data, h->pairs.len);
    buf_append(ret_bytes, h->tensors.data, h->tensors.len);
    while (buf_status(ret_bytes) == ST_OK && (ret_bytes->len - start) % GGUF_ALIGNMENT != 0)
        buf_putc(ret_bytes, '\0');
    if (buf_status(&h->pairs) != ST_OK || buf_status(&h->tensors) != ST_OK ||
        buf_status(ret_bytes) != ST_OK)
        return err_set(err, ST_NOMEM, "no memory for the head of a model file");
    return ST_OK;
}
