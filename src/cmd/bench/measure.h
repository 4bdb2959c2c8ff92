/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/bench/measure.h - how fast an engine computes: raw steps, timed.
 *
 * Sampling, text and scheduling stay out, so that the numbers compare engines.
 * Two tests, named as llama-bench names them:
 *   pp256     a prompt of 256 tokens, in steps as large as the engine takes
 *   tg32      32 steps of one token, from an empty context
 *   tg32@b8   the same for 8 sequences in one batch; tokens of all of them count
 *
 * Threads  the owner of the local
 */
#ifndef POMONA_CMD_BENCH_MEASURE_H
#define POMONA_CMD_BENCH_MEASURE_H

#include "cmd/bench/stats.h"
#include "execute/local.h"
#include "model/model.h"

enum measure_kind { MEASURE_PROMPT, MEASURE_DECODE };

struct measure_test {
    enum measure_kind kind;
    uint32_t n_tokens;    /* of each sequence */
    uint32_t n_sequences; /* 1 for MEASURE_PROMPT */
};

enum { MEASURE_NAME_MAX = 32, MEASURE_ROWS_MAX = 512 };

/* The test's name into ret_name [MEASURE_NAME_MAX], which is returned. */
const char *measure_name(const struct measure_test *test, char *ret_name);

/* The token that follows in a sequence of no meaning that is the same each time. */
int32_t measure_token(uint32_t *random, uint32_t n_vocab);

/* Run the test once unmeasured, then n_repetitions (>= 1) times.
 * local      opened with room for the test: context_tokens >= n_tokens, max_sequences >=
 *            n_sequences, max_rows >= MEASURE_ROWS_MAX
 * ret_rates  cleared, then given tokens per second of each repetition
 * Errors     as the engine's step; ST_NOMEM */
enum status measure_run(struct local *local, const struct model *model,
                        const struct measure_test *test, uint32_t n_repetitions,
                        struct samples *ret_rates, struct err *err);

#endif
