/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/guard/base64url.c - bytes of base64url without padding, strictly. */
#include "gateway/guard/base64url.h"

#include <string.h>

static int digit(char c)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const char *at = c ? strchr(alphabet, c) : NULL;

    return at ? (int)(at - alphabet) : -1;
}

bool base64url_read(const char *text, size_t n, uint8_t *ret_bytes, size_t capacity, size_t *ret_n)
{
    uint32_t bits = 0;
    unsigned n_bits = 0;
    size_t len = 0;

    if (n % 4 == 1 || n / 4 * 3 + (n % 4 ? n % 4 - 1 : 0) > capacity)
        return false;
    for (size_t i = 0; i < n; i++) {
        const int d = digit(text[i]);

        if (d < 0)
            return false;
        bits = (bits << 6 | (uint32_t)d) & 0xffffffu;
        n_bits += 6;
        if (n_bits >= 8) {
            n_bits -= 8;
            ret_bytes[len++] = (uint8_t)(bits >> n_bits);
        }
    }
    *ret_n = len;
    return (bits & ((1u << n_bits) - 1)) == 0;
}
