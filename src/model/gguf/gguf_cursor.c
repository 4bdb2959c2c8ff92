/* SPDX-License-Identifier: Apache-2.0 */
/* model/gguf/gguf_cursor.c - bounded reads of numbers and strings. */
#include "model/gguf/gguf_priv.h"

#include <string.h>

#include "base/size.h"

size_t gguf_left(const struct gguf_cursor *c)
{
    return c->end - c->at;
}

bool gguf_take(struct gguf_cursor *c, uint64_t n, const unsigned char **ret)
{
    if (n > gguf_left(c))
        return false;
    *ret = c->base + c->at;
    c->at += (size_t)n;
    return true;
}

bool gguf_take_u32(struct gguf_cursor *c, uint32_t *ret)
{
    const unsigned char *bytes;

    if (!gguf_take(c, sizeof(*ret), &bytes))
        return false;
    memcpy(ret, bytes, sizeof(*ret));
    return true;
}

bool gguf_take_u64(struct gguf_cursor *c, uint64_t *ret)
{
    const unsigned char *bytes;

    if (!gguf_take(c, sizeof(*ret), &bytes))
        return false;
    memcpy(ret, bytes, sizeof(*ret));
    return true;
}

bool gguf_take_text(struct gguf_cursor *c, struct gguf_text *ret)
{
    struct gguf_cursor ahead = *c;
    const unsigned char *bytes;
    uint64_t n;

    if (!gguf_take_u64(&ahead, &n) || !gguf_take(&ahead, n, &bytes))
        return false;
    *c = ahead;
    *ret = (struct gguf_text){ (const char *)bytes, (size_t)n };
    return true;
}

int gguf_text_compare(const struct gguf_text *a, const struct gguf_text *b)
{
    const int order = memcmp(a->bytes, b->bytes, size_min(a->n, b->n));

    if (order != 0)
        return order;
    return (a->n > b->n) - (a->n < b->n);
}

bool gguf_text_is_printable(const struct gguf_text *text)
{
    for (size_t i = 0; i < text->n; i++)
        if (text->bytes[i] < 0x20 || text->bytes[i] > 0x7e)
            return false;
    return true;
}
