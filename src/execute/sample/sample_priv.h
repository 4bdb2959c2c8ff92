/* SPDX-License-Identifier: Apache-2.0 */
/* execute/sample/sample_priv.h - what the files of the sampler share. */
#ifndef POMONA_EXECUTE_SAMPLE_SAMPLE_PRIV_H
#define POMONA_EXECUTE_SAMPLE_SAMPLE_PRIV_H

#include "execute/sample/sample.h"

struct candidate {
    float weight;
    int32_t token;
};

/* Draw with probability proportional to weights[i] among the tokens that
 * top-k, top-p and min-p of `how` leave.
 *
 * weights  [n], >= 0, the largest is 1; total is their sum
 * scratch  [n]
 * u        uniform in [0, 1) */
int32_t draw_token(const float *weights, uint32_t n, double total, const struct sampling *how,
                   double u, struct candidate *scratch);

#endif
