/* SPDX-License-Identifier: Apache-2.0 */
/* base/utf8.h - text in UTF-8 (RFC 3629). */
#ifndef POMONA_BASE_UTF8_H
#define POMONA_BASE_UTF8_H

#include <stddef.h>

/* Characters of valid text: the bytes that begin one. */
static inline size_t utf8_count(const char *bytes, size_t n)
{
    size_t count = 0;

    for (size_t i = 0; i < n; i++)
        count += ((unsigned char)bytes[i] & 0xC0) != 0x80;
    return count;
}

#endif
