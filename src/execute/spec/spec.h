/* SPDX-License-Identifier: Apache-2.0 */
/* execute/spec/spec.h - guess the next tokens of sequences, so that one step verifies several.
 *
 *   spec_guess    lookup (or draft) guesses for each decoding sequence, pay says how many
 *   the step      computes logits after the last known token and after each guess
 *   spec_settle   how many guesses stood: what the sampler chose was what was guessed
 *   spec_learn    what the step took
 *
 * A guess stands when the ordinary sampler, with all that the request asks for
 * (penalties, bias, bans, seed), chooses it from logits of rows before it.
 * A row's logits do not depend on the rows beside it (engine/engine.h), and a
 * token is drawn from (seed, position) alone (execute/sample), so an answer is
 * the same with and without guesses, token for token, greedy or sampled.
 *
 * Rejection sampling (Leviathan et al. 2023, arXiv:2211.17192, algorithm 1)
 * lets more guesses stand where the temperature is high, but keeps only the
 * distribution: a seed would give another answer whenever other tokens are
 * guessed, so also when load changes, or another instance goes on with the sequence.
 *
 * Threads  the driver's
 * Memory   nothing is allocated after spec_new() and spec_join()
 */
#ifndef POMONA_EXECUTE_SPEC_SPEC_H
#define POMONA_EXECUTE_SPEC_SPEC_H

#include "execute/spec/draft.h"
#include "execute/spec/lookup.h"
#include "execute/spec/pay.h"

struct spec;

/* max_sequences  that decode in one step
 * draft          borrowed; NULL: guesses come from the sequence itself only.  A draft model that
 *                fails is not asked again
 * Errors         ST_NOMEM */
enum status spec_new(uint32_t max_sequences, struct draft *draft, struct spec **ret_spec,
                     struct err *err);
void spec_free(struct spec *spec); /* NULL is allowed */

/* Of one sequence; zeroed is allowed everywhere and guesses nothing. */
struct spec_sequence {
    bool is_joined;
    struct lookup lookup;
    struct draft_sequence draft;
    struct pay_sequence pay;
    enum pay_source source; /* of the guesses under way */
};

/* n_limit  tokens the sequence may come to have.  Errors: ST_NOMEM */
enum status spec_join(struct spec *spec, uint32_t n_limit, struct spec_sequence *ret_sequence,
                      struct err *err);
void spec_leave(struct spec *spec, struct spec_sequence *sequence);

/* A sequence that decodes in the next step.  what.n_wanted: how many guesses there is room for,
 * on return how many are in what.tokens behind the known ones; what.sequence is not looked at. */
struct spec_ask {
    struct spec_sequence *sequence;
    struct draft_ask what;
};

/* n_rows   of the step without guesses, other sequences' prompts included
 * n_spare  rows the step may have more
 * Returns the modelled time of the step, for spec_learn() */
double spec_guess(struct spec *spec, struct spec_ask *asks, uint32_t n_asks, uint32_t n_rows,
                  uint32_t n_spare);

/* Of n_guesses (>= 1) n_stood. */
void spec_settle(struct spec *spec, struct spec_sequence *sequence, uint32_t n_guesses,
                 uint32_t n_stood);

/* A step took elapsed_ns, up to its last token delivered; it was modelled as expected_ns, 0 for
 * one without guesses. */
void spec_learn(struct spec *spec, uint32_t n_rows, uint64_t elapsed_ns, double expected_ns);

#endif
