/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/engine/golden.h - read what tests/golden/make_golden.py wrote; the format is there. */
#ifndef POMONA_TESTS_UNIT_ENGINE_GOLDEN_H
#define POMONA_TESTS_UNIT_ENGINE_GOLDEN_H

#include <stddef.h>
#include <stdint.h>

struct golden_prompt {
    uint32_t n_tokens;
    const int32_t *tokens; /* [n_tokens] */
    const int32_t *greedy; /* [n_steps] */
    const float *gap;      /* [n_steps] */
    const float *std;      /* [n_steps] */
    const float *logits;   /* [n_steps][n_ids] */
};

struct golden {
    void *bytes;
    uint32_t n_prompts, n_steps, n_ids;
    const int32_t *ids;
    struct golden_prompt *prompts;
};

/* Fails the test where the file is missing or not what it should be. */
void golden_load(struct golden *ret_golden);
void golden_release(struct golden *golden);

#endif
