/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/bench/serve/prompt.h - requests that differ, and differ in the same way each time.
 *
 * A server that shares prefixes must not find any, so the words of request
 * `number` depend on it from the first on.
 */
#ifndef POMONA_CMD_BENCH_SERVE_PROMPT_H
#define POMONA_CMD_BENCH_SERVE_PROMPT_H

#include <stdint.h>

#include "base/buf.h"

/* Append n_words common English words, separated by blanks. */
void prompt_words(struct buf *text, uint64_t seed, uint64_t number, uint32_t n_words);

/* Seconds from one arrival to the next of a Poisson process, `rate` a second: -ln(1 - u) / rate. */
double prompt_arrival_s(uint64_t seed, uint64_t number, double rate);

#endif
