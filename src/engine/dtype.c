/* SPDX-License-Identifier: Apache-2.0 */
/* engine/dtype.c - the table of number formats. */
#include "engine/dtype.h"

#include "base/size.h"

/* clang-format off */
static const struct dtype_info dtypes[] = {
    { DTYPE_F32, "F32", 1, 4 },
    { DTYPE_F16, "F16", 1, 2 },
    { DTYPE_Q4_0, "Q4_0", 32, 18 },
    { DTYPE_Q4_1, "Q4_1", 32, 20 },
    { DTYPE_Q8_0, "Q8_0", 32, 34 },
};

/* Names by type id; ids that were withdrawn have none. */
static const char *const gguf_names[] = {
    [0] = "F32",      [1] = "F16",      [2] = "Q4_0",     [3] = "Q4_1",    [6] = "Q5_0",
    [7] = "Q5_1",     [8] = "Q8_0",     [9] = "Q8_1",     [10] = "Q2_K",   [11] = "Q3_K",
    [12] = "Q4_K",    [13] = "Q5_K",    [14] = "Q6_K",    [15] = "Q8_K",   [16] = "IQ2_XXS",
    [17] = "IQ2_XS",  [18] = "IQ3_XXS", [19] = "IQ1_S",   [20] = "IQ4_NL", [21] = "IQ3_S",
    [22] = "IQ2_S",   [23] = "IQ4_XS",  [24] = "I8",      [25] = "I16",    [26] = "I32",
    [27] = "I64",     [28] = "F64",     [29] = "IQ1_M",   [30] = "BF16",   [34] = "TQ1_0",
    [35] = "TQ2_0",   [39] = "MXFP4",   [40] = "NVFP4",
};
/* clang-format on */

const struct dtype_info *dtype_info(uint32_t gguf_type)
{
    for (size_t i = 0; i < ARRAY_LEN(dtypes); i++)
        if ((uint32_t)dtypes[i].dtype == gguf_type)
            return &dtypes[i];
    return NULL;
}

const char *dtype_gguf_name(uint32_t gguf_type)
{
    return gguf_type < ARRAY_LEN(gguf_names) ? gguf_names[gguf_type] : NULL;
}

size_t dtype_row_bytes(enum dtype dtype, size_t n)
{
    const struct dtype_info *info = dtype_info((uint32_t)dtype);

    if (!info || n % info->block_elems != 0)
        return 0;
    return n / info->block_elems * info->block_bytes;
}
