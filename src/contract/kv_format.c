/* SPDX-License-Identifier: Apache-2.0 */
/* contract/kv_format.c - the table of formats of keys and values. */
#include "contract/kv_format.h"

#include <string.h>

static const struct {
    const char *name;
    uint32_t block_elems, block_bytes;
} formats[N_KV_FORMATS] = {
    [KV_F16] = { "f16", 1, 2 },
    [KV_Q8_0] = { "q8_0", 32, 34 },
};

const char *kv_format_name(enum kv_format format)
{
    return formats[format].name;
}

enum status kv_format_find(const char *name, enum kv_format *ret_format, struct err *err)
{
    if (!name || !*name)
        name = formats[0].name;
    for (unsigned i = 0; i < N_KV_FORMATS; i++)
        if (strcmp(formats[i].name, name) == 0) {
            *ret_format = (enum kv_format)i;
            return ST_OK;
        }
    return err_set(err, ST_RANGE, "no format '%s' of keys and values; there are: %s, %s", name,
                   formats[KV_F16].name, formats[KV_Q8_0].name);
}

uint64_t kv_format_bytes(enum kv_format format, uint64_t n)
{
    return n / formats[format].block_elems * formats[format].block_bytes;
}
