/* SPDX-License-Identifier: Apache-2.0 */
/* tests/support/fake_engine.h - an engine double whose arithmetic shows every mistake of its caller.
 *
 * A hidden row is one 64-bit hash.  Each layer mixes the row with the hashes
 * of all earlier positions, read through the page table, and writes its own
 * to the page, as attention would.  So a wrong page, a wrong position, a
 * missed or repeated row changes every later token; and the result depends
 * on the sequence alone, as engine.h demands.  Logits are drawn from the hash.
 */
#ifndef POMONA_TESTS_SUPPORT_FAKE_ENGINE_H
#define POMONA_TESTS_SUPPORT_FAKE_ENGINE_H

#include <stdbool.h>

#include "engine/engine.h"

enum { FAKE_HIDDEN = 4 }; /* a hash as four 16-bit numbers, exact in f32 */

struct fake_options {
    uint32_t first_layer, n_layers;
    bool is_first, is_last; /* holds the embedding, the output */
    uint32_t n_vocab;
    uint32_t page_tokens, n_pages;
    uint32_t max_rows, max_logit_rows;
    uint64_t step_ns;         /* time a step takes at least */
    uint64_t *clock_ns;       /* may be NULL: set forward by each step, without waiting for it, */
    uint64_t base_ns, row_ns; /* by that much and that much for each row */
    uint32_t fail_at_step;    /* the step that fails with ST_IO, from 1; 0: none */
    /* May be NULL.  Called after logits were drawn, to script them. */
    void (*script)(void *arg, uint32_t position, int32_t token, float *logits);
    void *script_arg;
};

/* Close with shard->type->close().  NULL without memory. */
struct engine_shard *fake_engine_new(const struct fake_options *options);

/* Rows of the largest step so far, how many steps there were, and rows of all. */
uint32_t fake_engine_most_rows(const struct engine_shard *shard);
uint32_t fake_engine_n_steps(const struct engine_shard *shard);
uint64_t fake_engine_n_rows(const struct engine_shard *shard);

#endif
