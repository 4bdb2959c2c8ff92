/* SPDX-License-Identifier: Apache-2.0 */
/* execute/sample/sample.h - choosing a token from logits.
 *
 * In this order: logit bias, repetition, presence and frequency penalties,
 * temperature, top-k, top-p of what top-k left, min-p.  Temperature 0 takes
 * the largest logit, the lowest id among equals.  Otherwise one number of
 * philox_uniform(seed, position) decides, so the result depends on the
 * arguments only: not on other sequences, and not on earlier calls.
 *
 * Threads  one owner thread for a sampler
 * Memory   nothing is allocated after sampler_new()
 * Source   top-p: Holtzman et al. 2020, arXiv:1904.09751; min-p: Nguyen et al. 2024,
 *          arXiv:2407.01082; repetition penalty: Keskar et al. 2019, arXiv:1909.05858,
 *          section 4.1; presence and frequency: OpenAI API reference
 */
#ifndef POMONA_EXECUTE_SAMPLE_SAMPLE_H
#define POMONA_EXECUTE_SAMPLE_SAMPLE_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "contract/request.h"
#include "contract/token_stream.h"

struct sampler;
struct best_list;

/* Scratch for a vocabulary of n_vocab (>= 1) tokens.  Errors: ST_NOMEM */
enum status sampler_new(uint32_t n_vocab, struct sampler **ret_sampler, struct err *err);
void sampler_free(struct sampler *sampler); /* NULL is allowed */

/* Below this, dividing by the temperature leaves the range of a float. */
#define SAMPLE_GREEDY_BELOW 1e-5f

struct sample_input {
    const float *logits;          /* [n_vocab] */
    const struct best_list *best; /* in place of them, as best_ask() asked, where `allowed` is NULL;
                                   * NULL: the logits are all here */
    const struct sampling *how;
    const int32_t *tokens;     /* [n_tokens]: prompt and answer so far, all in the vocabulary */
    size_t n_prompt, n_tokens; /* the position drawn for is n_tokens */
    const int32_t *banned;     /* [n_banned]: not allowed at this position */
    size_t n_banned;
    const uint32_t
        *allowed; /* only tokens t whose bit t % 32 of allowed[t / 32] is set; NULL: all */
};

struct sample {
    int32_t token;
    float logprob;                   /* 0 unless asked for */
    const struct token_logprob *top; /* [n_top], most likely first; lent until the next call */
    size_t n_top;
};

/* A logit that is no finite number is never chosen and has no part in probabilities.
 * Errors  ST_RANGE  no token is left to choose */
enum status sampler_choose(struct sampler *sampler, const struct sample_input *in,
                           struct sample *ret_sample, struct err *err);

/* How likely `token` was: its logprob and the likeliest tokens, as how->n_top_logprobs says.
 * Errors  ST_RANGE  no logit is a finite number */
enum status sampler_score(struct sampler *sampler, const float *logits, const struct sampling *how,
                          int32_t token, struct sample *ret_sample, struct err *err);

#endif
