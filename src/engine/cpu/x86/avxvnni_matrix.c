/* SPDX-License-Identifier: Apache-2.0 */
/* engine/cpu/x86/avxvnni_matrix.c - matrices times rows with AVX-VNNI: as AVX2, where a product and
 * its sum are one instruction.
 */
#include "engine/cpu/x86/tile.h"

void kernel_fill_avxvnni(struct kernel_ops *ops)
{
    fill_matmul(ops);
}
