/* SPDX-License-Identifier: Apache-2.0 */
/* model/convert/rows.c - the numbers of a tensor, row by row, in the formats of the new file. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "engine/cpu/f16.h"
#include "model/convert/convert_priv.h"

enum { BLOCK = 32, HALF_BLOCK = 16, NIBBLES_OF_BYTE = 2 };

static uint32_t load_u32(const void *p)
{
    uint32_t x;

    memcpy(&x, p, sizeof(x));
    return x;
}

/* The i-th number of a tensor of floating format. */
static float float_at(const struct safetensors_tensor *t, uint64_t i)
{
    const unsigned char *p = t->data;

    if (t->dtype == SAFETENSORS_F32)
        return f32_of_bits(load_u32(p + 4 * i));
    if (t->dtype == SAFETENSORS_F16)
        return f16_to_f32(load_u16(p + 2 * i));
    return f32_of_bits((uint32_t)load_u16(p + 2 * i) << 16); /* bf16: the upper half */
}

static enum status put_half(const struct convert_tensor *t, float x, struct buf *out,
                            struct err *err)
{
    const uint16_t half = f16_of_f32(x);

    if (!isfinite(f16_to_f32(half)))
        return err_set(err, ST_RANGE, "tensor '%s' has a number that F16 cannot hold", t->name);
    buf_append(out, &half, sizeof(half));
    return ST_OK;
}

static enum status put_floats(const struct convert_tensor *t, uint32_t row, struct buf *out,
                              struct err *err)
{
    const uint64_t first = (uint64_t)row * t->n_cols;
    enum status s = ST_OK;

    for (uint32_t i = 0; i < t->n_cols && s == ST_OK; i++) {
        const float x = float_at(t->weight, first + i);

        if (t->dtype == DTYPE_F32)
            buf_append(out, &x, sizeof(x));
        else
            s = put_half(t, x, out, err);
    }
    return s;
}

/* The i-th code of a row: words are filled from their lowest bits, which on the little-endian
 * machines that all of this is for makes 8-bit codes bytes. */
static unsigned code_at(const struct convert_tensor *t, const unsigned char *codes, uint32_t i)
{
    if (t->bits == 8)
        return codes[i];
    return codes[i / NIBBLES_OF_BYTE] >> (i % NIBBLES_OF_BYTE * 4) & 15;
}

static const unsigned char *codes_of(const struct convert_tensor *t, uint32_t row)
{
    return (const unsigned char *)t->weight->data + (uint64_t)row * t->n_cols * t->bits / 8;
}

/* dtype.h: element i of a block is a low nibble, element i + 16 the high one beside it. */
static enum status put_nibbles(const struct convert_tensor *t, uint32_t row, struct buf *out,
                               struct err *err)
{
    const unsigned char *codes = codes_of(t, row);
    const uint64_t first_group = (uint64_t)row * (t->n_cols / t->group);
    enum status s = ST_OK;

    for (uint32_t at = 0; at < t->n_cols && s == ST_OK; at += BLOCK) {
        const uint64_t group = first_group + at / t->group;

        s = put_half(t, float_at(t->scales, group), out, err);
        if (s == ST_OK)
            s = put_half(t, float_at(t->biases, group), out, err);
        for (uint32_t i = at; i < at + HALF_BLOCK; i++)
            buf_putc(out, (char)(code_at(t, codes, i) | code_at(t, codes, i + HALF_BLOCK) << 4));
    }
    return s;
}

static enum status put_bytes(const struct convert_tensor *t, uint32_t row, struct buf *out,
                             struct err *err)
{
    const unsigned char *codes = codes_of(t, row);
    const uint64_t first_group = (uint64_t)row * (t->n_cols / t->group);
    enum status s = ST_OK;

    for (uint32_t i = 0; i < t->n_cols && s == ST_OK; i++) {
        const uint64_t group = first_group + i / t->group;

        s = put_half(t, float_at(t->scales, group) * (float)codes[i] + float_at(t->biases, group),
                     out, err);
    }
    return s;
}

/* GGUF's llama turns neighbours (2i, 2i + 1) where these models turn (i, i + n/2): its rows of a
 * head are those two halves, shuffled. */
static uint32_t source_row(const struct convert_config *config, const struct convert_tensor *t,
                           uint32_t row)
{
    const uint32_t dim = config->head_dim, of_head = row % dim;

    if (t->n_turned == 0)
        return row;
    return row - of_head + of_head / 2 + (of_head % 2) * (dim / 2);
}

enum status convert_row(const struct convert_config *config, const struct convert_tensor *t,
                        uint32_t row, struct buf *ret_bytes, struct err *err)
{
    enum status s = ST_OK;

    if (!t->weight)
        for (uint32_t i = 0; i < t->n_cols; i++) {
            const float factor = convert_rope_factor(config, i);

            buf_append(ret_bytes, &factor, sizeof(factor));
        }
    else if (t->bits == 4)
        s = put_nibbles(t, source_row(config, t, row), ret_bytes, err);
    else if (t->bits == 8)
        s = put_bytes(t, source_row(config, t, row), ret_bytes, err);
    else
        s = put_floats(t, source_row(config, t, row), ret_bytes, err);
    if (s == ST_OK && buf_status(ret_bytes) != ST_OK)
        s = err_set(err, ST_NOMEM, "no memory for a row of '%s'", t->name);
    return s;
}
