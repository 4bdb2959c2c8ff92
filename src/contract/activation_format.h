/* SPDX-License-Identifier: Apache-2.0 */
/* contract/activation_format.h - number formats in which activations meet quantised weights.
 *
 * Chosen when an instance is made and the same on every rank of it: another format makes other
 * tokens.
 *   16  the error of a product is below 2^-15 of the largest activation of its block of 32, far less
 *       than quantised weights leave
 *    8  nearly twice as fast where many rows meet a matrix, as in prompts and batches; one stream alone
 *       waits for memory in both.  The error is 2^-8 of the largest, which moves logits by some
 *       hundredths of their spread
 * In both, the output matrix takes 16 bits, and weights of floating point meet floating point.
 */
#ifndef POMONA_CONTRACT_ACTIVATION_FORMAT_H
#define POMONA_CONTRACT_ACTIVATION_FORMAT_H

#include <stdint.h>

#include "base/status.h"

enum activation_format {
    ACTIVATIONS_16, /* the default */
    ACTIVATIONS_8,
    N_ACTIVATION_FORMATS,
};

/* 16 or 8. */
uint32_t activation_format_bits(enum activation_format format);

/* The format of so many bits; 0 is the default.
 * Errors  ST_RANGE  there is none; the words name those there are */
enum status activation_format_find(uint32_t bits, enum activation_format *ret_format,
                                   struct err *err);

#endif
