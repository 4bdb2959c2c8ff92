/* SPDX-License-Identifier: Apache-2.0 */
/* balance/pace.h - how fast a server answers, learnt from its answers.
 *
 * Two figures.  Prompt tokens a second: those that waited there when a request came, its own with them,
 * by the time until its first token; so time spent in a queue counts.  And the time from one token to the next as
 * a line over the number of requests that ran, fitted by least squares of which older ones fade: a large machine's is
 * nearly level, one that computes one answer after the other has a steep one.
 *
 * Pure.
 */
#ifndef POMONA_BALANCE_PACE_H
#define POMONA_BALANCE_PACE_H

#include <stdint.h>

/* Zero: nothing is known. */
struct pace {
    double prompt_tokens_per_s;               /* 0: not known */
    double sum, sum_n, sum_nn, sum_s, sum_ns; /* of weights, requests, seconds */
};

/* The first token came. */
void pace_first(struct pace *p, uint64_t n_waiting_tokens, double seconds);

/* An answer of n_tokens took `seconds` from its first token to its last, n_running at once. */
void pace_answer(struct pace *p, uint64_t n_tokens, double seconds, double n_running);

/* Seconds from a token to the next with n_running requests; 0: not known. */
double pace_token_s(const struct pace *p, double n_running);

#endif
