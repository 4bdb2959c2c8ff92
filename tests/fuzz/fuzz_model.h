/* SPDX-License-Identifier: Apache-2.0 */
/* tests/fuzz/fuzz_model.h - open any bytes as a model, as a fuzzer calls it. */
#ifndef POMONA_TESTS_FUZZ_FUZZ_MODEL_H
#define POMONA_TESTS_FUZZ_FUZZ_MODEL_H

#include <stddef.h>
#include <stdint.h>

/* Aborts where a refusal has no words, or a model that opened yields no shards.
 * Returns 0 as libFuzzer asks. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

#endif
