/* SPDX-License-Identifier: Apache-2.0 */
/* engine/cpu/dispatch.c - choose kernels at run time, from one table.
 *
 * Rows are ordered narrow to wide.  Each fill function overwrites only the
 * entries it improves, so a new ISA may start with one kernel.  Nothing else
 * in the engine may test for a CPU feature.
 */
#include <stdio.h>
#include <string.h>

#include "base/machine.h"
#include "base/size.h"
#include "engine/cpu/kernels.h"

static const struct isa {
    const char *name;
    uint32_t needs; /* every bit required */
    void (*fill)(struct kernel_ops *ops);
} isas[] = {
    { "ref", 0, kernel_fill_ref },
#if defined(__x86_64__)
    { "avx2", CPU_AVX2, kernel_fill_avx2 },
    { "avx-vnni", CPU_AVX2 | CPU_AVX_VNNI, kernel_fill_avxvnni },
    { "avx512", CPU_AVX2 | CPU_AVX512, kernel_fill_avx512 },
    { "avx512-vnni", CPU_AVX2 | CPU_AVX512 | CPU_AVX512_VNNI, kernel_fill_avx512vnni },
    { "amx-int8", CPU_AVX2 | CPU_AVX512 | CPU_AVX512_VNNI | CPU_AVX512_VBMI | CPU_AMX_INT8,
      kernel_fill_amx },
#elif defined(__aarch64__)
    { "neon", CPU_NEON, kernel_fill_neon },
    { "neon-dotprod", CPU_NEON | CPU_NEON_DOTPROD, kernel_fill_neon_dotprod },
    { "neon-i8mm", CPU_NEON | CPU_NEON_DOTPROD | CPU_NEON_I8MM, kernel_fill_neon_i8mm },
#endif
};

static bool is_usable(const struct isa *isa, uint32_t features)
{
    return (isa->needs & ~features) == 0;
}

bool kernel_ops_select(struct kernel_ops *ops, uint32_t features, const char *name)
{
    struct kernel_ops filled = { 0 };

    for (size_t i = 0; i < ARRAY_LEN(isas); i++) {
        if (!is_usable(&isas[i], features))
            continue;
        isas[i].fill(&filled);
        filled.isa = isas[i].name;
        if (name && strcmp(name, isas[i].name) == 0)
            break;
    }
    if (name && strcmp(name, filled.isa) != 0)
        return false;
    *ops = filled;
    return true;
}

void kernel_isa_names(uint32_t features, char *ret_names, size_t capacity)
{
    size_t used = 0;

    ret_names[0] = '\0';
    for (size_t i = 0; i < ARRAY_LEN(isas); i++) {
        if (!is_usable(&isas[i], features) || used >= capacity)
            continue;
        used += (size_t)snprintf(ret_names + used, capacity - used, "%s%s", used > 0 ? ", " : "",
                                 isas[i].name);
    }
}
