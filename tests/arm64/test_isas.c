/* SPDX-License-Identifier: Apache-2.0 */
/* tests/arm64/test_isas.c - the kernels of this machine are exactly the ones its argument names. */
#include <stdio.h>
#include <string.h>

#include "base/machine.h"
#include "engine/cpu/kernels.h"

int main(int argc, char **argv)
{
    char names[128];

    kernel_isa_names(machine_cpu_features(), names, sizeof(names));
    if (argc == 2 && strcmp(names, argv[1]) == 0)
        return 0;
    fprintf(stderr, "kernels here: %s; expected: %s\n", names,
            argc == 2 ? argv[1] : "one argument");
    return 1;
}
