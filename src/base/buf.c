/* SPDX-License-Identifier: Apache-2.0 */
/* base/buf.c - a growing byte buffer. */
#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"

enum { BUF_FIRST_BYTES = 64 };

void buf_release(struct buf *b)
{
    free(b->data);
    *b = (struct buf){ 0 };
}

void buf_clear(struct buf *b)
{
    b->len = 0;
    b->failed = false;
    if (b->data)
        b->data[0] = '\0';
}

enum status buf_reserve(struct buf *b, size_t n)
{
    size_t need, grown;
    char *data;

    if (b->failed)
        return ST_NOMEM;
    if (!size_add(b->len, n, &need) || !size_add(need, 1, &need))
        goto fail;
    if (need <= b->capacity)
        return ST_OK;

    grown = size_max(b->capacity, BUF_FIRST_BYTES);
    while (grown < need)
        if (!size_mul(grown, 2, &grown))
            goto fail;
    data = realloc(b->data, grown);
    if (!data)
        goto fail;
    b->data = data;
    b->capacity = grown;
    return ST_OK;

fail:
    b->failed = true;
    return ST_NOMEM;
}

void buf_append(struct buf *b, const void *bytes, size_t n)
{
    if (buf_reserve(b, n) != ST_OK)
        return;
    if (n > 0)
        memcpy(b->data + b->len, bytes, n);
    b->len += n;
    b->data[b->len] = '\0';
}

void buf_puts(struct buf *b, const char *text)
{
    buf_append(b, text, strlen(text));
}

void buf_putc(struct buf *b, char c)
{
    buf_append(b, &c, 1);
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
    va_list args, again;
    int n;

    va_start(args, fmt);
    va_copy(again, args);
    n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    if (n < 0)
        b->failed = true;
    else if (buf_reserve(b, (size_t)n) == ST_OK) {
        vsnprintf(b->data + b->len, (size_t)n + 1, fmt, again);
        b->len += (size_t)n;
    }
    va_end(again);
}

void buf_consume(struct buf *b, size_t n)
{
    if (n == 0)
        return;
    b->len -= n;
    memmove(b->data, b->data + n, b->len + 1);
}

const char *buf_text(const struct buf *b)
{
    return b->data ? b->data : "";
}

char *buf_take(struct buf *b)
{
    char *text;

    if (b->failed || buf_reserve(b, 0) != ST_OK) {
        buf_release(b);
        return NULL;
    }
    b->data[b->len] = '\0';
    text = b->data;
    *b = (struct buf){ 0 };
    return text;
}

enum status buf_status(const struct buf *b)
{
    return b->failed ? ST_NOMEM : ST_OK;
}
