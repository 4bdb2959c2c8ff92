/* SPDX-License-Identifier: Apache-2.0 */
/* engine/cpu/x86/avx512vnni_matrix.c - matrices times rows with AVX-512 and its VNNI. */
#include "engine/cpu/x86/tile.h"

void kernel_fill_avx512vnni(struct kernel_ops *ops)
{
    fill_matmul(ops);
}
