/* SPDX-License-Identifier: Apache-2.0 */
/* contract/sum_format.c - the table of formats in which rows are sent that are summed. */
#include "contract/sum_format.h"

#include <string.h>

static const struct {
    const char *name;
    size_t block_elems, block_bytes;
} formats[N_SUM_FORMATS] = {
    [SUM_F32] = { "f32", 1, 4 },
    [SUM_F16] = { "f16", 1, 2 },
    [SUM_Q8] = { "q8", SUM_BLOCK, SUM_BLOCK + 4 },
};

const char *sum_format_name(enum sum_format format)
{
    return formats[format].name;
}

enum status sum_format_find(const char *name, enum sum_format *ret_format, struct err *err)
{
    if (!name || !*name)
        name = formats[0].name;
    for (unsigned i = 0; i < N_SUM_FORMATS; i++)
        if (strcmp(formats[i].name, name) == 0) {
            *ret_format = (enum sum_format)i;
            return ST_OK;
        }
    return err_set(err, ST_RANGE, "no format '%s' of sums; there are: %s, %s, %s", name,
                   formats[SUM_F32].name, formats[SUM_F16].name, formats[SUM_Q8].name);
}

size_t sum_format_bytes(enum sum_format format, size_t n)
{
    return (n + formats[format].block_elems - 1) / formats[format].block_elems *
           formats[format].block_bytes;
}
