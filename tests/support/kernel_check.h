/* SPDX-License-Identifier: Apache-2.0 */
/* tests/support/kernel_check.h - kernels against their definitions, and how fast they are.
 *
 * A check that fails ends the program with words; free of the test framework, so that the
 * same checks run on other machines and in emulators.
 */
#ifndef POMONA_TESTS_SUPPORT_KERNEL_CHECK_H
#define POMONA_TESTS_SUPPORT_KERNEL_CHECK_H

#include <stdbool.h>

#include "engine/cpu/kernels.h"

/* The kernels of every ISA of this build that this machine has; the others are named as
 * skipped on stdout.  Returns how many. */
size_t kernel_check_isas(struct kernel_ops *ret_isas, size_t capacity);

/* The kernels for AMX with its instructions emulated; false where this machine lacks the rest of
 * what they need, which is then said on stdout. */
bool kernel_check_emulated_amx(struct kernel_ops *ret_ops);

/* Products of every weight format with one format of activations, for many shapes: the bits that
 * kernels.h defines, whatever the rows and panels beside, and nothing written or read outside; within
 * a bound where ref computes in f32. */
void kernel_check_products(const struct kernel_ops *ops, enum activation_format format);

/* Print GB/s of weights and GOPS (two for each weight and row) of every weight format, one thread. */
void kernel_print_speed(const struct kernel_ops *ops, enum activation_format format);

#endif
