/* SPDX-License-Identifier: Apache-2.0 */
/* base/size.h - arithmetic on sizes that come from outside, checked. */
#ifndef POMONA_BASE_SIZE_H
#define POMONA_BASE_SIZE_H

#include <stdbool.h>
#include <stddef.h>

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* *ret = a * b; false, and *ret untouched, where it does not fit. */
static inline bool size_mul(size_t a, size_t b, size_t *ret)
{
    size_t product;

    if (__builtin_mul_overflow(a, b, &product))
        return false;
    *ret = product;
    return true;
}

/* *ret = a + b; false, and *ret untouched, where it does not fit. */
static inline bool size_add(size_t a, size_t b, size_t *ret)
{
    size_t sum;

    if (__builtin_add_overflow(a, b, &sum))
        return false;
    *ret = sum;
    return true;
}

static inline size_t size_min(size_t a, size_t b)
{
    return a < b ? a : b;
}

static inline size_t size_max(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* `n` rounded up to a multiple of `unit` (>= 1); the caller knows it fits. */
static inline size_t size_round_up(size_t n, size_t unit)
{
    return (n + unit - 1) / unit * unit;
}

#endif
