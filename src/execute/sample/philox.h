/* SPDX-License-Identifier: Apache-2.0 */
/* execute/sample/philox.h - random numbers as a pure function of (seed, position).
 *
 * There is no state to carry: whoever knows the seed and the position of a
 * token draws the same number, on any machine and in any order.
 *
 * Source  Philox4x32-10: Salmon, Moraes, Dror, Shaw 2011, "Parallel random
 *         numbers: as easy as 1, 2, 3", section 3.3 and table 2
 */
#ifndef POMONA_EXECUTE_SAMPLE_PHILOX_H
#define POMONA_EXECUTE_SAMPLE_PHILOX_H

#include <stdint.h>

/* Ten rounds over `counter` with `key`. */
void philox4x32(const uint32_t counter[4], const uint32_t key[2], uint32_t ret_words[4]);

/* Uniform in [0, 1), 53 random bits. */
double philox_uniform(uint64_t seed, uint64_t position);

#endif
