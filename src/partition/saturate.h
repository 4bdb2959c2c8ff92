/* SPDX-License-Identifier: Apache-2.0 */
/* partition/saturate.h - sums of sizes that come from files and peers stop at the largest number.
 *
 * A model too large to be true then does not fit, instead of wrapping into one that does.
 */
#ifndef POMONA_PARTITION_SATURATE_H
#define POMONA_PARTITION_SATURATE_H

#include <stdint.h>

static inline uint64_t saturate_add(uint64_t a, uint64_t b)
{
    uint64_t sum;

    return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

static inline uint64_t saturate_mul(uint64_t a, uint64_t b)
{
    uint64_t product;

    return __builtin_mul_overflow(a, b, &product) ? UINT64_MAX : product;
}

#endif
