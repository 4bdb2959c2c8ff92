/* SPDX-License-Identifier: Apache-2.0 */
/* text/tokenizer/byte_alphabet.c - from visible characters back to bytes. */
#include "text/tokenizer/byte_alphabet.h"

#include <utf8proc.h>

/* What Latin-1 does not print, in order: C0 and the space, DEL to the
 * no-break space, the soft hyphen. */
enum {
    LOW_FIRST = 0x00,
    LOW_LAST = 0x20,
    MIDDLE_FIRST = 0x7F,
    MIDDLE_LAST = 0xA0,
    SOFT_HYPHEN = 0xAD,

    FIRST_STAND_IN = 0x100,
    N_LOW = LOW_LAST - LOW_FIRST + 1,
    N_MIDDLE = MIDDLE_LAST - MIDDLE_FIRST + 1,
};

/* The byte of a character, or -1. */
static int byte_of(utf8proc_int32_t c)
{
    const int stand_in = (int)c - FIRST_STAND_IN;

    if (c < FIRST_STAND_IN) {
        const bool printed =
            c > LOW_LAST && (c < MIDDLE_FIRST || c > MIDDLE_LAST) && c != SOFT_HYPHEN;

        return printed ? (int)c : -1;
    }
    if (stand_in < N_LOW)
        return LOW_FIRST + stand_in;
    if (stand_in < N_LOW + N_MIDDLE)
        return MIDDLE_FIRST + stand_in - N_LOW;
    return stand_in == N_LOW + N_MIDDLE ? SOFT_HYPHEN : -1;
}

bool byte_alphabet_decode(const char *written, size_t n, char *ret_bytes, size_t *ret_n)
{
    const utf8proc_uint8_t *bytes = (const utf8proc_uint8_t *)written;
    size_t n_bytes = 0;

    for (size_t i = 0; i < n;) {
        utf8proc_int32_t c;
        const utf8proc_ssize_t length = utf8proc_iterate(bytes + i, (utf8proc_ssize_t)(n - i), &c);
        const int byte = length > 0 ? byte_of(c) : -1;

        if (byte < 0)
            return false;
        ret_bytes[n_bytes++] = (char)byte;
        i += (size_t)length;
    }
    *ret_n = n_bytes;
    return true;
}
