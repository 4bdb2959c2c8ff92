/* SPDX-License-Identifier: Apache-2.0 */
/* base/random.c - unpredictable bytes, from OpenSSL's generator.
 *
 * To ask it costs a microsecond for a few bytes as for many, and each request wants a few: each thread draws some
 * ahead, and clears what it gave out.  A child would draw the same as its parent, but children begin another program.
 */
#include "base/random.h"

#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

enum { AHEAD_BYTES = 256, FEW_BYTES = 32 };

static _Thread_local struct {
    uint8_t bytes[AHEAD_BYTES];
    size_t n_left;
} ahead;

static void draw(void *ret_bytes, size_t n)
{
    if (n > INT_MAX || RAND_bytes(ret_bytes, (int)n) != 1)
        abort();
}

void random_bytes(void *ret_bytes, size_t n)
{
    if (n > FEW_BYTES) {
        draw(ret_bytes, n);
        return;
    }
    if (n > ahead.n_left) {
        draw(ahead.bytes, sizeof(ahead.bytes));
        ahead.n_left = sizeof(ahead.bytes);
    }
    ahead.n_left -= n;
    memcpy(ret_bytes, ahead.bytes + ahead.n_left, n);
    OPENSSL_cleanse(ahead.bytes + ahead.n_left, n);
}

uint64_t random_u64(void)
{
    uint64_t n;

    random_bytes(&n, sizeof(n));
    return n;
}

void random_hex(char *ret_text, size_t n_bytes)
{
    static const char digits[] = "0123456789abcdef";
    uint8_t *bytes = (uint8_t *)ret_text + n_bytes + 1; /* the end: digits never overtake them */

    random_bytes(bytes, n_bytes);
    for (size_t i = 0; i < n_bytes; i++) {
        const uint8_t byte = bytes[i];

        ret_text[2 * i] = digits[byte >> 4];
        ret_text[2 * i + 1] = digits[byte & 15];
    }
    ret_text[2 * n_bytes] = '\0';
}
