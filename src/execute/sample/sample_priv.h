/* SPDX-License-Identifier: Apache-2.0 */
/* execute/sample/sample_priv.h - what the files of the sampler share. */
#ifndef POMONA_EXECUTE_SAMPLE_SAMPLE_PRIV_H
#define POMONA_EXECUTE_SAMPLE_SAMPLE_PRIV_H

#include "execute/sample/sample.h"

struct candidate {
    float logit, weight;
    int32_t token;
};

/* Draw with probability proportional to weights[i] among the tokens that
 * top-k, top-p and min-p of `how` leave, where those of larger logits come first.
 *
 * weights  [n], >= 0, the largest is 1; total is their sum
 * logits   [n], of which the weights were made
 * scratch  [n]
 * u        uniform in [0, 1) */
int32_t draw_token(const float *weights, const float *logits, uint32_t n, double total,
                   const struct sampling *how, double u, struct candidate *scratch);

/* The same where the candidates [n], of which one at least weighs something, surely hold all that
 * top-k of `how`, > 0, leaves.  They are reordered. */
int32_t draw_candidate(struct candidate *candidates, uint32_t n, const struct sampling *how,
                       double u);

#endif
