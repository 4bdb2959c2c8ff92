/* SPDX-License-Identifier: Apache-2.0 */
/* execute/spec/pay.h - how many drafted tokens a step should check, so that drafting pays.
 *
 * Checking a draft costs rows, and rows are not free: on a CPU the second row
 * of a step may cost a tenth of the first or nine tenths, by kernel, model
 * and how many streams share the step.  So both sides are measured:
 *
 *   cost   nanoseconds of a step of n rows, learned from the driver's steps
 *   trust  how often a drafted token stood, for each sequence and source;
 *          moving averages, a new sequence starts with what others learned
 *
 * pay_choose() takes the number of drafts with the most expected tokens for
 * a second.  Estimates can be wrong, and a text can be made to fool them, so
 * all drafting is paid from one purse.  Each step adds PAY_ALLOWANCE of its
 * time; a draft that stands adds the time it saved; each drafted row is paid for.
 * Nothing is drafted that the purse cannot pay, hence drafting never costs more
 * than PAY_ALLOWANCE of the time, and what the purse may hold, once (PAY_PURSE_STEPS).
 *
 * Trust in a source that is not drafted from drifts upwards, so it is tried again now and then,
 * in case the text has changed.
 *
 * Pure: time comes in as numbers.
 *
 * Threads  the driver's
 * Memory   no pointers; zeroed memory is not a valid pay: pay_init()
 * Source   the expected gain of k drafts: Leviathan et al. 2023, arXiv:2211.17192, section 3.3;
 *          here with learned costs, and over all sequences of a step
 */
#ifndef POMONA_EXECUTE_SPEC_PAY_H
#define POMONA_EXECUTE_SPEC_PAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where drafts come from; each has its own trust. */
enum pay_source {
    PAY_LOOKUP_SHORT, /* two or three tokens agree */
    PAY_LOOKUP_LONG,  /* more */
    PAY_DRAFT_MODEL,
    PAY_N_SOURCES,
};

enum {
    PAY_DRAFTS_MAX = 15,    /* of one sequence in one step: 16 rows are one tile of the kernels */
    PAY_BUCKETS = 96,       /* of step sizes: 1, 2, ..., 32, then eight to an octave */
    PAY_PURSE_STEPS = 8,    /* what the purse may hold, in steps without drafts */
    PAY_STALE_STEPS = 1024, /* a cost not measured for so many steps is unknown again */
    PAY_MEASURES = 4,       /* one measured fewer times is, */
    PAY_DOUBT_STEPS = 64,   /* after so many: it may have been a stall */
};

#define PAY_ALLOWANCE 0.02

struct pay {
    double shape[PAY_BUCKETS];         /* time of a step of that size, in units of pace_ns */
    uint64_t known_until[PAY_BUCKETS]; /* in steps */
    uint8_t n_measured[PAY_BUCKETS];   /* at most PAY_MEASURES */
    uint64_t n_steps;
    double pace_ns;  /* how slow steps of any size are now; 0: nothing was measured yet */
    double draft_ns; /* of one token of the draft model; 0: unknown */
    double trust[PAY_N_SOURCES];
    double purse_ns;
    double expected_ns;        /* of the step with drafts that is under way; 0: none is */
    double plain_ns, token_ns; /* of the last step chosen for, had it no drafts: all, each token */
    bool is_funded;
};

struct pay_sequence {
    double trust[PAY_N_SOURCES];
};

void pay_init(struct pay *pay);
void pay_join(struct pay *pay, struct pay_sequence *sequence);

/* A step of n_rows (>= 1) took elapsed_ns, from its start to its last token delivered.
 * expected_ns  pay_step_ns() of it when its drafts were chosen; 0 where it had none */
void pay_learn_step(struct pay *pay, uint32_t n_rows, uint64_t elapsed_ns, double expected_ns);

/* The draft model made n_tokens (>= 1) tokens in elapsed_ns. */
void pay_learn_drafting(struct pay *pay, uint32_t n_tokens, uint64_t elapsed_ns);

/* What one sequence could draft in the next step. */
struct pay_bid {
    struct pay_sequence *sequence;
    enum pay_source source;
    uint32_t n_max;    /* <= PAY_DRAFTS_MAX; 0 is allowed */
    uint32_t n_drafts; /* the answer, <= n_max */
    double gain;       /* scratch: expected tokens of one draft more */
};

/* The step without drafts: n_rows in all, n_decodes of which make a token; both >= 1.
 * n_spare   rows the step may have beyond n_rows
 * Returns the number of drafts over all bids */
uint32_t pay_choose(struct pay *pay, uint32_t n_rows, uint32_t n_decodes, uint32_t n_spare,
                    struct pay_bid *bids, size_t n_bids);

/* The step is over: of n_drafts (>= 1) of this sequence n_accepted stood. */
void pay_settle(struct pay *pay, struct pay_sequence *sequence, enum pay_source source,
                uint32_t n_drafts, uint32_t n_accepted);

/* Would drafts from `source` pay in a step of n_rows, as far as sequences in general are trusted? */
bool pay_pays(const struct pay *pay, enum pay_source source, uint32_t n_rows);

/* Modelled time of a step of n_rows; 0 where nothing was measured. */
double pay_step_ns(const struct pay *pay, uint32_t n_rows);

#endif
