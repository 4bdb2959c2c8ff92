/* SPDX-License-Identifier: Apache-2.0 */
/* tests/support/kernel_check_main.c - check the kernels of this machine, and print their speed.
 *
 *     kernel_check [--isa NAME] [--speed]
 */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "support/kernel_check.h"

enum { MAX_ISAS = 16 };

int main(int argc, char **argv)
{
    const char *only = NULL;
    bool with_speed = false, is_known = false;
    struct kernel_ops isas[MAX_ISAS];
    size_t n_isas;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--speed") == 0) {
            with_speed = true;
        } else if (strcmp(argv[i], "--isa") == 0 && i + 1 < argc) {
            only = argv[++i];
        } else {
            fprintf(stderr, "usage: %s [--isa NAME] [--speed]\n", argv[0]);
            return 2;
        }
    }
    n_isas = kernel_check_isas(isas, MAX_ISAS);
    for (size_t i = 0; i < n_isas; i++) {
        if (only && strcmp(only, isas[i].isa) != 0)
            continue;
        is_known = true;
        for (unsigned format = 0; format < N_ACTIVATION_FORMATS; format++) {
            kernel_check_products(&isas[i], format);
            printf("%s: products with %u bits are right\n", isas[i].isa,
                   activation_format_bits(format));
            if (with_speed)
                kernel_print_speed(&isas[i], format);
        }
    }
    if (!is_known)
        fprintf(stderr, "this machine has no kernels named '%s'\n", only ? only : "");
    return is_known ? 0 : 1;
}
