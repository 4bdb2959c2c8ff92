/* SPDX-License-Identifier: Apache-2.0 */
/* contract/kv_format.h - number formats in which an instance keeps keys and values.
 *
 * Chosen when an instance is made and the same on every rank of it.
 *   f16   2 bytes an element
 *   q8_0  blocks of 32 elements: 8-bit integers and one f16 scale, 34 bytes; about half the
 *         memory and traffic of f16 for a relative error of a block's largest element / 254
 */
#ifndef POMONA_CONTRACT_KV_FORMAT_H
#define POMONA_CONTRACT_KV_FORMAT_H

#include <stdint.h>

#include "base/status.h"

enum kv_format {
    KV_F16, /* the default */
    KV_Q8_0,
    N_KV_FORMATS,
};

/* "f16"; never NULL for a format of the list above. */
const char *kv_format_name(enum kv_format format);

/* The format of that name; NULL and "" are the default.
 * Errors  ST_RANGE  there is none; the words name those there are */
enum status kv_format_find(const char *name, enum kv_format *ret_format, struct err *err);

/* Bytes of n elements, n a multiple of 32 unless the format is f16. */
uint64_t kv_format_bytes(enum kv_format format, uint64_t n);

#endif
