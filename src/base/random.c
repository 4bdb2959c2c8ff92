/* SPDX-License-Identifier: Apache-2.0 */
/* base/random.c - unpredictable bytes, from OpenSSL's generator. */
#include "base/random.h"

#include <limits.h>
#include <openssl/rand.h>
#include <stdlib.h>

void random_bytes(void *ret_bytes, size_t n)
{
    if (n > INT_MAX || RAND_bytes(ret_bytes, (int)n) != 1)
        abort();
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
