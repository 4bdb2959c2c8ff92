/* SPDX-License-Identifier: Apache-2.0 */
/* execute/constrain.h - answers that obey a grammar, token by token.
 *
 * A constraint is where one sequence stands in its grammar.  It follows from the tokens of the
 * answer alone, so a sequence that waited, was begun on another instance, or whose grammar had to
 * forget what it kept, is where it was once its tokens are pushed again: constraint_freshen().
 *
 * With a trigger the answer is free until that text occurs in it; what follows it, be it in the
 * same token, is the grammar's.
 *
 * Sequences of one grammar share a run and with it the masks.  Runs that nobody uses stay, RUNS_IDLE
 * of them, for the next request with the same grammar.
 *
 * Threads  the driver's
 * Memory   a run's tables grow up to their bounds (text/grammar/run.h) while new text and new
 *          masks occur; known ones allocate nothing
 */
#ifndef POMONA_EXECUTE_CONSTRAIN_H
#define POMONA_EXECUTE_CONSTRAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "contract/request.h"
#include "text/grammar/run.h"

enum { RUNS_IDLE = 8 };

struct constrainer;

/* vocab  borrowed, must outlive the constrainer.  Errors: ST_NOMEM */
enum status constrainer_new(const struct grammar_vocab *vocab, struct constrainer **ret_constrainer,
                            struct err *err);
void constrainer_free(struct constrainer *constrainer); /* NULL is allowed; nobody has a run */

struct constrained; /* a grammar that is in use */

/* Of one sequence; zeroed is no constraint and is allowed where it says so. */
struct constraint {
    struct constrained *of; /* NULL: none */
    struct grammar_state state;
    char *trigger; /* NULL: none; owned */
    size_t n_trigger;
    uint16_t *borders; /* [n_trigger]; owned */
    size_t n_matched;  /* of the trigger, at the end of the answer */
    bool is_waiting;   /* for the trigger */
    bool is_stale;     /* it does not stand where the answer does */
};

/* Is there a run of this grammar?  Then constraint_join() compiles nothing. */
bool constrainer_knows(const struct constrainer *constrainer, const char *grammar);

/* A run of `grammar` that was made elsewhere, over the same vocabulary: taken, also on error.
 * Errors  ST_NOMEM */
enum status constrainer_adopt(struct constrainer *constrainer, const char *grammar,
                              struct grammar_run *run, struct err *err);

/* Errors  ST_FORMAT, ST_RANGE as grammar_compile(); ST_NOMEM */
enum status constraint_join(struct constrainer *constrainer, const char *grammar,
                            const char *trigger, struct constraint *ret_constraint,
                            struct err *err);
void constraint_leave(struct constrainer *constrainer,
                      struct constraint *constraint); /* zeroed too */

/* Stand where `answer` ends.  Before the calls below, whenever others may have come between.
 * Errors  ST_FORMAT  the answer is none of the grammar's */
enum status constraint_freshen(struct constrainer *constrainer, struct constraint *constraint,
                               const int32_t *answer, size_t n, struct err *err);

/* false: the token is not allowed; the constraint is as it was. */
bool constraint_push(struct constrainer *constrainer, struct constraint *constraint, int32_t token);

/* How many of the tokens are allowed, one after the other. */
size_t constraint_count(struct constrainer *constrainer, const struct constraint *constraint,
                        const int32_t *tokens, size_t n);

/* Nothing may follow but the end. */
bool constraint_must_end(const struct constraint *constraint);
bool constraint_may_end(const struct constraint *constraint);

/* The tokens that may come next, those of `stops` where the answer may end; lent until the next
 * call.  While it waits for its trigger, all: constraint_push() has the last word then.
 * Errors  as grammar_state_mask() */
enum status constraint_mask(struct constrainer *constrainer, const struct constraint *constraint,
                            const int32_t *stops, size_t n_stops, uint32_t **ret_mask,
                            struct err *err);

#endif
