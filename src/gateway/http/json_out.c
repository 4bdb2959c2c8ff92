/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/http/json_out.c - the few JSON values that need care when written. */
#include "gateway/http/json_out.h"

#include <string.h>

/* Bounds of the second byte are narrower after four lead bytes: they exclude
 * overlong forms, surrogates and what lies beyond U+10FFFF. */
size_t utf8_sequence(const char *bytes, size_t n)
{
    const unsigned char *b = (const unsigned char *)bytes;
    unsigned char low = 0x80, high = 0xBF;
    size_t len;

    if (b[0] < 0x80)
        return 1;
    if (b[0] < 0xC2 || b[0] > 0xF4)
        return 0;
    len = b[0] < 0xE0 ? 2 : b[0] < 0xF0 ? 3 : 4;
    if (n < len)
        return 0;
    if (b[0] == 0xE0)
        low = 0xA0;
    if (b[0] == 0xED)
        high = 0x9F;
    if (b[0] == 0xF0)
        low = 0x90;
    if (b[0] == 0xF4)
        high = 0x8F;
    if (b[1] < low || b[1] > high)
        return 0;
    for (size_t i = 2; i < len; i++) {
        if ((b[i] & 0xC0) != 0x80)
            return 0;
    }
    return len;
}

static void escape(struct buf *out, unsigned char c)
{
    switch (c) {
    case '"': buf_puts(out, "\\\""); break;
    case '\\': buf_puts(out, "\\\\"); break;
    case '\n': buf_puts(out, "\\n"); break;
    case '\r': buf_puts(out, "\\r"); break;
    case '\t': buf_puts(out, "\\t"); break;
    default: buf_printf(out, "\\u%04x", c); break;
    }
}

void json_out_string(struct buf *out, const char *bytes, size_t n)
{
    size_t plain = 0; /* start of what is copied as it is */

    buf_putc(out, '"');
    for (size_t i = 0; i < n;) {
        const unsigned char c = (unsigned char)bytes[i];
        const size_t len = utf8_sequence(bytes + i, n - i);

        if (len > 0 && c >= 0x20 && c != '"' && c != '\\') {
            i += len;
            continue;
        }
        buf_append(out, bytes + plain, i - plain);
        if (len == 0)
            buf_puts(out, "\\ufffd");
        else
            escape(out, c);
        plain = ++i;
    }
    if (n > plain)
        buf_append(out, bytes + plain, n - plain);
    buf_putc(out, '"');
}

static int append(const char *bytes, size_t n, void *arg)
{
    buf_append(arg, bytes, n);
    return 0;
}

/* Not json_dumps(): where memory fails for a piece it leaves that out. */
void json_out_value(struct buf *out, const json_t *value)
{
    if (!value || json_dump_callback(value, append, out, JSON_COMPACT | JSON_ENCODE_ANY) != 0)
        out->failed = true;
}

void json_out_text(struct buf *out, const char *text)
{
    json_out_string(out, text, strlen(text));
}

void json_out_logprob(struct buf *out, double value)
{
    if (!(value > -9999.0)) /* also for a NaN */
        value = -9999.0;
    buf_printf(out, "%.9g", value);
}
