/* SPDX-License-Identifier: Apache-2.0 */
/* tests/support/allocations.h - how much memory the code under test asks for, and what it does without.
 *
 * Counts malloc, calloc, realloc and free of everything linked statically into
 * the program.  A program that uses it links the library test_allocations,
 * which puts the counting in (with the linker's --wrap; on macOS the system's
 * own statistics serve instead, and count from the start of the program).
 */
#ifndef POMONA_TESTS_SUPPORT_ALLOCATIONS_H
#define POMONA_TESTS_SUPPORT_ALLOCATIONS_H

#include <stdbool.h>
#include <stddef.h>

/* Count from here. */
void allocations_reset(void);

/* Most bytes in use at once since the reset.  A request that failed counts as
 * if it had been granted. */
size_t allocations_peak_bytes(void);

/* The k-th allocation from now (1: the next) fails, and only that one; 0: none.
 * Not on macOS. */
void allocations_fail_at(size_t k);

/* Whether the allocation that was to fail has come. */
bool allocations_failed(void);

#endif
