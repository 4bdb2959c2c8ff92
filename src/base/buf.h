/* SPDX-License-Identifier: Apache-2.0 */
/* base/buf.h - a growing byte buffer.
 *
 * The content is always followed by a NUL that `len` does not count, so
 * `data` is a C string where no byte of it is zero.  A buffer remembers that
 * an allocation failed: later appends do nothing, and buf_status() tells once
 * at the end, so that building text needs no check at every line.
 */
#ifndef POMONA_BASE_BUF_H
#define POMONA_BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"

struct buf {
    char *data;      /* NULL while nothing was appended */
    size_t len;      /* bytes in use */
    size_t capacity; /* bytes allocated */
    bool failed;     /* an allocation failed; content is incomplete */
};

/* Zero-initialised (`struct buf b = { 0 };`) is empty and ready. */
void buf_release(struct buf *b); /* frees; the buffer is empty again */
void buf_clear(struct buf *b);   /* empties, keeps the memory */

void buf_append(struct buf *b, const void *bytes, size_t n);
void buf_puts(struct buf *b, const char *text);
void buf_putc(struct buf *b, char c);
void buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Room for `n` more bytes; ST_NOMEM where there is none. */
enum status buf_reserve(struct buf *b, size_t n);

/* Drop the first `n` bytes (n <= len). */
void buf_consume(struct buf *b, size_t n);

/* Content as a C string; "" when empty.  Lent until the next append. */
const char *buf_text(const struct buf *b);

/* Give the content away as a C string; free() it.  NULL if an append failed.
 * The buffer is empty again. */
char *buf_take(struct buf *b);

enum status buf_status(const struct buf *b);

#endif
