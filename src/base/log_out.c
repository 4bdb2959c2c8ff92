/* SPDX-License-Identifier: Apache-2.0 */
/* base/log_out.c - text into a line of bounded length. */
#include "base/log_out.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/size.h"

void log_out_bytes(struct log_out *out, const char *bytes, size_t n)
{
    if (out->is_full || out->used + n + LOG_OUT_TAIL > out->capacity) {
        out->is_full = true;
        return;
    }
    memcpy(out->bytes + out->used, bytes, n);
    out->used += n;
}

void log_out_put(struct log_out *out, const char *text)
{
    log_out_bytes(out, text, strlen(text));
}

void log_out_end(struct log_out *out, const char *text)
{
    const size_t n = size_min(strlen(text), out->capacity - out->used);

    memcpy(out->bytes + out->used, text, n);
    out->used += n;
}

/* Bytes of the character at `text`, of which `n` are there; 0: it is none.
 * Source: RFC 3629, section 4 */
static size_t character(const unsigned char *text, size_t n)
{
    const unsigned char first = text[0];
    const size_t length = first < 0x80   ? 1
                          : first < 0xc2 ? 0
                          : first < 0xe0 ? 2
                          : first < 0xf0 ? 3
                                         : 4;

    if (length == 0 || length > n || first > 0xf4)
        return 0;
    for (size_t i = 1; i < length; i++)
        if ((text[i] & 0xc0) != 0x80)
            return 0;
    if ((first == 0xe0 && text[1] < 0xa0) || (first == 0xed && text[1] >= 0xa0) ||
        (first == 0xf0 && text[1] < 0x90) || (first == 0xf4 && text[1] >= 0x90))
        return 0;
    return length;
}

/* C0, DEL and C1: a terminal would obey them, a line break.  length: of the character */
static bool is_control(const unsigned char *text, size_t length)
{
    return (length == 1 && (text[0] < 0x20 || text[0] == 0x7f)) ||
           (length == 2 && text[0] == 0xc2 && text[1] < 0xa0);
}

/* RFC 8259, section 7 */
static void put_escaped(struct log_out *out, unsigned code)
{
    char escape[8];

    switch (code) {
    case '\n': log_out_put(out, "\\n"); return;
    case '\r': log_out_put(out, "\\r"); return;
    case '\t': log_out_put(out, "\\t"); return;
    case '"': log_out_put(out, "\\\""); return;
    case '\\': log_out_put(out, "\\\\"); return;
    default: break;
    }
    (void)snprintf(escape, sizeof(escape), "\\u%04x", code & 0xffffu);
    log_out_put(out, escape);
}

static void put_character(struct log_out *out, enum log_style style, const unsigned char *text,
                          size_t length)
{
    if (length == 0)
        log_out_put(out, "\xef\xbf\xbd");
    else if (style == LOG_STYLE_PLAIN && is_control(text, length))
        log_out_put(out, " ");
    else if (style == LOG_STYLE_QUOTED &&
             (is_control(text, length) || text[0] == '"' || text[0] == '\\'))
        put_escaped(out, length == 2 ? text[1] : text[0]);
    else
        log_out_bytes(out, (const char *)text, length);
}

void log_out_text(struct log_out *out, enum log_style style, const char *text, size_t max_bytes)
{
    const size_t n = strnlen(text, max_bytes + 1), most = size_min(n, max_bytes);
    size_t at = 0;

    while (at < most && !out->is_full) {
        const unsigned char *here = (const unsigned char *)text + at;
        const size_t length = character(here, n - at);

        if (at + length > most)
            break;
        put_character(out, style, here, length);
        at += length > 0 ? length : 1;
    }
    if (n > most)
        log_out_put(out, "...");
}
