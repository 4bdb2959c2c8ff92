/* SPDX-License-Identifier: Apache-2.0 */
/* model/arch/arch_numbers.c - numbers of the metadata, held against bounds. */
#include <stdio.h>

#include "model/arch/arch_priv.h"

static void full_key(const char *family, const char *key, char *ret_key)
{
    snprintf(ret_key, ARCH_KEY_MAX, "%s.%s", family, key);
}

enum status arch_need_u32(const struct gguf *gguf, const char *family,
                          const struct arch_number *number, struct err *err)
{
    char key[ARCH_KEY_MAX];
    uint32_t value;
    enum status s;

    full_key(family, number->key, key);
    s = gguf_get_u32(gguf, key, &value, err);
    if (s != ST_OK)
        return s;
    if (value < number->min || value > number->max)
        return err_set(err, ST_RANGE, "the metadata key '%s' is %u; %u to %u are possible", key,
                       (unsigned)value, (unsigned)number->min, (unsigned)number->max);
    *number->into = value;
    return ST_OK;
}

enum status arch_take_u32(const struct gguf *gguf, const char *family,
                          const struct arch_number *number, struct err *err)
{
    char key[ARCH_KEY_MAX];

    full_key(family, number->key, key);
    if (gguf_has(gguf, key))
        return arch_need_u32(gguf, family, number, err);
    if (*number->into < number->min || *number->into > number->max)
        return err_set(err, ST_RANGE, "the model has no '%s', and the usual %u is outside %u to %u",
                       key, (unsigned)*number->into, (unsigned)number->min, (unsigned)number->max);
    return ST_OK;
}

enum status arch_take_f32(const struct gguf *gguf, const char *family, const char *key, float *ret,
                          struct err *err)
{
    char full[ARCH_KEY_MAX];

    full_key(family, key, full);
    return gguf_has(gguf, full) ? gguf_get_f32(gguf, full, ret, err) : ST_OK;
}
