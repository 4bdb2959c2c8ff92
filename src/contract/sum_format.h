/* SPDX-License-Identifier: Apache-2.0 */
/* contract/sum_format.h - number formats in which members of a team send rows that are summed.
 *
 * Chosen when an instance is made and the same on every rank of it: another format makes other
 * tokens.  What is sent, the own rows too, is rounded once, and its sum once more where sums go in two
 * rounds (execute/collective.h); additions are in f32 always.
 *   f32  as they are
 *   f16  half the bytes; the relative error of a number is below 2^-11, or it is below 2^-25
 *        where the number is below 2^-14; beyond 65504 it is taken for that
 *   q8   blocks of 32: 8-bit integers and one f32 scale, 36 bytes, 28 % of f32's; the error
 *        is below 1/253 of the largest number of the block
 */
#ifndef POMONA_CONTRACT_SUM_FORMAT_H
#define POMONA_CONTRACT_SUM_FORMAT_H

#include <stddef.h>

#include "base/status.h"

enum sum_format {
    SUM_F32, /* the default */
    SUM_F16,
    SUM_Q8,
    N_SUM_FORMATS,
};

enum { SUM_BLOCK = 32 };

/* "f32"; never NULL for a format of the list above. */
const char *sum_format_name(enum sum_format format);

/* The format of that name; NULL and "" are the default.
 * Errors  ST_RANGE  there is none; the words name those there are */
enum status sum_format_find(const char *name, enum sum_format *ret_format, struct err *err);

/* Bytes of n numbers; of a block that is not full, those of a full one. */
size_t sum_format_bytes(enum sum_format format, size_t n);

#endif
