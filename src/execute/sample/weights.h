/* SPDX-License-Identifier: Apache-2.0 */
/* execute/sample/weights.h - what each token weighs in a draw: a softmax without its division.
 *
 * One per token and answer, so its exponential is written for vectors, without a branch or a call.
 * It multiplies and adds in one fixed order and never fuses the two, so that every processor draws
 * the same token from the same logits.
 *
 * Source  Cephes' reduction, y = k + f with |f| <= 1/2, and a polynomial for 2^f of degree 6
 */
#ifndef POMONA_EXECUTE_SAMPLE_WEIGHTS_H
#define POMONA_EXECUTE_SAMPLE_WEIGHTS_H

#include <stdint.h>

/* ret_weights[i] = e^((logits[i] - top) * scale), with a relative error below 5e-7 + |exponent| * 1e-7;
 * 0 below 2^-126, and where a logit is above `top` or no number.
 *
 * logits       borrowed, [n]; may be ret_weights
 * ret_weights  [n]
 * Returns the sum of the weights. */
double sample_weights(float *ret_weights, const float *logits, uint32_t n, float top, float scale);

#endif
