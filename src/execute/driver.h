/* SPDX-License-Identifier: Apache-2.0 */
/* execute/driver.h - the rank that owns the output matrix drives its instance.
 *
 * The driver keeps the sequences, decides what each step computes, sends the
 * step around the pipeline, samples, and hands tokens to whoever asked:
 *
 *   driver_submit -> waiting -> running (prefill chunks, then decode) -> finished
 *                      |  ^ \_ preempted _/                               |
 *                      |  driver_cancel                                   |
 *                      +--------------------> gone <----------------------+
 *
 * A sequence's next token waits for its last one.  With n teams of ranks, n ranks in a pipeline,
 * up to n steps are under way, each with some of the sequences, so that no rank waits for
 * another; chunks of one long prompt follow each other without waiting.
 * Other ranks are stateless followers (execute/shard): pages and positions
 * travel with each step.  With one rank there is no transport: `pomona run` is
 * a driver and nothing else.
 *
 * A step may hold several rows with logits of one sequence: tokens guessed to
 * follow the known ones (execute/spec) are computed with them and verified by
 * driver/deliver.c.
 * Guesses never change the tokens, only how many a step makes.
 *
 * Threads  one owner thread calls everything here, token callbacks included
 */
#ifndef POMONA_EXECUTE_DRIVER_H
#define POMONA_EXECUTE_DRIVER_H

#include <stdbool.h>
#include <stdint.h>

#include "contract/token_stream.h"
#include "engine/engine.h"
#include "execute/shard/lineup.h"
#include "execute/spec/draft.h"
#include "text/grammar/run.h"
#include "text/grammar/vocab.h"
#include "transport/transport.h"

struct driver;

/* When the parts of a step were over, in order: clock_ns(). */
struct driver_times {
    uint32_t n_rows, n_spans;
    uint64_t begin_ns;    /* driver_step() was called */
    uint64_t launched_ns; /* what comes next was planned and sent to rank 0 */
    uint64_t arrived_ns;  /* hidden rows came from the rank before */
    uint64_t computed_ns; /* the driver's layers and the logits */
    uint64_t told_ns;     /* tokens chosen and handed out */
};
typedef void driver_times_fn(void *arg, const struct driver_times *times);

struct driver_options {
    struct engine_shard *shard; /* borrowed: the last rank's layers, or its portion of them */
    struct transport *ring;     /* borrowed; NULL where n_ranks is 1 */
    uint32_t n_ranks;
    const struct lineup *lineup;    /* borrowed; NULL: every rank is a team of its own */
    const struct portion *portions; /* borrowed: of the last team's members, in order; NULL: the
                                      * driver is its only one */
    uint32_t n_vocab, n_hidden;
    uint32_t context_tokens;       /* prompt and answer of one sequence */
    uint32_t page_tokens, n_pages; /* as given to the engine */
    uint32_t max_rows;             /* as given to the engine: the token budget of a step */
    uint32_t max_sequences;        /* running at once; more wait */
    uint32_t max_logit_rows;       /* as given to the engine; 0: max_sequences, leaving no room to
                                    * verify guesses when all decode */
    uint32_t max_guesses;          /* tokens guessed in one step, of all sequences, where that pays;
                                    * 0: none.  More than max_logit_rows has room for are not */
    struct draft *draft;           /* borrowed; NULL: no second model guesses */
    const struct grammar_vocab *vocab; /* borrowed: the text of n_vocab tokens; NULL: generations
                                        * with a grammar are refused */
    driver_times_fn *on_times;         /* called when a step is over; NULL: nobody is */
    void *times_arg;
    uint32_t max_waiting;         /* more are refused */
    uint64_t step_deadline_ms;    /* a step that waits longer for its peers is ST_DEADLINE */
    uint32_t step_target_ms;      /* cut prompts so that a step takes about this long where nothing
                                    * decodes (execute/budget.h), for quick cancels and newcomers;
                                    * 0: only max_rows cuts */
    uint64_t (*clock)(void *arg); /* what measures steps; NULL: clock_ns() */
    void *clock_arg;
};

enum status driver_new(const struct driver_options *options, struct driver **ret_driver,
                       struct err *err);
void driver_free(struct driver *driver); /* NULL is allowed; drops every sequence, silently */

/* Queue one sequence.  fn is called from driver_step() with sequence = `sequence`, until
 * an event with a finish, or a failure: its own, or that of the instance (driver_is_broken()).
 *
 * generation  borrowed, copied
 * ret_id      for driver_cancel()
 * Errors      ST_RANGE  a token is not in the vocabulary, or the prompt leaves no room for a token
 *             ST_FULL   max_waiting
 *             ST_FORMAT, ST_UNSUPPORTED  the grammar cannot be held */
enum status driver_submit(struct driver *driver, const struct generation *generation,
                          uint32_t sequence, token_stream_fn *fn, void *arg, uint64_t *ret_id,
                          struct err *err);

/* Would driver_submit() compile this grammar?  What takes long can be done on another thread before,
 * with the driver's vocabulary, and given here: taken, also on error (ST_NOMEM). */
bool driver_knows_grammar(const struct driver *driver, const char *grammar);
enum status driver_adopt_grammar(struct driver *driver, const char *grammar,
                                 struct grammar_run *run, struct err *err);

/* Forget a sequence: fn is not called again, its pages are free or cached before the
 * next step.  An unknown id is ignored. */
void driver_cancel(struct driver *driver, uint64_t id);

/* Launch what can be computed, wait for the oldest step under way and deliver its tokens.
 * Errors  ST_DEADLINE, ST_PEER: the instance is broken; every sequence was told, free the driver */
enum status driver_step(struct driver *driver, struct err *err);

struct driver_load {
    uint32_t n_running, n_waiting;
    uint64_t kv_tokens_used;     /* in pages that running sequences hold */
    uint64_t kv_tokens_cached;   /* in pages that nobody holds and a new prompt may find */
    uint64_t n_generated_tokens; /* since the start */
    uint64_t n_preempted;        /* since the start: sequences that had to wait again */
    uint64_t step_ns, waited_ns; /* since the start: of all steps, and of that for other ranks */
    uint64_t n_steps;
    uint64_t n_alone_tokens, alone_ns; /* of steps with one sequence alone, past its prompt */
};
struct driver_load driver_load(const struct driver *driver);
bool driver_has_work(const struct driver *driver);
bool driver_is_broken(const struct driver *driver); /* inside a callback too */

#endif
