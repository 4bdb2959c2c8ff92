/* SPDX-License-Identifier: Apache-2.0 */
/* contract/activation_format.c - the bits of formats of activations. */
#include "contract/activation_format.h"

static const uint32_t bits_of[N_ACTIVATION_FORMATS] = {
    [ACTIVATIONS_16] = 16,
    [ACTIVATIONS_8] = 8,
};

uint32_t activation_format_bits(enum activation_format format)
{
    return bits_of[format];
}

enum status activation_format_find(uint32_t bits, enum activation_format *ret_format,
                                   struct err *err)
{
    if (bits == 0)
        bits = bits_of[ACTIVATIONS_16];
    for (unsigned i = 0; i < N_ACTIVATION_FORMATS; i++)
        if (bits_of[i] == bits) {
            *ret_format = (enum activation_format)i;
            return ST_OK;
        }
    return err_set(err, ST_RANGE, "no activations of %u bits; there are: %u, %u", bits,
                   bits_of[ACTIVATIONS_16], bits_of[ACTIVATIONS_8]);
}
