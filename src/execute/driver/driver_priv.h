/* SPDX-License-Identifier: Apache-2.0 */
/* execute/driver/driver_priv.h - what the parts of the driver share.
 *
 *   driver.c          life, submit, cancel, and the step: launch flights, land the oldest
 *   driver/plan.c     the scheduler is asked what comes next
 *   driver/admit.c    waiting sequences become running ones
 *   driver/room.c     pages: taken as sequences grow, kept when full, given back
 *   driver/build.c    rows of the scheduler's plan become the batch of a flight
 *   driver/guess.c    guesses for the sequences that decode in a flight
 *   driver/choose.c   the next token from a row of logits, within the sequence's grammar
 *   driver/gather.c   logits of a team's members become what the sampler needs
 *   driver/deliver.c  logits become tokens, tokens are told
 *   driver/pool.c     rows become vectors, and prompts are scored
 *   driver/traced.c   slots of the sequences that are traced
 *
 * A flight is one step under way.  With n teams up to n are: while the first
 * computes one, the driver's computes another.  They land in the order
 * they were launched.  Every rank takes steps in that order, so a page
 * freed while a flight still writes to it may be given away at once: the next
 * owner's rows come later, on every rank.
 */
#ifndef POMONA_EXECUTE_DRIVER_DRIVER_PRIV_H
#define POMONA_EXECUTE_DRIVER_DRIVER_PRIV_H

#include "execute/budget.h"
#include "execute/driver.h"
#include "execute/fair.h"
#include "execute/sample/sample.h"
#include "execute/sched.h"
#include "execute/sequence.h"
#include "execute/shard/step.h"
#include "memory/prefix.h"

struct flight {
    uint64_t number;
    uint64_t start_ns; /* on the clock that measures */
    uint64_t deadline_ns;
    bool wants_hidden;         /* a sequence of it is pooled */
    uint32_t n_prompt_rows;    /* rows of sequences that decode are the others */
    size_t message_bytes;      /* to rank 0 */
    double expected_ns;        /* as spec_guess() modelled it; 0 without guesses */
    struct engine_batch batch; /* points into what follows */
    int32_t *tokens;           /* [max_rows] */
    struct engine_span *spans; /* [max_sequences] */
    struct sequence **owners;  /* [max_sequences]: of the spans */
    uint32_t *logit_rows;      /* [max_logit_rows] */
    uint32_t *logit_asks;      /* [max_logit_rows]: of a team, sample/best.h */
    struct step_trace trace;   /* points into what follows; none of it where there is no ring */
    uint32_t *slots;           /* [max_sequences] */
    struct step_mark *marks;   /* [max_sequences] */
};

struct driver {
    struct driver_options o;
    struct prefix *prefix;
    struct fair *fair;
    struct sampler *sampler;
    struct step_wire *wire; /* NULL where there is no ring */
    bool *slots;            /* [max_sequences]: taken by traced sequences */
    struct lineup lineup;
    struct gather *gather; /* NULL where the driver has the whole output matrix */
    bool is_broken, is_stepping;
    struct err broken;
    uint64_t next_id, next_step, n_generated, n_preempted, step_ns;
    uint64_t n_steps, n_alone_tokens, alone_ns; /* as in struct driver_load */
    struct budget budget;

    struct sequence **sequences; /* [n_sequences], oldest first; capacity n_capacity */
    size_t n_sequences, n_capacity;
    struct sched_entry *entries; /* [n_capacity] */
    uint32_t *rows;              /* [n_capacity] */

    struct constrainer *constrainer; /* NULL without options.vocab */
    struct spec *spec;               /* NULL where nothing is guessed */
    struct spec_ask *asks;           /* [max_sequences] */
    uint32_t *asked;                 /* [max_sequences]: index of each ask's sequence */

    struct flight *flights; /* [lineup.n_teams], a ring */
    uint32_t first_flight, n_flights;
    struct driver_times times; /* of the step that lands */
    uint64_t landed_ns;        /* when the last one had, its tokens told */
    float *logits;             /* [max_logit_rows][n_vocab] */
    float *hidden;             /* [max_rows][n_hidden]: rows after the output norm */
};

/* Of the last team of `driver`, whose options, lineup and max_logit_rows are set.
 * Errors  ST_RANGE, ST_NOMEM */
enum status gather_new(const struct driver *driver, struct gather **ret_gather, struct err *err);
void gather_free(struct gather *gather); /* NULL is allowed */

/* Where the engine puts the logits of the driver's portion. */
float *gather_own(struct gather *gather);

/* Those and the other members' of the batch become rows of driver->logits, or lists of the best.
 * Errors  as transport_recv() */
enum status gather_logits(struct driver *driver, const struct engine_batch *batch,
                          uint64_t deadline_ns, struct err *err);

/* Of a row of logits of the last batch; NULL: it is among driver->logits. */
const struct best_list *gather_best(const struct gather *gather, uint32_t row);

uint32_t driver_pages_for(const struct driver *driver, uint32_t n_tokens);

/* Fill driver->entries and driver->rows: admit, schedule, guess, find pages.
 * ret_expected_ns  as driver_guess()
 * Returns  the number of rows; 0: nothing can be computed before something lands, or at all */
uint32_t driver_plan(struct driver *driver, double *ret_expected_ns);

/* Take up, and leave, the grammar of a generation.  Errors: as driver_submit() */
enum status driver_constrain(struct driver *driver, struct sequence *sequence,
                             const struct generation *generation, struct err *err);

/* Of n guesses behind the known tokens, those that the sequence's grammar allows. */
uint32_t driver_allowed_guesses(struct driver *driver, struct sequence *sequence, uint32_t n);

/* The next token, from a row of logits of the step: as the request wants it, and its grammar. */
enum status driver_choose(struct driver *driver, struct sequence *sequence, uint32_t logit_row,
                          struct sample *ret_sample, struct err *err);

/* What to ask members of a team of the logits at `position` of the sequence: best_ask(). */
uint32_t driver_ask(const struct sequence *sequence, uint32_t position);

/* The answer is complete by its grammar: there is no next token. */
bool driver_must_end(struct driver *driver, struct sequence *sequence);

void driver_admit(struct driver *driver);
void driver_find_room(struct driver *driver); /* pages for the rows planned */
void driver_preempt(struct driver *driver, size_t i);

/* Let go of the sequence's pages: it does not run any more. */
void driver_give_back(struct driver *driver, struct sequence *sequence);

/* Put pages that are full and computed on every rank into the tree. */
void driver_keep(struct driver *driver, struct sequence *sequence);

/* May driver->rows be sent beside the flights under way, without waiting for anybody? */
bool driver_may_launch(const struct driver *driver);

/* Guess for the sequences that driver->rows lets decode: n_drafts of them and of their entries.
 * n_rows  planned, of max_rows
 * Returns the modelled time of the step with them, 0 without */
double driver_guess(struct driver *driver, uint32_t n_rows, uint32_t max_rows);

/* Take up, and leave, a sequence that is traced; and tell what span of the flight is its.  No span is told twice. */
void driver_trace(struct driver *driver, struct sequence *sequence);
void driver_trace_no_more(struct driver *driver, struct sequence *sequence);
void driver_trace_span(struct flight *flight, uint32_t span, struct sequence *sequence);

/* Lay out driver->rows as a batch of `flight`. */
void driver_build(struct driver *driver, struct flight *flight);

/* Take rows of driver->hidden, from first_row, into the vector of a pooled sequence; it is told
 * where the last row is among them. */
void driver_pool(struct driver *driver, struct sequence *sequence, const struct engine_span *span);

/* Tell how likely the tokens of the prompt were that follow rows [start, end) of it.
 * logits  [end - start][n_vocab]
 * Returns false where the sequence is over */
bool driver_score(struct driver *driver, struct sequence *sequence, uint32_t start, uint32_t end,
                  const float *logits);

/* Cut the rows planned of sequences whose every row has logits to what a step has room for. */
void driver_cut_scored(struct driver *driver);

/* The flight landed and its logits are computed: choose tokens and tell them. */
void driver_deliver(struct driver *driver, const struct flight *flight);

#endif
