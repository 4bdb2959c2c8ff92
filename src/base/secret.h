/* SPDX-License-Identifier: Apache-2.0 */
/* base/secret.h - comparing keys without telling how much of one was right. */
#ifndef POMONA_BASE_SECRET_H
#define POMONA_BASE_SECRET_H

#include <stdbool.h>
#include <stddef.h>

/* Are the two [n] byte strings equal?  Takes the same time for any content. */
static inline bool secret_equal(const void *a, const void *b, size_t n)
{
    const volatile unsigned char *x = a, *y = b;
    unsigned char differ = 0;

    for (size_t i = 0; i < n; i++)
        differ = (unsigned char)(differ | (x[i] ^ y[i]));
    return differ == 0;
}

#endif
