/* SPDX-License-Identifier: Apache-2.0 */
/* base/random.h - unpredictable bytes for ids and keys.
 *
 * Sampling does not come here: it uses the counter-based generator of
 * execute/sample, which is reproducible.
 */
#ifndef POMONA_BASE_RANDOM_H
#define POMONA_BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

/* Fill [n] bytes from the operating system's generator.  Aborts where there
 * is none: nothing that needs a key may go on without one. */
void random_bytes(void *ret_bytes, size_t n);

uint64_t random_u64(void);

/* 2*n hexadecimal digits of n random bytes and a NUL: ret_text [2*n+1]. */
void random_hex(char *ret_text, size_t n_bytes);

#endif
